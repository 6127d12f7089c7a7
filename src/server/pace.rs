//! Ending an HTTP/2 stream whose client does not read its response.
//!
//! On HTTP/1.1 such a client fills the socket, which has a timeout. On HTTP/2 the client just grants no window: the
//! socket stays free, the body is not polled, and nobody would notice. So each stream's task runs together with a
//! timer, which the stream's body resets.

use crate::wire::awake::{self, Moment};
use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

tokio::task_local! {
    /// The pace of the stream that this task serves.
    static PACE: Arc<StreamPace>;
}

/// Since when the client has had a part of its response to read; `None` while it waits for us.
#[derive(Default)]
pub(super) struct StreamPace(Mutex<Option<Moment>>);

impl StreamPace {
    /// The pace of the stream that this task serves; `None` on HTTP/1.1.
    pub(super) fn of_this_task() -> Option<Arc<Self>> {
        PACE.try_with(Arc::clone).ok()
    }

    /// The client has something to read now.
    pub(super) fn client_must_read(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Moment::now());
    }

    /// The client waits for us now.
    pub(super) fn client_waits(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Resolves when the client has not read for `allowed`.
    async fn stalled(&self, allowed: Duration) {
        loop {
            let since = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match since {
                Some(since) if since.is_past(allowed) => return,
                Some(since) => tokio::time::sleep_until(since.after(allowed)).await,
                None => awake::sleep(allowed).await,
            }
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
        let (pace, stall) = (Arc::<StreamPace>::default(), self.stall);
        tokio::spawn(PACE.scope(pace.clone(), async move {
            tokio::select! {
                () = stream => {}
                // Dropping the stream resets it, and no other.
                () = pace.stalled(stall) => tracing::debug!("client stopped reading its response; closing the connection"),
            }
        }));
    }
}
