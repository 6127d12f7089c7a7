//! The door: accepting connections, choosing their protocol, bounding and ending them.
//!
//! The protocol is chosen here, by looking at a connection's first bytes (or by ALPN), because
//! only a plain HTTP/1.1 connection may be given a slot for windows of files: any other writer
//! would send the marker's zeros ([`crate::service::sendfile`]).

mod activity;
mod body;
mod clocks;
mod connection;
mod head;
mod io;
mod pace;
mod reactors;
mod shutdown;
mod socket;
mod tls;

pub use reactors::Reactors;
pub use shutdown::{Shutdown, Trigger, on_hangup, on_signals};
pub use tls::Tls;

use crate::{
    config::Limits,
    files::descriptor_limit,
    service::{BoxError, RequestBody},
};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use std::{convert::Infallible, io as stdio, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::util::BoxCloneSyncService;

/// What a server serves.
pub type App<B> = BoxCloneSyncService<Request<RequestBody>, Response<B>, Infallible>;

/// How a listener behaves.
#[derive(Clone)]
pub struct Options {
    /// Bounds.
    pub limits: Limits,
    /// Certificates, where connections are encrypted.
    pub tls: Option<Tls>,
    /// Where its connections are served.
    pub reactors: Reactors,
}

/// What every connection of a listener shares.
struct Shared<B> {
    app: App<B>,
    limits: Limits,
    tls: Option<Tls>,
    /// One permit for each HTTP/1.1 connection that reads far ahead.
    far_ahead: Semaphore,
    /// One permit for each HTTP/2 connection that may have wide windows.
    wide: Semaphore,
    /// Cancelled when connections are to end after the request they are at.
    graceful: CancellationToken,
}

/// After a failed accept: out of descriptors, most likely. Some connection will end.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves connections until `shutdown`, then lets requests in flight finish within the drain time.
pub async fn run<B>(listener: TcpListener, app: App<B>, options: Options, shutdown: Shutdown)
where
    B: Body<Data = Bytes, Error = BoxError> + Send + Unpin + 'static,
{
    let Options { limits, tls, reactors } = options;
    let (lag, drain) = (limits.shutdown_lag, limits.drain);
    let permits = Arc::new(Semaphore::new(most_connections(limits.connections)));
    let graceful = CancellationToken::new();
    let (far_ahead, wide) = (Semaphore::new(connection::MOST_AHEAD), Semaphore::new(connection::MOST_WIDE));
    let shared = Arc::new(Shared { app, limits, tls, far_ahead, wide, graceful: graceful.clone() });
    let (connections, abort) = (TaskTracker::new(), CancellationToken::new());

    let accepting = async {
        // The permit comes first: what is over the limit waits in the kernel's backlog.
        while let Ok(permit) = permits.clone().acquire_owned().await {
            let (stream, peer) = accept(&listener).await;
            let (shared, abort, seat) = (shared.clone(), abort.clone(), reactors.seat());
            let handle = seat.handle.clone();
            let serving = async move {
                match stream.and_then(TcpStream::from_std) {
                    Ok(stream) => tokio::select! {
                        () = connection::serve(stream, peer, shared) => {}
                        () = abort.cancelled() => {}
                    },
                    Err(error) => tracing::warn!(%peer, %error, "cannot serve a connection"),
                }
                drop((permit, seat));
            };
            connections.spawn_on(serving, &handle);
        }
    };
    tokio::select! {
        () = accepting => {}
        () = shutdown.accepting_ends(lag) => {}
    }
    drop(listener);
    graceful.cancel();
    connections.close();
    tokio::select! {
        () = connections.wait() => {}
        () = tokio::time::sleep(drain) => tracing::warn!(open = connections.len(), "drain time is over; closing the remaining connections"),
        () = shutdown.aborted() => tracing::warn!(open = connections.len(), "second signal received; closing the remaining connections"),
    }
    abort.cancel();
    connections.wait().await;
}

/// The next connection, on no reactor yet.
async fn accept(listener: &TcpListener) -> (stdio::Result<std::net::TcpStream>, std::net::SocketAddr) {
    let mut told = false;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream.into_std(), peer),
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                // Once for each run of failures: one every pause would drown the rest.
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!(%error, "cannot accept connections; retrying");
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Errors of a connection that ended before it was accepted.
fn is_of_one_connection(error: &stdio::Error) -> bool {
    use stdio::ErrorKind as K;
    matches!(error.kind(), K::ConnectionAborted | K::ConnectionReset | K::ConnectionRefused | K::Interrupted)
}

/// How many connections a listener takes: descriptors are left for files, or whoever holds
/// connections open would keep everybody else from pulling.
fn most_connections(wanted: usize) -> usize {
    let bearable =
        descriptor_limit().map_or(usize::MAX, |files| usize::try_from(files / 4 * 3).unwrap_or(usize::MAX)).max(1);
    if bearable < wanted {
        tracing::warn!(
            configured = wanted,
            limit = bearable,
            "connection limit lowered: the limit on open files is too low"
        );
    }
    wanted.min(bearable)
}

/// Raises the number of descriptors this process may hold to what the system allows; the number.
pub fn raise_descriptor_limit() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(error) => {
            tracing::warn!(%error, "cannot raise the limit on open files");
            limit.current
        }
    }
}
