//! Garbage collection while serving: moves what nothing refers to into the graveyard, and deletes it from there later
//! if nobody needed it meanwhile.
//!
//! No request waits for a lock held here. The order of the steps is the proof (ARCHITECTURE.md,
//! "Garbage collection"; `models/` explores it):
//!
//! 1. **list the graveyard**: only what is there before the mark begins may be purged after it;
//! 2. **mark**: from each [source](roots) of roots, in each repository intents before manifests;
//!    before that the operator's rules delete tags;
//! 3. **restore** what is needed and lies in the graveyard; **purge** what is not needed and was
//!    listed in step 1;
//! 4. **condemn** what is not needed and was not renewed within the lease: a move, never a deletion;
//! 5. let the intents of pushes that ended without an answer expire, then remove the expired.
//!
//! What must stay true:
//!
//! - Any doubt ends the run before it changes anything: a manifest, tag or directory that cannot be
//!   read, a clock that jumps, more blobs to condemn than the settings allow, a store with a feature
//!   this build does not know.
//! - An intent does not expire while the daemon that published it lives (`storage::fs::instance`).
//!   Otherwise a slow push that is killed after its intent expired could leave a manifest, never
//!   acknowledged, that lacks what it refers to.
//! - Condemned items can still be read, so a wrong condemnation is invisible to pulls. Reading writes
//!   nothing. A push or the next mark restores the item by a hard link, and the graveyard entry stays
//!   until it is purged, so that whoever looks in both places finds it.
//! - What a user deleted never comes back. A deletion also removes copies that were condemned earlier,
//!   and looks again until it finds none, because somebody may be restoring one at that moment.
//! - What the mark did not find is made durable before anything is purged (one `syncfs`). Otherwise a
//!   power failure could bring back a deletion's target after what it needs was purged.
//! - A manifest in the graveyard is a root for its blobs as long as it can come back.
//! - Links are rights, not roots. A link is restored only if that very link was in that repository;
//!   otherwise knowing a digest would be enough to read it.
//! - `wharfinger gc` runs the same beside a daemon, in its own process. Only the daemon removes
//!   directories of repositories, because it remembers which of them are durable.

mod candidates;
mod checkpoint;
mod condemn;
mod counters;
mod graveyard;
mod intents;
mod listing;
mod marks;
mod report;
mod roots;
mod stored;

pub use counters::Collected;
pub use report::{CollectionReport, Count, Kinds, RepositoryReport, Untagged};

use super::pace::Pace;
use crate::{
    files::world,
    registry::{self, Collection, Registry},
    storage::{self, Durability, FactKey, Put, RunId},
};
use async_trait::async_trait;
use candidates::Candidate;
use marks::Marks;
use oci::json;
use serde::Deserialize;
use std::{
    collections::HashSet,
    time::{Duration, SystemTime},
};

/// Why a collection did not complete. Everything done until then is safe.
#[derive(Debug, thiserror::Error)]
pub enum CollectionError {
    /// It would not be safe to continue.
    #[error("cannot collect garbage: {0}")]
    Unsafe(String),
    /// The registry or its store failed.
    #[error("garbage collection stopped: {0}")]
    Registry(#[from] crate::registry::RegistryError),
}

impl From<storage::StorageError> for CollectionError {
    fn from(error: storage::StorageError) -> Self {
        Self::Registry(error.into())
    }
}

type Result<T, E = CollectionError> = std::result::Result<T, E>;

/// Layout features whose roots this build can mark.
const KNOWN_FEATURES: &[&str] = &[registry::artifacts::FEATURE];

/// The most that the store's clock and this process's clock may diverge during a run before it stops.
const MOST_DRIFT: Duration = Duration::from_secs(300);

/// Names per page.
const PAGE: usize = 4096;

/// Passes of a collection that frees space now: the next pass can purge what one condemned, and the pass after that
/// can condemn what this released. Concurrent pushes always add more to do, so the number is limited.
const MOST_PASSES: u32 = 10;

#[derive(Clone, Copy, Debug, Default)]
pub struct CollectionOptions {
    /// Only report what would be done.
    pub dry_run: bool,
    /// Treat lease, settle and retention times as zero, and continue until nothing more is freed. Active pushes may
    /// get an error that a blob is unknown, and have to push it again.
    pub now: bool,
    /// Condemn even more than [`Collection::most_percent`].
    pub force: bool,
}

/// The current step of a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CollectionStep {
    /// Listing the graveyard.
    List,
    /// Marking what is needed; counts manifests.
    Mark,
    /// Restoring what is needed, and purging what is not.
    Purge,
    /// Counting blobs.
    Count,
    /// Moving what is not needed to the graveyard.
    Condemn,
    /// Expiring and removing intents.
    Intents,
}

