//! What the daemon does from time to time beside serving.

use crate::{
    config::Live,
    registry::{CollectionError, CollectionOptions, CollectionReport, Registry, ScrubPass},
    storage::fs::Fs,
};
use arc_swap::ArcSwap;
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::time::MissedTickBehavior;
use tracing::{info, warn};

/// How often the schedule is looked at.
const TICK: Duration = Duration::from_secs(60);

/// After a collection that failed the next is tried no sooner than this.
const AFTER_FAILURE: Duration = Duration::from_secs(3600);

/// Ends expired uploads from time to time, the first time soon after the start.
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
            Ok(expired) => info!(expired, "uploads that nobody went on with were ended"),
            Err(error) => warn!(%error, "expired uploads could not be ended; trying again later"),
        }
    }
}

/// Collects garbage by the schedule. When the last collection was is in the store, so that a daemon
/// that is restarted every day collects too.
pub(super) async fn collect(registry: Registry, generation: Arc<ArcSwap<Live>>) {
    let mut ticks = tokio::time::interval(TICK);
    // The first tick comes at once: a daemon that has just started has other things to do.
    ticks.tick().await;
    let mut not_before = SystemTime::UNIX_EPOCH;
    loop {
        ticks.tick().await;
        let live = generation.load_full();
        let registry = registry.under(live.registry.clone());
        if live.operator.read_only || !registry.settings().collection.enabled || SystemTime::now() < not_before {
            continue;
        }
        match is_due(&registry).await {
            Ok(false) => continue,
            Ok(true) => {}
            Err(error) => {
                warn!(%error, "when garbage was last collected cannot be told");
                continue;
            }
        }
        match registry.collect(CollectionOptions::default(), &()).await {
            Ok(Some(report)) => tell(&report),
            Ok(None) => info!("garbage is being collected by another process"),
            Err(error) => {
                warn!(%error, "garbage could not be collected");
                not_before = SystemTime::now() + AFTER_FAILURE;
            }
        }
    }
}

async fn is_due(registry: &Registry) -> Result<bool, CollectionError> {
    let last = match registry.last_collected().await? {
        Some(last) => Some(last),
        None => registry.made().await?,
    };
    // What is of the future, after the clock was set back, is not waited for.
    let passed = last.map(|last| SystemTime::now().duration_since(last));
    Ok(match passed {
        Some(Ok(passed)) => passed >= registry.settings().collection.every,
        Some(Err(_)) => true,
        None => false,
    })
}

fn tell(report: &CollectionReport) {
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
        "garbage collected"
    );
    if let Some(refused) = &report.refused {
        warn!("nothing was condemned: {refused}");
    }
    for error in &report.errors {
        warn!(error, "left for the next collection");
    }
}

/// Reads all blobs, a while at a time, where a pass is under way or due.
pub(super) async fn scrub(registry: Registry, generation: Arc<ArcSwap<Live>>) {
    // A pass under way goes on at once: what was missed while it was under way comes in a burst.
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
                info!(blobs, bytes, damaged, seconds = ended.saturating_sub(began), "all blobs were read");
            }
            Err(error) => warn!(%error, "blobs could not be read in the background; trying again later"),
        }
    }
}

/// How often pull times are written down.
const PULLS: Duration = Duration::from_secs(60);

/// Writes down from time to time what was pulled; a read never does.
pub(super) async fn write_pulls(registry: Registry, generation: Arc<ArcSwap<Live>>) {
    let mut ticks = tokio::time::interval(PULLS);
    let mut failing = false;
    loop {
        ticks.tick().await;
        let written = write_pulls_once(&registry, &generation).await;
        // Once: a store that can only be read is no news a minute later.
        if let Some(error) = written.as_ref().err().filter(|_| !failing) {
            warn!(%error, "pull times could not be written; trying again every minute");
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

/// How long a directory's sync is put off at most, under the durability `relaxed`.
const FLUSH_EVERY: Duration = Duration::from_millis(500);

/// Makes durable what was put off, again and again.
pub(super) async fn flush(store: Arc<Fs>) {
    let mut ticks = tokio::time::interval(FLUSH_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // The log has why, and the store takes no more writes.
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
