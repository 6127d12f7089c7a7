//! One request and its answer, with time limits and redirects. Logging in and repeating are above.

use crate::{
    body::{OutgoingBody, Payload, Sent, SourceFailed},
    error::{ErrorCause, ErrorKind, causes},
    headers,
    net::{ConnectError, Connector},
    observe::{ExchangeObserver, ExchangeReport, shown_headers, shown_url},
    registry::RegistryAddress,
    source::ByteStream,
    url::{self, Origin},
};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::Client as Hyper,
    rt::{TokioExecutor, TokioTimer},
};
use std::{
    error::Error as StdError,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

/// How long to wait for what. There is no limit on a whole transfer.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For a connection, with its TLS handshake.
    pub connect: Duration,
    /// For the next bytes in either direction, and for the answer to a question (GET, HEAD).
    pub stall: Duration,
    /// For the answer to a request that changes something, after all of it was sent. A registry may
    /// hash, or copy, a whole layer in that time.
    pub answer: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { connect: seconds(10), stall: seconds(60), answer: seconds(300) }
    }
}

/// The most redirects that one request follows.
const MOST_REDIRECTS: usize = 10;

/// The most that is read of a body that explains an error, or that nobody needs.
const MOST_WORDS: usize = 64 << 10;

/// How many times longer a whole answer may take than its next bytes.
const LONGEST_WHOLE: u32 = 10;

/// A request that can be sent again.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) url: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Bytes>,
    /// Whether it says who asks before anybody wants to know: its answer depends on that.
    pub(crate) is_eager: bool,
}

impl Call {
    pub(crate) fn new(method: Method, url: Uri) -> Self {
        Self { method, url, headers: HeaderMap::new(), body: None, is_eager: false }
    }

    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Result<Self, ErrorCause> {
        let value =
            HeaderValue::from_str(value).map_err(|_| ErrorCause::protocol(format!("{name} is not a header value")))?;
        self.headers.append(name, value);
        Ok(self)
    }

    pub(crate) fn body(mut self, body: Bytes) -> Self {
        self.body = Some(body);
        self
    }
}

/// A header that says who asks, and whom it may be shown to.
pub(crate) struct Authorization<'a> {
    pub(crate) value: &'a HeaderValue,
    pub(crate) only: &'a Origin,
}

/// Speaks HTTP for one client.
pub(crate) struct Transport {
    pub(crate) registry: RegistryAddress,
    http: Hyper<Connector, OutgoingBody>,
    connector: Connector,
    timeouts: Timeouts,
    user_agent: HeaderValue,
    observer: Option<ExchangeObserver>,
}

impl Transport {
    pub(crate) fn new(
        registry: RegistryAddress,
        connector: Connector,
        timeouts: Timeouts,
        user_agent: HeaderValue,
        observer: Option<ExchangeObserver>,
    ) -> Self {
        let http = Hyper::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            // Below what registries and the proxies before them keep.
            .pool_idle_timeout(Duration::from_secs(50))
            .http2_adaptive_window(true)
            .build(connector.clone());
        Self { registry, http, connector, timeouts, user_agent, observer }
    }

    /// Sends a request, and follows redirects. Whoever is not the registry itself gets no credentials.
    pub(crate) async fn send(
        &self,
        call: &Call,
        who: Option<Authorization<'_>>,
    ) -> Result<RegistryResponse, ErrorCause> {
        let mut url = call.url.clone();
        for _ in 0..=MOST_REDIRECTS {
            let payload = call.body.clone().map_or(Payload::None, Payload::Bytes);
            let answer = self.exchange(&call.method, &url, call.headers.clone(), payload, who.as_ref()).await?;
            let Some(next) = redirect(&call.method, &answer) else { return Ok(answer) };
            url = self.locate(&url, next)?;
            answer.discard().await;
        }
        Err(ErrorCause::new(ErrorKind::Refused, format!("more than {MOST_REDIRECTS} redirects")))
    }

    /// Sends a request whose body holds a secret: no redirect is followed.
    pub(crate) async fn send_here(&self, call: &Call) -> Result<RegistryResponse, ErrorCause> {
        let payload = call.body.clone().map_or(Payload::None, Payload::Bytes);
        self.exchange(&call.method, &call.url, call.headers.clone(), payload, None).await
    }

    /// Sends what can be read only once. A redirect is an answer like any other.
    pub(crate) async fn stream(
        &self,
        call: &Call,
        who: Option<Authorization<'_>>,
        stream: ByteStream,
        length: u64,
    ) -> Result<RegistryResponse, ErrorCause> {
        let payload = Payload::Stream { stream, length };
        self.exchange(&call.method, &call.url, call.headers.clone(), payload, who.as_ref()).await
    }

