//! One log line and a few counters per request, taken when its last byte is gone.

mod collection;
mod scrub;
mod store;

use super::{State, body::Body, body::BoxError, conn::Conn, endpoint::Endpoint};
use crate::{
    config::Live,
    registry::{Collected, Registry, Scrubbed},
};
use bytes::Bytes;
use collection::CollectionMetrics;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body::{Frame, SizeHint};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry as Collector,
};
use scrub::ScrubMetrics;
use std::{
    net::IpAddr,
    pin::Pin,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Instant, UNIX_EPOCH},
};
use store::Store;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Served {
    endpoint: &'static str,
    method: &'static str,
    code: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Of {
    endpoint: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Direction {
    direction: &'static str,
}

/// The daemon's counters. No label names a repository or a user: metrics are read by many.
pub struct Telemetry {
    requests: Family<Served, Counter>,
    seconds: Family<Of, Histogram>,
    in_flight: Gauge,
    bytes_in: Counter,
    bytes_out: Counter,
    panics: Counter,
    uploads: Gauge,
    store: Store,
    ready: Gauge,
    generation: Gauge,
    reloaded: Gauge,
    since: Gauge,
    collection: CollectionMetrics,
    scrub: ScrubMetrics,
    collector: Collector,
}

impl Default for Telemetry {
    fn default() -> Self {
        let mut collector = Collector::with_prefix("wharfinger");
        let requests = Family::<Served, Counter>::default();
        let seconds = Family::<Of, Histogram>::new_with_constructor(|| {
            Histogram::new([0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0, 600.0])
        });
        let bytes = Family::<Direction, Counter>::default();
        let bytes_in = bytes.get_or_create_owned(&Direction { direction: "in" });
        let bytes_out = bytes.get_or_create_owned(&Direction { direction: "out" });
        let (in_flight, uploads, ready) = (Gauge::default(), Gauge::default(), Gauge::default());
        let panics = Counter::default();
        collector.register("http_requests", "Requests answered", requests.clone());
        collector.register(
            "http_request_seconds",
            "From a request's head to its response's last byte",
            seconds.clone(),
        );
        collector.register("http_requests_in_flight", "Requests being served", in_flight.clone());
        collector.register("http_body_bytes", "Bytes of bodies, of requests in and of responses out", bytes);
        collector.register("http_panics", "Requests whose handler panicked", panics.clone());
        collector.register("upload_sessions", "Upload sessions open", uploads.clone());
        collector.register("ready", "1 if images can be pulled", ready.clone());
        let (generation, reloaded, since) = (Gauge::default(), Gauge::default(), Gauge::default());
        collector.register(
            "config_last_reload_success",
            "0 while some configuration files cannot be used and what they said before goes on",
            reloaded.clone(),
        );
        let help = "When all configuration files could be used for the last time, in seconds since 1970";
        collector.register("config_last_reload_success_timestamp_seconds", help, since.clone());
        collector.register(
            "config_generation",
            "Times the configuration has changed since the start",
            generation.clone(),
        );
        let collection = CollectionMetrics::register(&mut collector);
        let scrub = ScrubMetrics::register(&mut collector);
        let build = Family::<Vec<(&'static str, &'static str)>, Gauge>::default();
        build.get_or_create(&vec![("version", env!("CARGO_PKG_VERSION"))]).set(1);
        collector.register("build_info", "The version that is running", build);
        Self {
            requests,
            seconds,
            in_flight,
            bytes_in,
            bytes_out,
            panics,
            uploads,
            store: Store::register(&mut collector),
            ready,
            generation,
            reloaded,
            since,
            collection,
            scrub,
            collector,
        }
    }
}

impl Telemetry {
    /// Bytes of a request's body have come.
    pub(super) fn received(&self, bytes: usize) {
        self.bytes_in.inc_by(bytes as u64);
    }

    /// Everything in the Prometheus text format.
    pub(super) fn render(
        &self,
        registry: &Registry,
        ready: bool,
        collected: &Collected,
        scrubbed: &Scrubbed,
        live: &Live,
    ) -> String {
        self.collection.follow(collected);
        self.scrub.follow(scrubbed);
        self.uploads.set(i64::try_from(registry.open_uploads()).unwrap_or(i64::MAX));
        self.store.set(&registry.store_health());
        self.generation.set(i64::try_from(live.number).unwrap_or(i64::MAX));
        self.reloaded.set(i64::from(live.stale.is_none()));
        let since = live.since.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.since.set(i64::try_from(since).unwrap_or(i64::MAX));
        self.ready.set(i64::from(ready));
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.collector);
        text
    }
}

/// What is known of a request so far; says so when it is dropped.
pub(super) struct Observation {
    telemetry: Arc<Telemetry>,
    id: String,
    client: Option<IpAddr>,
    method: Method,
    endpoint: &'static str,
    repository: Option<String>,
    status: Option<StatusCode>,
    sent: u64,
    expected: u64,
    started: Instant,
}

/// The longest request id taken over from a client.
const LONGEST_ID: usize = 64;

impl Observation {
    /// A request has come.
    pub(super) fn begin<B>(state: &State, live: &Live, request: &Request<B>) -> Self {
        let peer = request.extensions().get::<Conn>().map(|conn| conn.peer);
        state.telemetry.in_flight.inc();
        Self {
            telemetry: state.telemetry.clone(),
            id: request_id(request.headers()),
            client: state.proxies(live).client(peer, request.headers()),
            method: request.method().clone(),
            endpoint: "unknown",
            repository: None,
            status: None,
            sent: 0,
            expected: 0,
            started: Instant::now(),
        }
    }

    /// Where it came from, as far as that can be believed.
    pub(super) fn client(&self) -> Option<IpAddr> {
        self.client
    }

    /// What it asks for is known.
    pub(super) fn routed(&mut self, endpoint: &Endpoint) {
        self.endpoint = endpoint.name();
        self.repository = endpoint.repository().map(ToString::to_string);
    }

    /// It failed through a fault of ours: the log gets what the client does not.
    pub(super) fn failed(&self, error: &super::error::Error) {
        let status = error.row().status;
        if status.is_server_error() {
            tracing::error!(id = self.id, endpoint = self.endpoint, repository = self.repository, %error, "request failed");
        } else {
            tracing::info!(id = self.id, endpoint = self.endpoint, repository = self.repository, %error, "request refused");
        }
    }

    /// Its handler panicked.
    pub(super) fn panicked(&self) {
        self.telemetry.panics.inc();
        tracing::error!(id = self.id, endpoint = self.endpoint, "request handler panicked");
    }

    /// The id, for the response.
    pub(super) fn id(&self) -> HeaderValue {
        super::headers::value(&self.id)
    }

    /// It is answered; the rest is told when the body is gone.
    pub(super) fn answered(mut self, response: Response<Body>) -> Response<Observed> {
        self.status = Some(response.status());
        self.expected = response.body().len();
        response.map(|body| Observed { body, observation: self })
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        let seconds = self.started.elapsed().as_secs_f64();
        // As nginx counts a client that did not wait for its answer.
        let code = self.status.map_or(499, |status| status.as_u16());
        let telemetry = &self.telemetry;
        telemetry.in_flight.dec();
        telemetry.bytes_out.inc_by(self.sent);
        let method = match self.method {
            Method::GET => "GET",
            Method::HEAD => "HEAD",
            Method::POST => "POST",
            Method::PUT => "PUT",
            Method::PATCH => "PATCH",
            Method::DELETE => "DELETE",
            _ => "other",
        };
        telemetry.requests.get_or_create(&Served { endpoint: self.endpoint, method, code }).inc();
        telemetry.seconds.get_or_create(&Of { endpoint: self.endpoint }).observe(seconds);
        tracing::info!(
            id = self.id,
            client = self.client.map(tracing::field::display),
            method,
            endpoint = self.endpoint,
            repository = self.repository,
            status = code,
            bytes = self.sent,
            cut = (self.status.is_none() || self.sent < self.expected).then_some(true),
            ms = (seconds * 1e5).round() / 1e2,
            "request"
        );
    }
}

/// Brings a counter to what somebody else counted.
fn follow(counter: &Counter, n: u64) {
    counter.inc_by(n.saturating_sub(counter.get()));
}

/// The id a client or proxy gave the request, if it is harmless, else a fresh one.
fn request_id(headers: &HeaderMap) -> String {
    let harmless = |id: &&str| {
        !id.is_empty()
            && id.len() <= LONGEST_ID
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    let given = headers.get("x-request-id").and_then(|id| id.to_str().ok()).filter(harmless);
    given.map_or_else(fresh_id, str::to_owned)
}

/// An id no other request of this run has, and hardly one of another run. It is no secret.
fn fresh_id() -> String {
    static START: LazyLock<u64> = LazyLock::new(|| uuid::Uuid::new_v4().as_u64_pair().0);
    static REQUESTS: AtomicU64 = AtomicU64::new(0);
    /// Odd, so that all multiples differ, and large, so that two in a row do not look alike.
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    let n = REQUESTS.fetch_add(1, Ordering::Relaxed);
    format!("{:016x}", START.wrapping_add(n.wrapping_mul(STEP)))
}

/// A response's body, counted.
pub struct Observed {
    body: Body,
    observation: Observation,
}

impl http_body::Body for Observed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        match &frame {
            Poll::Ready(Some(Ok(frame))) => {
                self.observation.sent += frame.data_ref().map_or(0, |data| data.len() as u64);
            }
            Poll::Ready(Some(Err(error))) => {
                tracing::error!(id = self.observation.id, %error, "response cut short");
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
