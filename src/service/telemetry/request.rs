//! Logs one line and updates the counters for each request, after the last byte of its response.

use super::{
    Served, Telemetry,
    recent::{KeptRequest, RequestTexts},
    transfers::{Transfer, TransferEnd},
};
use crate::{
    config::Live,
    service::{
        ServiceState,
        endpoint::Endpoint,
        error::ServiceError,
        routed::{Caller, Proof},
    },
    who::Subject,
    wire::{BoxError, ResponseBody, conn::Conn, request::CountBytes},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::{Frame, SizeHint};
use oci::{Reference, RepositoryName};
use std::{
    net::IpAddr,
    pin::Pin,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant, SystemTime},
};
use tracing::field::display;

/// The longest request id accepted from a client, in bytes.
const LONGEST_ID: usize = 64;

/// The longest user agent that is logged, in bytes.
const LONGEST_AGENT: usize = 256;

/// What is known of a request so far; logs it when dropped.
pub(in crate::service) struct Observation {
    telemetry: Arc<Telemetry>,
    id: Box<str>,
    client: Option<IpAddr>,
    caller: Subject,
    auth: Proof,
    /// The start of the user agent. A copy: a slice of the header would keep the whole head in memory.
    agent: Option<Box<str>>,
    method: &'static str,
    endpoint: &'static str,
    repository: Option<RepositoryName>,
    reference: Option<Reference>,
    /// Bytes of the request's body received; unset without a body.
    received: Option<Arc<Received>>,
    status: Option<StatusCode>,
    /// Why it was refused.
    reason: Option<Box<str>>,
    sent: u64,
    expected: u64,
    started: Instant,
    /// What it does with a blob.
    transfer: Option<Transfer>,
    /// Not among the latest requests.
    is_passing: bool,
}

/// Counts the bytes of a request's body.
pub(in crate::service) struct Received {
    telemetry: Arc<Telemetry>,
    bytes: AtomicU64,
}

