//! Health, readiness and metrics.

use super::{
    Face, answer::json as json_body, body::Body, error::Error, gate::Granted, routed::Sight, telemetry::Current,
};
use crate::{auth::Passwords, config::Live};
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

/// The process serves. Never touches the storage: a hung disk is no reason for a restart.
pub(super) fn health() -> Response<Body> {
    answer(StatusCode::OK, json!({ "status": "healthy" }))
}

/// Ready means that images can be pulled. If nothing can be pushed, the detail says so; that is no
/// reason to stop those who pull.
pub(super) async fn ready(granted: Granted) -> Result<Response<Body>, Error> {
    let state = &granted.request.state;
    let draining = state.draining.load(Ordering::Acquire);
    let readiness = state.registry.readiness().await;
    let ok = readiness.pull && !draining;
    let status = if ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let word = if ok { "ready" } else { "unavailable" };
    let sight = match state.face {
        // The detail is on the admin address.
        Face::Registry => Sight::Word,
        Face::Everything | Face::Admin => granted.sight,
    };
    let read_only = granted.request.live.operator.read_only;
    let reason = match &readiness.reason {
        Some(reason) if sight == Sight::Inside => Some(reason.detail.as_str()),
        Some(reason) => Some(reason.summary),
        None => read_only.then_some("the registry is read-only (operator.read_only)"),
    };
    let told = match sight {
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
    Ok(answer(status, told))
}

/// Which configuration is in force, and what is wrong with the files since. Problems name paths and users.
fn config(live: &Live, sight: Sight) -> Value {
    let mut told = json!({ "generation": live.number, "current": live.stale.is_none() });
    if let Some(stale) = &live.stale {
        told["stale_seconds"] = json!(stale.since.elapsed().unwrap_or_default().as_secs());
        told["problems"] = match sight {
            Sight::Inside => stale.problems.0.iter().map(ToString::to_string).collect(),
            Sight::State | Sight::Word => json!(stale.problems.0.len()),
        };
    }
    told
}

/// Counters in the Prometheus text format.
pub(super) async fn metrics(granted: Granted) -> Result<Response<Body>, Error> {
    let state = &granted.request.state;
    let readiness = state.registry.readiness().await;
    let text = state.telemetry.render(&Current {
        registry: granted.registry(),
        live: &granted.request.live,
        ready: readiness.pull && !state.draining.load(Ordering::Acquire),
        readiness: &readiness,
        // A storage that does not answer would hold up the metrics; its readiness says so.
        room: if readiness.pull { granted.registry().room().await.ok().flatten() } else { None },
        collected: &state.registry.collected().await,
        scrubbed: &state.registry.scrubbed().await,
        failed_logins: state.login.passwords().map_or(0, Passwords::failed),
    });
    let mut response = Response::new(Body::from(text));
    let media_type = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, media_type);
    Ok(response)
}

fn answer(status: StatusCode, told: Value) -> Response<Body> {
    let mut response = json_body(told.to_string(), "application/json");
    *response.status_mut() = status;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
