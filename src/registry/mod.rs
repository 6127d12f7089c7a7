//! What an OCI registry is; no HTTP in sight.
//!
//! [`Registry`] is a handle for one request: the shared state and the settings that request goes
//! by. One file per noun of the protocol. Access has been decided when these are called.

mod batch;
mod blob;
mod catalog;
mod children;
mod clock;
mod collect;
mod deletions;
mod error;
pub mod fsck;
mod immutable;
mod intent;
mod ledger;
mod locks;
mod manifest;
mod note;
mod pace;
mod push;
mod readiness;
mod references;
mod referrer;
mod retention;
mod revision;
mod scrub;
mod session;
pub mod settings;
mod space;
mod sweep;
mod tag;
#[cfg(test)]
mod tests;
mod upload;
mod verify;

pub use batch::Incoming;
pub use catalog::{Everything, Visible};
pub use collect::{
    Collected, Collection, CollectionError, Count, Follow, Kinds, Options as CollectionOptions,
    Report as CollectionReport, RepositoryReport, Step as CollectionStep, Untagged,
};
pub use error::{AbsentReference, Error, Interruption};
pub use manifest::StoredManifest;
pub use push::{Condition, Pushed};
pub use readiness::Readiness;
pub use referrer::Referrers;
pub use retention::{Grounds, Plan, PlannedManifest, PlannedTag, RemovedManifests, Verdict};
pub use scrub::{Scrub, ScrubPass, Scrubbed};
pub use settings::{MissingReferences, Settings};
pub use space::Room;
pub use upload::{Chunk, Upload};

use crate::{
    files::world,
    oci::{Digest, RepositoryName},
    storage::Storage,
    who::Subject,
};
use std::{future::Future, sync::Arc};
use tokio_util::task::TaskTracker;

/// What a registry call returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A registry, under the settings of one generation.
#[derive(Clone)]
pub struct Registry {
    core: Arc<Core>,
    settings: Arc<Settings>,
    /// Who asks: what others do must not change what they are answered.
    caller: Subject,
}

/// What all requests share.
struct Core {
    store: Arc<dyn Storage>,
    /// Open upload sessions and whose they are.
    ledger: ledger::Ledger,
    /// Requests that bring the bytes of blobs.
    receivers: batch::Receivers,
    /// Where a caller met a digest last: guesses for a mount without `from`, each verified at use.
    hints: quick_cache::sync::Cache<(Digest, Subject), Arc<[RepositoryName]>>,
    /// Orders the pushes of a manifest against its deletion, and the pushes of one tag.
    locks: locks::Locks,
    space: space::Gauge,
    readiness: readiness::Probe,
    /// Pushes whose intents are not needed any more.
    finished: intent::Finished,
    /// Where in the graveyard that which clients delete goes.
    deletions: deletions::Deletions,
    /// What collections have done so far.
    collected: collect::Counters,
    /// What was read in the background so far.
    scrubbed: scrub::Counters,
    /// Who was pulled when.
    pulls: retention::PullLog,
    /// Tells a clock that was set forward.
    clock: clock::Clock,
    /// Publishing goes on when the client is gone; a stop waits for it.
    publishing: TaskTracker,
}

/// Entries of [`Core::hints`]; some hundred bytes each. Few in tests, which make many registries.
const HINTS: usize = if cfg!(test) { 64 } else { 65_536 };

/// Repositories remembered for one digest.
const HINTS_EACH: usize = 4;

impl Registry {
    /// A registry over a store.
    pub fn new(store: Arc<dyn Storage>, settings: Arc<Settings>) -> Self {
        let core = Core {
            store,
            ledger: ledger::Ledger::default(),
            receivers: batch::Receivers::default(),
            hints: quick_cache::sync::Cache::new(HINTS),
            locks: locks::Locks::default(),
            space: space::Gauge::default(),
            readiness: readiness::Probe::default(),
            finished: intent::Finished::default(),
            deletions: deletions::Deletions::default(),
            collected: collect::Counters::default(),
            scrubbed: scrub::Counters::default(),
            pulls: retention::PullLog::default(),
            clock: clock::Clock::default(),
            publishing: TaskTracker::new(),
        };
        Self { core: Arc::new(core), settings, caller: Subject::Anonymous }
    }

    /// The same registry under other settings.
    pub fn under(&self, settings: Arc<Settings>) -> Self {
        Self { settings, ..self.clone() }
    }

    /// The same registry as this caller meets it.
    pub fn asked_by(&self, caller: Subject) -> Self {
        Self { caller, ..self.clone() }
    }

    /// The settings this handle goes by.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Open upload sessions.
    pub fn open_uploads(&self) -> usize {
        self.core.ledger.len()
    }

    /// Waits until everything that is being published is.
    pub async fn close(&self) {
        self.core.publishing.close();
        self.core.publishing.wait().await;
    }

    /// Runs `publish` to its end, whether or not the caller is still there.
    async fn shielded<T: Send + 'static>(
        &self,
        publish: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        if world::is_simulated() {
            return publish.await;
        }
        match self.core.publishing.spawn(publish).await {
            Ok(done) => done,
            Err(join) => match join.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(Error::Stopping),
            },
        }
    }

    /// Notes that the caller met a digest in a repository.
    fn hint(&self, digest: &Digest, repository: &RepositoryName) {
        let known = self.hints(digest);
        if known.first() == Some(repository) {
            return;
        }
        let others = known.iter().filter(|known| *known != repository).cloned();
        let hints = std::iter::once(repository.clone()).chain(others).take(HINTS_EACH).collect();
        self.core.hints.insert((digest.clone(), self.caller.clone()), hints);
    }

    /// Where the caller met a digest, the last place first.
    fn hints(&self, digest: &Digest) -> Arc<[RepositoryName]> {
        self.core.hints.get(&(digest.clone(), self.caller.clone())).unwrap_or_default()
    }
}
