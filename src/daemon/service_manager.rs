//! Tells systemd what the daemon does (sd_notify(3)): that it is ready, reads its configuration again, stops, and is
//! alive. Does nothing where no `NOTIFY_SOCKET` is set. Also takes the socket that systemd passes (sd_listen_fds(3)).

use crate::files::{cause, detached};
use sd_notify::NotifyState;
use std::{io, net::TcpListener, os::fd::RawFd, sync::Arc, time::Duration};
use tokio::sync::Notify;
use tracing::warn;

/// Waits while systemd has too many messages to read, but holds up nobody else.
async fn tell(states: Vec<NotifyState<'static>>) {
    if let Err(error) = detached(move || sd_notify::notify(&states)).await.flatten() {
        warn!(%error, "cannot notify systemd");
    }
}

/// Requests are answered from now on. Also begins the signs of life, if systemd waits for them.
pub(super) async fn ready() {
    tell(vec![NotifyState::Ready]).await;
    if let Some(patience) = sd_notify::watchdog_enabled().filter(|patience| *patience > Duration::ZERO) {
        tokio::spawn(async move {
            loop {
                tell(vec![NotifyState::Watchdog]).await;
                tokio::time::sleep(patience / 3).await;
            }
        });
    }
}

/// No connection is accepted any more; those that are open are served to their end.
pub(super) async fn stopping() {
    tell(vec![NotifyState::Stopping]).await;
}

/// Has the configuration read at each SIGHUP, and says when that begins and ends.
pub(super) async fn reload_on_hangup(hangup: Arc<Notify>, nudge: Arc<Notify>, was_read: Arc<Notify>) {
    loop {
        hangup.notified().await;
        // With the time, which systemd 253 asks for.
        let since = NotifyState::monotonic_usec_now().ok();
        tell([NotifyState::Reloading].into_iter().chain(since).collect()).await;
        nudge.notify_one();
        was_read.notified().await;
        tell(vec![NotifyState::Ready]).await;
    }
}

/// The listening socket that systemd passes, if it does: the one of `wharfinger.socket`.
pub(super) fn passed_listener() -> Result<Option<TcpListener>, String> {
    let cannot = |why: &dyn std::fmt::Display| format!("cannot take the socket that systemd passes: {why}");
    let passed: Vec<_> = sd_notify::listen_fds().map_err(|error| cannot(&cause(&error)))?.collect();
    match passed[..] {
        [] => Ok(None),
        [number] => listener(number).map(Some).map_err(|error| cannot(&cause(&error))),
        _ => Err(cannot(&format_args!("there are {}; the unit may have one ListenStream= only", passed.len()))),
    }
}

/// A copy of the descriptor with this number: to take the number itself would be unsafe. So the socket stays open until
/// the process ends, and connections that arrive during a shutdown wait for the next start.
#[cfg(target_os = "linux")]
fn listener(number: RawFd) -> io::Result<TcpListener> {
    use rustix::{
        net::{AddressFamily, sockopt},
        process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open},
    };
    let socket = pidfd_getfd(pidfd_open(getpid(), PidfdFlags::empty())?, number, PidfdGetfdFlags::empty())?;
    let is_ip = matches!(sockopt::socket_domain(&socket)?, AddressFamily::INET | AddressFamily::INET6);
    if !is_ip || !sockopt::socket_acceptconn(&socket)? {
        return Err(io::Error::other("it is not a TCP socket that listens"));
    }
    let listener = TcpListener::from(socket);
    listener.set_nonblocking(true)?;
    Ok(listener)
}

#[cfg(not(target_os = "linux"))]
fn listener(_: RawFd) -> io::Result<TcpListener> {
    Err(io::ErrorKind::Unsupported.into())
}
