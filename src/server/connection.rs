//! One connection, from its first byte to its end.

use super::{
    App, Shared,
    activity::{Activity, Flight},
    body::{Download, Fate, Upload},
    clocks::Heads,
    io::Plain,
    pace::Streams,
    socket::Socket,
    tls::Tls,
};
use crate::service::{BoxError, RequestBody, conn::Conn, sendfile::Slot};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body::Body;
use hyper::{
    body::Incoming,
    rt::{Read, Write},
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};
use tokio::{net::TcpStream, time::timeout};
use tower::Service;

/// What hyper reads ahead of the service on HTTP/1.1: left to itself it keeps 400 KiB for each upload. An upload holds
/// three or four times as much while its batches are written, so only the first [`MOST_AHEAD`] connections get the larger.
const READ_AHEAD: usize = 64 << 10;
const READ_FAR_AHEAD: usize = 128 << 10;

/// How many HTTP/1.1 connections read [`READ_FAR_AHEAD`] at a time: 32 PATCHes cost a tenth less by it.
pub(super) const MOST_AHEAD: usize = 16;

/// What a client may send ahead on HTTP/2. At 50 ms of distance a window is refilled twenty times a
/// second, so that it decides the speed. Every pushing client may fill its window and memory is
/// bounded (`tests/memory`), so only [`MOST_WIDE`] connections at a time get the wide one.
#[derive(Clone, Copy)]
struct Windows {
    stream: u32,
    connection: u32,
}

/// 80 MB/s for one stream at 50 ms.
const WIDE: Windows = Windows { stream: 4 << 20, connection: 4 << 20 };
/// 10 MB/s for one stream at 50 ms, 20 for all of a connection.
const NARROW: Windows = Windows { stream: 512 << 10, connection: 1 << 20 };

/// What is kept of a response that HTTP/2's flow control holds back, for each stream: two pieces of a file.
const SEND_AHEAD: usize = 256 << 10;

/// The answer to plain HTTP where TLS is spoken, so that whoever left out the `s` of `https` reads so. No request gets past it.
const NEEDS_TLS: &str = concat!(
    "HTTP/1.1 400 this port takes HTTPS only: use https://\r\n",
    "Content-Type: application/json\r\nContent-Length: 89\r\nConnection: close\r\n\r\n",
    r#"{"errors":[{"code":"UNSUPPORTED","message":"this port takes HTTPS only: use https://"}]}"#,
    "\n",
);

/// How many HTTP/2 connections have [`WIDE`] windows at a time.
pub(super) const MOST_WIDE: usize = 4;

/// What TLS holds back of a response before it waits for the socket.
const TLS_BUFFER: usize = 1 << 20;

/// How often a silent HTTP/2 peer is asked whether it is there, and how long it may think.
const PING: Duration = Duration::from_secs(20);

/// For the other side to hear that it should go and to say what it was about to; HTTP/1.1 goes at once.
const GRACE: Duration = Duration::from_secs(1);

/// Streams a peer may open and reset before we get to them (CVE-2023-44487), and streams it may
/// make us reset (CVE-2025-8671), before it is told to go away.
const PENDING_RESETS: usize = 64;
const PROVOKED_RESETS: usize = 256;

pub(super) async fn serve<B>(stream: TcpStream, peer: SocketAddr, shared: Arc<Shared<B>>)
where
    B: Body<Data = Bytes, Error = BoxError> + Send + Unpin + 'static,
{
    let socket = Socket::new(stream, peer, shared.limits.download_stall);
    match &shared.tls {
        None => serve_plain(socket, peer, &shared).await,
        Some(tls) => serve_tls(socket, peer, tls, &shared).await,
    }
}

async fn serve_plain<B>(socket: Socket, peer: SocketAddr, shared: &Shared<B>)
where
    B: Body<Data = Bytes, Error = BoxError> + Send + Unpin + 'static,
{
    // A connection that says nothing is not kept; one that says anything has chosen.
    let said = tokio::select! {
        biased;
        said = timeout(shared.limits.first_byte, socket.speaks_h2()) => said,
        () = shared.graceful.cancelled() => return,
    };
    let Ok(Ok(is_h2)) = said else { return };
    let conn = Conn { peer, tls: false, ambiguous: false, slot: None };
    let activity = Activity::new();
    if is_h2 {
        return serve_h2(TokioIo::new(socket), conn, activity, shared).await;
    }
    let slot = cfg!(not(portable)).then(Arc::<Slot>::default);
    let io = Plain::new(Heads::new(socket, activity.clone(), shared.limits.header), slot.clone());
    serve_h1(io, Conn { slot, ..conn }, activity, shared, Plain::socket).await;
}

