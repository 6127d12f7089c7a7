//! The requests that object_store makes, over our own HTTP client: time limits, repeated requests, and what answers
//! mean.
//!
//! object_store repeats nothing here: only what sees the answers knows how long a server asks to be left alone. Every
//! request may be repeated: each writes whole objects under names that are used once, or states what it replaces.

use super::fault::{CloudFault, refusal};
use crate::{files::world, storage::objects::ObjectError};
use async_trait::async_trait;
use client::{PlainFault, PlainHttp, PlainLimits};
use http::{Method, Request, Response, StatusCode, Uri, header, request::Parts};
use http_body_util::BodyExt as _;
use object_store::{
    ClientOptions,
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse,
        HttpResponseBody, HttpService,
    },
};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

/// Attempts of one request.
const ATTEMPTS: u32 = 5;

/// No attempt begins after this time.
const PATIENCE: Duration = Duration::from_secs(60);

/// The pause before the second attempt is at most this long, and twice as long before each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The same if the server says that it is asked too much.
const FIRST_PAUSE_IF_BUSY: Duration = Duration::from_millis(500);

/// The longest pause, also if the server asks for more: whoever waits is told to come back instead.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Repeated requests that may be outstanding before others have succeeded: a server that is down is not asked five
/// times as often as one that works.
const BUDGET: i64 = 500;

/// What a repeated request takes from the budget; a success gives one back.
const PRICE: i64 = 5;

/// The most that is read of an answer which explains an error.
const MOST_WORDS: usize = 64 << 10;

/// Time limits of requests.
const LIMITS: PlainLimits = PlainLimits {
    connect: Duration::from_secs(5),
    answer: Duration::from_secs(30),
    stall: Duration::from_secs(20),
    slowest: 128 << 10,
};

/// Hosts that give credentials to this machine. They are not asked through a proxy.
const LOCAL: &[&str] = &["169.254.169.254", "169.254.170.2", "169.254.170.23", "metadata.google.internal", "metadata"];

/// Speaks HTTP for one store.
#[derive(Clone, Debug)]
pub(super) struct Courier(Arc<CourierState>);

#[derive(Debug)]
struct CourierState {
    http: PlainHttp<HttpRequestBody>,
    /// For what gives credentials to this machine.
    local: PlainHttp<HttpRequestBody>,
    budget: AtomicI64,
    sent: AtomicU64,
    /// The time of the store's last answer, by its clock and ours.
    clock: Mutex<Option<(SystemTime, Instant)>>,
    /// The host of the store; it is the clock that counts.
    host: String,
}

/// What to do after an attempt.
enum AttemptOutcome {
    Done(HttpResponse),
    Final(CloudFault),
    Again { error: ObjectError, pause: Option<Duration>, is_busy: bool },
}

impl Courier {
    /// Trusts these authorities (PEM) besides those of the system. `host` is where the store is.
    pub(super) fn new(authorities: &[u8], host: &str) -> Self {
        Self(Arc::new(CourierState {
            http: PlainHttp::new(authorities, true, LIMITS),
            local: PlainHttp::new(&[], false, PlainLimits { answer: Duration::from_secs(5), ..LIMITS }),
            budget: AtomicI64::new(BUDGET),
            sent: AtomicU64::new(0),
            clock: Mutex::default(),
            host: host.to_owned(),
        }))
    }

    /// How many requests were sent so far, repeated ones included.
    pub(super) fn sent(&self) -> u64 {
        self.0.sent.load(Ordering::Relaxed)
    }

    /// The time by the store's clock, if it answered within this time.
    pub(super) fn clock(&self, within: Duration) -> Option<SystemTime> {
        let (date, at) = (*world::lock(&self.0.clock))?;
        let since = at.elapsed();
        (since <= within).then(|| date + since)
    }
}

impl HttpConnector for Courier {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Courier {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        self.0.send(&parts, &body).await.map_err(|fault| HttpError::new(HttpErrorKind::Unknown, fault))
    }
}

impl CourierState {
    async fn send(&self, parts: &Parts, body: &HttpRequestBody) -> Result<HttpResponse, CloudFault> {
        let begun = Instant::now();
        let mut attempt = 1;
        loop {
            let (error, pause, is_busy) = match self.once(parts, body).await {
                AttemptOutcome::Done(response) => {
                    self.pay_back();
                    return Ok(response);
                }
                AttemptOutcome::Final(fault) => return Err(fault),
                AttemptOutcome::Again { error, pause, is_busy } => (error, pause, is_busy),
            };
            let pause = pause.unwrap_or_else(|| jitter(attempt, is_busy));
            if attempt >= ATTEMPTS || pause > LONGEST_PAUSE || begun.elapsed() + pause > PATIENCE || !self.take() {
                return Err(CloudFault::Known(error));
            }
            tracing::debug!(method = %parts.method, attempt, %error, "request to the object store failed; repeating it");
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    fn pay_back(&self) {
        let _ =
            self.budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| (left < BUDGET).then(|| left + 1));
    }

    fn take(&self) -> bool {
        let taken = |left: i64| (left >= PRICE).then(|| left - PRICE);
        self.budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).is_ok()
    }

