//! Tells systemd what the daemon does (sd_notify(3)): that it is ready, reads its configuration again, stops, and is
//! alive. Does nothing where no `NOTIFY_SOCKET` is set.

use crate::files::detached;
use sd_notify::NotifyState;
use std::{sync::Arc, time::Duration};
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
