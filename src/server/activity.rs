//! What a connection is at: how many requests it has in flight, and since when none.

use super::head::HeadScan;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// Shared by a connection's IO, its service and its task.
pub(super) struct Activity(Mutex<Now>);

struct Now {
    /// Requests whose responses are not all handed over.
    in_flight: usize,
    /// When the last of them was, or the connection began.
    idle_since: Instant,
    /// A request has come.
    served: bool,
    /// When the first byte of the head being read came.
    head_since: Option<Instant>,
    /// What was seen of that head.
    scan: HeadScan,
}

impl Activity {
    /// From now on, for a connection that owes its first request.
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Now {
            in_flight: 0,
            idle_since: Instant::now(),
            served: false,
            head_since: None,
            scan: HeadScan::default(),
        })))
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of bytes as they arrive; whether a head begins with them. What comes while a
    /// request is in flight is its body (or the next request, early: that one is not timed).
    pub(super) fn arrived(&self, bytes: &[u8]) -> bool {
        let mut now = self.now();
        if now.in_flight > 0 || bytes.is_empty() {
            return false;
        }
        now.scan.see(bytes);
        let begins = now.head_since.is_none();
        now.head_since.get_or_insert_with(Instant::now);
        begins
    }

    pub(super) fn head_since(&self) -> Option<Instant> {
        self.now().head_since
    }

    /// A request begins: its head is read. What its head showed.
    pub(super) fn begin(self: &Arc<Self>) -> (Flight, HeadScan) {
        let mut now = self.now();
        now.in_flight += 1;
        now.served = true;
        now.head_since = None;
        let scan = std::mem::take(&mut now.scan);
        (Flight(self.clone()), scan)
    }

    /// Until nothing was going on for so long: before the first request, and after one.
    pub(super) async fn idle_for(&self, before: Duration, after: Duration) {
        loop {
            let until = {
                let now = self.now();
                let allowed = if now.served { after } else { before };
                let is_quiet = now.in_flight == 0 && now.head_since.is_none();
                if is_quiet && now.idle_since.elapsed() >= allowed {
                    return;
                }
                if is_quiet { now.idle_since + allowed } else { Instant::now() + after.max(TICK) }
            };
            // The first request may come and go meanwhile.
            tokio::time::sleep_until(until.min(Instant::now() + after.max(TICK))).await;
        }
    }
}

/// The least time between two looks, whatever the limits say.
const TICK: Duration = Duration::from_millis(10);

/// A request in flight, from its head to its response's last byte.
pub(super) struct Flight(Arc<Activity>);

impl Drop for Flight {
    fn drop(&mut self) {
        let mut now = self.0.now();
        now.in_flight -= 1;
        now.idle_since = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::{advance, timeout};

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_when_it_neither_serves_nor_hears() {
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
        assert!(activity.arrived(b"GET") && !activity.arrived(b" /"));
        advance(SECOND * 20).await;
        assert!(!is_idle().await, "a head is being read");
    }
}
