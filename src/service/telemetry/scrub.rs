//! Metrics of the background verification of blobs.

use super::follow;
use crate::upkeep::Scrubbed;
use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry as Collector,
};

/// Copies of the registry's counters.
#[derive(Default)]
pub(super) struct ScrubMetrics {
    objects: Counter,
    bytes: Counter,
    damaged: Counter,
    last: Gauge,
}

impl ScrubMetrics {
    pub(super) fn register(collector: &mut Collector) -> Self {
        let metrics = Self::default();
        collector.register("scrub_objects", "Blobs read in the background", metrics.objects.clone());
        collector.register("scrub_bytes", "Bytes of blobs read in the background", metrics.bytes.clone());
        let help = "Blobs read in the background that were damaged or unreadable";
        collector.register("scrub_damaged", help, metrics.damaged.clone());
        let help = "When all blobs had last been read in the background, in seconds since 1970; 0 if never";
        collector.register("scrub_last_success_timestamp_seconds", help, metrics.last.clone());
        metrics
    }

    pub(super) fn follow(&self, scrubbed: &Scrubbed) {
        follow(&self.objects, scrubbed.blobs);
        follow(&self.bytes, scrubbed.bytes);
        follow(&self.damaged, scrubbed.damaged);
        self.last.set(i64::try_from(scrubbed.last).unwrap_or(i64::MAX));
    }
}
