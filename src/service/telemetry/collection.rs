//! What collections have done, as metrics.

use super::follow;
use crate::registry::Collected;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry as Collector,
};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Outcome {
    result: &'static str,
}

/// Who needed what lay in the graveyard.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct By {
    by: &'static str,
}

/// Counters of the collection; they follow what the registry counted.
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
        collector.register("gc_runs", "Garbage collections, by how they ended", metrics.runs.clone());
        collector.register("gc_condemned", "Things moved to the graveyard", metrics.condemned.clone());
        collector.register("gc_purged", "Things removed from the graveyard", metrics.purged.clone());
        collector.register("gc_purged_bytes", "Bytes removed from the graveyard", metrics.purged_bytes.clone());
        collector.register(
            "gc_resurrected",
            "Things in the graveyard that were needed: brought back by a push or a collection, or read by a pull",
            metrics.resurrected.clone(),
        );
        let help = "When the last collection of this store ended well, in seconds since 1970; 0 if none did";
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