impl CountBytes for Received {
    fn count(&self, bytes: usize) {
        self.telemetry.received(bytes);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl Observation {
    /// Starts observing a request.
    pub(in crate::service) fn begin<B>(state: &ServiceState, live: &Live, request: &Request<B>) -> Self {
        let peer = request.extensions().get::<Conn>().map(|conn| conn.peer);
        state.telemetry.in_flight.inc();
        Self {
            telemetry: state.telemetry.clone(),
            id: request_id(request.headers()),
            client: state.proxies(live).client(peer, request.headers()),
            caller: Subject::Anonymous,
            auth: Proof::None,
            agent: request.headers().get(header::USER_AGENT).map(agent),
            method: method(request.method()),
            endpoint: "unknown",
            repository: None,
            reference: None,
            received: None,
            status: None,
            reason: None,
            sent: 0,
            expected: 0,
            started: Instant::now(),
            transfer: None,
            is_passing: false,
        }
    }

    /// The client's address, as far as the peer is trusted.
    pub(in crate::service) fn client(&self) -> Option<IpAddr> {
        self.client
    }

    /// Starts counting the bytes of its body.
    pub(in crate::service) fn receiving(&mut self) -> Arc<Received> {
        let received = Arc::new(Received { telemetry: self.telemetry.clone(), bytes: AtomicU64::new(0) });
        self.received = Some(received.clone());
        received
    }

    /// Records the endpoint.
    pub(in crate::service) fn routed(&mut self, endpoint: &Endpoint) {
        self.endpoint = endpoint.name();
        self.repository = match endpoint {
            Endpoint::Pages(page) => page.repository().cloned(),
            endpoint => endpoint.repository().cloned(),
        };
        self.reference = endpoint.reference();
        self.transfer = Transfer::of(endpoint, self.method);
        if let Some(transfer) = self.transfer {
            self.telemetry.transfers.begin(transfer);
        }
        // Monitoring asks all the time, and stylesheets belong to their pages.
        self.is_passing = match endpoint {
            Endpoint::Ops(_) => true,
            Endpoint::Pages(page) => page.is_asset(),
            _ => false,
        };
    }

    /// Records that it is a preflight.
    pub(in crate::service) fn is_preflight(&mut self) {
        self.endpoint = "preflight";
        self.is_passing = true;
    }

    /// Records the caller.
    pub(in crate::service) fn authenticated(&mut self, who: &Caller) {
        self.caller = who.subject.clone();
        self.auth = who.proof;
    }

    /// Records why it failed. Internal failures are logged with details that the client does not get.
    pub(in crate::service) fn failed(&mut self, error: &ServiceError) {
        let row = error.row();
        self.telemetry.refused(row.code);
        let (id, endpoint) = (&self.id, self.endpoint);
        let (repository, reference) = (self.repository.as_ref().map(display), self.reference.as_ref().map(display));
        if row.status.is_server_error() {
            tracing::error!(id, endpoint, repository, reference, %error, "request failed");
        } else {
            tracing::debug!(id, endpoint, repository, reference, %error, "request refused");
            self.reason = Some(error.to_string().into());
        }
    }

    /// Logs a panic of its handler.
    pub(in crate::service) fn panicked(&self) {
        self.telemetry.panics.inc();
        tracing::error!(id = self.id, endpoint = self.endpoint, "request handler panicked");
    }

    /// The id.
    pub(in crate::service) fn id_text(&self) -> &str {
        &self.id
    }

    /// The id, for the response.
    pub(in crate::service) fn id(&self) -> HeaderValue {
        crate::service::headers::value(&self.id)
    }

    /// Records the response; the rest is logged when the body has been sent.
    pub(in crate::service) fn answered(mut self, mut response: Response<ResponseBody>) -> Response<Observed> {
        // The token service authenticates its callers itself.
        if let Some(who) = response.extensions_mut().remove::<Caller>() {
            self.authenticated(&who);
        }
        self.status = Some(response.status());
        self.expected = response.body().len();
        response.map(|body| Observed { body, observation: self })
    }

    /// Adds it to the latest requests, at the end.
    fn keep(&self, status: u16, received: u64, took: Duration) {
        let texts = RequestTexts {
            id: &self.id,
            user: self.caller.name(),
            repository: self.repository.as_ref().map(RepositoryName::as_str),
            reference: self.reference.as_ref().map(Reference::as_str),
            reason: self.reason.as_deref(),
            agent: self.agent.as_deref(),
        };
        self.telemetry.recent.keep(|memory| KeptRequest {
            began: SystemTime::now().checked_sub(took).unwrap_or(SystemTime::UNIX_EPOCH),
            client: self.client,
            auth: self.auth.as_str(),
            method: self.method,
            endpoint: self.endpoint,
            status,
            received,
            sent: self.sent,
            took,
            texts: memory.rewritten(texts),
            number: 0,
        });
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        let took = self.started.elapsed();
        // 499 as in nginx: the client closed the connection before the response.
        let code = self.status.map_or(499, |status| status.as_u16());
        let is_cut = self.status.is_none() || self.sent < self.expected;
        let received = self.received.as_ref().map_or(0, |received| received.bytes.load(Ordering::Relaxed));
        let (method, auth) = (self.method, self.auth.as_str());
        let served = Served { endpoint: self.endpoint, method, code, auth };
        self.telemetry.served(&served, took.as_secs_f64());
        if let Some(transfer) = self.transfer {
            let end = TransferEnd { status: code, is_cut, received, sent: self.sent, took };
            self.telemetry.transfers.end(transfer, &end);
        }
        tracing::info!(
            id = self.id,
            client = self.client.map(display),
            user = self.caller.name().unwrap_or("anonymous"),
            auth,
            method,
            endpoint = self.endpoint,
            repository = self.repository.as_ref().map(RepositoryName::as_str),
            reference = self.reference.as_ref().map(Reference::as_str),
            status = code,
            bytes_in = received,
            bytes_out = self.sent,
            cut = is_cut.then_some(true),
            ms = (took.as_secs_f64() * 1e5).round() / 1e2,
            agent = self.agent.as_deref(),
            reason = self.reason.as_deref(),
            "request"
        );
        if !self.is_passing {
            self.keep(code, received, took);
        }
    }
}

/// The start of a user agent.
fn agent(value: &HeaderValue) -> Box<str> {
    let bytes = value.as_bytes();
    String::from_utf8_lossy(&bytes[..bytes.len().min(LONGEST_AGENT)]).into()
}

/// The method's name in logs and metrics.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

/// The id sent by the client or a proxy if it is safe to log, else a new one.
fn request_id(headers: &HeaderMap) -> Box<str> {
    let harmless = |id: &&str| {
        !id.is_empty()
            && id.len() <= LONGEST_ID
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    let given = headers.get("x-request-id").and_then(|id| id.to_str().ok()).filter(harmless);
    given.map_or_else(fresh_id, Box::from)
}

/// An id that is unique in this run and very probably across runs. It is not secret.
fn fresh_id() -> Box<str> {
    static START: LazyLock<u64> = LazyLock::new(|| uuid::Uuid::new_v4().as_u64_pair().0);
    static REQUESTS: AtomicU64 = AtomicU64::new(0);
    /// Odd, so that all multiples differ, and large, so that consecutive ids look different.
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    let n = REQUESTS.fetch_add(1, Ordering::Relaxed);
    format!("{:016x}", START.wrapping_add(n.wrapping_mul(STEP))).into()
}

/// A response body whose bytes are counted.
pub struct Observed {
    body: ResponseBody,
    observation: Observation,
}

impl http_body::Body for Observed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        match &frame {
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
                self.observation.sent += bytes;
                self.observation.telemetry.sent(bytes);
            }
            Poll::Ready(Some(Err(error))) => {
                tracing::error!(id = self.observation.id, %error, "response ended before its last byte");
            }
            _ => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
