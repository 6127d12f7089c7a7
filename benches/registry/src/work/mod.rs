//! The workloads: the content each puts on a target, its operations, and the bounds of its figures.

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
use crate::load::{LoadOperation, Until, closed, open};
use crate::target::Target;
pub use table::WORKLOADS;

/// The sizes of images and blobs.
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Where the content of a workload has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In memory, for writes: the speed of the disk is not what is measured.
    Tmpfs,
    /// On a disk: for syncs and cold pages, and for frequent reads, which come from the page cache as in production. A
    /// tmpfs does not support RWF_NOWAIT, so a server that checks whether a page is in memory treats all of it as cold.
    Disk,
}

/// A promise: the ratio of this metric to that of another side in the same run is at most or at least this much.
pub struct Bound {
    pub metric: Metric,
    pub side: &'static str,
    /// `None` limits the figure itself.
    pub to: Option<&'static str>,
    pub limit: Limit,
    /// The goal, in words.
    pub aim: &'static str,
}

/// Whether less or more is better, and the limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

impl Limit {
    /// No promise, only a goal.
    pub const NONE: Self = Self::AtMost(f64::INFINITY);

    /// Whether a value is within the limit.
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

/// A named load.
pub struct Workload {
    pub name: &'static str,
    pub what: &'static str,
    pub clients: usize,
    pub place: Place,
    /// The sides of the comparison, as [`crate::peers::Side`] reads them.
    pub sides: &'static [&'static str],
    /// The metrics that are plotted, the most important one first.
    pub plots: &'static [Metric],
    pub bounds: &'static [Bound],
    /// Puts the content on the target, and returns the function that measures one round.
    pub prepare: for<'a> fn(Setup<'a>) -> Result<WorkloadRound<'a>>,
}

/// Measures once.
pub type WorkloadRound<'a> = Box<dyn FnMut() -> Result<Figures> + 'a>;

/// The target and the amount of work.
#[derive(Clone, Copy)]
pub struct Setup<'a> {
    pub target: &'a Target,
    pub clients: usize,
    /// Duration of a load that has no end of its own.
    pub seconds: f64,
    /// As small as possible: to see that it works, not to measure.
    pub quick: bool,
    /// The rate of an open loop in operations per second, the same for all sides: the first side sets it.
    pub rate: &'a OnceLock<f64>,
}

impl<'a> Setup<'a> {
    /// This size, or a small one if `quick`.
    fn size(&self, bytes: u64) -> u64 {
        if self.quick { (bytes / 256).clamp(4 * KIB, MIB).min(bytes) } else { bytes }
    }

    /// This number, or a small one if `quick`.
    fn count(&self, things: u64) -> u64 {
        if self.quick { (things / 1000).clamp(4, 100).min(things) } else { things }
    }

    /// Measures how much the target can do, and then its latencies at a quarter of that.
    fn measure_both(&self, dial: &Dial, operation: &LoadOperation<'_>) -> Result<Figures> {
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

    /// Measures latencies at this rate of operations.
    fn measure_open(&self, dial: &Dial, rate: f64, operation: &LoadOperation<'_>) -> Result<Figures> {
        let Setup { target, clients, seconds, .. } = *self;
        // A slow operation gets more time, up to a minute, for some more answers.
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
    fn every_workload_has_a_unique_name_and_sides_that_exist() {
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
    fn every_bound_compares_sides_of_its_workload() {
        for workload in WORKLOADS {
            for bound in workload.bounds {
                for side in std::iter::once(bound.side).chain(bound.to) {
                    assert!(workload.sides.contains(&side), "{}: {side}", workload.name);
                }
            }
        }
    }

    #[test]
    fn a_value_at_the_limit_is_within_the_limit() {
        assert!(Limit::AtMost(1.4).keeps(1.4) && !Limit::AtMost(1.4).keeps(1.41));
        assert!(Limit::AtLeast(2.0).keeps(2.0) && !Limit::AtLeast(2.0).keeps(1.99));
    }
}
