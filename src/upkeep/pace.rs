//! Limits the rate of background work to the settings, so that the disk has time for requests.

use crate::files::world;
use std::time::Duration;

/// Compares what was done with the time it may take.
pub(super) struct Pace {
    per_second: u64,
    began: Duration,
    done: u64,
}

/// Shorter pauses are accumulated: each pause costs two thread switches.
const SHORTEST: Duration = Duration::from_millis(5);

impl Pace {
    pub(super) fn new(per_second: u64) -> Self {
        Self { per_second: per_second.max(1), began: world::uptime(), done: 0 }
    }

    /// Counts `done` more, and returns how long the caller has to pause; zero if it may continue.
    #[must_use]
    pub(super) fn pause(&mut self, done: u64) -> Duration {
        self.pause_at(world::uptime(), done)
    }

    fn pause_at(&mut self, now: Duration, done: u64) -> Duration {
        self.done += done;
        let due = Duration::from_secs_f64(self.done as f64 / self.per_second as f64);
        let ahead = due.saturating_sub(now.saturating_sub(self.began));
        if ahead > SHORTEST { ahead } else { Duration::ZERO }
    }

    /// Counts `done` more, and waits if the rate is exceeded.
    pub(super) async fn wait(&mut self, done: u64) {
        let pause = self.pause(done);
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_pauses_are_saved_up_and_none_is_lost() {
        let mut pace = Pace::new(1000);
        let began = pace.began;
        let pauses = [3, 2, 1].map(|done| pace.pause_at(began, done).as_millis());
        assert_eq!(pauses, [0, 0, 6]);
        // The pause has passed, and a little more.
        let later = began + Duration::from_millis(8);
        let pauses = [2, 5, 1].map(|done| pace.pause_at(later, done).as_millis());
        assert_eq!(pauses, [0, 0, 6]);
    }

    #[test]
    fn slower_work_is_not_delayed() {
        let mut pace = Pace::new(0);
        let hour = Duration::from_secs(3600);
        assert_eq!(pace.pause_at(pace.began + hour, 3600), Duration::ZERO, "no rate at all is one a second");
    }
}
