//! What the daemon does in the background.

use super::{
    Daemon,
    artifact_jobs::{EmptyArtifactTrash, RetainArtifacts},
    mirror_jobs::{EvictMirrored, SyncMirrors},
    scrub_job::Scrub,
};
use crate::{
    accounts::{Accounts, Session, Swept},
    config::Live,
    files::{Syncing, cause, detached},
    jobs::{Job, Run, Schedule, TaskProgress, Tasks, has_passed},
    registry::Registry,
    storage::StoreRecords,
    upkeep::{CollectionError, CollectionOptions, CollectionReport, CollectionStep, Follow},
};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use serde_json::json;
use std::{
    future::pending,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};
use tracing::{info, warn};

/// How often each job checks whether something is due.
pub(super) const TICK: Duration = Duration::from_secs(60);

/// How long to wait after a failed collection, and at most after failed scrubs.
pub(super) const AFTER_FAILURE: Duration = Duration::from_secs(3600);

/// How often ended sessions and API keys are deleted.
pub(super) const SWEEP_EVERY: Duration = Duration::from_secs(3600);

/// Starts all jobs. They end with the shutdown; only delayed directory syncs continue until the last request is
/// answered.
pub(super) fn start(daemon: &Daemon, store: &Arc<dyn StoreRecords>) {
    let Daemon { jobs, registry, live, accounts, shutdown, .. } = daemon;
    let keeper = || Keeper::new(registry.clone(), live.clone(), daemon.tasks.clone());
    let stopping = || {
        let shutdown = shutdown.clone();
        async move { shutdown.begun().await }
    };
    jobs.start(Sweep(keeper()), stopping());
    jobs.start(Collect(keeper()), stopping());
    jobs.start(Scrub::new(keeper()), stopping());
    jobs.start(SavePulls(keeper()), stopping());
    jobs.start(EvictMirrored(keeper()), stopping());
    jobs.start(SyncMirrors::new(keeper(), daemon.mirrors.clone()), stopping());
    jobs.start(EmptyArtifactTrash(keeper()), stopping());
    jobs.start(RetainArtifacts::everywhere(keeper(), daemon.manage.clone()), stopping());
    jobs.start(RetainArtifacts::after_publishing(keeper(), daemon.manage.clone()), stopping());
    jobs.start(SweepAccounts { accounts: accounts.clone(), generation: live.clone() }, stopping());
    jobs.start(Flush { store: store.clone(), generation: live.clone() }, pending());
}

pub(super) type ActiveGeneration = Arc<ArcSwap<Live>>;

/// A registry with the current settings.
pub(super) struct Keeper {
    registry: Registry,
    pub(super) generation: ActiveGeneration,
    /// Where long work shows how far it is.
    pub(super) tasks: Tasks,
}

impl Keeper {
    pub(super) fn new(registry: Registry, generation: ActiveGeneration, tasks: Tasks) -> Self {
        Self { registry, generation, tasks }
    }

    pub(super) fn registry(&self) -> Registry {
        self.registry.under(self.generation.load().registry.clone())
    }

    /// The schedule from the settings; `None` for a read-only store.
    pub(super) fn schedule(&self, of: impl FnOnce(&Live) -> Option<Schedule>) -> Option<Schedule> {
        let live = self.generation.load();
        if live.operator.read_only { None } else { of(&live) }
    }
}

/// Deletes expired uploads, for the first time soon after startup.
struct Sweep(Keeper);

#[async_trait]
impl Job for Sweep {
    fn name(&self) -> &'static str {
        "upload_cleanup"
    }

    fn schedule(&self) -> Option<Schedule> {
        // Even after a failure: one damaged session must not keep the others from ending.
        self.0.schedule(|live| {
            Some(Schedule { at_start: true, ..Schedule::every(live.registry.upload_cleanup_interval) })
        })
    }

    async fn run(&self, _: &Run) -> Result<(), String> {
        match self.0.registry().sweep().await {
            Ok(0) => {}
            Ok(expired) => info!(expired, "expired uploads deleted"),
            Err(error) => {
                warn!(%error, "cannot delete expired uploads; retrying later");
                return Err(error.to_string());
            }
        }
        Ok(())
    }
}

/// Collects garbage on schedule. The store records the time of the last collection, so a daemon that is restarted
/// every day collects too.
struct Collect(Keeper);

