//! Tasks: long work that somebody asked for or that the registry does by itself, and how far it is.

mod endpoint;
mod events;
mod work;

pub(super) use endpoint::OPERATIONS;
pub use endpoint::TaskEndpoint;

use super::{
    super::{
        error::{ApiError, ServiceError},
        gate::Granted,
        query::Query,
    },
    migration,
    reply::{self, rfc3339},
};
use crate::{
    jobs::{TaskPhase, TaskState},
    migration::MigrationState,
    who::Permission,
    wire::ResponseBody,
};
use api::{
    FieldProblem, Page,
    migration::ImageStatus,
    tasks::{Task, TaskStatus},
};
use http::{Response, StatusCode};
use std::sync::Arc;
use ulid::Ulid;

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
    granted.list(&Page::new(items, next))
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
