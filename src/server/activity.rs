//! What a connection is at: how many requests it has in flight, and since when none.

use super::head::HeadScan;
use crate::service::BoxError;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::Instant;

/// Shared by a connection's IO, its service and its task.
pub(super) struct Activity(Mutex<Now>);

pub(super) struct Now {
    /// Requests whose responses are not all sent.
    pub(super) in_flight: usize,
    /// When the last of them was.
    idle_since: Instant,
    /// When the head being read began; a connection owes its first from the start.
    pub(super) head_since: Option<Instant>,
    /// No request has come yet.
    pub(super) is_first: bool,
    /// What was seen of the head being read.
    pub(super) scan: HeadScan,
}

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        let now = Instant::now();
        Arc::new(Self(Mutex::new(Now {
            in_flight: 0,
            idle_since: now,
            head_since: Some(now),
            is_first: true,
            scan: HeadScan::default(),
        })))
    }

    pub(super) fn now(&self) -> MutexGuard<'_, Now> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request begins: its head is read. What its head showed.
    pub(super) fn begin(self: &Arc<Self>) -> (Flight, HeadScan) {
        let mut now = self.now();
        now.in_flight += 1;
        now.head_since = None;
        now.is_first = false;
        let scan = std::mem::take(&mut now.scan);
        (Flight(self.clone()), scan)
    }

    /// Until nothing was in flight for `keep_alive`.
    pub(super) async fn idle_for(&self, keep_alive: Duration) {
        loop {
            let until = {
                let now = self.now();
                match now.in_flight {
                    0 => now.idle_since + keep_alive,
                    _ => Instant::now() + keep_alive,
                }
            };
            if until <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(until).await;
        }
    }
}

/// A request in flight, from its head to its response's last byte.
pub(super) struct Flight(Arc<Activity>);

impl Drop for Flight {
    fn drop(&mut self) {
        let mut now = self.0.now();
        now.in_flight -= 1;
        now.idle_since = Instant::now();
    }
}

/// A response's body that keeps its request in flight.
pub(super) struct InFlight<B> {
    pub(super) body: B,
    pub(super) flight: Flight,
}

impl<B: Body<Data = Bytes, Error = BoxError>> Body for InFlight<Pin<Box<B>>> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let _ = &self.flight;
        self.body.as_mut().poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