#[async_trait]
impl Job for Collect {
    fn name(&self) -> &'static str {
        "collection"
    }

    fn schedule(&self) -> Option<Schedule> {
        let backoff = Schedule { after_failure: AFTER_FAILURE, longest: AFTER_FAILURE, ..Schedule::every(TICK) };
        self.0.schedule(|live| live.registry.collection.enabled.then_some(backoff))
    }

    async fn is_due(&self) -> bool {
        is_collection_due(&self.0.registry()).await.unwrap_or_else(|error| {
            warn!(%error, "cannot read the time of the last garbage collection");
            false
        })
    }

    async fn run(&self, run: &Run) -> Result<(), String> {
        let Ok(task) = self.0.tasks.begin("collection", None) else {
            info!("garbage collection skipped: somebody has started one");
            return Ok(());
        };
        let (registry, progress) = (self.0.registry(), CollectionProgress { run, task: task.progress() });
        let collected = tokio::select! {
            collected = registry.collect(CollectionOptions::default(), &progress) => collected,
            () = task.cancelled() => return Err("it was cancelled".to_owned()),
        };
        match &collected {
            Ok(Some(report)) => task.end(Ok(json!(report))),
            Ok(None) => task.forget(),
            Err(error) => task.end(Err(error.to_string())),
        }
        match collected {
            Ok(Some(report)) => {
                log_report(&report);
                // Even if only writing the report failed: it holds the time of this collection.
                report.errors.into_iter().next().map_or(Ok(()), Err)
            }
            Ok(None) => {
                info!("garbage collection skipped: another process is collecting");
                Ok(())
            }
            Err(error) => {
                warn!(%error, "garbage collection failed; retrying in an hour");
                Err(error.to_string())
            }
        }
    }
}

/// Shows a collection as the progress of a run and of a task.
struct CollectionProgress<'a> {
    run: &'a Run,
    task: TaskProgress,
}

#[async_trait]
impl Follow for CollectionProgress<'_> {
    async fn at(&self, step: CollectionStep, done: u64) {
        self.run.at(step.as_str(), done);
        self.task.at(step.as_str().trim_end_matches(':'), done, step.percent());
    }
}

async fn is_collection_due(registry: &Registry) -> Result<bool, CollectionError> {
    let last = match registry.last_collected().await? {
        Some(last) => Some(last),
        None => registry.created().await?,
    };
    Ok(last.is_some_and(|last| has_passed(last, registry.settings().collection.every, SystemTime::now())))
}

fn log_report(report: &CollectionReport) {
    info!(
        run = report.run,
        seconds = (report.seconds * 1e3).round() / 1e3,
        manifests = report.manifests,
        referenced = report.referenced.number,
        orphaned = report.orphaned.number,
        condemned = report.condemned.all(),
        restored = report.restored.all(),
        purged = report.purged.all(),
        purged_bytes = report.purged.bytes,
        deleted_tags = report.deleted_tags,
        "garbage collection completed"
    );
    if let Some(refused) = &report.refused {
        warn!(reason = %refused, "garbage collection moved nothing to the graveyard");
    }
    for error in &report.errors {
        warn!(error, "garbage collection left something for the next one");
    }
}

/// Saves pull times, so that reads do not have to write.
struct SavePulls(Keeper);

#[async_trait]
impl Job for SavePulls {
    fn name(&self) -> &'static str {
        "pull_times"
    }

    fn schedule(&self) -> Option<Schedule> {
        self.0.schedule(|_| Some(Schedule { at_start: true, ..Schedule::every(TICK) }))
    }

    async fn run(&self, run: &Run) -> Result<(), String> {
        let Err(error) = self.0.registry.flush_pulls().await else { return Ok(()) };
        // Only once: a read-only store would repeat it every minute.
        if !run.is_retry() {
            warn!(%error, "cannot save pull times; retrying every minute");
        }
        Err(error.to_string())
    }
}

/// Reads the API keys of the operator's directory, now and from then on.
///
/// # Errors
/// The directory cannot be read.
pub(super) async fn read_shared_keys(daemon: &Daemon, dir: &Path) -> Result<(), String> {
    let Daemon { jobs, live, accounts, shutdown, .. } = daemon;
    let job = ReadSharedKeys { accounts: accounts.clone(), generation: live.clone(), dir: dir.to_owned() };
    job.read().await?;
    let shutdown = shutdown.clone();
    jobs.start(job, async move { shutdown.begun().await });
    Ok(())
}

/// Reads the API keys of the operator's directory again.
struct ReadSharedKeys {
    accounts: Arc<Accounts>,
    generation: ActiveGeneration,
    dir: PathBuf,
}