async fn serve_tls<B>(socket: Socket, peer: SocketAddr, tls: &Tls, shared: &Shared<B>)
where
    B: Body<Data = Bytes, Error = BoxError> + Send + Unpin + 'static,
{
    let handshake = async {
        match socket.speaks_plain_http().await? {
            true => Ok(Err(socket)),
            false => tls.acceptor().accept(socket).await.map(Ok),
        }
    };
    let mut stream = match timeout(shared.limits.tls_handshake, handshake).await {
        Ok(Ok(Ok(stream))) => stream,
        Ok(Ok(Err(mut socket))) => {
            tracing::debug!(%peer, "plain HTTP on the TLS port");
            return socket.refuse(NEEDS_TLS).await;
        }
        Ok(Err(error)) => return tracing::debug!(%peer, %error, "TLS handshake failed"),
        Err(_) => return tracing::debug!(%peer, "TLS handshake timed out"),
    };
    stream.get_mut().1.set_buffer_limit(Some(TLS_BUFFER));
    let conn = Conn { peer, tls: true, ambiguous: false, slot: None };
    let activity = Activity::new();
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        return serve_h2(TokioIo::new(stream), conn, activity, shared).await;
    }
    let io = TokioIo::new(Heads::new(stream, activity.clone(), shared.limits.header));
    serve_h1(io, conn, activity, shared, |io| io.inner().inner.get_ref().0).await;
}

async fn serve_h1<B, T>(
    io: T,
    conn: Conn,
    activity: Arc<Activity>,
    shared: &Shared<B>,
    socket: impl FnOnce(&T) -> &Socket,
) where
    B: Body<Data = Bytes, Error = BoxError> + Send + Unpin + 'static,
    T: Read + Write + Unpin + Send,
{
    let far = shared.far_ahead.try_acquire();
    let ahead = if far.is_ok() { READ_FAR_AHEAD } else { READ_AHEAD };
    let service = service_fn(|request| answer_h1(request, conn.clone(), &activity, shared.app.clone()));
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // Our own clocks tell a slow head from an idle connection; this one does not.
        .header_read_timeout(None)
        .max_buf_size(ahead.max(shared.limits.header_bytes))
        .serve_connection(io, service);
    drive(Pin::new(&mut connection), &activity, shared, |connection| connection.graceful_shutdown()).await;
    socket(&connection.into_parts().io).linger().await;
}

async fn serve_h2<B, T>(io: T, conn: Conn, activity: Arc<Activity>, shared: &Shared<B>)
where
    B: Body<Data = Bytes, Error = BoxError> + Send + Unpin + 'static,
    T: Read + Write + Unpin + Send + 'static,
{
    let limits = &shared.limits;
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
        .timer(TokioTimer::new())
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
    drive(pin!(connection), &activity, shared, |connection| connection.graceful_shutdown()).await;
}

/// Runs a connection; asks it to end when it has been idle for too long or the daemon stops, and
/// ends it where the other side does not let it.
async fn drive<B, C: Future<Output = hyper::Result<()>>>(
    mut connection: Pin<&mut C>,
    activity: &Activity,
    shared: &Shared<B>,
    end: impl Fn(Pin<&mut C>),
) {
    let limits = &shared.limits;
    let asked = async {
        tokio::select! {
            () = shared.graceful.cancelled() => {}
            () = activity.idle_for(limits.first_byte, limits.keep_alive) => {}
        }
    };
    let ended = tokio::select! {
        // First: a request that is already here is answered.
        biased;
        ended = connection.as_mut() => ended,
        () = asked => {
            end(connection.as_mut());
            tokio::select! {
                ended = connection.as_mut() => ended,
                () = async {
                    tokio::time::sleep(GRACE).await;
                    activity.idle_for(Duration::ZERO, limits.download_stall).await;
                } => Ok(()),
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection closed with an error");
    }
}

/// One request of an HTTP/1.1 connection.
async fn answer_h1<B>(
    request: Request<Incoming>,
    conn: Conn,
    activity: &Arc<Activity>,
    app: App<B>,
) -> Result<Response<Download<B>>, Infallible> {
    let (flight, scan) = activity.begin();
    let conn = Conn { ambiguous: scan.is_ambiguous(), ..conn };
    // A head that came with the request before it was not looked at; see `head`.
    let unseen = request.headers().contains_key(header::TRANSFER_ENCODING) && !scan.is_complete();
    let (request, fate) = watched(request);
    let Ok(mut response) = answer(request, fate.as_deref(), conn, flight, app).await;
    // A body nobody read stands between this request and the next. The client is told not to send
    // one; the rest is thrown away when the answer is out.
    if unseen || fate.is_some_and(|fate| !fate.has_ended()) {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

/// One request through the app.
async fn answer<B>(
    mut request: Request<RequestBody>,
    fate: Option<&Fate>,
    conn: Conn,
    flight: Flight,
    mut app: App<B>,
) -> Result<Response<Download<B>>, Infallible> {
    request.extensions_mut().insert(conn);
    // A client that asks first sends nothing until it is told to.
    let asks_first = request.headers().contains_key(header::EXPECT);
    let Ok(response) = app.call(request).await;
    if let Some(fate) = fate.filter(|_| !asks_first && !response.status().is_success()) {
        fate.hear().await;
    }
    Ok(response.map(|body| Download::new(body, flight)))
}

fn watched(request: Request<Incoming>) -> (Request<RequestBody>, Option<Arc<Fate>>) {
    let (head, body) = request.into_parts();
    let (body, fate) = Upload::watched(body);
    (Request::from_parts(head, body), fate)
}
