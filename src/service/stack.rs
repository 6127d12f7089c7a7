//! The pipeline every request passes, top to bottom.

use super::{
    ServiceState,
    compression::Compression,
    cors::Cors,
    endpoint::{Endpoint, dispatch},
    error::ServiceError,
    gate::{authenticate, authorize, route},
    headers::value,
    manage::{AuditDraft, ChangedContent},
    routed::RequestId,
    telemetry::{Observation, Observed},
};
use crate::{
    config::Live,
    wire::{RequestBody, ResponseBody, conn::Conn, outbox::Outbox},
};
use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body as _;
use std::{convert::Infallible, panic::AssertUnwindSafe, sync::Arc};
use tower::util::BoxCloneSyncService;

/// The registry as a service: servers serve it, and tests call it without a socket.
pub type App = BoxCloneSyncService<Request<RequestBody>, Response<Observed>, Infallible>;

/// Creates the service.
pub fn app(state: Arc<ServiceState>) -> App {
    BoxCloneSyncService::new(tower::service_fn(move |request| serve(state.clone(), request)))
}

async fn serve(state: Arc<ServiceState>, request: Request<RequestBody>) -> Result<Response<Observed>, Infallible> {
    // Outermost, so that every request is counted and logged, whatever its result.
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
    // After errors are rendered: these headers belong on every response.
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

/// Answers a request; every error becomes a response.
async fn answer(
    state: Arc<ServiceState>,
    live: Arc<Live>,
    request: Request<RequestBody>,
    observation: &mut Observation,
) -> Response<ResponseBody> {
    // A panic ends only this request, with an internal error.
    let outbox = request.extensions().get::<Conn>().map(|conn| conn.outbox.clone());
    let format = Endpoint::error_format(&request, observation.id_text());
    let handled = AssertUnwindSafe(handle(state, live, request, observation)).catch_unwind().await;
    match handled.map(|answered| answered.and_then(|response| counted(response, outbox.as_deref()))) {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            observation.failed(&error);
            error.response(format)
        }
        Err(_) => {
            observation.panicked();
            ServiceError::Panicked.response(format)
        }
    }
}

/// A response whose bytes in memory are counted until the client has received them.
fn counted(
    mut response: Response<ResponseBody>,
    outbox: Option<&Outbox>,
) -> Result<Response<ResponseBody>, ServiceError> {
    if let Some(outbox) = outbox {
        let body = std::mem::take(response.body_mut());
        *response.body_mut() = body.counted(outbox.share())?;
    }
    Ok(response)
}

/// Parses, authenticates, authorizes and dispatches a request; the types of the gates allow no other order.
async fn handle(
    state: Arc<ServiceState>,
    live: Arc<Live>,
    request: Request<RequestBody>,
    observation: &mut Observation,
) -> Result<Response<ResponseBody>, ServiceError> {
    // A silent client must not hold a session, a file descriptor and memory forever.
    let allowed = state.limits.upload_stall;
    let request = request.map(|body| match body.is_end_stream() {
        true => body,
        false => body.stalling_after(allowed).counted_by(observation.receiving()),
    });
    let routed = route(state, live, observation.client(), request)?;
    observation.routed(&routed.endpoint);
    let authenticated = authenticate(routed).await?;
    observation.authenticated(authenticated.who());
    let mut granted = authorize(authenticated).await?;
    if let Endpoint::Manage(_) | Endpoint::Pages(_) = &granted.request.endpoint {
        granted.request.head.extensions.insert(RequestId(observation.id()));
    }
    let changes = granted
        .changes_content()
        .then(|| (granted.request.state.seen.clone(), ChangedContent::by(&granted.request.endpoint)));
    let compression = Compression::of(&granted);
    let answered = match AuditDraft::of(&granted) {
        Some(draft) => draft.record(dispatch(granted)).await,
        None => dispatch(granted).await,
    };
    if let (Some((seen, changed)), Ok(_)) = (changes, &answered) {
        seen.changed(changed);
    }
    compression.applied(answered?).await
}

/// Turns a response into one for HEAD: no body, but the length a GET would have, which hyper does not add.
fn without_body(response: &mut Response<ResponseBody>) {
    let len = response.body().size_hint().exact();
    if matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return;
    }
    // Of what is made while it is sent, the length may not be known.
    if let Some(len) = len {
        response.headers_mut().entry(header::CONTENT_LENGTH).or_insert_with(|| len.into());
    }
    *response.body_mut() = ResponseBody::default();
}

const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

fn common_headers(headers: &mut HeaderMap, id: HeaderValue, tls: bool) {
    let fixed = HeaderValue::from_static;
    // Old clients recognize a version 2 registry by it.
    headers.insert(API_VERSION, fixed("registry/2.0"));
    headers.insert(REQUEST_ID, id);
    // Content is untrusted: a browser must not guess its type, nor send its URL to other sites.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, fixed("nosniff"));
    headers.entry(header::REFERRER_POLICY).or_insert(fixed("no-referrer"));
    if tls {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, fixed("max-age=31536000"));
    }
}
