//! All repositories, whoever asks: gathered in the background, and kept in memory.
//!
//! What must stay true:
//!
//! - One task at a time looks at all repositories. A request waits for it for a moment only, and is answered from what
//!   is known then, so the first one after the start may see a part of them.
//! - A change by this process counts at once: the repositories concerned are looked at again before an answer.
//! - They are gathered again before what is known is too old, as long as somebody asks, because another process may
//!   have changed something.

use super::{
    ChangeLog, SeenRepository,
    changes::{ChangedContent, ChangesSince},
};
use crate::{
    access::RepositoryFacts,
    registry::{Creation, Everything, NamespaceName, Registry, Result, Visible},
};
use oci::RepositoryName;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};
use tokio::{
    sync::{self, OwnedMutexGuard},
    task::JoinError,
    time::{Instant, timeout},
};

/// How long what is known is used, if this process changes nothing.
const KEPT_FOR: Duration = Duration::from_secs(30);

/// Looking at everything takes at most one part in so many of the time.
const REST: u32 = 10;

/// How long a request waits for the task that looks at everything.
const PATIENCE: Duration = Duration::from_millis(1500);

/// How often what is known so far is shown, until everything is.
const SHOWN_EVERY: Duration = Duration::from_millis(250);

/// Earlier states from which what a caller sees is carried over.
const MOST_RECENT: usize = 4;

/// Repositories after which other requests get a turn.
const TURN: usize = 256;

/// The repositories as they were at one moment.
pub(super) struct AllRepositories {
    /// In byte order of the names, also those that hold nothing.
    repositories: Vec<Arc<SeenRepository>>,
    /// The namespaces that were created, and when and by whom.
    pub(super) created: Arc<BTreeMap<NamespaceName, Option<Creation>>>,
    /// Whether these are all of them.
    pub(super) is_complete: bool,
    /// When this was known.
    pub(super) at: SystemTime,
    /// The changes of this process that it includes.
    changes: u64,
    /// When they were looked at, and how long that took.
    gathered: Instant,
    took: Duration,
}

/// Keeps the last state, and replaces it.
#[derive(Default)]
pub(super) struct RepositoryGatherer {
    states: Mutex<VecDeque<Arc<AllRepositories>>>,
    changes: Mutex<ChangeLog>,
    /// Held by the task that looks at everything.
    gathering: Arc<sync::Mutex<()>>,
    /// Held while changes are looked at.
    refreshing: sync::Mutex<()>,
}

impl RepositoryGatherer {
    /// Notes what this process changed.
    pub(super) fn changed(&self, content: ChangedContent) {
        self.log().note(content);
    }

    /// What is known; if it is too old, or nothing is, whatever can be found out within a moment.
    ///
    /// # Errors
    /// Only the store's.
    pub(super) async fn now(self: &Arc<Self>, registry: &Registry) -> Result<Arc<AllRepositories>> {
        let known = self.known();
        let age = known.gathered.elapsed();
        let is_missing = !known.is_complete || self.log().since(known.changes).is_none();
        let is_old = is_missing || age >= known.kept_for();
        // Whoever has seen a part of it already does not wait for the rest.
        let waits = is_old && (known.is_complete || known.repositories.is_empty());
        if is_old || age >= known.kept_for() / 2 {
            match self.gathering.clone().try_lock_owned() {
                Ok(alone) => {
                    let task = tokio::spawn(self.clone().gather(registry.clone(), alone));
                    if waits && let Ok(ended) = timeout(PATIENCE, task).await {
                        ended.unwrap_or_else(resume)?;
                    }
                }
                Err(_) if waits => drop(timeout(PATIENCE, self.gathering.lock()).await),
                Err(_) => {}
            }
        }
        self.refresh(registry).await
    }

    /// What was known last.
    fn known(&self) -> Arc<AllRepositories> {
        self.states().back().cloned().unwrap_or_default()
    }

    fn states(&self) -> MutexGuard<'_, VecDeque<Arc<AllRepositories>>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self) -> MutexGuard<'_, ChangeLog> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn replace(&self, state: AllRepositories) -> Arc<AllRepositories> {
        let (state, mut states) = (Arc::new(state), self.states());
        states.push_back(state.clone());
        if states.len() > MOST_RECENT {
            states.pop_front();
        }
        state
    }

    /// Looks at all repositories.
    async fn gather(self: Arc<Self>, registry: Registry, _alone: OwnedMutexGuard<()>) -> Result<()> {
        // Before anything is read: what changes meanwhile is looked at again.
        let (gathered, changes, before) = (Instant::now(), self.log().count(), self.known());
        let facts = registry.all_access_facts().await?;
        let created = Arc::new(registry.created_namespaces().await?);
        let mut repositories = Vec::with_capacity(before.repositories.len());
        let mut shown = gathered;
        let state = |repositories, is_complete| AllRepositories {
            repositories,
            created: created.clone(),
            is_complete,
            at: SystemTime::now(),
            changes,
            gathered,
            took: gathered.elapsed(),
        };
        let each = |name: &RepositoryName, outline: &_| {
            let facts = facts.get(name).cloned().unwrap_or_default();
            repositories.push(SeenRepository::of(name, outline, facts, before.get(name)));
            if !before.is_complete && shown.elapsed() >= SHOWN_EVERY {
                shown = Instant::now();
                self.replace(state(repositories.clone(), false));
            }
        };
        registry.each_existing(None, &Everything, each).await?;
        let _alone = self.refreshing.lock().await;
        self.replace(state(repositories, true));
        Ok(())
    }

