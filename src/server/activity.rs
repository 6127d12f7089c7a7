//! What a connection is doing: how many requests are in flight, and since when there are none.

use super::head::HeadScan;
use crate::wire::awake::Moment;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// Shared by a connection's IO, its service and its task.
pub(super) struct Activity(Mutex<Now>);

struct Now {
    /// Requests whose responses are not completely handed over.
    in_flight: usize,
    /// When the last request ended, or the connection began.
    idle_since: Moment,
    /// At least one request has arrived.
    served: bool,
    /// When the first byte of the head being read arrived.
    head_since: Option<Moment>,
    /// What the scan of that head has found.
    scan: HeadScan,
}

impl Activity {
    /// Starts now, for a connection that has sent no request yet.
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Now {
            in_flight: 0,
            idle_since: Moment::now(),
            served: false,
            head_since: None,
            scan: HeadScan::default(),
        })))
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records bytes as they arrive. Bytes that arrive during a request are its body, or an early next request, which
    /// is not timed.
    pub(super) fn arrived(&self, bytes: &[u8]) -> Arrived {
        let mut now = self.now();
        if now.in_flight > 0 || bytes.is_empty() {
            return Arrived::Body;
        }
        now.scan.scan(bytes);
        if now.head_since.is_some() {
            return Arrived::MoreOfHead;
        }
        now.head_since = Some(Moment::now());
        Arrived::FirstOfHead
    }

    pub(super) fn head_since(&self) -> Option<Moment> {
        self.now().head_since
    }

    /// From now on the client can send its first request.
    pub(super) fn is_open(&self) {
        self.now().idle_since = Moment::now();
    }

    /// Since when the connection has been idle; `None` during a request.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let now = self.now();
        (now.in_flight == 0).then(|| now.head_since.unwrap_or(now.idle_since).at())
    }

    /// A request begins, as its head has been read. Also returns what the scan of the head found.
    pub(super) fn begin(self: &Arc<Self>) -> (Flight, HeadScan) {
        let mut now = self.now();
        now.in_flight += 1;
        now.served = true;
        now.head_since = None;
        let scan = std::mem::take(&mut now.scan);
        (Flight(self.clone()), scan)
    }

    /// Waits until the connection has been idle for too long: for `before` if no request has arrived yet, else for
    /// `after`.
    pub(super) async fn idle_for(&self, before: Duration, after: Duration) {
        loop {
            let until = {
                let now = self.now();
                let allowed = if now.served { after } else { before };
                let is_quiet = now.in_flight == 0 && now.head_since.is_none();
                if is_quiet && now.idle_since.is_past(allowed) {
                    return;
                }
                if is_quiet { now.idle_since.after(allowed) } else { Instant::now() + after.max(TICK) }
            };
            // The first request may begin and end in the meantime.
            tokio::time::sleep_until(until.min(Instant::now() + after.max(TICK))).await;
        }
    }

    /// Waits until every response has been sent and read, or until `allowed` has passed. A head that is still arriving
    /// is not waited for.
    pub(super) async fn has_answered(&self, allowed: Duration) {
        while !self.now().owes_nothing(allowed) {
            tokio::time::sleep(LOOK).await;
        }
    }
}

impl Now {
    fn owes_nothing(&self, allowed: Duration) -> bool {
        self.in_flight == 0 && (!self.served || self.head_since.is_some() || self.idle_since.is_past(allowed))
    }
}

/// Time between two checks while a connection ends.
const LOOK: Duration = Duration::from_millis(100);

/// What arrived bytes belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrived {
    FirstOfHead,
    MoreOfHead,
    Body,
}

/// The least time between two checks, whatever the limits are.
const TICK: Duration = Duration::from_millis(10);

/// A request in flight, from its head to the last byte of its response.
pub(super) struct Flight(Arc<Activity>);

impl Drop for Flight {
    fn drop(&mut self) {
        let mut now = self.0.now();
        now.in_flight -= 1;
        now.idle_since = Moment::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::{advance, timeout};

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_when_it_neither_serves_nor_receives() {
        let activity = Activity::new();
        let is_idle = async || timeout(SECOND / 2, activity.idle_for(SECOND, SECOND * 10)).await.is_ok();
        assert!(!is_idle().await);
        assert!(is_idle().await, "no request came");
        let (flight, _) = activity.begin();
        advance(SECOND * 20).await;
        assert!(!is_idle().await, "in flight");
        drop(flight);
        advance(SECOND * 9).await;
        assert!(!is_idle().await, "not long enough");
        assert_eq!((activity.arrived(b"GET"), activity.arrived(b" /")), (Arrived::FirstOfHead, Arrived::MoreOfHead));
        advance(SECOND * 20).await;
        assert!(!is_idle().await, "a head is being read");
    }
}
