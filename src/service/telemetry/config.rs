//! Metrics of the active configuration and its certificates.

use super::gauge;
use crate::config::Live;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
    registry::Registry as Collector,
};
use std::time::{SystemTime, UNIX_EPOCH};

/// The purpose of a certificate.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Certificate {
    certificate: &'static str,
}

#[derive(Default)]
pub(super) struct ConfigMetrics {
    generation: Gauge,
    success: Gauge,
    problems: Gauge,
    last: Gauge,
    last_success: Gauge,
    expiry: Family<Certificate, Gauge>,
}

impl ConfigMetrics {
    pub(super) fn register(collector: &mut Collector) -> Self {
        let metrics = Self::default();
        let mut register = |name: &str, help: &str, gauge: &Gauge| collector.register(name, help, gauge.clone());
        register(
            "config_generation",
            "Times the configuration in force has changed since the start",
            &metrics.generation,
        );
        register(
            "config_last_reload_success",
            "0 while a configuration file is rejected and its previous version is active",
            &metrics.success,
        );
        register("config_problems", "Problems of the last configuration reload", &metrics.problems);
        register(
            "config_last_reload_timestamp_seconds",
            "When configuration files were last reloaded, successfully or not, in seconds since 1970",
            &metrics.last,
        );
        register(
            "config_last_reload_success_timestamp_seconds",
            "When all configuration files were last reloaded without a problem, in seconds since 1970",
            &metrics.last_success,
        );
        collector.register(
            "certificate_expiry_timestamp_seconds",
            "When the first certificate of a configured file expires, in seconds since 1970",
            metrics.expiry.clone(),
        );
        metrics
    }

    pub(super) fn set(&self, live: &Live) {
        self.generation.set(gauge(live.number));
        self.success.set(i64::from(live.stale.is_none()));
        self.problems.set(live.stale.as_ref().map_or(0, |stale| gauge(stale.problems.0.len() as u64)));
        self.last.set(seconds(live.reloaded));
        self.last_success.set(seconds(live.since));
        for (certificate, expiry) in live.expiries.named() {
            if let Some(expiry) = expiry {
                self.expiry.get_or_create(&Certificate { certificate }).set(seconds(expiry));
            }
        }
    }
}

/// Seconds since 1970.
fn seconds(time: SystemTime) -> i64 {
    gauge(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
}
