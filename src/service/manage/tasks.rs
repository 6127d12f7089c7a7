//! Tasks: garbage collections, checks and migrations that somebody asks for, and how far they are.

use super::super::{
    answer::Answering,
    endpoint::{Effect, Family, Methods, Need, RequestLine},
    error::{ApiError, ServiceError},
    gate::Granted,
    headers::value,
    query::Query,
};
use super::{
    migration,
    operation::{AnswerShape, Operation, Shape},
    reply::{self, rfc3339},
};
use crate::{
    jobs::{TaskPhase, TaskProgress, TaskRunning, TaskState},
    migration::MigrationState,
    storage::fs::Fs,
    upkeep::{
        CollectionOptions, CollectionStep, Follow,
        fsck::{self, Finding, FsckOptions, PoolPart, Summary},
    },
    who::Permission,
    wire::ResponseBody,
};
use api::{
    FieldProblem, Page,
    migration::{ImageStatus, MigratedImage, ResumeRequest},
    tasks::{CheckRequest, CollectionRequest, Task, TaskStarted, TaskStatus},
};
use async_trait::async_trait;
use futures_util::{Stream, stream};
use http::{HeaderValue, Method, Response, StatusCode, header};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::watch;
use ulid::Ulid;

/// Findings of a check that are kept.
const MOST_FINDINGS: usize = 1000;

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::list::<Task>("/tasks", "list_tasks", "List your tasks, or all for an administrator, newest first."),
    Operation::get::<Task>("/tasks/{id}", "show_task", "Show a task."),
    Operation::of(
        "GET",
        "/tasks/{id}/events",
        "follow_task",
        "Follow a task: one server-sent event for each change.",
        AnswerShape::Other("text/event-stream"),
        200,
    ),
    Operation::list::<MigratedImage>("/tasks/{id}/images", "list_migrated_images", "List the images of a migration.")
        .with_query(&[
            ("status", "Only images in this state: `waiting`, `running`, `completed`, `skipped` or `failed`."),
            ("n", "Maximum number of items."),
            ("last", "Start after this item: `next` of the page before."),
        ]),
    Operation::of("POST", "/tasks/{id}/cancel", "cancel_task", "Cancel a task.", TASK, 202).refuses(&[409]),
    Operation::of(
        "POST",
        "/tasks/{id}/resume",
        "resume_task",
        "Continue a migration that was interrupted, cancelled or failed in part.",
        TASK,
        202,
    )
    .takes::<ResumeRequest>()
    .refuses(&[409]),
    Operation::of("POST", "/gc", "start_collection", "Collect garbage.", STARTED, 202)
        .takes::<CollectionRequest>()
        .refuses(&[409]),
    Operation::of("GET", "/gc", "show_last_collection", "Show the last report.", AnswerShape::Free, 200),
    Operation::of("POST", "/fsck", "start_check", "Check the storage directory.", STARTED, 202)
        .takes::<CheckRequest>()
        .refuses(&[409]),
];

const TASK: AnswerShape = AnswerShape::One(Shape::of::<Task>());
const STARTED: AnswerShape = AnswerShape::One(Shape::of::<TaskStarted>());

/// A request about tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskEndpoint {
    /// `GET /tasks`.
    List,
    /// `GET /tasks/{id}`.
    Show(Ulid),
    /// `GET /tasks/{id}/events`.
    Events(Ulid),
    /// `GET /tasks/{id}/images`.
    Images(Ulid),
    /// `POST /tasks/{id}/cancel`.
    Cancel(Ulid),
    /// `POST /tasks/{id}/resume`.
    Resume(Ulid),
    /// `POST /gc`.
    Collect,
    /// `GET /gc`.
    LastCollection,
    /// `POST /fsck`.
    Check,
}

