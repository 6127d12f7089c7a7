//! One connection, from its first byte to its end.

use super::{
    HttpService, ListenerState,
    activity::{Activity, Flight},
    body::{Download, Fate, UploadBody},
    connections::Admitted,
    heads::Heads,
    io::PlainConnection,
    pace::Streams,
    socket::Socket,
    timer::AwakeTimer,
    tls::Tls,
};
use crate::{
    files::system::SENDS_FILES,
    wire::{
        BoxError, RequestBody,
        awake::{self, timeout},
        conn::Conn,
        sendfile::SendfileSlot,
    },
};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body::Body;
use hyper::{
    body::Incoming,
    rt::{Read, Write},
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use std::{
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};
use tokio::net::TcpStream;
use tower::Service;

/// How much hyper reads ahead of the service on HTTP/1.1; by default it keeps 400 KiB for each upload. An upload holds
/// three or four times as much while its batches are written, so only the first [`MOST_AHEAD`] connections get the
/// larger buffer.
const READ_AHEAD: usize = 64 << 10;
const READ_FAR_AHEAD: usize = 128 << 10;

/// How many HTTP/1.1 connections may read [`READ_FAR_AHEAD`] at a time: it makes 32 PATCHes a tenth cheaper.
pub(super) const MOST_AHEAD: usize = 16;

/// How much a client may send ahead on HTTP/2. At a round trip of 50 ms a window is refilled twenty times a second, so
/// it limits the speed. Every pushing client may fill its window and memory is bounded (`tests/memory`), so only
/// [`MOST_WIDE`] connections at a time get the wide one.
#[derive(Clone, Copy)]
struct Windows {
    stream: u32,
    connection: u32,
}

/// 80 MB/s for one stream at 50 ms.
const WIDE: Windows = Windows { stream: 4 << 20, connection: 4 << 20 };
/// 10 MB/s for one stream at 50 ms, and 20 MB/s for a connection.
const NARROW: Windows = Windows { stream: 512 << 10, connection: 1 << 20 };

/// How much of a response is kept for each stream while HTTP/2 flow control holds it back: two pieces of a file.
const SEND_AHEAD: usize = 256 << 10;

/// The answer to plain HTTP on a TLS listener, so that somebody who left out the `s` of `https` can read why it failed.
/// The request is not processed.
const NEEDS_TLS: &str = concat!(
    "HTTP/1.1 400 this port takes HTTPS only: use https://\r\n",
    "Content-Type: application/json\r\nContent-Length: 89\r\nConnection: close\r\n\r\n",
    r#"{"errors":[{"code":"UNSUPPORTED","message":"this port takes HTTPS only: use https://"}]}"#,
    "\n",
);

/// How many HTTP/2 connections may have [`WIDE`] windows at a time.
pub(super) const MOST_WIDE: usize = 4;

/// How much of a response TLS buffers before it waits for the socket.
const TLS_BUFFER: usize = 1 << 20;

/// How often a silent HTTP/2 peer is pinged, and how long it may take to answer.
const PING: Duration = Duration::from_secs(20);

/// Time for an HTTP/2 peer to receive GOAWAY and to send what it was about to; HTTP/1.1 closes at once.
const GRACE: Duration = Duration::from_secs(1);

/// Streams a peer may open and reset before they are handled (CVE-2023-44487), and streams it may make us reset
/// (CVE-2025-8671), before the connection is closed.
const PENDING_RESETS: usize = 64;
const PROVOKED_RESETS: usize = 256;

pub(super) async fn serve<B>(stream: TcpStream, peer: SocketAddr, admitted: &Admitted, shared: Arc<ListenerState<B>>)
where
    B: Body<Data = Bytes, Error = BoxError> + Send + Unpin + 'static,
{
    let socket = Socket::new(stream, peer, shared.limits.download_stall);
    match &shared.tls {
        None => serve_plain(socket, peer, admitted, &shared).await,
        Some(tls) => serve_tls(socket, peer, tls, admitted, &shared).await,
    }
}

async fn serve_plain<B>(socket: Socket, peer: SocketAddr, admitted: &Admitted, shared: &ListenerState<B>)
where
    B: Body<Data = Bytes, Error = BoxError> + Send + Unpin + 'static,
{
    // A silent connection is not kept; its first bytes choose the protocol.
    let said = tokio::select! {
        biased;
        said = timeout(shared.limits.first_byte, socket.speaks_h2()) => said,
        () = shared.graceful.cancelled() => return,
    };
    let Some(Ok(is_h2)) = said else { return };
    let conn = conn_of(peer, false, admitted);
    let activity = admitted.activity.clone();
    activity.is_open();
    if is_h2 {
        return serve_h2(TokioIo::new(socket), conn, activity, shared).await;
    }
    let slot = SENDS_FILES.then(Arc::<SendfileSlot>::default);
    let io = PlainConnection::new(
        Heads::new(socket, activity.clone(), shared.limits.header, admitted.outbox.share()),
        slot.clone(),
    );
    serve_h1(io, Conn { slot, ..conn }, activity, shared, PlainConnection::socket).await;
}

fn conn_of(peer: SocketAddr, tls: bool, admitted: &Admitted) -> Conn {
    let (is_beyond_limit, outbox) = (admitted.is_beyond_limit, admitted.outbox.clone());
    Conn { peer, tls, ambiguous: false, is_beyond_limit, outbox, slot: None }
}

async fn serve_tls<B>(socket: Socket, peer: SocketAddr, tls: &Tls, admitted: &Admitted, shared: &ListenerState<B>)
where
    B: Body<Data = Bytes, Error = BoxError> + Send + Unpin + 'static,
{
    let handshake = async {
        match socket.speaks_plain_http().await? {
            true => Ok(Err(socket)),
            false => tls.acceptor().accept(socket).await.map(Ok),
        }
    };
    let shaken = tokio::select! {
        biased;
        shaken = timeout(shared.limits.tls_handshake, handshake) => shaken,
        () = ends(shared) => return,
    };
    let mut stream = match shaken {
        Some(Ok(Ok(stream))) => stream,
        Some(Ok(Err(mut socket))) => {
            tracing::debug!(%peer, "plain HTTP on the TLS port");
            return socket.refuse(NEEDS_TLS).await;
        }
        Some(Err(error)) => return tracing::debug!(%peer, %error, "TLS handshake failed"),
        None => return tracing::debug!(%peer, "TLS handshake timed out"),
    };
    stream.get_mut().1.set_buffer_limit(Some(TLS_BUFFER));
    let conn = conn_of(peer, true, admitted);
    let activity = admitted.activity.clone();
    activity.is_open();
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        return serve_h2(TokioIo::new(stream), conn, activity, shared).await;
    }
    let io = TokioIo::new(Heads::new(stream, activity.clone(), shared.limits.header, admitted.outbox.share()));
    serve_h1(io, conn, activity, shared, |io| io.inner().inner.get_ref().0).await;
}

