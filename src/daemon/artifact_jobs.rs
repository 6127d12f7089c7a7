//! What the daemon does in the background for repositories of artifacts.

use super::jobs::{Keeper, SWEEP_EVERY};
use crate::{
    jobs::{Job, OpenTask, Run, Schedule},
    manage::Manage,
    registry::artifacts::RemovedByRule,
};
use async_trait::async_trait;
use serde_json::json;
use std::time::Duration;
use tracing::{info, warn};

/// How often it is checked whether uploads have ended.
const LOOK: Duration = Duration::from_secs(2);

/// Removed artifacts that a task names.
const MOST_SHOWN: usize = 100;

/// Moves to the trash what the rules of retention do not keep, and records each artifact in the audit log.
pub(super) struct RetainArtifacts {
    keeper: Keeper,
    manage: Option<Manage>,
    /// Only where artifacts were published, soon after; else everywhere, now and then, since artifacts get old.
    after_publishing: bool,
}

impl RetainArtifacts {
    /// In all repositories.
    pub(super) fn everywhere(keeper: Keeper, manage: Option<Manage>) -> Self {
        Self { keeper, manage, after_publishing: false }
    }

    /// Where artifacts were published.
    pub(super) fn after_publishing(keeper: Keeper, manage: Option<Manage>) -> Self {
        Self { keeper, manage, after_publishing: true }
    }
}

#[async_trait]
impl Job for RetainArtifacts {
    fn name(&self) -> &'static str {
        if self.after_publishing { "artifact_retention_after_uploads" } else { "artifact_retention" }
    }

    fn schedule(&self) -> Option<Schedule> {
        let every = if self.after_publishing { LOOK } else { SWEEP_EVERY };
        self.keeper.schedule(|live| live.operator.delete.then(|| Schedule::every(every)))
    }

    async fn is_due(&self) -> bool {
        !self.after_publishing || self.keeper.registry().has_settled_artifacts()
    }

    async fn run(&self, _: &Run) -> Result<(), String> {
        let (registry, mut removed) = (self.keeper.registry(), Vec::new());
        // Of the two jobs, one shows itself if both run.
        let task = self.keeper.tasks.begin("retention", None).ok();
        let progress = task.as_ref().map(OpenTask::progress);
        let mut remove = |one: RemovedByRule| {
            removed.push(one.to_string());
            if let Some(progress) = &progress {
                progress.at("moving artifacts to the trash", removed.len() as u64, 0);
            }
        };
        let cancelled = async {
            match &task {
                Some(task) => task.cancelled().await,
                None => std::future::pending().await,
            }
        };
        let retain = async {
            match self.after_publishing {
                true => registry.retain_after_publishing(&mut remove).await,
                false => registry.retain_artifacts(&mut remove).await,
            }
        };
        let retained = tokio::select! {
            retained = retain => Some(retained),
            () = cancelled => None,
        };
        match (task, &retained) {
            (Some(task), Some(Err(error))) => task.end(Err(error.to_string())),
            // Nobody wants to see that there was nothing to do.
            (Some(task), Some(Ok(()))) if removed.is_empty() => task.forget(),
            (Some(task), Some(Ok(()))) => {
                let shown = &removed[..removed.len().min(MOST_SHOWN)];
                task.end(Ok(json!({ "artifacts": removed.len(), "removed": shown })));
            }
            (_, None) | (None, _) => {}
        }
        if !removed.is_empty() {
            info!(artifacts = removed.len(), "artifacts moved to the trash by retention");
        }
        if let Some(manage) = &self.manage {
            for artifact in removed {
                manage.record_rule("artifact retention", "delete_artifact", artifact).await;
            }
        }
        retained.unwrap_or(Ok(())).map_err(|error| {
            warn!(%error, "cannot apply retention to artifacts; retrying later");
            error.to_string()
        })
    }
}

/// Removes for good what was in the trash of artifacts for its time, and old notes of changes.
pub(super) struct EmptyArtifactTrash(pub(super) Keeper);

#[async_trait]
impl Job for EmptyArtifactTrash {
    fn name(&self) -> &'static str {
        "artifact_trash"
    }

    fn schedule(&self) -> Option<Schedule> {
        self.0.schedule(|_| Some(Schedule::every(SWEEP_EVERY)))
    }

    async fn run(&self, _: &Run) -> Result<(), String> {
        match self.0.registry().empty_artifact_trash().await {
            Ok((0, 0)) => {}
            Ok((artifacts, repositories)) => info!(artifacts, repositories, "trash of artifacts emptied"),
            Err(error) => {
                warn!(%error, "cannot empty the trash of artifacts; retrying later");
                return Err(error.to_string());
            }
        }
        Ok(())
    }
}