    /// Looks at what this process changed.
    async fn refresh(&self, registry: &Registry) -> Result<Arc<AllRepositories>> {
        let known = self.known();
        if !known.is_complete || self.log().count() == known.changes {
            return Ok(known);
        }
        let _alone = self.refreshing.lock().await;
        let (known, count) = (self.known(), self.log().count());
        // Of what is not known in detail, everything is looked at, which takes its time.
        let Some(changed) = self.log().since(known.changes) else { return Ok(known) };
        if count == known.changes {
            return Ok(known);
        }
        Ok(self.replace(known.after(registry, changed, count).await?))
    }
}

impl Default for AllRepositories {
    fn default() -> Self {
        Self {
            repositories: Vec::new(),
            created: Arc::default(),
            is_complete: false,
            at: SystemTime::now(),
            changes: 0,
            gathered: Instant::now(),
            took: Duration::ZERO,
        }
    }
}

impl AllRepositories {
    fn kept_for(&self) -> Duration {
        KEPT_FOR.max(self.took * REST)
    }

    fn get(&self, name: &RepositoryName) -> Option<&Arc<SeenRepository>> {
        self.repositories.get(self.place(name).ok()?)
    }

    fn place(&self, name: &RepositoryName) -> Result<usize, usize> {
        self.repositories.binary_search_by(|one| one.name.cmp(name))
    }

    /// The same after changes.
    async fn after(&self, registry: &Registry, changed: ChangesSince, changes: u64) -> Result<Self> {
        let names: Vec<_> = changed.repositories.into_iter().collect();
        let facts: BTreeMap<_, _> = names.iter().cloned().zip(registry.access_facts(&names).await?).collect();
        let there = registry.existing_among(names.clone()).await?;
        let outlines = registry.outlines(&there).await?;
        let looked_at = there.iter().zip(&outlines).map(|(name, outline)| {
            let facts: RepositoryFacts = facts.get(name).cloned().unwrap_or_default();
            SeenRepository::of(name, outline, facts, self.get(name))
        });
        let created = match changed.namespaces {
            true => Arc::new(registry.created_namespaces().await?),
            false => self.created.clone(),
        };
        Ok(Self {
            repositories: merged(&self.repositories, &names, looked_at.collect()),
            created,
            is_complete: self.is_complete,
            at: SystemTime::now(),
            changes,
            gathered: self.gathered,
            took: self.took,
        })
    }

    /// Those that are visible. Of a repository that has not changed since an earlier state, it is known.
    pub(super) async fn visible(
        &self,
        visible: &impl Visible,
        earlier: Option<(&AllRepositories, &[Arc<SeenRepository>])>,
    ) -> Vec<Arc<SeenRepository>> {
        let (all, shown) = earlier.map_or((&[][..], &[][..]), |(all, shown)| (&all.repositories[..], shown));
        let (mut all, mut shown) = (all.iter().peekable(), shown.iter().peekable());
        let (mut found, mut decided) = (Vec::with_capacity(shown.len()), 0);
        for one in &self.repositories {
            let is_it = |earlier: &&Arc<SeenRepository>| Arc::ptr_eq(earlier, one);
            if !all.peek().is_some_and(is_it) {
                while all.next_if(|earlier| earlier.name < one.name).is_some() {}
                while shown.next_if(|earlier| earlier.name < one.name).is_some() {}
            }
            let is_shown = match all.next_if(is_it) {
                Some(_) => shown.next_if(is_it).is_some(),
                None => {
                    decided += 1;
                    if decided % TURN == 0 {
                        tokio::task::yield_now().await;
                    }
                    one.is_shown_by(visible)
                }
            };
            if is_shown {
                found.push(one.clone());
            }
        }
        found
    }
}

/// A list in byte order in which what was looked at replaces what had one of these names. All are in byte order.
fn merged(
    before: &[Arc<SeenRepository>],
    names: &[RepositoryName],
    looked_at: Vec<Arc<SeenRepository>>,
) -> Vec<Arc<SeenRepository>> {
    let mut rest = before;
    let mut looked_at = looked_at.into_iter().peekable();
    let mut merged = Vec::with_capacity(before.len() + looked_at.len());
    for name in names {
        let (earlier, later) = rest.split_at(rest.partition_point(|one| one.name < *name));
        merged.extend_from_slice(earlier);
        rest = later.split_first().filter(|(first, _)| first.name == *name).map_or(later, |(_, rest)| rest);
        merged.extend(looked_at.next_if(|one| one.name == *name));
    }
    merged.extend_from_slice(rest);
    merged
}

/// A panic of the task is one of the request.
fn resume(error: JoinError) -> Result<()> {
    match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => Err(crate::registry::RegistryError::Stopping),
    }
}

#[cfg(test)]
mod tests;
