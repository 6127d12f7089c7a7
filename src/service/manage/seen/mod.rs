//! What callers may see, kept in memory: lists, search and the dashboard answer from it.
//!
//! It is gathered when a caller first asks, and again after a while, because another process may have changed something.
//! After a change by this process, only the repositories concerned are looked at again.

mod changes;
mod repository;

pub(super) use repository::SeenRepository;

use super::super::{error::ServiceError, gate::Granted};
use super::dashboard::Counted;
use crate::{
    access::{KeyScope, RepositoryFacts},
    registry::{NamespaceName, Registry, Shows, UsageTotals, Visible},
    who::Subject,
};
use changes::ChangeLog;
use oci::RepositoryName;
use repository::KnownRepositories;
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant, SystemTime},
};

/// How long it is kept if this process changes nothing; another may.
const KEPT_FOR: Duration = Duration::from_secs(30);

/// Callers whose repositories are kept.
const MOST_CALLERS: usize = 1000;

/// Repositories that are kept for all callers together: 8 bytes each, besides what they have in common.
const MOST_KEPT: u64 = 2_000_000;

/// What callers saw last.
pub struct SeenByCallers {
    kept: quick_cache::sync::Cache<Seer, Arc<KeptForCaller>, KeptWeight>,
    known: KnownRepositories,
    changes: Mutex<ChangeLog>,
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
    gathered: Instant,
    /// The changes that it includes.
    changes: u64,
    /// The configuration whose rules decided what was visible.
    version: Arc<str>,
}

/// The repositories that a caller may see.
pub(super) struct SeenRepositories {
    /// In byte order, also those that hold nothing.
    pub(super) repositories: Vec<Arc<SeenRepository>>,
    /// The caller, whose own repositories are counted.
    subject: Subject,
    at: SystemTime,
    namespaces: OnceLock<BTreeMap<NamespaceName, UsageTotals>>,
    counted: OnceLock<Counted>,
}

impl Default for SeenByCallers {
    fn default() -> Self {
        Self {
            kept: quick_cache::sync::Cache::with_weighter(MOST_CALLERS, MOST_KEPT, KeptWeight),
            known: KnownRepositories::default(),
            changes: Mutex::default(),
        }
    }
}

impl SeenByCallers {
    /// Content may have changed: in a repository, or anywhere.
    pub(in super::super) fn changed(&self, repository: Option<RepositoryName>) {
        self.log().note(repository);
    }

    fn log(&self) -> MutexGuard<'_, ChangeLog> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
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
    fn new(repositories: Vec<Arc<SeenRepository>>, subject: Subject) -> Self {
        Self { repositories, subject, at: SystemTime::now(), namespaces: OnceLock::new(), counted: OnceLock::new() }
    }

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

/// What the caller may see, as it was now or a short time ago. Their own changes count.
pub(super) async fn seen(granted: &Granted) -> Result<Arc<SeenRepositories>, ServiceError> {
    let all = &granted.request.state.seen;
    let (seer, version) = (Seer::of(granted), &granted.request.live.version);
    // Before anything is read: what changes meanwhile is looked at again.
    let changes = all.log().count();
    let is_current = |kept: &Arc<KeptForCaller>| kept.version == *version && kept.gathered.elapsed() < KEPT_FOR;
    let kept = all.kept.get(&seer).filter(is_current);
    let since = kept.as_ref().and_then(|kept| all.log().since(kept.changes));
    let (seen, gathered) = match (kept, since) {
        (Some(kept), Some(changed)) if changed.is_empty() => return Ok(kept.seen.clone()),
        (Some(kept), Some(changed)) => (kept.seen.refreshed(granted, changed).await?, kept.gathered),
        _ => (gather(granted).await?, Instant::now()),
    };
    let seen = Arc::new(seen);
    let kept = KeptForCaller { seen: seen.clone(), gathered, changes, version: version.clone() };
    all.kept.insert(seer, Arc::new(kept));
    Ok(seen)
}

/// Looks at all repositories.
async fn gather(granted: &Granted) -> Result<SeenRepositories, ServiceError> {
    let (registry, known) = (granted.registry(), &granted.request.state.seen.known);
    let facts = registry.all_access_facts().await?;
    let visible = WithFacts { visible: granted.visible(), facts: &facts };
    let mut repositories = Vec::new();
    let none = RepositoryFacts::default();
    registry
        .each_existing(None, &visible, |name, outline| {
            repositories.push(known.get(name, outline, facts.get(name).unwrap_or(&none)));
        })
        .await?;
    Ok(SeenRepositories::new(repositories, granted.who().subject.clone()))
}

impl SeenRepositories {
    /// The same after changes of some repositories.
    async fn refreshed(&self, granted: &Granted, changed: BTreeSet<RepositoryName>) -> Result<Self, ServiceError> {
        let (registry, known): (&Registry, _) = (granted.registry(), &granted.request.state.seen.known);
        let names: Vec<_> = changed.into_iter().collect();
        let facts: BTreeMap<_, _> = names.iter().cloned().zip(registry.access_facts(&names).await?).collect();
        let visible = WithFacts { visible: granted.visible(), facts: &facts };
        let shown = names.iter().filter(|name| matches!(visible.shows(name), Shows::Yes)).cloned().collect();
        let there = registry.existing_among(shown).await?;
        let outlines = registry.outlines(&there).await?;
        let mut repositories = self.repositories.clone();
        let place = |all: &[Arc<SeenRepository>], name: &RepositoryName| all.binary_search_by(|one| one.name.cmp(name));
        for name in &names {
            if let Ok(at) = place(&repositories, name) {
                repositories.remove(at);
            }
        }
        for (name, outline) in there.iter().zip(&outlines) {
            if let (Err(at), Some(facts)) = (place(&repositories, name), facts.get(name)) {
                repositories.insert(at, known.get(name, outline, facts));
            }
        }
        Ok(Self::new(repositories, self.subject.clone()))
    }
}

/// What is visible, by facts that were read before.
struct WithFacts<'f, V> {
    visible: V,
    facts: &'f BTreeMap<RepositoryName, RepositoryFacts>,
}

impl<V: Visible> Visible for WithFacts<'_, V> {
    fn shows(&self, repository: &RepositoryName) -> Shows {
        let none = RepositoryFacts::default();
        self.visible.shows(repository).by(self.facts.get(repository).unwrap_or(&none)).into()
    }

    fn reaches(&self, prefix: &RepositoryName) -> bool {
        let is_recorded = || {
            let below = format!("{prefix}/");
            let mut after = self.facts.range::<str, _>((Bound::Included(below.as_str()), Bound::Unbounded));
            after.next().is_some_and(|(name, _)| name.as_str().starts_with(&below))
        };
        self.visible.reaches(prefix) || (self.visible.asks_facts() && is_recorded())
    }
}
