//! Metrics of the cache of blobs.

use super::{follow, gauge};
use crate::storage::CacheStatus;
use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry as Collector,
};

pub(super) struct CacheMetrics {
    blobs: Gauge,
    bytes: Gauge,
    most_bytes: Gauge,
    hits: Counter,
    misses: Counter,
    filled_bytes: Counter,
    evictions: Counter,
    failures: Counter,
}

impl CacheMetrics {
    pub(super) fn register(collector: &mut Collector) -> Self {
        let metrics = Self {
            blobs: Gauge::default(),
            bytes: Gauge::default(),
            most_bytes: Gauge::default(),
            hits: Counter::default(),
            misses: Counter::default(),
            filled_bytes: Counter::default(),
            evictions: Counter::default(),
            failures: Counter::default(),
        };
        collector.register("cache_blobs", "Blobs in the cache", metrics.blobs.clone());
        collector.register("cache_bytes", "Bytes of the blobs in the cache", metrics.bytes.clone());
        collector.register("cache_limit_bytes", "Bytes that the cache may hold", metrics.most_bytes.clone());
        collector.register("cache_hits", "Requests for blobs that were in the cache", metrics.hits.clone());
        collector.register("cache_misses", "Requests for blobs that were not in the cache", metrics.misses.clone());
        collector.register("cache_filled_bytes", "Bytes added to the cache", metrics.filled_bytes.clone());
        collector.register("cache_evictions", "Blobs removed from the cache to make room", metrics.evictions.clone());
        collector.register("cache_failures", "Blobs that could not be added to the cache", metrics.failures.clone());
        metrics
    }

    pub(super) fn set(&self, status: &CacheStatus) {
        self.blobs.set(gauge(status.blobs));
        self.bytes.set(gauge(status.bytes));
        self.most_bytes.set(gauge(status.most_bytes));
        follow(&self.hits, status.hits);
        follow(&self.misses, status.misses);
        follow(&self.filled_bytes, status.filled_bytes);
        follow(&self.evictions, status.evictions);
        follow(&self.failures, status.failures);
    }
}
