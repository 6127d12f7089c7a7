//! The OCI registry, without HTTP.
//!
//! [`Registry`] is a handle for one request: the shared state and the settings that request goes
//! by. [`Repository`] is the same for one repository of it. One file per noun of the protocol. Access has been decided
//! when these are called.

pub mod artifacts;
mod batch;
mod blob;
mod catalog;
mod children;
mod clock;
mod contents;
mod copy;
mod counters;
mod deletions;
mod error;
mod existence;
mod facts;
mod immutable;
mod intake;
mod intent;
mod ledger;
mod locks;
mod manifest;
mod namespace;
mod note;
pub(crate) mod pulls;
mod push;
mod quota;
mod readiness;
mod receive;
pub(crate) mod references;
pub(crate) mod referrer;
mod removal;
mod repository;
pub(crate) mod revision;
mod session;
pub mod settings;
mod space;
mod tag;
#[cfg(test)]
pub(crate) mod tests;
mod upload;
mod upload_home;
mod usage;
mod verify;
pub mod view;

pub(crate) use clock::Clock;
pub(crate) use counters::{CollectionCounters, Counters, ScrubCounters};
pub(crate) use intake::IncomingBlob;
pub(crate) use intent::Intent;
pub(crate) use ledger::Ledger;
pub(crate) use pulls::{PullTimes, Pulls};

pub use batch::IncomingBytes;
pub use copy::CopyReport;
pub use error::{AbsentReference, Interruption, RegistryError};
pub use existence::NewRepository;
pub(crate) use facts::parse_expression;
pub use facts::{
    Creation, Description, Everything, InvalidDescription, InvalidOwner, OwnerName, RecordedFacts, Shows, Visible,
};
pub use manifest::StoredManifest;
pub use namespace::NamespaceName;
pub use push::{Condition, PushTimes, PushedManifest};
pub use quota::{ExceededQuota, QuotaLimit};
pub use readiness::Readiness;
pub use referrer::Referrers;
pub use removal::RemovedRepository;
pub use repository::Repository;
pub use settings::{ArtifactSettings, AutoCreate, Collection, MissingReferences, ScrubSettings, Settings, VerifyReads};
pub use space::Room;
pub use upload::{Chunk, OpenUpload};
pub use upload_home::UploadHome;
pub use usage::UsageTotals;

use crate::{files::world, storage::Storage, who::Subject};
use oci::{Digest, RepositoryName};
use std::{future::Future, sync::Arc};
use tokio_util::task::TaskTracker;

/// The result of a registry call.
pub type Result<T, E = RegistryError> = std::result::Result<T, E>;

/// A registry with the settings of one generation.
#[derive(Clone)]
pub struct Registry {
    core: Arc<Core>,
    settings: Arc<Settings>,
    /// The caller: what other callers do must not change their responses.
    caller: Subject,
}

/// What all requests share.
struct Core {
    store: Arc<dyn Storage>,
    /// Open upload sessions and their owners.
    ledger: ledger::Ledger,
    /// The number of requests that are sending blobs.
    receivers: batch::Receivers,
    /// Where a caller last used a digest: candidates for a mount without `from`, each verified at use.
    hints: quick_cache::sync::Cache<(Digest, Subject), Arc<[RepositoryName]>>,
    /// Orders the pushes of a manifest against its deletion, and the pushes of one tag.
    locks: locks::Locks,
    contents: contents::KnownContents,
    space: space::Gauge,
    readiness: readiness::LastReadiness,
    /// Pushes whose intents are no longer needed.
    finished: intent::Finished,
    /// The graveyard run for what clients delete.
    deletions: deletions::Deletions,
    /// Repositories that are being deleted.
    departures: existence::Departures,
    counters: counters::Counters,
    /// When manifests were last pulled.
    pulls: pulls::PullLog,
    /// What the repositories of each quota hold.
    quotas: quota::QuotaCounts,
    /// What repositories held when last asked.
    outlines: usage::KnownOutlines,
    /// What lists of tags found out.
    tags: view::KnownTags,
    /// The last name of a note about artifacts.
    notes: artifacts::LastNote,
    /// Detects a clock that was set forward.
    clock: clock::Clock,
    /// Where retention looks next.
    published_artifacts: artifacts::PublishedArtifacts,
    /// The artifacts that were searched.
    artifact_indexes: artifacts::ArtifactIndexes,
    /// Publishing continues after a client disconnects; shutdown waits for it.
    publishing: TaskTracker,
}

/// Entries of [`Core::hints`]; some hundred bytes each. Few in tests, which create many registries.
const HINTS: usize = if cfg!(test) { 64 } else { 65_536 };

impl Registry {
    /// A registry over a store.
    pub fn new(store: Arc<dyn Storage>, settings: Arc<Settings>) -> Self {
        let core = Core {
            store,
            ledger: ledger::Ledger::default(),
            published_artifacts: artifacts::PublishedArtifacts::default(),
            artifact_indexes: artifacts::ArtifactIndexes::default(),
            receivers: batch::Receivers::default(),
            hints: quick_cache::sync::Cache::new(HINTS),
            locks: locks::Locks::default(),
            contents: contents::KnownContents::default(),
            space: space::Gauge::default(),
            readiness: readiness::LastReadiness::default(),
            finished: intent::Finished::default(),
            deletions: deletions::Deletions::default(),
            departures: existence::Departures::default(),
            counters: counters::Counters::default(),
            pulls: pulls::PullLog::default(),
            quotas: quota::QuotaCounts::default(),
            outlines: usage::KnownOutlines::default(),
            tags: view::KnownTags::default(),
            notes: artifacts::LastNote::default(),
            clock: clock::Clock::default(),
            publishing: TaskTracker::new(),
        };
        Self { core: Arc::new(core), settings, caller: Subject::Anonymous }
    }

    /// The same registry with other settings.
    pub fn under(&self, settings: Arc<Settings>) -> Self {
        Self { settings, ..self.clone() }
    }

    /// The same registry for this caller.
    pub fn asked_by(&self, caller: Subject) -> Self {
        Self { caller, ..self.clone() }
    }

    /// The settings of this handle.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The store. Only for the maintenance: requests must not bypass the registry.
    pub(crate) fn store(&self) -> &dyn Storage {
        self.core.store.as_ref()
    }

    /// Open upload sessions and their owners.
    pub(crate) fn ledger(&self) -> &Ledger {
        &self.core.ledger
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.core.counters
    }

    /// Detects a clock that was set forward.
    pub(crate) fn clock(&self) -> &Clock {
        &self.core.clock
    }

    /// Open upload sessions.
    pub fn open_uploads(&self) -> usize {
        self.core.ledger.len()
    }

    /// Waits until everything that is being published has been published.
    pub async fn close(&self) {
        self.core.publishing.close();
        self.core.publishing.wait().await;
    }

    /// Runs `publish` to completion, even if the caller is gone.
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
                Err(_) => Err(RegistryError::Stopping),
            },
        }
    }
}
