//! Metrics of what is uploaded later.

use super::{follow, gauge};
use crate::storage::outbox::OutboxStatus;
use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry as Collector,
};

pub(super) struct OutboxMetrics {
    writes: Gauge,
    bytes: Gauge,
    most_bytes: Gauge,
    oldest: Gauge,
    uploads: Counter,
    uploaded_bytes: Counter,
    failures: Counter,
}

impl OutboxMetrics {
    pub(super) fn register(collector: &mut Collector) -> Self {
        let metrics = Self {
            writes: Gauge::default(),
            bytes: Gauge::default(),
            most_bytes: Gauge::default(),
            oldest: Gauge::default(),
            uploads: Counter::default(),
            uploaded_bytes: Counter::default(),
            failures: Counter::default(),
        };
        let help = "Writes in the journal that are not uploaded yet";
        collector.register("outbox_writes", help, metrics.writes.clone());
        collector.register("outbox_bytes", "Bytes in the journal that are not uploaded yet", metrics.bytes.clone());
        let help = "Bytes that the journal may hold";
        collector.register("outbox_limit_bytes", help, metrics.most_bytes.clone());
        let help = "How long the oldest write in the journal has waited";
        collector.register("outbox_oldest_seconds", help, metrics.oldest.clone());
        collector.register("outbox_uploads", "Writes uploaded from the journal", metrics.uploads.clone());
        let help = "Bytes uploaded from the journal";
        collector.register("outbox_uploaded_bytes", help, metrics.uploaded_bytes.clone());
        let help = "Failed attempts to upload from the journal";
        collector.register("outbox_failures", help, metrics.failures.clone());
        metrics
    }

    pub(super) fn set(&self, status: &OutboxStatus) {
        self.writes.set(gauge(status.writes));
        self.bytes.set(gauge(status.bytes));
        self.most_bytes.set(gauge(status.most_bytes));
        self.oldest.set(gauge(status.oldest.unwrap_or_default().as_secs()));
        follow(&self.uploads, status.uploads);
        follow(&self.uploaded_bytes, status.uploaded_bytes);
        follow(&self.failures, status.failures);
    }
}
