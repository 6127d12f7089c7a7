//! Health, readiness and metrics.

mod endpoint;

pub use endpoint::OpsEndpoint;

use super::{
    Face, answer::json as json_body, error::ServiceError, gate::Granted, routed::Sight, telemetry::MetricsState,
};
use crate::{
    config::Live,
    jobs::{JobOutcome, JobStatus},
    wire::ResponseBody,
};
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};
use std::{sync::atomic::Ordering, time::SystemTime};

/// The process is alive. This never touches the storage: a hung disk is not fixed by a restart.
fn health() -> Response<ResponseBody> {
    answer(StatusCode::OK, json!({ "status": "healthy" }))
}

/// Ready means that images can be pulled. If pushes fail, only the detail reports it: pulls must continue.
async fn ready(granted: Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let state = &granted.request.state;
    let draining = state.draining.load(Ordering::Acquire);
    let readiness = state.registry.readiness().await;
    let ok = readiness.pull && !draining;
    let status = if ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let word = if ok { "ready" } else { "unavailable" };
    let sight = match state.face {
        // The details are on the admin address.
        Face::Registry => Sight::Word,
        Face::Everything | Face::Admin => granted.sight,
    };
    let read_only = granted.request.live.operator.read_only;
    let reason = match &readiness.reason {
        Some(reason) if sight == Sight::Inside => Some(reason.detail.as_str()),
        Some(reason) => Some(reason.summary),
        None => read_only.then_some("the registry is read-only (operator.read_only)"),
    };
    let body = match sight {
        Sight::Word => json!({ "status": word }),
        Sight::State | Sight::Inside => json!({
            "status": word,
            "draining": draining,
            "pull": readiness.pull,
            "push": readiness.push && !read_only,
            "reason": reason,
            "config": config(&granted.request.live, sight),
        }),
    };
    let body = match sight {
        Sight::Inside => with_jobs(body, &state.jobs.statuses()),
        Sight::Word | Sight::State => body,
    };
    Ok(answer(status, body))
}

/// What the daemon does by itself, and what became of it. Errors may name paths.
fn with_jobs(mut body: Value, jobs: &[JobStatus]) -> Value {
    body["jobs"] = jobs.iter().map(job).collect();
    body
}

fn job(job: &JobStatus) -> Value {
    // To the second.
    let time = |time: Option<SystemTime>| {
        let since = time?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        jiff::Timestamp::from_second(i64::try_from(since.as_secs()).ok()?).ok().map(|time| time.to_string())
    };
    let (result, error) = match &job.outcome {
        None => (None, None),
        Some(JobOutcome::Done) => (Some("done"), None),
        Some(JobOutcome::Failed(why)) => (Some("failed"), Some(why)),
        Some(JobOutcome::Stopped) => (Some("stopped"), None),
    };
    json!({
        "job": job.name,
        "running": job.running,
        "progress": job.progress.map(|(doing, done)| format!("{doing} {done}")),
        "last_start": time(job.began),
        "last_end": time(job.ended),
        "seconds": job.ended.map(|_| job.took.as_secs_f64()),
        "result": result,
        "error": error,
        "runs": job.runs,
        "failures": job.failures,
    })
}

/// Which configuration is active, and what is wrong with newer versions of the files. Problems contain paths and user
/// names.
fn config(live: &Live, sight: Sight) -> Value {
    let mut body = json!({ "generation": live.number, "current": live.stale.is_none() });
    if let Some(stale) = &live.stale {
        body["stale_seconds"] = json!(stale.since.elapsed().unwrap_or_default().as_secs());
        body["problems"] = match sight {
            Sight::Inside => stale.problems.0.iter().map(ToString::to_string).collect(),
            Sight::State | Sight::Word => json!(stale.problems.0.len()),
        };
    }
    body
}

/// Metrics in the Prometheus text format.
async fn metrics(granted: Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let state = &granted.request.state;
    let readiness = state.registry.readiness().await;
    let text = state.telemetry.render(&MetricsState {
        registry: granted.registry(),
        live: &granted.request.live,
        ready: readiness.pull && !state.draining.load(Ordering::Acquire),
        readiness: &readiness,
        // Storage that does not respond would block the metrics; readiness reports it.
        room: if readiness.pull { granted.registry().room().await.ok().flatten() } else { None },
        outbox: state.outbox.as_ref().map(|outbox| outbox.status()),
        mirrors: &state.mirrors.counts(),
        collected: &state.registry.collection_counters().await,
        scrubbed: &state.registry.scrubbed().await,
        jobs: &state.jobs.statuses(),
        client_memory: granted.request.conn.as_ref().map_or(0, |conn| conn.memory().held_by_all() as u64),
        failed_logins: state.logins.passwords.failed(),
    });
    let mut response = Response::new(ResponseBody::from(text));
    let media_type = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, media_type);
    Ok(response)
}

fn answer(status: StatusCode, body: Value) -> Response<ResponseBody> {
    let mut response = json_body(body.to_string(), "application/json");
    *response.status_mut() = status;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