    /// Where a URL that was sent by a server leads, if it may be followed.
    pub(crate) fn locate(&self, base: &Uri, reference: &str) -> Result<Uri, ErrorCause> {
        let refused = |why: &str| {
            let shown = crate::text::shown(reference.split('?').next().unwrap_or_default());
            ErrorCause::new(ErrorKind::Refused, format!("the server points to {shown}, which {why}"))
        };
        let mut found = url::join(base, reference).map_err(|error| refused(&format!("is {error}")))?;
        let mut origin = Origin::of(&found).map_err(|error| refused(&format!("is {error}")))?;
        let own = self.registry.origin();
        // A registry behind a proxy that ends TLS often believes that it is spoken to in plain HTTP.
        if own.tls && !origin.tls && origin.host == own.host && [own.port, 80].contains(&origin.port) {
            let path = found.path_and_query().map_or("/", |path| path.as_str());
            found = self.registry.url(path).map_err(|_| refused("is not a URL"))?;
            origin = own.clone();
        }
        self.check(&origin).map_err(refused)?;
        Ok(found)
    }

    /// Whether requests may go there: nothing in plain HTTP unless that was asked for, and no
    /// address near the client unless the registry is there too.
    fn check(&self, origin: &Origin) -> Result<(), &'static str> {
        let own = self.registry.origin();
        if *origin == own {
            return Ok(());
        }
        if origin.is_near() && !own.is_near() {
            return Err("is an address in the client's own network");
        }
        if !origin.tls && !origin.is_loopback() && !self.registry.plain_http {
            return Err("is plain HTTP");
        }
        Ok(())
    }

    async fn exchange(
        &self,
        method: &Method,
        url: &Uri,
        mut headers: HeaderMap,
        payload: Payload,
        who: Option<&Authorization<'_>>,
    ) -> Result<RegistryResponse, ErrorCause> {
        headers.insert(header::USER_AGENT, self.user_agent.clone());
        if let Some(who) = who.filter(|who| Origin::of(url).is_ok_and(|origin| origin == *who.only)) {
            headers.insert(header::AUTHORIZATION, who.value.clone());
        }
        if let Some(value) = self.connector.proxy_authorization(url) {
            headers.insert(header::PROXY_AUTHORIZATION, value);
        }
        let sent = Arc::new(Sent::default());
        let (body, length) = payload.body(&sent);
        if length.is_some_and(|length| length > 0) || matches!(*method, Method::POST | Method::PUT | Method::PATCH) {
            headers.insert(header::CONTENT_LENGTH, length.unwrap_or_default().into());
        }
        let started = self.observer.as_ref().map(|_| (Instant::now(), shown_headers(&headers)));
        let mut request = http::Request::new(body);
        (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) = (method.clone(), url.clone(), headers);
        let is_question = matches!(*method, Method::GET | Method::HEAD);
        let limit = if is_question { self.timeouts.stall } else { self.timeouts.answer };
        let response = self.wait(self.http.request(request), &sent, limit).await;
        if let (Some(observer), Some((started, sent))) = (&self.observer, started) {
            observer(&ExchangeReport {
                method: method.clone(),
                url: shown_url(url, self.registry.is_own(url)),
                sent,
                answer: match &response {
                    Ok(response) => Ok((response.status(), shown_headers(response.headers()))),
                    Err(fault) => Err(fault.detail().to_owned()),
                },
                elapsed: started.elapsed(),
            });
        }
        let (parts, body) = response?.into_parts();
        let (status, headers, stall) = (parts.status, parts.headers, self.timeouts.stall);
        Ok(RegistryResponse { status, headers, url: url.clone(), body, put_back: None, stall, is_denied: false })
    }

    /// Waits for an answer as long as bytes are taken, and then as long as an answer may take.
    async fn wait(
        &self,
        response: hyper_util::client::legacy::ResponseFuture,
        sent: &Sent,
        answer: Duration,
    ) -> Result<http::Response<Incoming>, ErrorCause> {
        tokio::pin!(response);
        let mut before = None;
        loop {
            let now = sent.now();
            if before == Some(now) {
                let detail = if now.1 { "the registry does not answer" } else { "the registry takes no more bytes" };
                return Err(ErrorCause::new(ErrorKind::Timeout, detail).retryable());
            }
            before = Some(now);
            let limit = if now.1 { answer } else { self.timeouts.stall };
            if let Ok(done) = tokio::time::timeout(limit, &mut response).await {
                return done.map_err(|error| broken(&error));
            }
        }
    }
}

/// Where an answer sends the caller, if this method follows it there. A 301 turns other methods
/// into GET in browsers, so they do not follow it.
fn redirect<'a>(method: &Method, answer: &'a RegistryResponse) -> Option<&'a str> {
    let follows = match answer.status.as_u16() {
        301..=303 => matches!(*method, Method::GET | Method::HEAD),
        307 | 308 => true,
        _ => false,
    };
    headers::text(&answer.headers, header::LOCATION).filter(|_| follows)
}

