//! What collections have done since the start of this process.

use super::Report;
use std::sync::atomic::{AtomicU64, Ordering};

/// The figures, as they are kept.
#[derive(Default)]
pub(in crate::registry) struct Counters {
    runs: AtomicU64,
    failures: AtomicU64,
    condemned: AtomicU64,
    restored: AtomicU64,
    purged: AtomicU64,
    purged_bytes: AtomicU64,
    resurrected: AtomicU64,
}

/// The figures, as they were read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Collections that went to their end.
    pub runs: u64,
    /// Collections that did not.
    pub failures: u64,
    /// Things moved to the graveyard.
    pub condemned: u64,
    /// Things a collection brought back.
    pub restored: u64,
    /// Things removed for good.
    pub purged: u64,
    /// Their bytes.
    pub purged_bytes: u64,
    /// Things a push brought back: harmless, and a sign that the lease is short.
    pub resurrected: u64,
    /// Times something was read from the graveyard, by a pull or to see whether it is there.
    pub pulled: u64,
    /// When the last one of this store ended well, in seconds since 1970; zero if none did.
    pub last: u64,
}

impl Counters {
    pub(super) fn ran(&self, report: &Report) {
        let add = |counter: &AtomicU64, n: u64| counter.fetch_add(n, Ordering::Relaxed);
        add(&self.runs, 1);
        add(&self.condemned, report.condemned.all());
        add(&self.restored, report.restored.all());
        add(&self.purged, report.purged.all());
        add(&self.purged_bytes, report.purged.bytes);
    }

    pub(super) fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// A push brought so many things back.
    pub(in crate::registry) fn resurrected(&self, things: usize) {
        self.resurrected.fetch_add(things as u64, Ordering::Relaxed);
    }

    pub(super) fn read(&self, pulled: u64, last: u64) -> Collected {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Collected {
            runs: get(&self.runs),
            failures: get(&self.failures),
            condemned: get(&self.condemned),
            restored: get(&self.restored),
            purged: get(&self.purged),
            purged_bytes: get(&self.purged_bytes),
            resurrected: get(&self.resurrected),
            pulled,
            last,
        }
    }
}
