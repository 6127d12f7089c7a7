//! Background jobs of the daemon, run by one scheduler.
//!
//! A [`Job`] defines how often it runs and what it does. [`Jobs`] runs each in its own task, so that at most one run
//! of a job is in progress, and keeps the result of its last run. What must stay true:
//!
//! - A run starts at most one interval after the previous one started, unless that is still in progress. It starts up
//!   to a tenth earlier, at random, so that many daemons do not act at once.
//! - The schedule follows the current settings, even while a job waits ([`Jobs::reconsider`]).
//! - The start of a run does not depend on the wall clock, so setting it changes nothing. A job itself keeps what
//!   must survive a restart, and checks it in [`Job::is_due`].
//! - A run may be dropped at any of its `.await`s, when the daemon stops. A run that panics has failed.

mod schedule;
mod status;
mod tasks;
#[cfg(test)]
mod tests;

pub use schedule::{Schedule, has_passed};
pub use status::{JobOutcome, JobStatus};
pub use tasks::{OpenTask, TaskPhase, TaskProgress, TaskRunning, TaskState, Tasks};

use async_trait::async_trait;
use futures_util::FutureExt as _;
use std::{
    future::Future,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// A background job.
#[async_trait]
pub trait Job: Send + Sync + 'static {
    /// Its name in metrics.
    fn name(&self) -> &'static str;

    /// Its schedule under the current settings; `None` while it is disabled.
    fn schedule(&self) -> Option<Schedule>;

    /// Whether there is something to do. If not, this does not count as a run, and is checked again after the
    /// interval.
    async fn is_due(&self) -> bool {
        true
    }

    /// Runs once. The error is for developers; the job itself logs what the operator has to know.
    async fn run(&self, run: &Run) -> Result<(), String>;
}

/// A run in progress: how far it is, and how the one before it ended.
pub struct Run {
    status: Arc<Mutex<JobStatus>>,
    failures: u32,
}

impl Run {
    /// Sets the progress: the current step, and the number of items done.
    pub fn at(&self, doing: &'static str, done: u64) {
        change(&self.status, |status| status.progress = Some((doing, done)));
    }

    /// Whether the previous run failed.
    pub fn is_retry(&self) -> bool {
        self.failures > 0
    }
}

/// All jobs of a daemon. Clones share the same jobs.
#[derive(Clone, Default)]
pub struct Jobs(Arc<SchedulerState>);

#[derive(Default)]
struct SchedulerState {
    statuses: Mutex<Vec<Arc<Mutex<JobStatus>>>>,
    /// Notifies waiting jobs that the settings have changed.
    settings: watch::Sender<()>,
    end: CancellationToken,
    tasks: TaskTracker,
}

impl Jobs {
    /// Runs a job until `until` completes or all jobs end. A run in progress is dropped then.
    pub fn start(&self, job: impl Job, until: impl Future<Output = ()> + Send + 'static) {
        let status = Arc::new(Mutex::new(JobStatus::of(job.name())));
        self.0.statuses.lock().unwrap_or_else(PoisonError::into_inner).push(status.clone());
        let (settings, end) = (self.0.settings.subscribe(), self.0.end.clone());
        self.0.tasks.spawn(async move {
            let stopped = tokio::select! {
            () = run_forever(&job, &status, settings) => false,
            () = until => true,
            () = end.cancelled() => true,
            };
            change(&status, |status| {
                if stopped && status.running {
                    status.finish(JobOutcome::Stopped)
                }
            });
        });
    }

    /// The settings have changed: waiting jobs check their schedule again.
    pub fn reconsider(&self) {
        self.0.settings.send_replace(());
    }

    /// The status of each job, in the order in which they were started.
    pub fn statuses(&self) -> Vec<JobStatus> {
        let statuses = self.0.statuses.lock().unwrap_or_else(PoisonError::into_inner);
        statuses.iter().map(|status| status.lock().unwrap_or_else(PoisonError::into_inner).clone()).collect()
    }

    /// Ends all jobs, and waits until they have stopped.
    pub async fn end(&self) {
        self.0.end.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }
}

async fn run_forever(job: &dyn Job, status: &Arc<Mutex<JobStatus>>, mut settings: watch::Receiver<()>) {
    let (mut since, mut is_first, mut failures) = (Instant::now(), true, 0);
    loop {
        let chance = schedule::chance();
        loop {
            // Before the schedule is read: a change after this point ends the wait.
            settings.mark_unchanged();
            let at = job.schedule().map(|schedule| since + schedule.wait(is_first, failures, chance));
            let due = async {
                match at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
            () = due => break,
            Ok(()) = settings.changed() => {}
            }
        }
        (since, is_first) = (Instant::now(), false);
        if !job.is_due().await {
            // Whatever failed before, there is nothing to retry.
            failures = 0;
            continue;
        }
        let run = Run { status: status.clone(), failures };
        change(status, JobStatus::begin);
        let outcome = match AssertUnwindSafe(job.run(&run)).catch_unwind().await {
            Ok(Ok(())) => JobOutcome::Done,
            Ok(Err(why)) => JobOutcome::Failed(why),
            Err(_) => JobOutcome::Failed("it panicked".to_owned()),
        };
        failures = if outcome == JobOutcome::Done { 0 } else { failures.saturating_add(1) };
        change(status, |status| status.finish(outcome));
    }
}

fn change(status: &Mutex<JobStatus>, change: impl FnOnce(&mut JobStatus)) {
    change(&mut status.lock().unwrap_or_else(PoisonError::into_inner));
}
