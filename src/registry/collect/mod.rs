//! Garbage collection while serving: moves what nothing refers to into the graveyard, and deletes
//! it from there later if nobody needed it meanwhile.
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
pub(super) use counters::Counters;
pub use report::{Count, Kinds, Report, RepositoryReport, Untagged};

use super::{Registry, pace::Pace};
use crate::{
    files::world,
    storage::{self, Durability, Key, Put, RunId},
};
use async_trait::async_trait;
use candidates::Candidate;
use marks::Marks;
use serde::Deserialize;
use std::{
    collections::HashSet,
    time::{Duration, SystemTime},
};

/// Why a collection did not go to its end. Whatever was done until then is safe.
#[derive(Debug, thiserror::Error)]
pub enum CollectionError {
    /// It would not be safe to go on.
    #[error("cannot collect garbage: {0}")]
    Unsafe(String),
    /// The registry or its store failed.
    #[error("garbage collection stopped: {0}")]
    Registry(#[from] super::Error),
}

impl From<storage::Error> for CollectionError {
    fn from(error: storage::Error) -> Self {
        Self::Registry(error.into())
    }
}

type Result<T, E = CollectionError> = std::result::Result<T, E>;

/// Features of the layout whose roots this build knows how to mark.
const KNOWN_FEATURES: &[&str] = &[];

/// The store's clock and this process's may drift apart so far during a run before it stops.
const MOST_DRIFT: Duration = Duration::from_secs(300);

/// Names read at once.
const PAGE: usize = 4096;

/// Passes of a collection that is to free room now: what one condemns the next may purge, and
/// what that releases the one after it condemns. Pushes beside it always give it more to do.
const MOST_PASSES: u32 = 10;

/// How collections go, by the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collection {
    /// Whether the daemon collects by itself.
    pub enabled: bool,
    /// Time between two collections of the daemon's own.
    pub every: Duration,
    /// How long what nothing refers to is left alone after it was last pushed or asked for by
    /// somebody who pushes.
    pub lease: Duration,
    /// How long every reader may take to see what was written: longer than any cache of names.
    pub settle: Duration,
    /// How long the graveyard keeps what was condemned or deleted.
    pub retention: Duration,
    /// Most files looked at per second.
    pub files_per_second: u64,
    /// Most of the blobs, or of their bytes, that one collection may condemn, in percent.
    pub most_percent: u64,
}

impl Default for Collection {
    fn default() -> Self {
        Self {
            enabled: true,
            every: Duration::from_secs(24 * 3600),
            lease: Duration::from_secs(24 * 3600),
            settle: Duration::from_secs(600),
            retention: Duration::from_secs(72 * 3600),
            files_per_second: 20_000,
            most_percent: 20,
        }
    }
}

/// What is asked of one collection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Only tell what would be done.
    pub dry_run: bool,
    /// Take lease, settle and retention as zero, and go on until nothing more is freed. Pushes
    /// under way may be told that a blob is unknown, and push it again.
    pub now: bool,
    /// Condemn even more than [`Collection::most_percent`].
    pub force: bool,
}

/// Where a collection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Listing what lies in the graveyard.
    List,
    /// Marking what is needed; counts manifests.
    Mark,
    /// Bringing back what is needed, and removing what is not.
    Purge,
    /// Counting blobs.
    Count,
    /// Moving what is not needed to the graveyard.
    Condemn,
    /// Tidying intents.
    Intents,
}

impl Step {
    /// Every step, in order.
    pub const ALL: [Self; 6] = [Self::List, Self::Mark, Self::Purge, Self::Count, Self::Condemn, Self::Intents];

    /// A word for people.
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

/// Somebody who follows a collection: shows how far it is, or (a test) holds it up.
#[async_trait]
pub trait Follow: Send + Sync {
    /// The collection is at `step` and has dealt with `done` things in it.
    async fn at(&self, step: Step, done: u64);
}

/// Nobody follows.
#[async_trait]
impl Follow for () {
    async fn at(&self, _: Step, _: u64) {}
}

/// One pass of a collection.
struct Pass<'a> {
    registry: &'a Registry,
    follow: &'a dyn Follow,
    options: Options,
    /// Settings of this pass: zero where `now` says so.
    timing: Collection,
    run: RunId,
    /// The store's clock when the mark began; earlier than the pass where this goes on with a mark.
    began: SystemTime,
    /// The store's clock when the pass began, and this process's.
    started: SystemTime,
    clock: Duration,
    /// When the marks were kept last.
    kept: Duration,
    pace: Pace,
    /// What is condemned unless something needs it.
    candidates: Vec<Candidate>,
    /// Removed manifests to which something is still attached, by [`marks::within`]: their graves are needed.
    subjects: HashSet<u64>,
    report: Report,
}