impl CollectionStep {
    /// All steps, in order.
    pub const ALL: [Self; 6] = [Self::List, Self::Mark, Self::Purge, Self::Count, Self::Condemn, Self::Intents];

    /// The part of a collection that is done when this step begins, in percent.
    pub fn percent(self) -> u8 {
        let place = Self::ALL.iter().position(|known| *known == self).unwrap_or_default();
        (place * 100 / Self::ALL.len()) as u8
    }

    /// The step in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::List => "listing the graveyard:",
            Self::Mark => "finding what is in use, manifests:",
            Self::Purge => "emptying the graveyard:",
            Self::Count => "counting blobs:",
            Self::Condemn => "moving to the graveyard:",
            Self::Intents => "cleaning up:",
        }
    }
}

/// Observes a collection: shows its progress, or (in a test) delays it.
#[async_trait]
pub trait Follow: Send + Sync {
    /// The collection is at `step`, and has handled `done` items in it.
    async fn at(&self, step: CollectionStep, done: u64);
}

/// Observes nothing.
#[async_trait]
impl Follow for () {
    async fn at(&self, _: CollectionStep, _: u64) {}
}

/// One pass of a collection.
struct Pass<'a> {
    registry: &'a Registry,
    follow: &'a dyn Follow,
    options: CollectionOptions,
    /// The settings of this pass: times are zero if `now` is set.
    timing: Collection,
    run: RunId,
    /// The store's clock when the mark started; earlier than the pass if this resumes a mark.
    began: SystemTime,
    /// The store's clock when the pass started, and this process's clock.
    started: SystemTime,
    clock: Duration,
    /// When the marks were last saved.
    kept: Duration,
    pace: Pace,
    /// What is condemned unless something needs it.
    candidates: Vec<Candidate>,
    /// Removed manifests that something is still attached to, by [`marks::within`]: their graves are needed.
    subjects: HashSet<u64>,
    report: CollectionReport,
}

impl Registry {
    /// Collects garbage. `Ok(None)` if another collection of this store is running.
    ///
    /// # Errors
    /// [`CollectionError::Unsafe`] if it cannot be known what is needed; otherwise the store's.
    pub async fn collect(&self, options: CollectionOptions, follow: &dyn Follow) -> Result<Option<CollectionReport>> {
        let Some(alone) = self.store().begin_collection().await? else { return Ok(None) };
        let collected = self.collect_alone(options, follow).await;
        drop(alone);
        match &collected {
            Ok(report) => self.counters().collections.record(report),
            Err(_) => self.counters().collections.failed(),
        }
        collected.map(Some)
    }

    async fn collect_alone(&self, options: CollectionOptions, follow: &dyn Follow) -> Result<CollectionReport> {
        self.knows_all_features().await?;
        let mut report = Pass::begin(self, options, follow).await?.go().await?;
        while options.now && !options.dry_run && report.passes < MOST_PASSES {
            let pass = Pass::begin(self, options, follow).await?.go().await?;
            let idle = pass.changed_nothing();
            report.join(pass);
            if idle {
                break;
            }
        }
        if !options.dry_run {
            let json = serde_json::to_vec_pretty(&report).unwrap_or_default();
            let put = Put::any(FactKey::CollectionReport, json);
            // A full disk may have no room for the report; the collection is complete all the same.
            if let Err(error) = self.store().put(vec![put], Durability::Process).await {
                report.error(&error);
            }
        }
        Ok(report)
    }

