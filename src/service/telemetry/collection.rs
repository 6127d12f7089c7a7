//! Garbage collection metrics.

use super::follow;
use crate::upkeep::Collected;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry as Collector,
};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Outcome {
    result: &'static str,
}

/// What needed content from the graveyard.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct By {
    by: &'static str,
}

/// Copies of the registry's counters.
#[derive(Default)]
pub(super) struct CollectionMetrics {
    runs: Family<Outcome, Counter>,
    condemned: Counter,
    purged: Counter,
    purged_bytes: Counter,
    resurrected: Family<By, Counter>,
    last: Gauge,
}

impl CollectionMetrics {
    pub(super) fn register(collector: &mut Collector) -> Self {
        let metrics = Self::default();
        collector.register("gc_runs", "Garbage collections by result", metrics.runs.clone());
        collector.register("gc_condemned", "Objects moved to the graveyard", metrics.condemned.clone());
        collector.register("gc_purged", "Objects deleted from the graveyard", metrics.purged.clone());
        collector.register("gc_purged_bytes", "Bytes deleted from the graveyard", metrics.purged_bytes.clone());
        collector.register(
            "gc_resurrected",
            "Objects in the graveyard that were still needed: restored by a push or a collection, or read by a pull",
            metrics.resurrected.clone(),
        );
        let help = "When garbage was last collected successfully, in seconds since 1970; 0 if never";
        collector.register("gc_last_success_timestamp_seconds", help, metrics.last.clone());
        metrics
    }

    pub(super) fn follow(&self, collected: &Collected) {
        let runs = |result| self.runs.get_or_create_owned(&Outcome { result });
        follow(&runs("ok"), collected.runs);
        follow(&runs("failed"), collected.failures);
        follow(&self.condemned, collected.condemned);
        follow(&self.purged, collected.purged);
        follow(&self.purged_bytes, collected.purged_bytes);
        let by = |by| self.resurrected.get_or_create_owned(&By { by });
        follow(&by("collection"), collected.restored);
        follow(&by("push"), collected.resurrected);
        follow(&by("pull"), collected.pulled);
        self.last.set(i64::try_from(collected.last).unwrap_or(i64::MAX));
    }
}
