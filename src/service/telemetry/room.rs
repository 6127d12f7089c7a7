//! Metrics of free space, and of whether pushes are possible.

use super::{MetricsState, gauge};
use prometheus_client::{metrics::gauge::Gauge, registry::Registry as Collector};

pub(super) struct RoomMetrics {
    free_bytes: Gauge,
    reserve_bytes: Gauge,
    free_inodes: Gauge,
    reserve_inodes: Gauge,
    push: Gauge,
}

impl RoomMetrics {
    pub(super) fn register(collector: &mut Collector) -> Self {
        let register = |collector: &mut Collector, name: &str, help: &str| {
            let gauge = Gauge::default();
            collector.register(name, help, gauge.clone());
            gauge
        };
        Self {
            free_bytes: register(collector, "storage_free_bytes", "Free bytes of the storage's file system"),
            reserve_bytes: register(
                collector,
                "storage_reserve_bytes",
                "Free bytes below which pushes are refused (storage.reserve_bytes)",
            ),
            free_inodes: register(collector, "storage_free_inodes", "Free inodes of the storage's file system"),
            reserve_inodes: register(
                collector,
                "storage_reserve_inodes",
                "Free inodes below which pushes are refused (storage.reserve_inodes)",
            ),
            push: register(
                collector,
                "push_allowed",
                "1 if pushes are accepted; 0 while the storage is full or in trouble, or the registry read-only",
            ),
        }
    }

    /// If the storage does not report its free space, the gauges keep their values.
    pub(super) fn set(&self, current: &MetricsState<'_>) {
        self.push.set(i64::from(current.readiness.push && !current.live.operator.read_only));
        if let Some(room) = &current.room {
            self.free_bytes.set(gauge(room.free_bytes));
            self.reserve_bytes.set(gauge(room.reserve_bytes));
            self.free_inodes.set(gauge(room.free_inodes));
            self.reserve_inodes.set(gauge(room.reserve_inodes));
        }
    }
}
