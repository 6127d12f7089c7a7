//! What the daemon does in the background.

use crate::{
    config::Live,
    registry::{CollectionError, CollectionOptions, CollectionReport, Registry, ScrubPass},
    storage::fs::Fs,
};
use arc_swap::ArcSwap;
use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};
use tokio::time::MissedTickBehavior;
use tracing::{info, warn};

/// How often the schedule is checked.
const TICK: Duration = Duration::from_secs(60);

/// How long to wait after a failed collection before the next one.
const AFTER_FAILURE: Duration = Duration::from_secs(3600);

/// Deletes expired uploads periodically, the first time soon after startup.
pub(super) async fn sweep(registry: Registry, generation: Arc<ArcSwap<Live>>) {
    let mut ticks = tokio::time::interval(registry.settings().upload_cleanup_interval);
    loop {
        ticks.tick().await;
        let live = generation.load_full();
        if live.operator.read_only {
            continue;
        }
        match registry.under(live.registry.clone()).sweep().await {
            Ok(0) => {}
            Ok(expired) => info!(expired, "expired uploads deleted"),
            Err(error) => warn!(%error, "cannot delete expired uploads; retrying later"),
        }
    }
}

/// Collects garbage on schedule. The time of the last collection is kept in the store, so that a daemon
/// that is restarted every day collects too.
pub(super) async fn collect(registry: Registry, generation: Arc<ArcSwap<Live>>) {
    let mut ticks = tokio::time::interval(TICK);
    // The first tick comes immediately: a daemon that has just started has other things to do.
    ticks.tick().await;
    let mut failed: Option<Instant> = None;
    loop {
        ticks.tick().await;
        let live = generation.load_full();
        let registry = registry.under(live.registry.clone());
        let has_just_failed = failed.is_some_and(|failed| failed.elapsed() < AFTER_FAILURE);
        if live.operator.read_only || !registry.settings().collection.enabled || has_just_failed {
            continue;
        }
        match is_due(&registry).await {
            Ok(false) => continue,
            Ok(true) => {}
            Err(error) => {
                warn!(%error, "cannot read the time of the last garbage collection");
                continue;
            }
        }
        match registry.collect(CollectionOptions::default(), &()).await {
            Ok(Some(report)) => {
                log_report(&report);
                // Also if only the report could not be written: it holds the time of this collection.
                failed = (!report.errors.is_empty()).then(Instant::now);
            }
            Ok(None) => info!("garbage collection skipped: another process is collecting"),
            Err(error) => {
                warn!(%error, "garbage collection failed; retrying in an hour");
                failed = Some(Instant::now());
            }
        }
    }
}

async fn is_due(registry: &Registry) -> Result<bool, CollectionError> {
    let last = match registry.last_collected().await? {
        Some(last) => Some(last),
        None => registry.made().await?,
    };
    // A time in the future, after the clock was set back, does not delay the next collection.
    let passed = last.map(|last| SystemTime::now().duration_since(last));
    Ok(match passed {
        Some(Ok(passed)) => passed >= registry.settings().collection.every,
        Some(Err(_)) => true,
        None => false,
    })
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

/// Reads all blobs, a minute at a time, while a pass is due or in progress.
pub(super) async fn scrub(registry: Registry, generation: Arc<ArcSwap<Live>>) {
    // Ticks missed during a pass come in a burst, so that it continues immediately.
    let mut ticks = tokio::time::interval(TICK);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let live = generation.load_full();
        if live.operator.read_only || !live.registry.scrub.enabled {
            continue;
        }
        match registry.under(live.registry.clone()).scrub(TICK).await {
            Ok(None) => {}
            Ok(Some(ScrubPass { blobs, bytes, damaged, began, ended })) => {
                info!(
                    blobs,
                    bytes,
                    damaged,
                    seconds = ended.saturating_sub(began),
                    "scrub completed: all blobs were read"
                );
            }
            Err(error) => warn!(%error, "scrub failed; retrying later"),
        }
    }
}

/// How often pull times are saved.
const PULLS: Duration = Duration::from_secs(60);

/// Saves pull times periodically, so that no read has to write.
pub(super) async fn write_pulls(registry: Registry, generation: Arc<ArcSwap<Live>>) {
    let mut ticks = tokio::time::interval(PULLS);
    let mut failing = false;
    loop {
        ticks.tick().await;
        let written = write_pulls_once(&registry, &generation).await;
        // Once: a read-only store would repeat it every minute.
        if let Some(error) = written.as_ref().err().filter(|_| !failing) {
            warn!(%error, "cannot save pull times; retrying every minute");
        }
        failing = written.is_err();
    }
}

pub(super) async fn write_pulls_once(registry: &Registry, generation: &ArcSwap<Live>) -> crate::registry::Result<()> {
    match generation.load().operator.read_only {
        true => Ok(()),
        false => registry.flush_pulls().await.map(|_| ()),
    }
}

/// How long a directory sync is delayed at most, under the durability `relaxed`.
const FLUSH_EVERY: Duration = Duration::from_millis(500);

/// Does delayed directory syncs periodically.
pub(super) async fn flush(store: Arc<Fs>) {
    let mut ticks = tokio::time::interval(FLUSH_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // The store logs why, and refuses further writes.
        let _ = store.flush().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::fs::Init;

    #[tokio::test]
    async fn a_collection_is_due_when_the_last_one_or_the_making_of_the_store_is_long_ago() {
        let dir = tempfile::tempdir().unwrap();
        let store = Fs::open(dir.path(), Init::EmptyDirectory).unwrap().0;
        let registry = Registry::new(Arc::new(store), Arc::default());
        let hours_ago = |name: &str, hours: u64| {
            let file = std::fs::File::options().append(true).open(dir.path().join(name)).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(hours * 3600)).unwrap();
        };
        assert!(!is_due(&registry).await.unwrap(), "the store is new");
        hours_ago("ROOT.json", 25);
        assert!(is_due(&registry).await.unwrap());
        registry.collect(CollectionOptions::default(), &()).await.unwrap();
        assert!(!is_due(&registry).await.unwrap());
        hours_ago("state/collection.json", 23);
        assert!(!is_due(&registry).await.unwrap());
        hours_ago("state/collection.json", 24);
        assert!(is_due(&registry).await.unwrap());
        let tomorrow = SystemTime::now() + Duration::from_secs(86_400);
        let report = std::fs::File::options().append(true).open(dir.path().join("state/collection.json")).unwrap();
        report.set_modified(tomorrow).unwrap();
        assert!(is_due(&registry).await.unwrap(), "a clock that was set back does not put it off");
    }
}
