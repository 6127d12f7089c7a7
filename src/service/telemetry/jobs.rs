//! What the daemon does by itself, as metrics.

use super::follow;
use crate::jobs::JobStatus;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry as Collector,
};
use std::{
    sync::atomic::AtomicU64,
    time::{Duration, SystemTime},
};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct JobLabel {
    job: &'static str,
}

type Seconds = Gauge<f64, AtomicU64>;

/// They follow what the scheduler knows.
#[derive(Default)]
pub(super) struct JobMetrics {
    running: Family<JobLabel, Gauge>,
    started: Family<JobLabel, Seconds>,
    ended: Family<JobLabel, Seconds>,
    took: Family<JobLabel, Seconds>,
    runs: Family<JobLabel, Counter>,
    failures: Family<JobLabel, Counter>,
}

impl JobMetrics {
    pub(super) fn register(collector: &mut Collector) -> Self {
        let metrics = Self::default();
        collector.register("job_running", "1 while a background job runs", metrics.running.clone());
        let help = "When a background job last started, in seconds since 1970; 0 if never";
        collector.register("job_last_start_timestamp_seconds", help, metrics.started.clone());
        let help = "When a background job last ended, in seconds since 1970; 0 if never";
        collector.register("job_last_end_timestamp_seconds", help, metrics.ended.clone());
        let help = "How long the last completed run of a background job took";
        collector.register("job_last_duration_seconds", help, metrics.took.clone());
        collector.register("job_runs", "Runs of a background job that have ended", metrics.runs.clone());
        collector.register("job_failures", "Runs of a background job that failed", metrics.failures.clone());
        metrics
    }

    pub(super) fn follow(&self, jobs: &[JobStatus]) {
        for job in jobs {
            let label = JobLabel { job: job.name };
            self.running.get_or_create(&label).set(i64::from(job.running));
            self.started.get_or_create(&label).set(since_1970(job.began));
            self.ended.get_or_create(&label).set(since_1970(job.ended));
            self.took.get_or_create(&label).set(job.took.as_secs_f64());
            follow(&self.runs.get_or_create(&label), job.runs);
            follow(&self.failures.get_or_create(&label), job.failures);
        }
    }
}

fn since_1970(time: Option<SystemTime>) -> f64 {
    time.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok())
        .map_or(0.0, |since: Duration| since.as_secs_f64())
}
