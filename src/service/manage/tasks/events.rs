//! The changes of a task as server-sent events.

use super::{
    super::super::{
        error::{ApiError, ServiceError},
        gate::Granted,
    },
    AnyTask, find, task,
};
use crate::{
    jobs::{TaskPhase, TaskState},
    migration::MigrationState,
    wire::ResponseBody,
};
use api::tasks::Task;
use futures_util::{Stream, stream};
use http::{HeaderValue, Response, header};
use serde_json::json;
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;
use ulid::Ulid;

/// How long a stream says nothing. Proxies close connections that are silent for a minute, and clients want to know
/// whether the registry is still there.
const QUIET: Duration = Duration::from_secs(15);

/// A comment, which clients leave out.
const ALIVE: &str = ": nothing has changed\n\n";

/// Server-sent events: one for each change, until the task has ended.
pub(super) fn follow(granted: &Granted, id: Ulid) -> Result<Response<ResponseBody>, ServiceError> {
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
        if is_over {
            return None;
        }
        match changed(is_first, follow.changed()).await {
            FollowedChange::Gone => return None,
            FollowedChange::None => return Some((ALIVE.to_owned(), (follow, false, false))),
            FollowedChange::Some => {}
        }
        let state = follow.borrow_and_update().clone();
        let is_over = state.phase != TaskPhase::Running;
        Some((event(&task(&state)), (follow, false, is_over)))
    })
}

fn events_of_migration(state: Arc<MigrationState>) -> impl Stream<Item = String> {
    let follow = state.follow();
    stream::unfold((state, follow, true, false), |(state, mut follow, is_first, is_over)| async move {
        if is_over {
            return None;
        }
        match changed(is_first, follow.changed()).await {
            FollowedChange::Gone => return None,
            FollowedChange::None => return Some((ALIVE.to_owned(), (state, follow, false, false))),
            FollowedChange::Some => {}
        }
        follow.mark_unchanged();
        // In this order: what ends after the first look is seen by the second.
        let is_over = !state.is_open();
        Some((event(&state.task()), (state, follow, false, is_over)))
    })
}

/// What became of the wait for a change.
enum FollowedChange {
    Some,
    /// Nothing for a while.
    None,
    /// There will be none.
    Gone,
}

/// Waits for a change; the first state is one.
async fn changed<E>(is_first: bool, change: impl Future<Output = Result<(), E>>) -> FollowedChange {
    if is_first {
        return FollowedChange::Some;
    }
    match tokio::time::timeout(QUIET, change).await {
        Ok(Ok(())) => FollowedChange::Some,
        Ok(Err(_)) => FollowedChange::Gone,
        Err(_) => FollowedChange::None,
    }
}

fn event(task: &Task) -> String {
    format!("data: {}\n\n", json!(task))
}
