//! Counters of a campaign.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

/// Figures of one campaign.
#[derive(Default)]
pub struct Tally(Mutex<Figures>);

#[derive(Default)]
struct Figures {
    counts: BTreeMap<String, u64>,
    most: BTreeMap<String, u64>,
}

impl Tally {
    pub fn one(&self, what: impl Into<String>) {
        self.add(what, 1);
    }

    pub fn add(&self, what: impl Into<String>, n: u64) {
        *self.figures().counts.entry(what.into()).or_default() += n;
    }

    /// Keeps the largest of some figures.
    pub fn most(&self, what: &str, n: u64) {
        let mut figures = self.figures();
        let most = figures.most.entry(what.to_owned()).or_default();
        *most = n.max(*most);
    }

    pub fn took(&self, what: &str, time: Duration) {
        self.most(what, time.as_millis() as u64);
    }

    pub fn count(&self, what: &str) -> u64 {
        self.figures().counts.get(what).copied().unwrap_or_default()
    }

    /// The largest figure of its kind.
    pub fn peak(&self, what: &str) -> u64 {
        self.figures().most.get(what).copied().unwrap_or_default()
    }

    fn figures(&self) -> MutexGuard<'_, Figures> {
        self.0.lock().unwrap()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figures = self.figures();
        for (what, n) in figures.counts.iter().chain(&figures.most) {
            writeln!(f, "{n:>9}  {what}")?;
        }
        Ok(())
    }
}
