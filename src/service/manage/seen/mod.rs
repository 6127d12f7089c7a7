//! What callers may see, kept in memory: lists, search and the dashboard answer from it.

mod changes;
mod everything;
mod repository;

pub(in super::super) use changes::ChangedContent;
pub(super) use repository::SeenRepository;

use super::super::{error::ServiceError, gate::Granted};
use super::dashboard::Counted;
use crate::{
    access::KeyScope,
    registry::{Creation, NamespaceName, UsageTotals},
    who::Subject,
};
use changes::ChangeLog;
use everything::{AllRepositories, RepositoryGatherer};
use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock, Weak},
};

/// Callers whose repositories are kept.
const MOST_CALLERS: usize = 1000;

/// Repositories that are kept for all callers together: 8 bytes each, besides what they have in common.
const MOST_KEPT: u64 = 2_000_000;

/// What callers saw last.
pub struct SeenByCallers {
    all: Arc<RepositoryGatherer>,
    kept: quick_cache::sync::Cache<Seer, Arc<KeptForCaller>, KeptWeight>,
}

/// A caller, and what their API key is for: they see less with it.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Seer {
    subject: Subject,
    key: Option<String>,
}

/// The repositories of a caller count.
#[derive(Clone)]
struct KeptWeight;

impl quick_cache::Weighter<Seer, Arc<KeptForCaller>> for KeptWeight {
    fn weight(&self, _: &Seer, kept: &Arc<KeptForCaller>) -> u64 {
        kept.seen.repositories.len() as u64 + 1
    }
}

struct KeptForCaller {
    seen: Arc<SeenRepositories>,
    /// What they are a part of.
    all: Weak<AllRepositories>,
    /// The configuration whose rules decided what was visible.
    version: Arc<str>,
}

/// The repositories that a caller may see.
pub(super) struct SeenRepositories {
    /// In byte order, also those that hold nothing.
    pub(super) repositories: Vec<Arc<SeenRepository>>,
    /// The namespaces that were created, whoever may see them.
    pub(super) created: Arc<BTreeMap<NamespaceName, Option<Creation>>>,
    /// Whether there may be more of them: they are still being looked at.
    pub(super) is_incomplete: bool,
    /// The caller, whose own repositories are counted.
    subject: Subject,
    at: std::time::SystemTime,
    namespaces: OnceLock<BTreeMap<NamespaceName, UsageTotals>>,
    counted: OnceLock<Counted>,
}

impl Default for SeenByCallers {
    fn default() -> Self {
        Self { all: Arc::default(), kept: quick_cache::sync::Cache::with_weighter(MOST_CALLERS, MOST_KEPT, KeptWeight) }
    }
}

impl SeenByCallers {
    /// Content may have changed.
    pub(in super::super) fn changed(&self, content: ChangedContent) {
        self.all.changed(content);
    }
}

impl Seer {
    fn of(granted: &Granted) -> Self {
        let key = granted.who().ceiling.key();
        let written = key.map(|key| key.iter().map(KeyScope::to_string).collect::<Vec<_>>().join(" "));
        Self { subject: granted.who().subject.clone(), key: written }
    }
}

impl SeenRepositories {
    /// The repositories after a name.
    pub(super) fn after(&self, last: Option<&str>) -> &[Arc<SeenRepository>] {
        let start = self.repositories.partition_point(|one| last.is_some_and(|last| one.name.as_str() <= last));
        &self.repositories[start..]
    }

    /// Their namespaces.
    pub(super) fn namespaces(&self) -> &BTreeMap<NamespaceName, UsageTotals> {
        self.namespaces.get_or_init(|| {
            let mut totals = BTreeMap::<NamespaceName, UsageTotals>::new();
            for together in self.repositories.chunk_by(|a, b| a.namespace() == b.namespace()) {
                let Some(name) = together.first().and_then(|one| NamespaceName::of(&one.name)) else { continue };
                let total = totals.entry(name).or_default();
                together.iter().for_each(|one| total.add(&one.outline));
            }
            totals
        })
    }

    /// What was counted over them.
    pub(super) fn counted(&self) -> &Counted {
        self.counted.get_or_init(|| Counted::over(&self.repositories, self.subject.name(), self.at))
    }
}

/// What the caller may see, as it was now or a short time ago. Changes by this process count.
pub(super) async fn seen(granted: &Granted) -> Result<Arc<SeenRepositories>, ServiceError> {
    let state = &granted.request.state.seen;
    let (seer, version) = (Seer::of(granted), &granted.request.live.version);
    let all = state.all.now(granted.registry()).await?;
    let kept = state.kept.get(&seer).filter(|kept| kept.version == *version);
    if let Some(kept) = &kept
        && std::ptr::eq(kept.all.as_ptr(), Arc::as_ptr(&all))
    {
        return Ok(kept.seen.clone());
    }
    let earlier = kept.and_then(|kept| Some((kept.all.upgrade()?, kept.seen.clone())));
    let earlier = earlier.as_ref().map(|(all, seen)| (&**all, &seen.repositories[..]));
    let seen = Arc::new(SeenRepositories {
        repositories: all.visible(&granted.visible(), earlier).await,
        created: all.created.clone(),
        is_incomplete: !all.is_complete,
        subject: granted.who().subject.clone(),
        at: all.at,
        namespaces: OnceLock::new(),
        counted: OnceLock::new(),
    });
    let kept = KeptForCaller { seen: seen.clone(), all: Arc::downgrade(&all), version: version.clone() };
    state.kept.insert(seer, Arc::new(kept));
    Ok(seen)
}
