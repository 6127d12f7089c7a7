//! The status of a job.

use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// What is known about a job since this process started.
#[derive(Clone, Debug)]
pub struct JobStatus {
    /// Its name in metrics.
    pub name: &'static str,
    /// Whether a run is in progress.
    pub running: bool,
    /// The current step of that run, and the number of items done.
    pub progress: Option<(&'static str, u64)>,
    /// When the last run started.
    pub began: Option<SystemTime>,
    /// When the last completed run ended.
    pub ended: Option<SystemTime>,
    /// How long it took.
    pub took: Duration,
    /// How it ended.
    pub outcome: Option<JobOutcome>,
    /// The number of completed runs.
    pub runs: u64,
    /// How many of these failed.
    pub failures: u64,
    since: Instant,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobOutcome {
    /// It succeeded.
    Done,
    /// It failed, for this reason.
    Failed(String),
    /// The daemon stopped.
    Stopped,
}

impl JobStatus {
    pub(super) fn of(name: &'static str) -> Self {
        Self {
            name,
            running: false,
            progress: None,
            began: None,
            ended: None,
            took: Duration::ZERO,
            outcome: None,
            runs: 0,
            failures: 0,
            since: Instant::now(),
        }
    }

    pub(super) fn begin(&mut self) {
        (self.running, self.began, self.since) = (true, Some(SystemTime::now()), Instant::now());
    }

    pub(super) fn finish(&mut self, outcome: JobOutcome) {
        self.running = false;
        self.progress = None;
        self.ended = Some(SystemTime::now());
        self.took = self.since.elapsed();
        self.runs += 1;
        self.failures += u64::from(matches!(outcome, JobOutcome::Failed(_)));
        self.outcome = Some(outcome);
    }
}
