//! The column every request runs through, top to bottom.

use super::{
    Body, RequestBody, State,
    conn::Conn,
    cors::Cors,
    distribution::dispatch,
    error::Error,
    gate::{authenticate, authorize, route},
    headers::value,
    stall::StallBody,
    telemetry::{Observation, Observed},
};
use crate::config::Live;
use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt;
use std::{convert::Infallible, panic::AssertUnwindSafe, sync::Arc};
use tower::util::BoxCloneSyncService;

/// The registry as a service: what a server serves, and what a test calls without a socket.
pub type App = BoxCloneSyncService<Request<RequestBody>, Response<Observed>, Infallible>;

/// The registry over this state.
pub fn app(state: Arc<State>) -> App {
    BoxCloneSyncService::new(tower::service_fn(move |request| serve(state.clone(), request)))
}

async fn serve(state: Arc<State>, request: Request<RequestBody>) -> Result<Response<Observed>, Infallible> {
    // Outermost: whatever becomes of the request, it is counted and told of.
    let live = state.live.load_full();
    let mut observation = Observation::begin(&state, &live, &request);
    let is_head = request.method() == Method::HEAD;
    let tls = request.extensions().get::<Conn>().is_some_and(|conn| conn.tls);
    let cors = Cors::of(&state, &live, &request);
    let mut response = match cors.as_ref().and_then(Cors::preflight) {
        Some(allowed) => {
            observation.is_preflight();
            allowed
        }
        None => answer(state, live.clone(), request, &mut observation).await,
    };
    if is_head {
        without_body(&mut response);
    }
    // After errors were rendered: these belong on every answer.
    common_headers(response.headers_mut(), observation.id(), tls);
    if let Some(cors) = cors {
        cors.sign(response.headers_mut());
    }
    if !live.operator.message.is_empty() {
        // distribution-spec, "Warnings".
        response.headers_mut().insert(header::WARNING, value(format!("299 - \"{}\"", live.operator.message)));
    }
    Ok(observation.answered(response))
}

/// From the request to its answer, whatever goes wrong.
async fn answer(
    state: Arc<State>,
    live: Arc<Live>,
    request: Request<RequestBody>,
    observation: &mut Observation,
) -> Response<Body> {
    // A panic ends one request, answered like any other failure of ours.
    match AssertUnwindSafe(handle(state, live, request, observation)).catch_unwind().await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            observation.failed(&error);
            error.response()
        }
        Err(_) => {
            observation.panicked();
            Error::Panicked.response()
        }
    }
}

/// From the request to its answer or its error; the gates' types leave no other order.
async fn handle(
    state: Arc<State>,
    live: Arc<Live>,
    request: Request<RequestBody>,
    observation: &mut Observation,
) -> Result<Response<Body>, Error> {
    // A silent client must not hold a session, a descriptor and memory for ever.
    let allowed = state.limits.upload_stall;
    let request = request.map(|body| match body.is_end_stream() {
        true => body,
        false => {
            let count = observation.receiving();
            let count = move |frame: Frame<Bytes>| {
                count(frame.data_ref().map_or(0, Bytes::len));
                frame
            };
            StallBody::new(body, allowed).map_frame(count).boxed_unsync()
        }
    });
    let routed = route(state, live, observation.client(), request)?;
    observation.routed(&routed.endpoint);
    let authenticated = authenticate(routed).await?;
    observation.authenticated(authenticated.who());
    let granted = authorize(authenticated).await?;
    dispatch(granted).await
}

/// The answer to a HEAD: the length a GET would have, which hyper does not add, and no body.
fn without_body(response: &mut Response<Body>) {
    let len = response.body().len();
    if matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return;
    }
    response.headers_mut().entry(header::CONTENT_LENGTH).or_insert_with(|| len.into());
    *response.body_mut() = Body::default();
}

const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

fn common_headers(headers: &mut HeaderMap, id: HeaderValue, tls: bool) {
    let fixed = HeaderValue::from_static;
    // Old clients tell a registry of version 2 by it.
    headers.insert(API_VERSION, fixed("registry/2.0"));
    headers.insert(REQUEST_ID, id);
    // Content is anybody's: a browser must take it for what it is said to be, and tell nobody of it.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, fixed("nosniff"));
    headers.insert(header::REFERRER_POLICY, fixed("no-referrer"));
    if tls {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, fixed("max-age=31536000"));
    }
}
