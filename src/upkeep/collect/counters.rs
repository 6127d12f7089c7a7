//! What collections have done since this process started.

use super::CollectionReport;
use crate::registry::CollectionCounters;
use std::sync::atomic::{AtomicU64, Ordering};

/// The values at the time they were read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Collections that completed.
    pub runs: u64,
    /// Collections that failed.
    pub failures: u64,
    /// Items moved to the graveyard.
    pub condemned: u64,
    /// Items restored by a collection.
    pub restored: u64,
    /// Items purged.
    pub purged: u64,
    /// Total size in bytes of the purged items.
    pub purged_bytes: u64,
    /// Items restored by a push: harmless, and a sign that the lease is short.
    pub resurrected: u64,
    /// How often something was read from the graveyard, by a pull or a check whether it exists.
    pub pulled: u64,
    /// When the last collection of this store completed, in seconds since 1970; zero if none has.
    pub last: u64,
}

impl CollectionCounters {
    pub(super) fn record(&self, report: &CollectionReport) {
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
