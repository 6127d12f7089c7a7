//! The registry at a glance: counted over what the caller may see, and kept for a short time.

use super::super::{
    answer::Answering,
    endpoint::{Family, Methods, Need, RequestLine},
    error::{ApiError, ServiceError},
    gate::Granted,
    routed::Sight,
};
use super::{operation::Operation, reply::rfc3339, storage::storage_usage};
use crate::{
    access::Ceiling,
    registry::{NamespaceName, UsageTotals},
    storage::RepositoryOutline,
    who::{Permission, Subject},
    wire::ResponseBody,
};
use api::dashboard::{Dashboard, NamespaceSummary, OwnUsage, RecentPush};
use http::Response;
use oci::RepositoryName;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

pub(super) const OPERATIONS: &[Operation] =
    &[Operation::get::<Dashboard>("/dashboard", "show_dashboard", "Show totals, namespaces and recent pushes.")];

/// How long it is kept if this process changes nothing; another may.
const KEPT_FOR: Duration = Duration::from_secs(30);

/// Callers whose repositories are kept.
const MOST_KEPT: usize = 1000;

/// Repositories that are kept for all callers together: 70 bytes each.
const MOST_KEPT_REPOSITORIES: u64 = 400_000;

const MOST_NAMESPACES: usize = 1000;
const MOST_RECENT: usize = 10;

/// A request about the registry at a glance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DashboardEndpoint {
    /// `GET /dashboard`.
    Show,
}

/// What callers saw last.
pub struct Dashboards {
    kept: quick_cache::sync::Cache<Subject, Arc<KeptDashboard>, KeptWeight>,
    /// Counts changes of content by this process.
    changes: AtomicU64,
}

/// The repositories of a caller count.
#[derive(Clone)]
struct KeptWeight;

impl quick_cache::Weighter<Subject, Arc<KeptDashboard>> for KeptWeight {
    fn weight(&self, _: &Subject, kept: &Arc<KeptDashboard>) -> u64 {
        kept.seen.repositories.len() as u64 + 1
    }
}

/// The repositories that a caller may see, and what was counted over them.
#[derive(Default)]
pub(super) struct SeenRepositories {
    /// In byte order, also those that hold nothing.
    pub(super) repositories: Vec<(RepositoryName, Arc<RepositoryOutline>)>,
    /// Their namespaces.
    pub(super) namespaces: BTreeMap<NamespaceName, UsageTotals>,
    counted: Counted,
}

struct KeptDashboard {
    seen: Arc<SeenRepositories>,
    at: Instant,
    changes: u64,
    /// The configuration whose rules decided what was visible.
    version: Arc<str>,
}

/// What was counted over the repositories that hold something.
#[derive(Default)]
struct Counted {
    totals: UsageTotals,
    namespaces: BTreeMap<String, UsageTotals>,
    recent: Vec<(SystemTime, RepositoryName, Arc<RepositoryOutline>)>,
    own: UsageTotals,
    own_pushed: Option<SystemTime>,
    at: Option<SystemTime>,
}

impl Default for Dashboards {
    fn default() -> Self {
        let kept = quick_cache::sync::Cache::with_weighter(MOST_KEPT, MOST_KEPT_REPOSITORIES, KeptWeight);
        Self { kept, changes: AtomicU64::new(0) }
    }
}

impl Dashboards {
    /// Content may have changed: everything is counted again when somebody asks.
    pub(in super::super) fn content_changed(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }
}

impl DashboardEndpoint {
    pub(super) fn parse(line: &RequestLine<'_>) -> Result<Self, ServiceError> {
        match line.segments {
            ["dashboard"] if line.is_read() => Ok(Self::Show),
            ["dashboard"] => Err(ServiceError::MethodNotAllowed(Methods::READ)),
            _ => Err(ApiError::NotFound.into()),
        }
    }
}

impl Family for DashboardEndpoint {
    fn name(&self) -> &'static str {
        match self {
            Self::Show => "show_dashboard",
        }
    }

    fn needs(&self) -> Need<'_> {
        match self {
            // Without a login: what everybody may see.
            Self::Show => Need::Sight,
        }
    }

    fn methods(&self) -> Methods {
        match self {
            Self::Show => Methods::READ,
        }
    }

    fn serve(self, granted: Granted) -> Answering {
        match self {
            Self::Show => Box::pin(async move { show(&granted).await }),
        }
    }
}