async fn serve_h1<B, T>(
    io: T,
    conn: Conn,
    activity: Arc<Activity>,
    shared: &ListenerState<B>,
    socket: impl FnOnce(&T) -> &Socket,
) where
    B: Body<Data = Bytes, Error = BoxError> + Send + Unpin + 'static,
    T: Read + Write + Unpin + Send,
{
    let keep_alive = kept_alive(&conn, shared);
    let far = shared.far_ahead.try_acquire();
    let ahead = if far.is_ok() { READ_FAR_AHEAD } else { READ_AHEAD };
    let service = service_fn(|request| answer_h1(request, conn.clone(), &activity, shared.app.clone()));
    let mut connection = http1::Builder::new()
        .timer(AwakeTimer)
        // Our own timers tell a slow head from an idle connection; hyper's does not.
        .header_read_timeout(None)
        // A client that closes its side after the request still waits for the answer.
        .half_close(true)
        .max_buf_size(ahead.max(shared.limits.header_bytes))
        .serve_connection(io, service);
    drive(Pin::new(&mut connection), &activity, keep_alive, shared, |connection| connection.graceful_shutdown()).await;
    // Bytes that were read ahead are dropped.
    let io = connection.into_parts().io;
    tokio::select! {
        () = socket(&io).linger() => {}
        () = ends(shared) => {}
    }
}

