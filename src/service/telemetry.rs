//! The daemon's counters and metrics.

mod cache;
mod collection;
mod config;
mod jobs;
mod mirrors;
mod outbox;
mod recent;
mod request;
mod room;
mod scrub;
mod store;
mod transfers;

pub(super) use recent::KeptRequest;
pub(super) use request::{Observation, Observed};

use crate::{
    config::Live,
    jobs::JobStatus,
    mirror::MirrorCounts,
    registry::{Readiness, Registry, Room},
    storage::outbox::OutboxStatus,
    upkeep::{Collected, Scrubbed},
};
use api::activity::ActivityReport;
use cache::CacheMetrics;
use collection::CollectionMetrics;
use config::ConfigMetrics;
use jobs::JobMetrics;
use mirrors::MirrorMetrics;
use outbox::OutboxMetrics;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry as Collector,
};
use recent::RecentRequests;
use room::RoomMetrics;
use scrub::ScrubMetrics;
use std::time::{Instant, SystemTime};
use store::Store;
use transfers::{PassedBytes, Transfers};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Served {
    endpoint: &'static str,
    method: &'static str,
    code: u16,
    auth: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Of {
    endpoint: &'static str,
}

/// An error's code, as the client sees it.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Refused {
    error: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Direction {
    direction: &'static str,
}

/// The daemon's counters. No label contains a repository or a user, because many people can read metrics.
pub struct Telemetry {
    requests: Family<Served, Counter>,
    errors: Family<Refused, Counter>,
    failed_logins: Counter,
    seconds: Family<Of, Histogram>,
    in_flight: Gauge,
    client_memory: Gauge,
    bytes_in: Counter,
    bytes_out: Counter,
    panics: Counter,
    uploads: Gauge,
    /// Returns the number of dropped log lines.
    dropped: fn() -> u64,
    log_lines_dropped: Counter,
    store: Store,
    room: RoomMetrics,
    outbox: OutboxMetrics,
    mirrors: MirrorMetrics,
    cache: CacheMetrics,
    ready: Gauge,
    config: ConfigMetrics,
    collection: CollectionMetrics,
    scrub: ScrubMetrics,
    jobs: JobMetrics,
    recent: RecentRequests,
    transfers: Transfers,
    collector: Collector,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self::new(|| 0)
    }
}

impl Telemetry {
    /// Creates the counters. `dropped` returns the number of log lines dropped so far.
    pub fn new(dropped: fn() -> u64) -> Self {
        let mut collector = Collector::with_prefix("wharfinger");
        let requests = Family::<Served, Counter>::default();
        let seconds = Family::<Of, Histogram>::new_with_constructor(|| {
            Histogram::new([0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0, 600.0])
        });
        let bytes = Family::<Direction, Counter>::default();
        let bytes_in = bytes.get_or_create_owned(&Direction { direction: "in" });
        let bytes_out = bytes.get_or_create_owned(&Direction { direction: "out" });
        let (in_flight, uploads, ready) = (Gauge::default(), Gauge::default(), Gauge::default());
        let client_memory = Gauge::default();
        let (panics, failed_logins, log_lines_dropped) = (Counter::default(), Counter::default(), Counter::default());
        let errors = Family::<Refused, Counter>::default();
        collector.register("http_requests", "Requests answered", requests.clone());
        collector.register(
            "http_request_seconds",
            "Time from the head of a request to the last byte of its response",
            seconds.clone(),
        );
        collector.register("http_requests_in_flight", "Requests in progress", in_flight.clone());
        collector.register("client_memory_bytes", "Bytes held in memory for clients", client_memory.clone());
        collector.register("http_body_bytes", "Bytes of request bodies (in) and of response bodies (out)", bytes);
        collector.register("http_panics", "Requests whose handler panicked", panics.clone());
        collector.register("upload_sessions", "Open upload sessions", uploads.clone());
        collector.register("ready", "1 if images can be pulled", ready.clone());
        collector.register("http_errors", "Requests answered with an error, by its code", errors.clone());
        let help = "Logins with a wrong user name or password";
        collector.register("login_failures", help, failed_logins.clone());
        let help = "Log lines dropped because nobody read the log fast enough";
        collector.register("log_lines_dropped", help, log_lines_dropped.clone());
        let collection = CollectionMetrics::register(&mut collector);
        let scrub = ScrubMetrics::register(&mut collector);
        let jobs = JobMetrics::register(&mut collector);
        let build = Family::<Vec<(&'static str, &'static str)>, Gauge>::default();
        build.get_or_create(&vec![("version", env!("CARGO_PKG_VERSION"))]).set(1);
        collector.register("build_info", "The version that is running", build);
        Self {
            requests,
            errors,
            failed_logins,
            seconds,
            in_flight,
            client_memory,
            bytes_in,
            bytes_out,
            panics,
            uploads,
            dropped,
            log_lines_dropped,
            store: Store::register(&mut collector),
            room: RoomMetrics::register(&mut collector),
            outbox: OutboxMetrics::register(&mut collector),
            mirrors: MirrorMetrics::register(&mut collector),
            cache: CacheMetrics::register(&mut collector),
            ready,
            config: ConfigMetrics::register(&mut collector),
            collection,
            scrub,
            jobs,
            recent: RecentRequests::default(),
            transfers: Transfers::starting(SystemTime::now(), Instant::now()),
            collector,
        }
    }
}

