//! Reads all blobs, a minute at a time, while a pass is due or in progress.

use super::jobs::{AFTER_FAILURE, Keeper, TICK};
use crate::{
    jobs::{Job, OpenTask, Run, Schedule},
    upkeep::ScrubPass,
};
use async_trait::async_trait;
use serde_json::json;
use std::sync::{Mutex, PoisonError};
use tracing::{info, warn};

pub(super) struct Scrub {
    keeper: Keeper,
    /// A pass is one task, however many runs it takes.
    task: Mutex<Option<OpenTask>>,
}

impl Scrub {
    pub(super) fn new(keeper: Keeper) -> Self {
        Self { keeper, task: Mutex::default() }
    }

    /// The task of the pass that is in progress, or of a new one.
    fn take_task(&self) -> Option<OpenTask> {
        let known = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        known.or_else(|| self.keeper.tasks.begin("scrub", None).ok())
    }

    fn keep_task(&self, task: Option<OpenTask>) {
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = task;
    }
}

#[async_trait]
impl Job for Scrub {
    fn name(&self) -> &'static str {
        "scrub"
    }

    fn schedule(&self) -> Option<Schedule> {
        let backoff = Schedule { after_failure: TICK, longest: AFTER_FAILURE, ..Schedule::every(TICK) };
        self.keeper.schedule(|live| live.registry.scrub.enabled.then_some(backoff))
    }

    async fn is_due(&self) -> bool {
        // If that cannot be read, the run reports why.
        self.keeper.registry().is_scrub_due().await.unwrap_or(true)
    }

    async fn run(&self, _: &Run) -> Result<(), String> {
        let (registry, task) = (self.keeper.registry(), self.take_task());
        let cancelled = async {
            match &task {
                Some(task) => task.cancelled().await,
                None => std::future::pending().await,
            }
        };
        let scrubbed = tokio::select! {
            scrubbed = registry.scrub(TICK) => scrubbed,
            () = cancelled => {
                // A pass that the shutdown interrupts continues after the next start.
                if task.as_ref().is_some_and(OpenTask::is_stopping) {
                    return Ok(());
                }
                info!("scrub cancelled; the next one begins at its time");
                return registry.abandon_scrub().await.map_err(|error| error.to_string());
            }
        };
        match scrubbed {
            Ok(None) => {
                if let (Some(task), Ok(Some((pass, percent)))) = (&task, registry.scrub_progress().await) {
                    task.progress().at("reading blobs", pass.blobs, percent);
                }
                self.keep_task(task);
            }
            Ok(Some(pass)) => {
                let ScrubPass { blobs, bytes, damaged, began, ended } = pass;
                info!(
                    blobs,
                    bytes,
                    damaged,
                    seconds = ended.saturating_sub(began),
                    "scrub completed: all blobs were read"
                );
                if let Some(task) = task {
                    task.end(Ok(json!({ "blobs": blobs, "bytes": bytes, "damaged": damaged })));
                }
            }
            Err(error) => {
                warn!(%error, "scrub failed; retrying later");
                if let Some(task) = task {
                    task.end(Err(error.to_string()));
                }
                return Err(error.to_string());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::Live,
        jobs::{Jobs, TaskPhase, Tasks},
        registry::Registry,
        storage::Mem,
    };
    use arc_swap::ArcSwap;
    use std::{future::pending, sync::Arc, time::Duration};

    #[tokio::test(start_paused = true)]
    async fn a_pass_is_a_task_of_the_registry() {
        let (tasks, jobs) = (Tasks::default(), Jobs::default());
        let live = Arc::new(Live::default());
        let registry = Registry::new(Arc::new(Mem::default()), live.registry.clone());
        let keeper = Keeper::new(registry, Arc::new(ArcSwap::new(live)), tasks.clone());
        jobs.start(Scrub::new(keeper), pending());
        while !tasks.all().first().is_some_and(|task| task.phase != TaskPhase::Running) {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let task = tasks.all().remove(0);
        assert_eq!((task.kind, task.owner, task.phase), ("scrub", None, TaskPhase::Completed));
        assert_eq!(task.result, Some(json!({ "blobs": 0, "bytes": 0, "damaged": 0 })));
    }
}
