//! Being told to stop: once, and once more.

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
enum Phase {
    Serving,
    /// Still accepting for a while, so that load balancers notice.
    Stopping,
    /// As before, by somebody at a terminal: nobody balances load.
    StoppingAtOnce,
    Abort,
}

/// Tells the servers to stop.
#[derive(Clone)]
pub struct Trigger(watch::Sender<Phase>, Arc<AtomicBool>);

/// Hears of it; one clone for each server.
#[derive(Clone)]
pub struct Shutdown(watch::Receiver<Phase>, Arc<AtomicBool>);

impl Trigger {
    /// A trigger nobody has pulled.
    pub fn new() -> (Self, Shutdown) {
        let (sender, receiver) = watch::channel(Phase::Serving);
        let draining = Arc::new(AtomicBool::new(false));
        (Self(sender, draining.clone()), Shutdown(receiver, draining))
    }

    /// Stop; told again: at once. Without `lag` nothing more is accepted from now on.
    pub fn stop(&self, lag: bool) {
        self.1.store(true, Ordering::Release);
        self.0.send_modify(|phase| {
            *phase = match (*phase, lag) {
                (Phase::Serving, true) => Phase::Stopping,
                (Phase::Serving, false) => Phase::StoppingAtOnce,
                _ => Phase::Abort,
            }
        });
    }
}

impl Shutdown {
    /// Set from the first word on: not ready any more.
    pub fn draining(&self) -> Arc<AtomicBool> {
        self.1.clone()
    }

    /// Until no more connections are to be accepted.
    pub(super) async fn accepting_ends(&self, lag: Duration) {
        let reached = self.until(Phase::Stopping).await;
        if reached == Phase::Stopping {
            tokio::select! {
                () = tokio::time::sleep(lag) => {}
                _ = self.until(Phase::StoppingAtOnce) => {}
            }
        }
    }

    /// Until everything is to end.
    pub(super) async fn aborted(&self) {
        self.until(Phase::Abort).await;
    }

    async fn until(&self, phase: Phase) -> Phase {
        let mut receiver = self.0.clone();
        let reached = receiver.wait_for(|now| *now >= phase).await.map(|reached| *reached);
        match reached {
            Ok(reached) => reached,
            // Nobody is left to tell us: never.
            Err(_) => std::future::pending().await,
        }
    }
}

/// Pulls the trigger at SIGTERM and SIGINT, as often as they come.
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

/// Says so whenever SIGHUP comes: the usual word for reading the configuration again.
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
