//! The HTTP server: accepts connections, chooses their protocol, limits and ends them.
//!
//! The protocol is chosen here by a connection's first bytes (or by ALPN), because only a plain HTTP/1.1 connection may
//! get a slot for windows of files: any other writer would send the marker's zeros ([`crate::wire::sendfile`]).

mod activity;
mod body;
mod connection;
mod connections;
mod head;
mod heads;
mod io;
mod pace;
mod reactors;
mod shutdown;
mod socket;
mod timer;
mod tls;

pub use reactors::Reactors;
pub use shutdown::{Shutdown, Trigger, on_hangup, on_signals, survive_long_files};
pub use tls::Tls;

use crate::{
    config::{Limits, Live},
    files::descriptor_limit,
    wire::{BoxError, ClientMemory, RequestBody, awake},
};
use arc_swap::ArcSwap;
use bytes::Bytes;
use connections::{Connections, NewConnection};
use http::{Request, Response};
use http_body::Body;
use ipnet::IpNet;
use std::{convert::Infallible, io as stdio, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::util::BoxCloneSyncService;

/// The service that answers requests.
pub type HttpService<B> = BoxCloneSyncService<Request<RequestBody>, Response<B>, Infallible>;

/// How a listener behaves.
#[derive(Clone)]
pub struct ListenerOptions {
    /// Limits on connections and requests.
    pub limits: Limits,
    /// Certificates; `None` for plain connections.
    pub tls: Option<Tls>,
    /// The threads that serve its connections.
    pub reactors: Reactors,
    /// Settings that apply without a restart.
    pub live: Arc<ArcSwap<Live>>,
    /// The memory that clients of all listeners share.
    pub memory: Arc<ClientMemory>,
    /// Trusted proxies, which carry the connections of many clients.
    pub trusted_proxies: Vec<IpNet>,
}

/// What all connections of a listener share.
struct ListenerState<B> {
    app: HttpService<B>,
    limits: Limits,
    tls: Option<Tls>,
    /// One permit for each HTTP/1.1 connection that may read far ahead.
    far_ahead: Semaphore,
    /// One permit for each HTTP/2 connection that may have wide windows.
    wide: Semaphore,
    /// Cancelled when connections have to end after their current request.
    graceful: CancellationToken,
}

/// Pause after a failed accept, most likely for lack of descriptors: some connection will end.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves connections until `shutdown`, then waits for requests in flight, at most for the drain time.
pub async fn run<B>(listener: TcpListener, app: HttpService<B>, options: ListenerOptions, shutdown: Shutdown)
where
    B: Body<Data = Bytes, Error = BoxError> + Send + Unpin + 'static,
{
    tokio::select! {
        () = serve(listener, app, options, shutdown) => {}
        () = awake::beat() => {}
    }
}

async fn serve<B>(listener: TcpListener, app: HttpService<B>, options: ListenerOptions, shutdown: Shutdown)
where
    B: Body<Data = Bytes, Error = BoxError> + Send + Unpin + 'static,
{
    let ListenerOptions { limits, tls, reactors, live, memory, trusted_proxies } = options;
    let (lag, drain) = (limits.shutdown_lag, limits.drain);
    let open = Connections::new(most_connections(limits.connections), memory);
    let graceful = CancellationToken::new();
    let (far_ahead, wide) = (Semaphore::new(connection::MOST_AHEAD), Semaphore::new(connection::MOST_WIDE));
    let shared = Arc::new(ListenerState { app, limits, tls, far_ahead, wide, graceful: graceful.clone() });
    let (connections, abort) = (TaskTracker::new(), CancellationToken::new());

    let accepting = async {
        loop {
            let (stream, peer) = accept(&listener).await;
            let address = peer.ip().to_canonical();
            let arrival = NewConnection {
                address,
                is_proxy: trusted_proxies.iter().any(|net| net.contains(&address)),
                most_of_client: live.load().connections_per_client,
            };
            let admitted = open.admit(arrival, &abort).await;
            let (shared, seat) = (shared.clone(), reactors.assign());
            let handle = seat.handle.clone();
            let serving = async move {
                match stream.and_then(TcpStream::from_std) {
                    Ok(stream) => tokio::select! {
                        () = connection::serve(stream, peer, &admitted, shared) => {}
                        () = admitted.close.cancelled() => {}
                    },
                    Err(error) => tracing::warn!(%peer, %error, "cannot serve a connection"),
                }
                drop((admitted, seat));
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
        () = awake::sleep(drain) => tracing::warn!(open = connections.len(), "drain time is over; closing the remaining connections"),
        () = shutdown.aborted() => tracing::warn!(open = connections.len(), "second signal received; closing the remaining connections"),
    }
    abort.cancel();
    connections.wait().await;
}

/// Accepts the next connection, which is not on a reactor yet.
async fn accept(listener: &TcpListener) -> (stdio::Result<std::net::TcpStream>, std::net::SocketAddr) {
    let mut is_logged = false;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream.into_std(), peer),
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                // Once for each series of failures: one line for every attempt would flood the log.
                if !std::mem::replace(&mut is_logged, true) {
                    tracing::warn!(%error, "cannot accept connections; retrying");
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Whether an error concerns only a connection that ended before it was accepted.
fn is_of_one_connection(error: &stdio::Error) -> bool {
    use stdio::ErrorKind as K;
    matches!(error.kind(), K::ConnectionAborted | K::ConnectionReset | K::ConnectionRefused | K::Interrupted)
}

/// How many connections a listener accepts: descriptors must be left for what is open already, for the small files that
/// are kept open (`storage::fs::recent`), and for one file for each connection.
fn most_connections(wanted: usize) -> usize {
    let Some(files) = descriptor_limit().and_then(|files| usize::try_from(files).ok()) else { return wanted };
    let bearable = bearable_connections(files, open_descriptors());
    if bearable < wanted {
        tracing::warn!(
            configured = wanted,
            limit = bearable,
            "connection limit lowered: the limit on open files is too low"
        );
    }
    wanted.min(bearable)
}

/// How many connections leave enough of `files` descriptors, if `open` of them are in use.
fn bearable_connections(files: usize, open: usize) -> usize {
    let left = files.saturating_sub(open + SPARE + files / 16);
    (left.saturating_sub(connections::most_beyond(left / 2)) / 2).max(1)
}

/// Descriptors for occasional use: a directory that is read or synced, a configuration file.
const SPARE: usize = 16;

/// Descriptors that are open now.
fn open_descriptors() -> usize {
    // Roughly what the daemon has open, where the system does not tell.
    const USUAL: usize = 32;
    std::fs::read_dir("/dev/fd").map_or(USUAL, Iterator::count)
}

/// Raises the limit on open files of this process as far as the system allows, and returns it.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_descriptor_for_every_connection_and_its_file() {
        for files in [1, 48, 64, 128, 1024, 20_000, 1 << 20] {
            let most = bearable_connections(files, 25);
            let needed = 25 + SPARE + files / 16 + 2 * most + connections::most_beyond(most);
            assert!(most == 1 || needed <= files, "{files}: {most} connections need {needed}");
            assert!(files < 64 || most >= files / 16, "{files}: only {most}");
        }
    }
}
