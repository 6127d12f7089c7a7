//! One connection, from its first byte to its end.

use super::{
    Shared,
    activity::{Activity, InFlight},
    clocks::Timed,
    io::Plain,
    socket::Socket,
};
use crate::service::{BoxError, RequestBody, conn::Conn, sendfile::Slot};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, Version, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::{
    body::Incoming,
    rt::{Read, Write},
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::{
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{net::TcpStream, time::timeout};
use tower::Service;

/// What hyper reads ahead of the service on HTTP/1.1: left to itself it keeps 400 KiB for each upload.
const READ_AHEAD: usize = 128 << 10;

/// What a client may send ahead on HTTP/2, for one stream and for all: at 50 ms of distance a
/// window is refilled twenty times a second, and the default of 64 KiB would make that the speed.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 8 << 20;

/// What TLS holds back of a response before it waits for the socket.
const TLS_BUFFER: usize = 1 << 20;

/// How often a silent HTTP/2 peer is asked whether it is there, and how long it may think.
const PING: Duration = Duration::from_secs(20);

/// Streams a peer may open and reset before it is told to go away (CVE-2023-44487).
const MOST_RESETS: usize = 64;

pub(super) async fn serve<B>(stream: TcpStream, peer: SocketAddr, shared: Arc<Shared<B>>)
where
    B: Body<Data = Bytes, Error = BoxError> + Send + 'static,
{
    let socket = Socket::new(stream);
    let activity = Activity::new();
    let limits = &shared.limits;
    match &shared.tls {
        None => {
            // A connection that says nothing is not kept; one that says anything has chosen.
            let Ok(Ok(h2)) = timeout(limits.first_byte, socket.speaks_h2()).await else { return };
            let io = Timed::new(socket.clone(), activity.clone(), limits);
            if h2 {
                let conn = Conn { peer, tls: false, ambiguous: false, slot: None };
                serve_h2(TokioIo::new(io), conn, activity, &shared).await;
            } else {
                let slot = cfg!(target_os = "linux").then(Arc::<Slot>::default);
                let conn = Conn { peer, tls: false, ambiguous: false, slot: slot.clone() };
                match slot {
                    Some(slot) => serve_h1(Plain::new(io, socket.clone(), slot), conn, activity, &shared).await,
                    None => serve_h1(TokioIo::new(io), conn, activity, &shared).await,
                }
                socket.linger().await;
            }
        }
        Some(tls) => {
            let accepted = timeout(limits.tls_handshake, tls.accept(socket.clone())).await;
            let mut stream = match accepted {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => {
                    tracing::debug!(%peer, %error, "TLS handshake failed");
                    return;
                }
                Err(_) => return,
            };
            stream.get_mut().1.set_buffer_limit(Some(TLS_BUFFER));
            let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            let io = TokioIo::new(Timed::new(stream, activity.clone(), limits));
            let conn = Conn { peer, tls: true, ambiguous: false, slot: None };
            if h2 {
                serve_h2(io, conn, activity, &shared).await;
            } else {
                serve_h1(io, conn, activity, &shared).await;
                socket.linger().await;
            }
        }
    }
}

async fn serve_h1<B, T>(io: T, conn: Conn, activity: Arc<Activity>, shared: &Shared<B>)
where
    B: Body<Data = Bytes, Error = BoxError> + Send + 'static,
    T: Read + Write + Unpin + Send,
{
    let service = service_fn(|request| answer(request, conn.clone(), &activity, shared.app.clone()));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // Our own clocks tell a slow head from an idle connection; this one does not.
        .header_read_timeout(None)
        .max_buf_size(READ_AHEAD)
        .serve_connection(io, service);
    drive(connection, &activity, shared, |connection| connection.graceful_shutdown()).await;
}

async fn serve_h2<B, T>(io: T, conn: Conn, activity: Arc<Activity>, shared: &Shared<B>)
where
    B: Body<Data = Bytes, Error = BoxError> + Send + 'static,
    T: Read + Write + Unpin + Send + 'static,
{
    let (app, of) = (shared.app.clone(), activity.clone());
    let service = service_fn(move |request| {
        let (app, conn, of) = (app.clone(), conn.clone(), of.clone());
        async move { answer(request, conn, &of, app).await }
    });
    let header_bytes = u32::try_from(shared.limits.header_bytes).unwrap_or(u32::MAX);
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(shared.limits.h2_streams)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(header_bytes)
        .max_pending_accept_reset_streams(MOST_RESETS)
        .max_local_error_reset_streams(MOST_RESETS)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .serve_connection(io, service);
    drive(connection, &activity, shared, |connection| connection.graceful_shutdown()).await;
}

/// Runs a connection; asks it to end when it has been idle for too long or the daemon stops.
async fn drive<B, C: Future<Output = hyper::Result<()>>>(
    connection: C,
    activity: &Activity,
    shared: &Shared<B>,
    end: impl Fn(Pin<&mut C>),
) {
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = async {
            tokio::select! {
                () = shared.graceful.cancelled() => {}
                () = activity.idle_for(shared.limits.keep_alive) => {}
            }
        } => {
            end(connection.as_mut());
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}

/// One request through the app.
async fn answer<B>(
    mut request: Request<Incoming>,
    conn: Conn,
    activity: &Arc<Activity>,
    mut app: super::App<B>,
) -> Result<Response<InFlight<Pin<Box<B>>>>, Infallible>
where
    B: Body<Data = Bytes, Error = BoxError> + Send + 'static,
{
    let (flight, scan) = activity.begin();
    let chunked = request.headers().contains_key(header::TRANSFER_ENCODING);
    let is_h1 = request.version() < Version::HTTP_2;
    request.extensions_mut().insert(Conn { ambiguous: scan.is_ambiguous(), ..conn });
    let unread = Arc::new(AtomicBool::new(false));
    let request = request.map(|body| -> RequestBody {
        let body = Watched { body, ended: false, unread: unread.clone() };
        body.map_err(|error| -> BoxError { Box::new(error) }).boxed_unsync()
    });
    let Ok(mut response) = app.call(request).await;
    if is_h1 && unread.load(Ordering::Relaxed) && !response.status().is_success() {
        // The connection ends with this answer. A client that is not told so sends its next
        // request there, and gets none.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if chunked && !scan.is_complete() {
        // Its head came with the request before it and was not looked at; see `head`.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response.map(|body| InFlight { body: Box::pin(body), flight }))
}

/// A request's body that tells whether it was given up before its end.
struct Watched {
    body: Incoming,
    ended: bool,
    unread: Arc<AtomicBool>,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        self.ended |= matches!(frame, Poll::Ready(None));
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.unread.store(!self.ended && !self.body.is_end_stream(), Ordering::Relaxed);
    }
}
