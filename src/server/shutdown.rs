//! The shutdown signal, which can be repeated to stop at once.

use crate::wire::awake;
use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Notify, watch};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum ShutdownPhase {
    Serving,
    /// Accepts connections for a while yet, so that load balancers notice.
    Stopping,
    /// Stops accepting at once, after a signal from a terminal: there is no load balancer.
    StoppingAtOnce,
    Abort,
}

/// Starts the shutdown of the servers.
#[derive(Clone)]
pub struct Trigger(watch::Sender<ShutdownPhase>, Arc<AtomicBool>);

/// Receives the signal; one clone for each server.
#[derive(Clone)]
pub struct Shutdown(watch::Receiver<ShutdownPhase>, Arc<AtomicBool>);

impl Trigger {
    /// A trigger that was not used yet.
    pub fn new() -> (Self, Shutdown) {
        let (sender, receiver) = watch::channel(ShutdownPhase::Serving);
        let draining = Arc::new(AtomicBool::new(false));
        (Self(sender, draining.clone()), Shutdown(receiver, draining))
    }

    /// Starts the shutdown; a second call ends everything at once. Without `lag` no more connections are accepted.
    pub fn stop(&self, lag: bool) {
        self.1.store(true, Ordering::Release);
        self.0.send_modify(|phase| {
            *phase = match (*phase, lag) {
                (ShutdownPhase::Serving, true) => ShutdownPhase::Stopping,
                (ShutdownPhase::Serving, false) => ShutdownPhase::StoppingAtOnce,
                _ => ShutdownPhase::Abort,
            }
        });
    }
}

impl Shutdown {
    /// Set from the first call of [`Trigger::stop`] on: the daemon is not ready any more.
    pub fn draining(&self) -> Arc<AtomicBool> {
        self.1.clone()
    }

    /// Waits until the shutdown begins.
    pub async fn begun(&self) {
        self.until(ShutdownPhase::Stopping).await;
    }

    /// Resolves when no more connections are to be accepted.
    pub(super) async fn accepting_ends(&self, lag: Duration) {
        let reached = self.until(ShutdownPhase::Stopping).await;
        if reached == ShutdownPhase::Stopping {
            tokio::select! {
                () = awake::sleep(lag) => {}
                _ = self.until(ShutdownPhase::StoppingAtOnce) => {}
            }
        }
    }

    /// Resolves when everything has to end at once.
    pub(super) async fn aborted(&self) {
        self.until(ShutdownPhase::Abort).await;
    }

    async fn until(&self, phase: ShutdownPhase) -> ShutdownPhase {
        let mut receiver = self.0.clone();
        let reached = receiver.wait_for(|now| *now >= phase).await.map(|reached| *reached);
        match reached {
            Ok(reached) => reached,
            // The trigger was dropped: no signal will come.
            Err(_) => std::future::pending().await,
        }
    }
}

/// Calls [`Trigger::stop`] at every SIGTERM and SIGINT.
///
/// # Errors
/// When the system takes no handlers.
pub fn on_signals(trigger: Trigger) -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => trigger.stop(true),
                _ = interrupt.recv() => trigger.stop(false),
            }
            tracing::info!("shutdown requested");
        }
    })
}

/// Notifies `nudge` at every SIGHUP, the usual request for a configuration reload.
///
/// # Errors
/// When the system takes no handler.
pub fn on_hangup(nudge: Arc<Notify>) -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        while hangup.recv().await.is_some() {
            nudge.notify_one();
        }
    })
}

/// Makes a write past `ulimit -f` fail, as on a full disk, instead of ending the process.
///
/// # Errors
/// When the system takes no handler.
pub fn survive_long_files() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    // The handler stays installed without a listener.
    signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw())).map(drop)
}
