//! What was done since this process started: counters of pushes and reads, and those of the maintenance.

use std::sync::atomic::{AtomicU64, Ordering};

/// All counters.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) collections: CollectionCounters,
    pub(crate) scrubs: ScrubCounters,
    /// Reads of whole blobs, counted if some of them are verified.
    pub(super) reads: AtomicU64,
}

/// What collections did, and what pushes restored.
#[derive(Default)]
pub(crate) struct CollectionCounters {
    pub(crate) runs: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) condemned: AtomicU64,
    pub(crate) restored: AtomicU64,
    pub(crate) purged: AtomicU64,
    pub(crate) purged_bytes: AtomicU64,
    pub(crate) resurrected: AtomicU64,
}

impl CollectionCounters {
    /// A push restored this many items.
    pub(super) fn resurrected(&self, things: usize) {
        self.resurrected.fetch_add(things as u64, Ordering::Relaxed);
    }
}

/// What scrubbing has read.
#[derive(Default)]
pub(crate) struct ScrubCounters {
    pub(crate) blobs: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) damaged: AtomicU64,
}