    /// When the last collection of this store ended; `None` if there was none.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn last_collected(&self) -> Result<Option<SystemTime>> {
        Ok(self.store().get(&FactKey::CollectionReport).await?.map(|fact| fact.written))
    }

    /// The report of the last collection of this store that changed it; `None` if there was none, or its report is lost.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn last_report(&self) -> Result<Option<CollectionReport>, crate::registry::RegistryError> {
        let stored = self.store().get(&FactKey::CollectionReport).await?;
        Ok(stored.and_then(|stored| json::from_slice(&stored.bytes).ok()))
    }

    /// When the store was created.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn created(&self) -> Result<Option<SystemTime>> {
        Ok(self.store().get(&FactKey::Root).await?.map(|fact| fact.written))
    }

    /// What collections have done since this process started. The time of the last one is read from the store, so it
    /// includes other processes.
    pub async fn collection_counters(&self) -> Collected {
        // If the store cannot be read, the last value stays: a counter never decreases.
        let read = self.store().probe().await.map_or(0, |capabilities| capabilities.read_condemned);
        let last = self.last_collected().await.ok().flatten();
        let last = last.and_then(|last| last.duration_since(SystemTime::UNIX_EPOCH).ok());
        self.counters().collections.read(read, last.unwrap_or_default().as_secs())
    }

    /// A store with features this build does not know may have roots that it would not mark.
    async fn knows_all_features(&self) -> Result<()> {
        #[derive(Deserialize)]
        struct RootFeatures {
            #[serde(default)]
            features: Vec<String>,
        }
        let refused = |why: String| Err(CollectionError::Unsafe(why));
        let Some(root) = self.store().get(&FactKey::Root).await? else {
            return refused("ROOT.json is missing; is the volume mounted?".into());
        };
        match json::from_slice::<RootFeatures>(&root.bytes) {
            Ok(root) => match root.features.iter().find(|feature| !KNOWN_FEATURES.contains(&feature.as_str())) {
                Some(feature) => refused(format!(
                    "the storage directory has the feature {feature:?}, which this version does not know"
                )),
                None => Ok(()),
            },
            Err(error) => refused(format!("cannot read ROOT.json: {error}")),
        }
    }
}

impl<'a> Pass<'a> {
    async fn begin(registry: &'a Registry, options: CollectionOptions, follow: &'a dyn Follow) -> Result<Self> {
        let mut timing = registry.settings().collection.clone();
        if options.now {
            (timing.lease, timing.settle, timing.retention) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        }
        let started = registry.store().now().await?;
        let run = RunId::fresh();
        Ok(Self {
            registry,
            follow,
            options,
            run,
            began: started,
            started,
            clock: world::uptime(),
            kept: world::uptime(),
            pace: Pace::new(timing.files_per_second),
            timing,
            candidates: Vec::new(),
            subjects: HashSet::new(),
            report: CollectionReport::begin(run, options.dry_run),
        })
    }

    async fn go(mut self) -> Result<CollectionReport> {
        let graveyard = self.list_graveyard().await?;
        let (mut marks, marking) = (Marks::default(), world::uptime());
        for source in roots::sources() {
            source.mark(&mut self, &graveyard, &mut marks).await?;
        }
        marks.settle();
        self.report.mark_seconds = (world::uptime() - marking).as_secs_f64();
        self.is_the_clock_steady().await?;
        if !self.options.dry_run {
            self.registry.forget_mark().await?;
        }
        if !self.options.dry_run && !graveyard.is_empty() {
            // What needed it may have been removed by a deletion that was killed or is still running: a power failure
            // must not bring that back without what it needs.
            self.registry.store().settle().await?;
        }
        self.restore_and_purge(&graveyard, &marks).await?;
        drop(graveyard);
        self.condemn(&marks).await?;
        let condemned = self.report.condemned;
        self.report.left.number += condemned.all();
        self.report.left.bytes += condemned.bytes;
        self.tidy_intents().await?;
        if !self.options.dry_run {
            self.tidy_artifact_intents().await?;
        }
        self.report.seconds = self.elapsed().as_secs_f64();
        Ok(self.report)
    }

    fn elapsed(&self) -> Duration {
        world::uptime().saturating_sub(self.clock)
    }

    async fn at(&mut self, step: CollectionStep, done: u64) {
        self.pace.wait(1).await;
        if done.is_multiple_of(64) {
            self.follow.at(step, done).await;
        }
    }

    /// Whether something last renewed at `time` has been idle for `age`. A time in the future is not old, even if the
    /// clock was set back.
    fn is_older(&self, time: SystemTime, age: Duration) -> bool {
        age.is_zero() || self.began.duration_since(time).is_ok_and(|passed| passed >= age)
    }

    /// Ages are measured by the store's clock. If it jumped during the run, they are worthless.
    async fn is_the_clock_steady(&self) -> Result<()> {
        let now = self.registry.store().now().await?;
        let expected = self.started + self.elapsed();
        let drift = now.duration_since(expected).unwrap_or_else(|before| before.duration());
        if drift > MOST_DRIFT {
            return Err(CollectionError::Unsafe(format!(
                "the clock jumped by {} s during the collection",
                drift.as_secs()
            )));
        }
        Ok(())
    }
}
