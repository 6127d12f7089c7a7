//! The workloads: what each brings to a target, what it does there, and which bounds its figures have.

mod beside;
mod kept;
mod lists;
mod small;
mod state;
mod table;
mod transfer;

use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

use crate::Result;
use crate::figures::{Figures, Metric};
use crate::http::Dial;
use crate::load::{Operation, Until, closed, open};
use crate::target::Target;
pub use table::WORKLOADS;

/// The sizes of images and blobs.
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Where a workload's content has to lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In memory, for what is written: the disk's mood is not what is measured.
    Tmpfs,
    /// On a disk: for syncs and cold pages, and for what is read often, from the page cache as in real life. A tmpfs
    /// does not know RWF_NOWAIT, so whoever asks whether a page is in memory treats all of it as cold.
    Disk,
}

/// A promise: this metric of this side, over that of another in the same run, is at most or at least so much.
pub struct Bound {
    pub metric: Metric,
    pub side: &'static str,
    /// Without another side the figure itself is bounded.
    pub to: Option<&'static str>,
    pub limit: Limit,
    /// What is hoped for.
    pub aim: &'static str,
}

/// Which way is good.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

impl Limit {
    /// Nothing is promised; there is only an aim.
    pub const NONE: Self = Self::AtMost(f64::INFINITY);

    /// Whether a value keeps it.
    pub fn keeps(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
        }
    }
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            limit if *limit == Self::NONE => write!(f, "–"),
            Self::AtMost(most) => write!(f, "≤ {most}"),
            Self::AtLeast(least) => write!(f, "≥ {least}"),
        }
    }
}

/// A load by its name.
pub struct Workload {
    pub name: &'static str,
    pub what: &'static str,
    pub clients: usize,
    pub place: Place,
    /// The sides of the comparison, as [`crate::peers::Side`] reads them.
    pub sides: &'static [&'static str],
    /// What its plot shows, the first being the one that counts.
    pub plots: &'static [Metric],
    pub bounds: &'static [Bound],
    /// Brings what is needed to the target, and returns what measures one round.
    pub prepare: for<'a> fn(Setup<'a>) -> Result<Round<'a>>,
}

/// Measures once.
pub type Round<'a> = Box<dyn FnMut() -> Result<Figures> + 'a>;

/// For whom and how much.
#[derive(Clone, Copy)]
pub struct Setup<'a> {
    pub target: &'a Target,
    pub clients: usize,
    /// How long a load that has no end of its own takes.
    pub seconds: f64,
    /// Everything as small as it can be: to see that it works, not to measure.
    pub quick: bool,
    /// Operations per second of an open loop that are the same for all sides: the first to know sets them.
    pub rate: &'a OnceLock<f64>,
}

impl<'a> Setup<'a> {
    /// A size, or a small one.
    fn size(&self, bytes: u64) -> u64 {
        if self.quick { (bytes / 256).clamp(4 * KIB, MIB).min(bytes) } else { bytes }
    }

    /// A number of things, or a few.
    fn count(&self, things: u64) -> u64 {
        if self.quick { (things / 1000).clamp(4, 100).min(things) } else { things }
    }

    /// How much the target can do, and then its latencies at a quarter of that.
    fn measure_both(&self, dial: &Dial, operation: &Operation<'_>) -> Result<Figures> {
        let Setup { target, clients, seconds, .. } = *self;
        let mut figures = target.measure(|| Ok(closed(dial, clients, Until::Seconds(seconds), operation)))?;
        let rate = figures.get(&Metric::OperationsPerS).copied().unwrap_or(1.0) / 4.0;
        let paced = self.measure_open(dial, rate, operation)?;
        for metric in [Metric::OpenRate, Metric::P50, Metric::P99, Metric::Max] {
            figures.extend(paced.get(&metric).map(|value| (metric, *value)));
        }
        *figures.entry(Metric::Errors).or_default() += paced.get(&Metric::Errors).copied().unwrap_or_default();
        Ok(figures)
    }

    /// Latencies at this rate of operations.
    fn measure_open(&self, dial: &Dial, rate: f64, operation: &Operation<'_>) -> Result<Figures> {
        let Setup { target, clients, seconds, .. } = *self;
        // What is slow has some answers too, within a minute.
        let seconds = if self.quick { seconds } else { seconds.max((20.0 / rate).min(60.0)) };
        let never = AtomicBool::new(false);
        target.measure_open(rate, || open(dial, clients, (rate, seconds), &never, operation))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::peers::Side;

    #[test]
    fn every_workload_has_a_name_of_its_own_and_sides_that_exist() {
        let names: BTreeSet<&str> = WORKLOADS.iter().map(|workload| workload.name).collect();
        assert_eq!(names.len(), WORKLOADS.len());
        for workload in WORKLOADS {
            for side in workload.sides {
                Side::parse(side).unwrap_or_else(|error| panic!("{}: {error}", workload.name));
            }
            assert!(!workload.plots.is_empty() && workload.clients > 0, "{}", workload.name);
        }
    }

    #[test]
    fn every_bound_speaks_of_sides_of_its_workload() {
        for workload in WORKLOADS {
            for bound in workload.bounds {
                for side in std::iter::once(bound.side).chain(bound.to) {
                    assert!(workload.sides.contains(&side), "{}: {side}", workload.name);
                }
            }
        }
    }

    #[test]
    fn a_limit_is_kept_at_the_limit() {
        assert!(Limit::AtMost(1.4).keeps(1.4) && !Limit::AtMost(1.4).keeps(1.41));
        assert!(Limit::AtLeast(2.0).keeps(2.0) && !Limit::AtLeast(2.0).keeps(1.99));
    }
}