async fn show(granted: &Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let seen = seen(granted).await?;
    let counted = &seen.counted;
    let who = &granted.who().subject;
    let sees_system = granted.sight == Sight::Inside;
    let namespaces = counted.namespaces.iter().take(MOST_NAMESPACES);
    granted.resource(&Dashboard {
        total_images: counted.totals.tags,
        total_groups: counted.namespaces.len() as u64,
        total_repositories: counted.totals.repositories,
        total_size: counted.totals.bytes,
        groups: namespaces.map(|(name, totals)| namespace(name, totals)).collect(),
        recent: counted.recent.iter().map(recent_push).collect(),
        mine: who.name().map(|_| OwnUsage {
            repositories: counted.own.repositories,
            images: counted.own.tags,
            size: counted.own.bytes,
            access_level: if granted.has(Permission::ADMIN) { "administrator" } else { "user" }.to_owned(),
            last_activity: counted.own_pushed.map(rfc3339),
        }),
        storage: if sees_system { storage_usage(granted).await? } else { None },
        uploads: sees_system.then(|| granted.registry().open_uploads() as u64),
        as_of: counted.at.map(rfc3339).unwrap_or_default(),
    })
}

/// What the caller may see, counted now or a short time ago.
pub(super) async fn seen(granted: &Granted) -> Result<Arc<SeenRepositories>, ServiceError> {
    // What limited credentials see is not what their user sees.
    if granted.who().ceiling != Ceiling::None {
        return count(granted).await.map(Arc::new);
    }
    let dashboards = &granted.request.state.dashboards;
    let (changes, version) = (dashboards.changes.load(Ordering::Relaxed), &granted.request.live.version);
    let who = &granted.who().subject;
    let is_current =
        |kept: &Arc<KeptDashboard>| kept.changes == changes && kept.version == *version && kept.at.elapsed() < KEPT_FOR;
    if let Some(kept) = dashboards.kept.get(who).filter(is_current) {
        return Ok(kept.seen.clone());
    }
    let seen = Arc::new(count(granted).await?);
    let kept = KeptDashboard { seen: seen.clone(), at: Instant::now(), changes, version: version.clone() };
    dashboards.kept.insert(who.clone(), Arc::new(kept));
    Ok(seen)
}

async fn count(granted: &Granted) -> Result<SeenRepositories, ServiceError> {
    let (registry, visible) = (granted.registry(), granted.visible());
    let (mut repositories, mut namespaces) = (Vec::new(), BTreeMap::<NamespaceName, UsageTotals>::new());
    let mut counted = Counted { at: Some(SystemTime::now()), ..Counted::default() };
    let owned = match granted.who().subject.name() {
        Some(user) => registry.repositories_of(user).await?,
        None => Default::default(),
    };
    let each = |name: &RepositoryName, outline: &Arc<RepositoryOutline>| {
        repositories.push((name.clone(), outline.clone()));
        if let Some(namespace) = NamespaceName::of(name) {
            namespaces.entry(namespace).or_default().add(outline);
        }
        if outline.manifests == 0 {
            return;
        }
        counted.totals.add(outline);
        let namespace = name.as_str().split('/').next().unwrap_or_default();
        counted.namespaces.entry(namespace.to_owned()).or_default().add(outline);
        if let Some(pushed) = outline.pushed {
            let place = counted.recent.partition_point(|(time, ..)| *time > pushed);
            if place < MOST_RECENT {
                counted.recent.insert(place, (pushed, name.clone(), outline.clone()));
                counted.recent.truncate(MOST_RECENT);
            }
        }
        if owned.contains(name) {
            counted.own.add(outline);
            counted.own_pushed = counted.own_pushed.max(outline.pushed);
        }
    };
    registry.each_existing(None, &visible, each).await?;
    Ok(SeenRepositories { repositories, namespaces, counted })
}

fn namespace(name: &str, totals: &UsageTotals) -> NamespaceSummary {
    let UsageTotals { repositories, tags, bytes, .. } = *totals;
    NamespaceSummary { name: name.to_owned(), repositories, tags, size: bytes }
}

fn recent_push((pushed, name, outline): &(SystemTime, RepositoryName, Arc<RepositoryOutline>)) -> RecentPush {
    let pushed_at = rfc3339(*pushed);
    RecentPush { repository: name.to_string(), tags: outline.tags, size: outline.bytes, pushed_at }
}