/// Current state that is read when metrics are rendered, not counted here.
pub(super) struct MetricsState<'a> {
    pub(super) registry: &'a Registry,
    pub(super) live: &'a Live,
    /// `/health/ready` answers 200.
    pub(super) ready: bool,
    pub(super) readiness: &'a Readiness,
    pub(super) room: Option<Room>,
    pub(super) outbox: Option<OutboxStatus>,
    pub(super) mirrors: &'a [MirrorCounts],
    pub(super) collected: &'a Collected,
    pub(super) scrubbed: &'a Scrubbed,
    pub(super) jobs: &'a [JobStatus],
    pub(super) failed_logins: u64,
    /// Bytes held in memory for clients.
    pub(super) client_memory: u64,
}

impl Telemetry {
    /// Counts a request whose response has ended, completely sent or not.
    fn served(&self, served: &Served, seconds: f64) {
        self.in_flight.dec();
        self.requests.get_or_create(served).inc();
        self.seconds.get_or_create(&Of { endpoint: served.endpoint }).observe(seconds);
    }

    /// Counts bytes of a request's body.
    fn received(&self, bytes: usize) {
        self.sample();
        self.bytes_in.inc_by(bytes as u64);
    }

    /// Counts bytes of a response's body.
    fn sent(&self, bytes: u64) {
        self.sample();
        self.bytes_out.inc_by(bytes);
    }

    fn sample(&self) {
        let passed = || PassedBytes { received: self.bytes_in.get(), sent: self.bytes_out.get() };
        self.transfers.sample(Instant::now(), passed);
    }

    /// What clients have pushed and pulled. `time` writes times.
    pub(super) fn activity(&self, time: fn(SystemTime) -> String) -> ActivityReport {
        self.sample();
        self.transfers.report(time)
    }

    /// The latest requests, newest first.
    pub(super) fn recent_requests(&self) -> Vec<KeptRequest> {
        self.recent.newest_first()
    }

    /// Counts an error response.
    fn refused(&self, error: &'static str) {
        self.errors.get_or_create(&Refused { error }).inc();
    }

    /// All metrics in the Prometheus text format.
    pub(super) fn render(&self, current: &MetricsState<'_>) -> String {
        self.collection.follow(current.collected);
        self.scrub.follow(current.scrubbed);
        self.jobs.follow(current.jobs);
        self.uploads.set(gauge(current.registry.open_uploads() as u64));
        self.client_memory.set(gauge(current.client_memory));
        let health = current.registry.store_health();
        self.store.set(&health);
        if let Some(cache) = &health.cache {
            self.cache.set(cache);
        }
        self.room.set(current);
        if let Some(outbox) = &current.outbox {
            self.outbox.set(outbox);
        }
        self.mirrors.follow(current.mirrors);
        self.config.set(current.live);
        self.ready.set(i64::from(current.ready));
        follow(&self.failed_logins, current.failed_logins);
        follow(&self.log_lines_dropped, (self.dropped)());
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.collector);
        text
    }
}

/// Converts to the number type of gauges.
fn gauge(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Raises a counter to a total that was counted elsewhere.
fn follow(counter: &Counter, n: u64) {
    counter.inc_by(n.saturating_sub(counter.get()));
}