async fn serve_h2<B, T>(io: T, conn: Conn, activity: Arc<Activity>, shared: &ListenerState<B>)
where
    B: Body<Data = Bytes, Error = BoxError> + Send + Unpin + 'static,
    T: Read + Write + Unpin + Send + 'static,
{
    let (limits, keep_alive) = (&shared.limits, kept_alive(&conn, shared));
    let wide = shared.wide.try_acquire();
    let windows = if wide.is_ok() { WIDE } else { NARROW };
    let (app, of) = (shared.app.clone(), activity.clone());
    let service = service_fn(move |request: Request<Incoming>| {
        let (app, conn, (flight, _)) = (app.clone(), conn.clone(), of.begin());
        async move {
            let (request, fate) = watched(request);
            answer(request, fate.as_deref(), conn, flight, app).await
        }
    });
    let connection = http2::Builder::new(Streams { stall: limits.download_stall })
        .timer(AwakeTimer)
        .max_concurrent_streams(limits.h2_streams)
        .initial_stream_window_size(windows.stream)
        .initial_connection_window_size(windows.connection)
        .max_send_buf_size(SEND_AHEAD)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(PENDING_RESETS)
        .max_local_error_reset_streams(PROVOKED_RESETS)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .serve_connection(io, service);
    drive(pin!(connection), &activity, keep_alive, shared, |connection| connection.graceful_shutdown()).await;
}

/// Resolves a moment after the daemon stops.
async fn ends<B>(shared: &ListenerState<B>) {
    shared.graceful.cancelled().await;
    awake::sleep(GRACE).await;
}

/// How long a connection may be idle between two requests; zero if there is no room for it.
fn kept_alive<B>(conn: &Conn, shared: &ListenerState<B>) -> Duration {
    if conn.is_beyond_limit { Duration::ZERO } else { shared.limits.keep_alive }
}

/// Runs a connection. Asks it to end when it has been idle for too long or the daemon stops, and closes it if the peer
/// prevents that.
async fn drive<B, C: Future<Output = hyper::Result<()>>>(
    mut connection: Pin<&mut C>,
    activity: &Activity,
    keep_alive: Duration,
    shared: &ListenerState<B>,
    end: impl Fn(Pin<&mut C>),
) {
    let limits = &shared.limits;
    let asked = async {
        tokio::select! {
            () = shared.graceful.cancelled() => {}
            () = activity.idle_for(limits.first_byte, keep_alive) => {}
        }
    };
    let ended = tokio::select! {
        // First, so that a request that has already arrived is answered.
        biased;
        ended = connection.as_mut() => ended,
        () = asked => {
            end(connection.as_mut());
            tokio::select! {
                ended = connection.as_mut() => ended,
                () = async {
                    awake::sleep(GRACE).await;
                    activity.has_answered(limits.download_stall).await;
                } => Ok(()),
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection closed with an error");
    }
}

/// Answers one request of an HTTP/1.1 connection.
async fn answer_h1<B>(
    request: Request<Incoming>,
    conn: Conn,
    activity: &Arc<Activity>,
    app: HttpService<B>,
) -> Result<Response<Download<B>>, Infallible> {
    let (flight, scan) = activity.begin();
    let ambiguous = scan.is_ambiguous(request.headers());
    let conn = Conn { ambiguous, ..conn };
    let (request, fate) = watched(request);
    let Ok(mut response) = answer(request, fate.as_deref(), conn, flight, app).await;
    // An unread body stands between this request and the next one. The response tells the client not to send another request, and
    // the rest of the body is discarded after the answer.
    if ambiguous || fate.is_some_and(|fate| !fate.has_ended()) {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

/// Passes one request to the app.
async fn answer<B>(
    mut request: Request<RequestBody>,
    fate: Option<&Fate>,
    conn: Conn,
    flight: Flight,
    mut app: HttpService<B>,
) -> Result<Response<Download<B>>, Infallible> {
    // With `Expect: 100-continue` a client sends nothing until it is asked to. Beyond the limit there is no time to
    // read.
    let hears = !conn.is_beyond_limit && !request.headers().contains_key(header::EXPECT);
    request.extensions_mut().insert(conn);
    let Ok(response) = app.call(request).await;
    if let Some(fate) = fate.filter(|_| hears && !response.status().is_success()) {
        fate.drain_unread().await;
    }
    Ok(response.map(|body| Download::new(body, flight)))
}

fn watched(request: Request<Incoming>) -> (Request<RequestBody>, Option<Arc<Fate>>) {
    let (head, body) = request.into_parts();
    let (body, fate) = UploadBody::watched(body);
    (Request::from_parts(head, body), fate)
}