    async fn once(&self, parts: &Parts, body: &HttpRequestBody) -> AttemptOutcome {
        let mut request = Request::from_parts(parts.clone(), body.clone());
        if matches!(parts.method, Method::PUT | Method::POST) && body.content_length() == 0 {
            request.headers_mut().insert(header::CONTENT_LENGTH, 0.into());
        }
        let host = parts.uri.host().unwrap_or_default();
        let http = if LOCAL.contains(&host) { &self.local } else { &self.http };
        self.sent.fetch_add(1, Ordering::Relaxed);
        let response = match http.send(request).await {
            Ok(response) => response,
            Err(fault) => return AttemptOutcome::Again { error: unavailable(&fault), pause: None, is_busy: false },
        };
        if host.ends_with(&self.host) {
            self.note_time(&response);
        }
        let (head, answer) = response.into_parts();
        let answer = HttpResponseBody::new(
            answer.map_err(|fault| HttpError::new(HttpErrorKind::Interrupted, CloudFault::Known(unavailable(&fault)))),
        );
        match head.status {
            // S3 answers these before it knows how they end.
            status if status.is_success() && ends_late(parts) => match words(answer).await {
                Ok(text) if text.contains("<Error>") => {
                    judge(StatusCode::INTERNAL_SERVER_ERROR, parts, &head.headers, &text)
                }
                Ok(text) => AttemptOutcome::Done(Response::from_parts(head, text.into())),
                Err(error) => AttemptOutcome::Again { error, pause: None, is_busy: false },
            },
            status if status.is_success() || status == StatusCode::NOT_MODIFIED => {
                AttemptOutcome::Done(Response::from_parts(head, answer))
            }
            // HEAD has no words for it.
            StatusCode::NOT_FOUND | StatusCode::PRECONDITION_FAILED => {
                let _ = words(answer).await;
                AttemptOutcome::Done(Response::from_parts(head, HttpResponseBody::from(String::new())))
            }
            status => match words(answer).await {
                Ok(text) => judge(status, parts, &head.headers, &text),
                Err(error) => AttemptOutcome::Again { error, pause: None, is_busy: false },
            },
        }
    }

    fn note_time(&self, response: &Response<client::PlainBody>) {
        let date = response.headers().get(header::DATE).and_then(|date| date.to_str().ok());
        let date = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
        if let Some(date) = date {
            *world::lock(&self.clock) = Some((date.timestamp().into(), Instant::now()));
        }
    }
}

/// Whether an answer with status 200 may still be an error.
fn ends_late(parts: &Parts) -> bool {
    let completes = |uri: &Uri| uri.query().is_some_and(|query| query.contains("uploadId="));
    parts.headers.contains_key("x-amz-copy-source") || (parts.method == Method::POST && completes(&parts.uri))
}

/// What an answer that is no success means for the request.
fn judge(status: StatusCode, parts: &Parts, headers: &http::HeaderMap, text: &str) -> AttemptOutcome {
    let asked = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let pause = asked.map(Duration::from_secs);
    let error = refusal(status, headers, text, pause);
    let is_conditional =
        parts.headers.contains_key(header::IF_MATCH) || parts.headers.contains_key(header::IF_NONE_MATCH);
    match status {
        StatusCode::RANGE_NOT_SATISFIABLE => AttemptOutcome::Final(CloudFault::Range),
        // Azure says by it that the object is there; S3, that somebody else is writing to it.
        StatusCode::CONFLICT if is_conditional && headers.contains_key("x-ms-error-code") => {
            AttemptOutcome::Final(CloudFault::Known(ObjectError::Changed))
        }
        StatusCode::CONFLICT if is_conditional => AttemptOutcome::Again { error, pause, is_busy: false },
        _ => match &error {
            ObjectError::Unavailable { .. } => {
                let is_busy = matches!(status.as_u16(), 429 | 503);
                AttemptOutcome::Again { error, pause, is_busy }
            }
            _ => AttemptOutcome::Final(CloudFault::Known(error)),
        },
    }
}

async fn words(body: HttpResponseBody) -> Result<String, ObjectError> {
    let limited = http_body_util::Limited::new(body, MOST_WORDS);
    match limited.collect().await {
        Ok(collected) => Ok(String::from_utf8_lossy(&collected.to_bytes()).into_owned()),
        Err(_) => Err(ObjectError::Unavailable { why: "the answer broke off".to_owned(), retry_after: None }),
    }
}

fn unavailable(fault: &PlainFault) -> ObjectError {
    ObjectError::Unavailable { why: fault.to_string(), retry_after: None }
}

/// A pause of random length, longer on average after each attempt.
fn jitter(attempt: u32, is_busy: bool) -> Duration {
    let first = if is_busy { FIRST_PAUSE_IF_BUSY } else { FIRST_PAUSE };
    let longest = first.saturating_mul(1 << attempt.min(10).saturating_sub(1)).min(LONGEST_PAUSE);
    // Sixteen random bits.
    longest.mul_f64((world::uuid().as_u128() & 0xffff) as f64 / 65536.0)
}
