//! Ending an HTTP/2 stream whose client takes nothing of its answer.
//!
//! On HTTP/1.1 such a client fills the socket, which has a clock. On HTTP/2 it just grants no
//! window: the socket stays free, the body is not asked for more, and nobody would notice. Here
//! each stream's task runs beside a clock which the stream's body sets back.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

tokio::task_local! {
    /// Of the stream whose task this is.
    static PACE: Arc<Pace>;
}

/// Since when a client has had a part of its answer to take; `None` while it waits for us.
#[derive(Default)]
pub(super) struct Pace(Mutex<Option<Instant>>);

impl Pace {
    /// That of the stream whose task this is; none on HTTP/1.1.
    pub(super) fn of_this_task() -> Option<Arc<Self>> {
        PACE.try_with(Arc::clone).ok()
    }

    /// It is the client's turn.
    pub(super) fn given(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// It is ours.
    pub(super) fn owed(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Until it has been the client's turn for so long.
    async fn stalled(&self, allowed: Duration) {
        loop {
            let since = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let until = since.unwrap_or_else(Instant::now) + allowed;
            if until <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(until).await;
        }
    }
}

/// Runs the streams of HTTP/2 connections.
#[derive(Clone)]
pub(super) struct Streams {
    pub(super) stall: Duration,
}

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let (pace, stall) = (Arc::<Pace>::default(), self.stall);
        tokio::spawn(PACE.scope(pace.clone(), async move {
            tokio::select! {
                () = stream => {}
                // Dropping the stream resets it and no other.
                () = pace.stalled(stall) => tracing::debug!("client stopped reading its response; closing the connection"),
            }
        }));
    }
}
