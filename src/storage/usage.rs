//! The usage of a store as its provider reports it, where a file system does not know the quota.

use crate::files::world;
use std::{
    sync::Mutex,
    time::{Duration, SystemTime},
};

/// An older report is not shown.
const FRESH: Duration = Duration::from_secs(3600);

/// What a provider reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportedUsage {
    /// Bytes.
    pub used: u64,
    /// Bytes.
    pub total: u64,
    pub at: SystemTime,
}

/// The last report, if there is one.
#[derive(Debug, Default)]
pub struct ProviderUsage(Mutex<Option<ReportedUsage>>);

impl ProviderUsage {
    pub fn set(&self, usage: ReportedUsage) {
        *world::lock(&self.0) = Some(usage);
    }

    /// The last report, unless it is too old.
    pub fn get(&self) -> Option<ReportedUsage> {
        let last = *world::lock(&self.0);
        last.filter(|usage| usage.at.elapsed().is_ok_and(|age| age < FRESH))
    }
}
