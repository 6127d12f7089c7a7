//! HTTP to a service of the operator's, such as an object store: one request and its answer. Who asks, what is repeated
//! and what an answer means is up to the caller.

use crate::{
    error::causes,
    net::{ConnectError, Connector, SystemResolver, TlsSetup},
    registry::TlsOptions,
};
use bytes::Bytes;
use http::{Request, Response, header};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper_util::{
    client::{legacy::Client as Hyper, proxy::matcher::Matcher},
    rt::{TokioExecutor, TokioTimer},
};
use std::{
    error::Error as StdError,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Instant, Sleep};

/// Speaks HTTP/1.1 to any host: several connections are faster than one that is shared.
pub struct PlainHttp<B> {
    http: Hyper<Connector, B>,
    connector: Connector,
    limits: PlainLimits,
}

/// How long to wait for what. There is no limit on a whole transfer.
#[derive(Clone, Copy, Debug)]
pub struct PlainLimits {
    /// For a connection, with its TLS handshake.
    pub connect: Duration,
    /// For the answer, once the request was sent.
    pub answer: Duration,
    /// For the next bytes of an answer.
    pub stall: Duration,
    /// How slowly the body of a request may be sent, in bytes per second.
    pub slowest: u64,
}

/// Why there is no answer, or only a part of one.
#[derive(Debug, thiserror::Error)]
pub enum PlainFault {
    /// There is no connection: the request was not sent.
    #[error("{0}")]
    Connect(String),
    /// There was no answer in time. Whether the request was carried out is not known.
    #[error("no answer within {} seconds", .0.as_secs())]
    Timeout(Duration),
    /// The connection broke. Whether the request was carried out is not known.
    #[error("the connection broke: {0}")]
    Broken(String),
}

impl<B> PlainHttp<B>
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    /// Trusts the authorities of the system and these, in PEM. With `proxied`, the proxies of the environment are used.
    pub fn new(authorities: &[u8], proxied: bool, limits: PlainLimits) -> Self {
        let options = TlsOptions { authorities: authorities.to_vec(), http1_only: true, ..TlsOptions::default() };
        let tls = TlsSetup::new(options, String::new());
        let proxies = proxied.then(Matcher::from_env);
        let connector = Connector::new(Arc::new(SystemResolver), proxies, tls, limits.connect);
        let http = Hyper::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            // Below what servers and the proxies before them keep.
            .pool_idle_timeout(Duration::from_secs(15))
            .build(connector.clone());
        Self { http, connector, limits }
    }

    /// Sends a request and waits for the head of its answer.
    ///
    /// # Errors
    /// [`PlainFault`].
    pub async fn send(&self, mut request: Request<B>) -> Result<Response<PlainBody>, PlainFault> {
        if let Some(value) = self.connector.proxy_authorization(request.uri()) {
            request.headers_mut().insert(header::PROXY_AUTHORIZATION, value);
        }
        let sending = Duration::from_secs(request.body().size_hint().lower() / self.limits.slowest.max(1));
        let limit = self.limits.connect + self.limits.answer + sending;
        match tokio::time::timeout(limit, self.http.request(request)).await {
            Err(_) => Err(PlainFault::Timeout(limit)),
            Ok(Err(error)) => Err(fault(&error)),
            Ok(Ok(answer)) => Ok(answer.map(|body| PlainBody { body, stall: Stall::new(self.limits.stall) })),
        }
    }
}

impl<B> fmt::Debug for PlainHttp<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlainHttp").field("limits", &self.limits).finish_non_exhaustive()
    }
}

fn fault(error: &hyper_util::client::legacy::Error) -> PlainFault {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(refusal) = error.downcast_ref::<ConnectError>() {
            return PlainFault::Connect(refusal.to_string());
        }
        cause = error.source();
    }
    match error.source() {
        Some(cause) if error.is_connect() => PlainFault::Connect(causes(cause)),
        Some(cause) => PlainFault::Broken(causes(cause)),
        None => PlainFault::Broken(error.to_string()),
    }
}

/// The body of an answer, which ends with an error if nothing arrives for too long.
#[derive(Debug)]
pub struct PlainBody {
    body: Incoming,
    stall: Stall,
}

/// How long the next bytes may take. The clock runs only while somebody waits for them.
#[derive(Debug)]
struct Stall {
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Stall {
    fn new(limit: Duration) -> Self {
        Self { limit, timer: None }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let limit = self.limit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + limit)));
        timer.as_mut().poll(cx)
    }
}

impl Body for PlainBody {
    type Data = Bytes;
    type Error = PlainFault;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, PlainFault>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(frame) => {
                self.stall.timer = None;
                Poll::Ready(frame.map(|frame| frame.map_err(|error| PlainFault::Broken(causes(&error)))))
            }
            Poll::Pending => {
                let limit = self.stall.limit;
                self.stall.poll(cx).map(|()| Some(Err(PlainFault::Timeout(limit))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