const CANCEL: Methods = Methods(&[("POST", Effect::Reads)]);
const RESUME: Methods = Methods(&[("POST", Effect::Writes)]);
const COLLECTION: Methods = Methods(&[("GET", Effect::Reads), ("HEAD", Effect::Reads), ("POST", Effect::Deletes)]);
const CHECK: Methods = Methods(&[("POST", Effect::Writes)]);

impl TaskEndpoint {
    pub(super) fn parse(line: &RequestLine<'_>) -> Result<Self, ServiceError> {
        let id = |text: &str| text.parse::<Ulid>().map_err(|_| ServiceError::from(ApiError::NotFound));
        let (is_read, is_post) = (line.is_read(), *line.method == Method::POST);
        match line.segments {
            ["tasks"] if is_read => Ok(Self::List),
            ["tasks", task] if is_read => id(task).map(Self::Show),
            ["tasks", task, "events"] if is_read => id(task).map(Self::Events),
            ["tasks", task, "images"] if is_read => id(task).map(Self::Images),
            ["tasks", task, "cancel"] if is_post => id(task).map(Self::Cancel),
            ["tasks", task, "resume"] if is_post => id(task).map(Self::Resume),
            ["gc"] if is_read => Ok(Self::LastCollection),
            ["gc"] if is_post => Ok(Self::Collect),
            ["fsck"] if is_post => Ok(Self::Check),
            ["tasks"] | ["tasks", _] | ["tasks", _, "events" | "images"] => {
                Err(ServiceError::MethodNotAllowed(Methods::READ))
            }
            ["tasks", _, "resume"] => Err(ServiceError::MethodNotAllowed(RESUME)),
            ["tasks", _, "cancel"] => Err(ServiceError::MethodNotAllowed(CANCEL)),
            ["gc"] => Err(ServiceError::MethodNotAllowed(COLLECTION)),
            ["fsck"] => Err(ServiceError::MethodNotAllowed(CHECK)),
            _ => Err(ApiError::NotFound.into()),
        }
    }
}

impl Family for TaskEndpoint {
    fn name(&self) -> &'static str {
        match self {
            Self::List => "list_tasks",
            Self::Show(_) => "show_task",
            Self::Events(_) => "follow_task",
            Self::Images(_) => "list_migrated_images",
            Self::Cancel(_) => "cancel_task",
            Self::Resume(_) => "resume_task",
            Self::Collect => "start_collection",
            Self::LastCollection => "show_last_collection",
            Self::Check => "start_check",
        }
    }

    fn needs(&self) -> Need<'_> {
        match self {
            Self::List | Self::Show(_) | Self::Events(_) | Self::Images(_) | Self::Cancel(_) => Need::Tasks,
            Self::Resume(_) => Need::MayUnlessOpen(Permission::MIGRATE_TASK),
            Self::Collect | Self::LastCollection | Self::Check => Need::May(Permission::ADMIN),
        }
    }

    fn methods(&self) -> Methods {
        match self {
            Self::List | Self::Show(_) | Self::Events(_) | Self::Images(_) => Methods::READ,
            Self::Cancel(_) => CANCEL,
            Self::Resume(_) => RESUME,
            Self::Collect | Self::LastCollection => COLLECTION,
            Self::Check => CHECK,
        }
    }

    fn serve(self, granted: Granted) -> Answering {
        Box::pin(async move {
            match self {
                Self::List => list(&granted),
                Self::Show(id) => granted.resource(&find(&granted, id)?.shown()),
                Self::Events(id) => events(&granted, id),
                Self::Images(id) => images(&granted, id),
                Self::Cancel(id) => cancel(&granted, id).await,
                Self::Resume(id) => migration::resume(granted, id).await,
                Self::Collect => collect(granted).await,
                Self::LastCollection => last_collection(&granted).await,
                Self::Check => check(granted).await,
            }
        })
    }
}

/// A task of either kind.
enum AnyTask {
    /// One that lives in memory.
    Known(TaskState),
    Migration(Arc<MigrationState>),
}

