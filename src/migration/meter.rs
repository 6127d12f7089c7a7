//! How far an image is while it is copied, and how fast.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

/// Counts what is done of one image.
#[derive(Default)]
pub(super) struct ImageMeter {
    total: AtomicU64,
    fetched: AtomicU64,
    skipped: AtomicU64,
    layers: AtomicU64,
    layers_skipped: AtomicU64,
    samples: Mutex<VecDeque<(Instant, u64)>>,
}

/// The time over which a rate is measured.
const WINDOW: Duration = Duration::from_secs(5);

impl ImageMeter {
    /// A blob was found in the image.
    pub(super) fn found(&self, size: u64) {
        self.total.fetch_add(size, Ordering::Relaxed);
        self.layers.fetch_add(1, Ordering::Relaxed);
    }

    /// A blob is here already.
    pub(super) fn skipped(&self, size: u64) {
        self.skipped.fetch_add(size, Ordering::Relaxed);
        self.layers_skipped.fetch_add(1, Ordering::Relaxed);
    }

    /// Bytes were fetched, or would be.
    pub(super) fn fetched(&self, bytes: u64) {
        self.fetched.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes that were counted as fetched were of no use.
    pub(super) fn lost(&self, bytes: u64) {
        let _ = self.fetched.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| Some(n.saturating_sub(bytes)));
    }

    /// Begins anew, for another attempt.
    pub(super) fn reset(&self) {
        for counter in [&self.total, &self.fetched, &self.skipped, &self.layers, &self.layers_skipped] {
            counter.store(0, Ordering::Relaxed);
        }
        self.samples.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// All bytes, those that were fetched, and those that were here.
    pub(super) fn bytes(&self) -> [u64; 3] {
        [&self.total, &self.fetched, &self.skipped].map(|counter| counter.load(Ordering::Relaxed))
    }

    /// All blobs, and those that were here.
    pub(super) fn layers(&self) -> [u64; 2] {
        [&self.layers, &self.layers_skipped].map(|counter| counter.load(Ordering::Relaxed))
    }

    /// Takes a sample for the rate.
    pub(super) fn sample(&self, now: Instant) {
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        samples.push_back((now, self.fetched.load(Ordering::Relaxed)));
        while samples.len() > 2 && samples.get(1).is_some_and(|(at, _)| now.duration_since(*at) >= WINDOW) {
            samples.pop_front();
        }
    }

    /// Bytes per second, by the samples.
    pub(super) fn rate(&self) -> u64 {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some((begin, before)), Some((end, now))) = (samples.front(), samples.back()) else { return 0 };
        let seconds = end.duration_since(*begin).as_secs_f64();
        if seconds > 0.0 { (now.saturating_sub(*before) as f64 / seconds) as u64 } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_rate_is_that_of_the_last_seconds() {
        let meter = ImageMeter::default();
        assert_eq!(meter.rate(), 0);
        for _ in 0..20 {
            meter.sample(Instant::now());
            tokio::time::advance(Duration::from_secs(1)).await;
            meter.fetched(1000);
        }
        assert_eq!(meter.rate(), 1000);
        for _ in 0..10 {
            meter.sample(Instant::now());
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(meter.rate(), 0);
        meter.lost(30_000);
        assert_eq!(meter.bytes(), [0; 3]);
    }
}
