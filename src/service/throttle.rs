//! Limits how often callers may do what is costly or guessable: a rate for each key, with a burst of one minute or hour.

use arc_swap::ArcSwap;
use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};
use std::{num::NonZeroU32, sync::Arc};

/// Keys in memory before those that are at rest are forgotten.
const MANY_KEYS: usize = 10_000;

/// A rate for each key.
pub struct Throttle(ArcSwap<RateOfKeys>);

struct RateOfKeys {
    most: u32,
    /// `None` for no limit.
    limiter: Option<DefaultKeyedRateLimiter<Box<str>>>,
}

impl RateOfKeys {
    fn new(most: u32, per: fn(NonZeroU32) -> Quota) -> Self {
        Self { most, limiter: NonZeroU32::new(most).map(per).map(RateLimiter::keyed) }
    }
}

impl Default for Throttle {
    fn default() -> Self {
        Self(ArcSwap::from_pointee(RateOfKeys::new(0, Quota::per_minute)))
    }
}

impl Throttle {
    /// Counts one more for a key. A changed rate begins anew; zero is no limit.
    ///
    /// # Errors
    /// The seconds after which the next is admitted.
    pub(super) fn admit(&self, per_minute: u32, key: &str) -> Result<(), u64> {
        self.count(per_minute, Quota::per_minute, key)
    }

    /// The same, by the hour.
    ///
    /// # Errors
    /// As for [`admit`](Self::admit).
    pub(super) fn admit_hourly(&self, per_hour: u32, key: &str) -> Result<(), u64> {
        self.count(per_hour, Quota::per_hour, key)
    }

    fn count(&self, most: u32, per: fn(NonZeroU32) -> Quota, key: &str) -> Result<(), u64> {
        if self.0.load().most != most {
            self.0.store(Arc::new(RateOfKeys::new(most, per)));
        }
        let rate = self.0.load();
        let Some(limiter) = &rate.limiter else { return Ok(()) };
        if limiter.len() > MANY_KEYS {
            limiter.retain_recent();
        }
        limiter.check_key(&key.into()).map_err(|not_until| {
            let wait = not_until.wait_time_from(DefaultClock::default().now());
            wait.as_secs() + 1
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_own_rate_and_a_changed_rate_begins_anew() {
        let throttle = Throttle::default();
        for _ in 0..3 {
            assert_eq!(throttle.admit(3, "alice"), Ok(()));
        }
        let wait = throttle.admit(3, "alice").unwrap_err();
        assert!((1..=21).contains(&wait), "{wait}");
        assert_eq!(throttle.admit(3, "bob"), Ok(()));
        assert_eq!(throttle.admit(4, "alice"), Ok(()));
        for _ in 0..1000 {
            assert_eq!(throttle.admit(0, "alice"), Ok(()));
        }
        assert_eq!(throttle.admit_hourly(1, "alice"), Ok(()));
        let wait = throttle.admit_hourly(1, "alice").unwrap_err();
        assert!((3500..=3601).contains(&wait), "{wait}");
    }
}