impl AnyTask {
    fn id(&self) -> Ulid {
        match self {
            Self::Known(state) => state.id,
            Self::Migration(state) => state.id,
        }
    }

    fn owner(&self) -> Option<&str> {
        match self {
            Self::Known(state) => state.owner.as_deref(),
            Self::Migration(state) => state.owner.as_deref(),
        }
    }

    fn shown(&self) -> Task {
        match self {
            Self::Known(state) => task(state),
            Self::Migration(state) => state.task(),
        }
    }
}

fn list(granted: &Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let page = granted.page_query()?;
    let state = &granted.request.state;
    let known = state.tasks.all().into_iter().map(AnyTask::Known);
    let mut all: Vec<AnyTask> = known.chain(state.migrations.all().into_iter().map(AnyTask::Migration)).collect();
    all.sort_by_key(|task| std::cmp::Reverse(task.id()));
    // Newest first: a page continues below the last id.
    let last = page.last.as_deref().and_then(|last| last.parse::<Ulid>().ok());
    let visible = all.into_iter().filter(|task| is_visible_to(granted, task.owner()));
    let rest = visible.filter(|task| last.is_none_or(|last| task.id() < last)).map(|task| task.shown());
    granted.list(&reply::first_of(rest, page.n, |task: &Task| task.id.clone()))
}

/// A task that the caller may see: their own, and for administrators all.
fn find(granted: &Granted, id: Ulid) -> Result<AnyTask, ServiceError> {
    let state = &granted.request.state;
    let known = state.tasks.follow(id).map(|follow| AnyTask::Known(follow.borrow().clone()));
    let task = known.or_else(|| state.migrations.get(id).map(AnyTask::Migration));
    task.filter(|task| is_visible_to(granted, task.owner())).ok_or_else(|| ApiError::NotFound.into())
}

/// Whether the caller may see a task of this owner. Without authentication, only callers on this machine see any.
pub(super) fn is_visible_to(granted: &Granted, owner: Option<&str>) -> bool {
    if granted.request.live.identity.is_nobody() {
        return granted.is_from_here();
    }
    let user = granted.who().subject.name();
    (user.is_some() && owner == user) || granted.has(Permission::ADMIN)
}

