//! Starts garbage collections and checks.

use super::super::{
    super::{
        error::{ApiError, ServiceError},
        gate::Granted,
        headers::value,
    },
    reply,
};
use crate::{
    jobs::{TaskProgress, TaskRunning},
    upkeep::{
        CollectionOptions, CollectionStep, Follow,
        fsck::{self, Finding, FsckOptions, PoolPart, Summary},
    },
    wire::ResponseBody,
};
use api::tasks::{CheckRequest, CollectionRequest, TaskStarted};
use async_trait::async_trait;
use http::{Response, StatusCode, header};
use serde_json::{Value, json};

/// Findings of a check that are kept.
const MOST_FINDINGS: usize = 1000;

pub(super) async fn collect(mut granted: Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let CollectionRequest { dry_run, now, force } = granted.read_json_or_default().await?;
    let registry = granted.registry().clone();
    start(&granted, "collection", |progress| async move {
        let options = CollectionOptions { dry_run, now, force };
        match registry.collect(options, &FollowedByTask(progress)).await {
            Ok(Some(report)) => Ok(json!(report)),
            Ok(None) => Err("another process is collecting garbage; try again when it has ended".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    })
}

/// Shows a collection as the progress of a task.
struct FollowedByTask(TaskProgress);

#[async_trait]
impl Follow for FollowedByTask {
    async fn at(&self, step: CollectionStep, done: u64) {
        self.0.at(step.as_str().trim_end_matches(':'), done, step.percent());
    }
}

pub(super) async fn last_collection(granted: &Granted) -> Result<Response<ResponseBody>, ServiceError> {
    match granted.registry().last_report().await? {
        Some(report) => granted.resource(&report),
        None => Err(ApiError::NotFound.into()),
    }
}

pub(super) async fn check(mut granted: Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let CheckRequest { read_data, bytes_per_second, repair } = granted.read_json_or_default().await?;
    let Some(store) = granted.request.state.checked.clone() else { return Err(ApiError::NotFound.into()) };
    let read = read_data.then_some(PoolPart::WHOLE);
    let options = FsckOptions { read, bytes_per_second, repair, ..FsckOptions::default() };
    start(&granted, "check", |progress| async move {
        let watch = CheckWatch { progress, findings: Vec::new() };
        let (summary, watch) = store.check(options, watch).await.map_err(|error| error.to_string())?;
        Ok(json!({ "summary": summary, "findings": watch.findings }))
    })
}

struct CheckWatch {
    progress: TaskProgress,
    findings: Vec<Finding>,
}

impl fsck::Watch for CheckWatch {
    fn at(&mut self, so_far: &Summary) {
        // How many there are is not known before the end.
        self.progress.at("checking", so_far.manifests + so_far.tags + so_far.blobs, 0);
    }

    fn found(&mut self, finding: &Finding) {
        if self.findings.len() < MOST_FINDINGS {
            self.findings.push(finding.clone());
        }
    }
}

/// Starts a task of the caller.
fn start<F>(
    granted: &Granted,
    kind: &'static str,
    work: impl FnOnce(TaskProgress) -> F,
) -> Result<Response<ResponseBody>, ServiceError>
where
    F: Future<Output = Result<Value, String>> + Send + 'static,
{
    let owner = granted.who().subject.name().map(str::to_owned);
    let state = granted.request.state.tasks.start(kind, owner, work);
    let state = state.map_err(|TaskRunning(id)| ApiError::Ambiguous(format!("a {kind} is running: task {id}")))?;
    let mut response = reply::json(StatusCode::ACCEPTED, &TaskStarted { task_id: state.id.to_string() })?;
    response.headers_mut().insert(header::LOCATION, value(format!("/api/v1/tasks/{}", state.id)));
    Ok(response)
}
