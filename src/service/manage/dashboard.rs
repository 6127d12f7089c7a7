//! The registry at a glance: counted over what the caller may see, and kept for a short time.

use super::super::{
    answer::Answering,
    endpoint::{Family, Methods, Need, RequestLine},
    error::{ApiError, ServiceError},
    gate::Granted,
    routed::Sight,
};
use super::{
    operation::Operation,
    reply::rfc3339,
    seen::{SeenRepository, seen},
    storage::{outbox_summary, storage_usage},
};
use crate::{registry::UsageTotals, storage::RepositoryOutline, who::Permission, wire::ResponseBody};
use api::dashboard::{Dashboard, NamespaceSummary, OwnUsage, RecentPush};
use http::Response;
use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

pub(super) const OPERATIONS: &[Operation] =
    &[Operation::get::<Dashboard>("/dashboard", "show_dashboard", "Show totals, namespaces and recent pushes.")];

const MOST_NAMESPACES: usize = 1000;
const MOST_RECENT: usize = 10;

/// A request about the registry at a glance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DashboardEndpoint {
    /// `GET /dashboard`.
    Show,
}

/// What was counted over the repositories that hold something.
pub(super) struct Counted {
    totals: UsageTotals,
    namespaces: BTreeMap<String, UsageTotals>,
    recent: Vec<(SystemTime, Arc<SeenRepository>)>,
    own: UsageTotals,
    own_pushed: Option<SystemTime>,
    at: SystemTime,
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
    let counted = seen.counted();
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
        outbox: if sees_system { outbox_summary(granted) } else { None },
        uploads: sees_system.then(|| granted.registry().open_uploads() as u64),
        as_of: rfc3339(counted.at),
        incomplete: seen.is_incomplete,
    })
}

impl Counted {
    /// Counts these repositories, which are in byte order; those of `user` are their own.
    pub(super) fn over(repositories: &[Arc<SeenRepository>], user: Option<&str>, at: SystemTime) -> Self {
        let mut counted = Self {
            totals: UsageTotals::default(),
            namespaces: BTreeMap::new(),
            recent: Vec::new(),
            own: UsageTotals::default(),
            own_pushed: None,
            at,
        };
        for together in repositories.chunk_by(|a, b| a.first_component() == b.first_component()) {
            let mut totals = UsageTotals::default();
            for one in together.iter().filter(|one| one.outline.manifests > 0) {
                totals.add(&one.outline);
                counted.add(one, user);
            }
            // Names that begin alike may be apart: `a-b` comes between `a` and `a/b`.
            if let Some(first) = together.first().filter(|_| totals.repositories > 0) {
                counted.namespaces.entry(first.first_component().to_owned()).or_default().add_all(&totals);
            }
        }
        counted
    }

    fn add(&mut self, one: &Arc<SeenRepository>, user: Option<&str>) {
        self.totals.add(&one.outline);
        if let Some(pushed) = one.outline.pushed {
            let place = self.recent.partition_point(|(time, _)| *time > pushed);
            if place < MOST_RECENT {
                self.recent.insert(place, (pushed, one.clone()));
                self.recent.truncate(MOST_RECENT);
            }
        }
        if user.is_some() && one.facts.owner.as_deref() == user {
            self.own.add(&one.outline);
            self.own_pushed = self.own_pushed.max(one.outline.pushed);
        }
    }
}

fn namespace(name: &str, totals: &UsageTotals) -> NamespaceSummary {
    let UsageTotals { repositories, tags, bytes, .. } = *totals;
    NamespaceSummary { name: name.to_owned(), repositories, tags, size: bytes }
}

fn recent_push((pushed, one): &(SystemTime, Arc<SeenRepository>)) -> RecentPush {
    let RepositoryOutline { tags, bytes, .. } = *one.outline;
    RecentPush { repository: one.name.to_string(), tags, size: bytes, pushed_at: rfc3339(*pushed) }
}
