//! No more files per second than the settings allow, so that a collection leaves the disk to others.

use crate::files::world;
use std::time::Duration;

/// Counts what was done against the time it may take.
pub(super) struct Pace {
    per_second: u64,
    began: Duration,
    done: u64,
}

impl Pace {
    pub(super) fn new(per_second: u64) -> Self {
        Self { per_second: per_second.max(1), began: world::uptime(), done: 0 }
    }

    /// One more; waits if that is too many. A pause of less than a few milliseconds is saved up.
    pub(super) async fn one(&mut self) {
        self.done += 1;
        let due = Duration::from_secs_f64(self.done as f64 / self.per_second as f64);
        let ahead = due.saturating_sub(world::uptime().saturating_sub(self.began));
        if ahead > Duration::from_millis(5) {
            tokio::time::sleep(ahead).await;
        }
    }
}