impl Registry {
    /// Collects garbage. `Ok(None)` if another collection of this store runs.
    ///
    /// # Errors
    /// [`CollectionError::Unsafe`] where nobody can know what is needed; the store's.
    pub async fn collect(&self, options: Options, follow: &dyn Follow) -> Result<Option<Report>> {
        let Some(alone) = self.core.store.begin_collection().await? else { return Ok(None) };
        let collected = self.collect_alone(options, follow).await;
        drop(alone);
        match &collected {
            Ok(report) => self.core.collected.ran(report),
            Err(_) => self.core.collected.failed(),
        }
        collected.map(Some)
    }

    async fn collect_alone(&self, options: Options, follow: &dyn Follow) -> Result<Report> {
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
            let put = Put::any(Key::CollectionReport, json);
            // On a full disk there may be no room for it; what was done is done.
            if let Err(error) = self.core.store.put(vec![put], Durability::Process).await {
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
        Ok(self.core.store.get(&Key::CollectionReport).await?.map(|fact| fact.written))
    }

    /// When the store was made.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn made(&self) -> Result<Option<SystemTime>> {
        Ok(self.core.store.get(&Key::Root).await?.map(|fact| fact.written))
    }

    /// What collections have done since the start of this process; the time of the last one is the
    /// store's, whichever process ran it.
    pub async fn collected(&self) -> Collected {
        // Without the store's word the figure stays where it was: a counter does not go back.
        let read = self.core.store.probe().await.map_or(0, |capabilities| capabilities.read_condemned);
        let last = self.last_collected().await.ok().flatten();
        let last = last.and_then(|last| last.duration_since(SystemTime::UNIX_EPOCH).ok());
        self.core.collected.read(read, last.unwrap_or_default().as_secs())
    }

    /// A store with features this build does not know may have roots it would not mark.
    async fn knows_all_features(&self) -> Result<()> {
        #[derive(Deserialize)]
        struct Root {
            #[serde(default)]
            features: Vec<String>,
        }
        let refused = |why: String| Err(CollectionError::Unsafe(why));
        let Some(root) = self.core.store.get(&Key::Root).await? else {
            return refused("ROOT.json is missing; is the volume mounted?".into());
        };
        match serde_json::from_slice::<Root>(&root.bytes) {
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
    async fn begin(registry: &'a Registry, options: Options, follow: &'a dyn Follow) -> Result<Self> {
        let mut timing = registry.settings.collection.clone();
        if options.now {
            (timing.lease, timing.settle, timing.retention) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        }
        let started = registry.core.store.now().await?;
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
            report: Report::begin(run, options.dry_run),
        })
    }

    async fn go(mut self) -> Result<Report> {
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
            // What needed it may be gone by a deletion that was killed, or goes on: a power failure must not
            // bring that back without what it needs.
            self.registry.core.store.settle().await?;
        }
        self.restore_and_purge(&graveyard, &marks).await?;
        drop(graveyard);
        self.condemn(&marks).await?;
        let condemned = self.report.condemned;
        self.report.left.number += condemned.all();
        self.report.left.bytes += condemned.bytes;
        self.tidy_intents().await?;
        self.report.seconds = self.elapsed().as_secs_f64();
        Ok(self.report)
    }

    fn elapsed(&self) -> Duration {
        world::uptime().saturating_sub(self.clock)
    }

    async fn at(&mut self, step: Step, done: u64) {
        self.pace.wait(1).await;
        if done.is_multiple_of(64) {
            self.follow.at(step, done).await;
        }
    }

    /// Whether something last renewed at `time` was left alone for `age`. What is of the future is
    /// not old, whatever the clock did.
    fn is_older(&self, time: SystemTime, age: Duration) -> bool {
        age.is_zero() || self.began.duration_since(time).is_ok_and(|passed| passed >= age)
    }

    /// Ages are told by the store's clock. If it jumped during the run they are worth nothing.
    async fn is_the_clock_steady(&self) -> Result<()> {
        let now = self.registry.core.store.now().await?;
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