impl ReadSharedKeys {
    async fn read(&self) -> Result<(), String> {
        let (accounts, dir) = (self.accounts.clone(), self.dir.clone());
        let read = detached(move || accounts.read_shared_keys(&dir)).await.and_then(|read| read);
        read.map_err(|error| format!("cannot read {}: {}", self.dir.display(), cause(&error)))
    }
}

#[async_trait]
impl Job for ReadSharedKeys {
    fn name(&self) -> &'static str {
        "api_key_directory"
    }

    fn schedule(&self) -> Option<Schedule> {
        Some(Schedule::every(self.generation.load().poll))
    }

    async fn run(&self, run: &Run) -> Result<(), String> {
        self.read().await.inspect_err(|error| {
            if !run.is_retry() {
                warn!(error, "the API keys of before stay in force");
            }
        })
    }
}

/// Deletes sessions and API keys that have ended.
struct SweepAccounts {
    accounts: Arc<Accounts>,
    generation: ActiveGeneration,
}

#[async_trait]
impl Job for SweepAccounts {
    fn name(&self) -> &'static str {
        "account_cleanup"
    }

    fn schedule(&self) -> Option<Schedule> {
        let live = self.generation.load();
        // Without users of our own, those of before may come back with the next configuration.
        (!live.operator.read_only && live.identity.own().is_some()).then_some(Schedule::every(SWEEP_EVERY))
    }

    async fn run(&self, _: &Run) -> Result<(), String> {
        let live = self.generation.load_full();
        let Some((users, issuer)) = live.identity.own() else { return Ok(()) };
        let is_current = |session: &Session| issuer.is_current(users, &session.user, &session.pwv);
        match self.accounts.sweep(is_current).await {
            Ok(Swept { sessions: 0, api_keys: 0 }) => {}
            Ok(Swept { sessions, api_keys }) => info!(sessions, api_keys, "ended sessions and API keys deleted"),
            Err(error) => {
                warn!(%error, "cannot delete ended sessions and API keys; retrying later");
                return Err(error.to_string());
            }
        }
        Ok(())
    }
}

/// Saves the last pull times before the daemon exits.
pub(super) async fn save_last_pulls(registry: &Registry, generation: &ArcSwap<Live>) -> crate::registry::Result<()> {
    match generation.load().operator.read_only {
        true => Ok(()),
        false => registry.flush_pulls().await.map(|_| ()),
    }
}

/// The longest delay of a directory sync with durability `relaxed`.
const FLUSH_EVERY: Duration = Duration::from_millis(500);

/// Runs delayed directory syncs.
struct Flush {
    store: Arc<dyn StoreRecords>,
    generation: ActiveGeneration,
}

#[async_trait]
impl Job for Flush {
    fn name(&self) -> &'static str {
        "delayed_syncs"
    }

    fn schedule(&self) -> Option<Schedule> {
        // A change to another durability runs the syncs that were delayed until then.
        (self.generation.load().durability == Syncing::Relaxed).then_some(Schedule::every(FLUSH_EVERY))
    }

    async fn run(&self, _: &Run) -> Result<(), String> {
        // The store logs the reason, and refuses further writes.
        self.store.flush().await.map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::fs::{Fs, Init};

    #[tokio::test]
    async fn a_collection_is_due_a_day_after_the_last_one_or_after_the_store_was_created() {
        let dir = tempfile::tempdir().unwrap();
        let store = Fs::open(dir.path(), Init::EmptyDirectory).unwrap().0;
        let registry = Registry::new(Arc::new(store), Arc::default());
        let hours_ago = |name: &str, hours: u64| {
            let file = std::fs::File::options().append(true).open(dir.path().join(name)).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(hours * 3600)).unwrap();
        };
        assert!(!is_collection_due(&registry).await.unwrap(), "the store is new");
        hours_ago("ROOT.json", 25);
        assert!(is_collection_due(&registry).await.unwrap());
        registry.collect(CollectionOptions::default(), &()).await.unwrap();
        assert!(!is_collection_due(&registry).await.unwrap());
        hours_ago("state/collection.json", 23);
        assert!(!is_collection_due(&registry).await.unwrap());
        hours_ago("state/collection.json", 24);
        assert!(is_collection_due(&registry).await.unwrap());
        let tomorrow = SystemTime::now() + Duration::from_secs(86_400);
        let report = std::fs::File::options().append(true).open(dir.path().join("state/collection.json")).unwrap();
        report.set_modified(tomorrow).unwrap();
        assert!(is_collection_due(&registry).await.unwrap(), "a clock that was set back does not put it off");
    }
}
