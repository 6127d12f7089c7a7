//! When to try again, and how long to wait before.

use crate::error::ErrorCause;
use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

/// How often a request is attempted, and how long the pauses are.
#[derive(Clone, Copy, Debug)]
pub struct Retries {
    /// Attempts in all; 1 means that nothing is repeated. A transfer that resumes counts anew
    /// once it has got further.
    pub attempts: u32,
    /// The first pause. Each is about twice the last; a random part keeps clients apart.
    pub pause: Duration,
    /// The longest pause.
    pub most_pause: Duration,
    /// The longest `Retry-After` that is waited for. If the registry asks for more, the request
    /// fails at once.
    pub most_retry_after: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        let (pause, most_pause) = (Duration::from_millis(250), Duration::from_secs(10));
        Self { attempts: 5, pause, most_pause, most_retry_after: Duration::from_secs(60) }
    }
}

/// Progress that makes the attempts count anew: a peer that gives a byte at a time cannot hold a
/// transfer for ever.
const PROGRESS: u64 = 64 << 10;

/// The attempts of one operation.
pub(crate) struct Attempts {
    retries: Retries,
    made: u32,
    position: u64,
}

impl Attempts {
    pub(crate) fn new(retries: Retries) -> Self {
        Self { retries, made: 0, position: 0 }
    }

    /// Notes how far a transfer has got.
    pub(crate) fn reached(&mut self, position: u64) {
        if position >= self.position.saturating_add(PROGRESS) {
            (self.position, self.made) = (position, 0);
        }
    }

    /// Waits before the next attempt, or gives the fault back if there must be none.
    pub(crate) async fn pause(&mut self, fault: ErrorCause) -> Result<(), ErrorCause> {
        self.made += 1;
        if !fault.retry || self.made >= self.retries.attempts {
            return Err(fault);
        }
        let delay = match fault.retry_after {
            Some(asked) if asked > self.retries.most_retry_after => return Err(fault),
            Some(asked) => asked.max(jitter(self.retries.pause)),
            None => jitter(self.delay()),
        };
        tokio::time::sleep(delay).await;
        Ok(())
    }

    fn delay(&self) -> Duration {
        let doubled = self.retries.pause.saturating_mul(1 << (self.made - 1).min(16));
        doubled.min(self.retries.most_pause)
    }
}

/// Between half of it and all of it. The standard library's hasher has a random seed, which is
/// random enough for this.
fn jitter(pause: Duration) -> Duration {
    let random = (RandomState::new().hash_one(0) >> 40) as f64 / (1u64 << 24) as f64;
    pause.mul_f64(0.5 + random / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_vary() {
        let retries = Retries::default();
        let delays = [1, 2, 3, 7, 40].map(|made| Attempts { retries, made, position: 0 }.delay());
        assert_eq!(delays.map(|d| d.as_millis()), [250, 500, 1000, 10_000, 10_000]);
        let jittered: Vec<Duration> = (0..50).map(|_| jitter(Duration::from_secs(1))).collect();
        assert!(jittered.iter().all(|d| (500..=1000).contains(&d.as_millis())), "{jittered:?}");
        assert!(jittered.iter().any(|d| *d != jittered[0]));
    }

    #[test]
    fn only_progress_resets_the_number_of_attempts() {
        let mut attempts = Attempts { retries: Retries::default(), made: 4, position: 0 };
        attempts.reached(PROGRESS - 1);
        assert_eq!(attempts.made, 4);
        attempts.reached(PROGRESS);
        assert_eq!((attempts.made, attempts.position), (0, PROGRESS));
    }
}