/// Server-sent events: one for each change, until the task has ended.
fn events(granted: &Granted, id: Ulid) -> Result<Response<ResponseBody>, ServiceError> {
    let response = match find(granted, id)? {
        AnyTask::Migration(state) => Response::new(ResponseBody::streaming(events_of_migration(state))),
        AnyTask::Known(_) => {
            let follow = granted.request.state.tasks.follow(id).ok_or(ApiError::NotFound)?;
            Response::new(ResponseBody::streaming(events_of_task(follow)))
        }
    };
    let mut response = response;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // nginx collects a response by default, and would deliver all events at the end.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

fn events_of_task(follow: watch::Receiver<TaskState>) -> impl Stream<Item = String> {
    stream::unfold((follow, true, false), |(mut follow, is_first, is_over)| async move {
        if is_over || (!is_first && follow.changed().await.is_err()) {
            return None;
        }
        let state = follow.borrow_and_update().clone();
        let is_over = state.phase != TaskPhase::Running;
        Some((event(&task(&state)), (follow, false, is_over)))
    })
}

fn events_of_migration(state: Arc<MigrationState>) -> impl Stream<Item = String> {
    let follow = state.follow();
    stream::unfold((state, follow, true, false), |(state, mut follow, is_first, is_over)| async move {
        if is_over || (!is_first && follow.changed().await.is_err()) {
            return None;
        }
        follow.mark_unchanged();
        // In this order: what ends after the first look is seen by the second.
        let is_over = !state.is_open();
        Some((event(&state.task()), (state, follow, false, is_over)))
    })
}

fn event(task: &Task) -> String {
    format!("data: {}\n\n", json!(task))
}

/// The images of a migration.
fn images(granted: &Granted, id: Ulid) -> Result<Response<ResponseBody>, ServiceError> {
    let state = migration::find(granted, id).ok_or(ApiError::NotFound)?;
    let page = granted.page_query()?;
    let query = Query::parse(granted.request.head.uri.query().unwrap_or_default());
    let status = match query.one("status")? {
        None => None,
        Some(word) => {
            let known = ImageStatus::ALL.into_iter().find(|status| status.as_str() == word);
            let problem = || FieldProblem::new("status", "is not a state of an image");
            Some(known.ok_or_else(|| ApiError::invalid(problem()))?)
        }
    };
    let after = page.last.as_deref().and_then(|last| last.parse::<usize>().ok());
    let found = state.images(after, page.n.saturating_add(1), status);
    let next = found.len().checked_sub(2).filter(|_| found.len() > page.n).map(|last| found[last].0.to_string());
    let items = found.into_iter().take(page.n).map(|(_, image)| image).collect();
    granted.list(&Page { items, next, total: None })
}

async fn cancel(granted: &Granted, id: Ulid) -> Result<Response<ResponseBody>, ServiceError> {
    let state = &granted.request.state;
    let is_cancelled = match find(granted, id)? {
        AnyTask::Known(_) => state.tasks.cancel(id),
        AnyTask::Migration(migration) => state.migrations.cancel(&migration).await,
    };
    match is_cancelled {
        true => reply::json(StatusCode::ACCEPTED, &find(granted, id)?.shown()),
        false => Err(ApiError::Ambiguous("the task has ended already".to_owned()).into()),
    }
}

async fn collect(mut granted: Granted) -> Result<Response<ResponseBody>, ServiceError> {
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
        let place = CollectionStep::ALL.iter().position(|known| *known == step).unwrap_or_default();
        self.0.at(step.as_str().trim_end_matches(':'), done, (place * 100 / CollectionStep::ALL.len()) as u8);
    }
}

async fn last_collection(granted: &Granted) -> Result<Response<ResponseBody>, ServiceError> {
    match granted.registry().last_report().await? {
        Some(report) => granted.resource(&report),
        None => Err(ApiError::NotFound.into()),
    }
}

async fn check(mut granted: Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let CheckRequest { read_data, bytes_per_second, repair } = granted.read_json_or_default().await?;
    let Some(files) = granted.request.state.files.clone() else { return Err(ApiError::NotFound.into()) };
    let read = read_data.then_some(PoolPart::WHOLE);
    let options = FsckOptions { read, bytes_per_second, repair, ..FsckOptions::default() };
    start(&granted, "check", |progress| async move {
        let checked = tokio::task::spawn_blocking(move || run_check(&files, &options, progress)).await;
        checked.map_err(|error| error.to_string())
    })
}

fn run_check(files: &Arc<Fs>, options: &FsckOptions, progress: TaskProgress) -> Value {
    let mut watch = CheckWatch { progress, findings: Vec::new() };
    let summary = fsck::check(&files.survey(), options, &mut watch);
    json!({ "summary": summary, "findings": watch.findings })
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

fn task(state: &TaskState) -> Task {
    let (status, error) = match &state.phase {
        TaskPhase::Running => (TaskStatus::Running, None),
        TaskPhase::Completed => (TaskStatus::Completed, None),
        TaskPhase::Failed(why) => (TaskStatus::Failed, Some(why.clone())),
        TaskPhase::Cancelled => (TaskStatus::Cancelled, None),
    };
    Task {
        id: state.id.to_string(),
        kind: state.kind.to_owned(),
        owner: state.owner.clone(),
        status,
        progress: state.percent,
        step: state.step.map(|(step, _)| step.to_owned()),
        step_done: state.step.map(|(_, done)| done),
        error,
        start_time: rfc3339(state.started),
        end_time: state.ended.map(rfc3339),
        stats: state.result.clone(),
        migration: None,
    }
}
