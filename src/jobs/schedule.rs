//! When a job runs next.

use crate::files::world;
use std::time::{Duration, SystemTime};

/// The schedule of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// From the start of one run, or of one check whether it is due, to the next.
    pub every: Duration,
    /// Whether the first run starts at once. Otherwise it waits, so that a daemon that has just started can do other
    /// things.
    pub at_start: bool,
    /// How long to wait after a failure, if longer than the interval; doubles with each further failure.
    pub after_failure: Duration,
    /// The longest wait after failures.
    pub longest: Duration,
}

impl Schedule {
    /// At this interval, even after failures.
    pub fn every(every: Duration) -> Self {
        Self { every, at_start: false, after_failure: Duration::ZERO, longest: Duration::ZERO }
    }

    /// The time from the start of the last run to the next. `chance` is between 0 and 1.
    pub(super) fn wait(&self, is_first: bool, failures: u32, chance: f64) -> Duration {
        // Daemons that were started together diverge at their first wait.
        let earlier = match (is_first, self.at_start) {
            (true, true) => return Duration::ZERO,
            (true, false) => 0.5,
            (false, _) => 0.1,
        };
        let backoff = match failures {
            0 => Duration::ZERO,
            n => self.after_failure.saturating_mul(1 << (n - 1).min(16)).min(self.longest),
        };
        match backoff > self.every {
            true => backoff,
            false => self.every.mul_f64(1.0 - earlier * chance),
        }
    }
}

/// A number between 0 and 1 that differs between daemons.
pub(super) fn chance() -> f64 {
    let random = world::uuid().as_u128() & u128::from(u32::MAX);
    random as f64 / f64::from(u32::MAX)
}

/// Whether something was done long enough ago to be due again. A time in the future, after the clock was set back,
/// delays nothing.
pub fn has_passed(last: SystemTime, every: Duration, now: SystemTime) -> bool {
    now.duration_since(last).is_ok_and(|passed| passed >= every) || now < last
}
