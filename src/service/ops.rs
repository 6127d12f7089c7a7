//! Health, readiness and metrics.

use super::{Face, answer::json as json_body, body::Body, error::Error, gate::Granted};
use crate::config::Live;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

/// The process is there and its reactor turns. Never touches the storage: a hung disk is no
/// reason to be restarted.
pub(super) fn health() -> Response<Body> {
    answer(StatusCode::OK, json!({ "status": "healthy" }))
}

/// Ready means that images can be pulled. That nothing can be pushed is told, and is no reason to
/// take the registry away from those who pull.
pub(super) async fn ready(granted: Granted) -> Result<Response<Body>, Error> {
    let state = &granted.request.state;
    let draining = state.draining.load(Ordering::Acquire);
    let readiness = state.registry.readiness().await;
    let ok = readiness.pull && !draining;
    let status = if ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let word = if ok { "ready" } else { "unavailable" };
    let told = match state.face == Face::Registry || !granted.sees_inside {
        // The detail is for the admin address, and for those who may know.
        true => json!({ "status": word }),
        false => json!({
            "status": word,
            "draining": draining,
            "pull": readiness.pull,
            "push": readiness.push,
            "reason": readiness.reason,
            "config": config(&granted.request.live),
        }),
    };
    Ok(answer(status, told))
}

/// Which generation is in force, and what is wrong with the files since.
fn config(live: &Live) -> Value {
    let mut told = json!({ "generation": live.number, "current": live.stale.is_none() });
    if let Some(stale) = &live.stale {
        told["stale_seconds"] = json!(stale.since.elapsed().unwrap_or_default().as_secs());
        told["problems"] = stale.problems.0.iter().map(ToString::to_string).collect();
    }
    told
}

/// Counters in the Prometheus text format.
pub(super) async fn metrics(granted: Granted) -> Result<Response<Body>, Error> {
    let state = &granted.request.state;
    let ready = state.registry.readiness().await.pull && !state.draining.load(Ordering::Acquire);
    let collected = state.registry.collected().await;
    let scrubbed = state.registry.scrubbed().await;
    let text = state.telemetry.render(&state.registry, ready, &collected, &scrubbed, &granted.request.live);
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