/// Why no answer came.
fn broken(error: &(dyn StdError + 'static)) -> ErrorCause {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(refusal) = error.downcast_ref::<ConnectError>() {
            return match refusal {
                ConnectError::Timeout(_) => ErrorCause::new(ErrorKind::Timeout, refusal.to_string()).retryable(),
                ConnectError::Dial(_) => ErrorCause::new(ErrorKind::Unreachable, refusal.to_string()).retryable(),
                ConnectError::Forbidden(_) => ErrorCause::new(ErrorKind::Refused, refusal.to_string()),
                ConnectError::Tls(_) => ErrorCause::new(ErrorKind::Tls, refusal.to_string()),
            };
        }
        if let Some(source) = error.downcast_ref::<io::Error>().and_then(|error| error.get_ref())
            && let Some(SourceFailed(error)) = source.downcast_ref()
        {
            return ErrorCause::source(error);
        }
        cause = error.source();
    }
    // What the library says first is only that a request failed.
    let cause = error.source().unwrap_or(error);
    ErrorCause::new(ErrorKind::Unreachable, format!("the connection broke: {}", causes(cause))).retryable()
}

/// An answer whose body has not been read.
pub(crate) struct RegistryResponse {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Where it came from, after redirects.
    pub(crate) url: Uri,
    body: Incoming,
    put_back: Option<Bytes>,
    stall: Duration,
    /// A 401 to somebody whom the registry knows, and whose rights are not enough.
    pub(crate) is_denied: bool,
}

impl RegistryResponse {
    /// Lets the next piece be this one.
    pub(crate) fn put_back(&mut self, bytes: Bytes) {
        self.put_back = Some(bytes);
    }

    /// The next bytes of the body; `None` at its end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, ErrorCause> {
        if let Some(bytes) = self.put_back.take() {
            return Ok(Some(bytes));
        }
        loop {
            let frame = tokio::time::timeout(self.stall, self.body.frame()).await;
            match frame
                .map_err(|_| ErrorCause::new(ErrorKind::Timeout, "the registry sends no more bytes").retryable())?
            {
                None => return Ok(None),
                Some(Err(error)) => return Err(broken(&error)),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) if bytes.is_empty() => {}
                    Ok(bytes) => return Ok(Some(bytes)),
                    // Trailers.
                    Err(_) => {}
                },
            }
        }
    }

    /// The whole body, if it is no longer than `limit` and does not take much longer than such a body should: a peer
    /// that sends a byte at a time must not hold up its client.
    pub(crate) async fn whole(self, limit: usize) -> Result<Whole, ErrorCause> {
        match tokio::time::timeout(self.stall * LONGEST_WHOLE, self.collected(limit)).await {
            Ok(whole) => whole,
            Err(_) => Err(ErrorCause::new(ErrorKind::Timeout, "the registry sends its answer too slowly").retryable()),
        }
    }

    async fn collected(mut self, limit: usize) -> Result<Whole, ErrorCause> {
        let too_large = || ErrorCause::new(ErrorKind::TooLarge, format!("the answer is larger than {limit} bytes"));
        let mut bytes = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            if chunk.len() > limit - bytes.len() {
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        let (status, headers, url, is_denied) = (self.status, self.headers, self.url, self.is_denied);
        Ok(Whole { status, headers, url, bytes: bytes.freeze(), is_denied })
    }

    /// What an answer that means failure says.
    pub(crate) async fn fault(mut self) -> ErrorCause {
        let words = self.words().await;
        denied(ErrorCause::answer(self.status, &self.headers, &words), self.is_denied)
    }

    /// Reads the rest if it is short, so that the connection can be used again.
    pub(crate) async fn discard(mut self) {
        self.words().await;
    }

    async fn words(&mut self) -> Vec<u8> {
        let mut words = Vec::new();
        while let Ok(Some(chunk)) = self.chunk().await {
            if words.len() + chunk.len() > MOST_WORDS {
                break;
            }
            words.extend_from_slice(&chunk);
        }
        words
    }
}

/// An answer with its body.
pub(crate) struct Whole {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) url: Uri,
    pub(crate) bytes: Bytes,
    is_denied: bool,
}

impl Whole {
    /// This answer as a failure.
    pub(crate) fn fault(&self) -> ErrorCause {
        denied(ErrorCause::answer(self.status, &self.headers, &self.bytes), self.is_denied)
    }
}

/// Logging in again would not help whoever is known already.
fn denied(fault: ErrorCause, is_denied: bool) -> ErrorCause {
    if is_denied { fault.of(ErrorKind::Denied) } else { fault }
}
