//! Numbers: what is measured, percentiles, medians, ratios.

use std::collections::BTreeMap;

/// Everything that can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// Content bytes, 1 MB = 10⁶.
    MbPerS,
    /// HTTP requests.
    RequestsPerS,
    /// Whole operations: pulls, pushes, images, pages.
    OperationsPerS,
    /// User and system time of the server's processes per 10⁹ bytes of content.
    CpuPerGb,
    /// User and system time per request, in microseconds.
    CpuPerRequest,
    /// Peak of the processes' anonymous memory (`RssAnon`), MiB.
    Anon,
    /// Resident memory, MiB.
    Rss,
    /// Syncs of files and directories per operation, if the server counts them.
    Syncs,
    /// Requests per second of the open loop in which the latencies were measured.
    OpenRate,
    /// Half of the answers came within this many milliseconds of their scheduled time.
    P50,
    /// The same for 99 of 100 answers.
    P99,
    /// The same for all answers.
    Max,
    /// From the start of the program to its first answer, in milliseconds.
    Ready,
    /// The first request after a start, in milliseconds.
    First,
    /// Size of the program's file, 10⁶ bytes.
    ProgramMb,
    /// Operations that failed.
    Errors,
}

impl Metric {
    /// Heading and unit.
    pub fn label(self) -> &'static str {
        match self {
            Self::MbPerS => "MB/s",
            Self::RequestsPerS => "requests/s",
            Self::OperationsPerS => "operations/s",
            Self::CpuPerGb => "CPU s/GB",
            Self::CpuPerRequest => "CPU µs/request",
            Self::Anon => "peak anonymous MiB",
            Self::Rss => "resident MiB",
            Self::Syncs => "syncs/operation",
            Self::OpenRate => "open loop requests/s",
            Self::P50 => "p50 ms",
            Self::P99 => "p99 ms",
            Self::Max => "max ms",
            Self::Ready => "ready ms",
            Self::First => "first ms",
            Self::ProgramMb => "program MB",
            Self::Errors => "errors",
        }
    }
}

/// The figures of one run, or medians.
pub type Figures = BTreeMap<Metric, f64>;

/// The value below which `part` of the sorted values lie (nearest rank); 0 if there are none.
pub fn percentile(sorted: &[u64], part: f64) -> u64 {
    let rank = (part * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or(0)
}

/// The middle value, or the mean of the two in the middle.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

/// Adds the percentiles of latencies in nanoseconds.
pub fn add_latencies(figures: &mut Figures, mut nanos: Vec<u64>) {
    nanos.sort_unstable();
    for (metric, part) in [(Metric::P50, 0.5), (Metric::P99, 0.99), (Metric::Max, 1.0)] {
        figures.insert(metric, percentile(&nanos, part) as f64 / 1e6);
    }
}

/// The runs of one side of a comparison, one for each round.
#[derive(Debug, Default, Clone)]
pub struct Runs(pub Vec<Figures>);

impl Runs {
    /// The values of a metric in all rounds that have it.
    pub fn all(&self, metric: Metric) -> Vec<f64> {
        self.0.iter().filter_map(|figures| figures.get(&metric).copied()).collect()
    }

    /// Median, least and greatest value of a metric.
    pub fn spread(&self, metric: Metric) -> Option<(f64, f64, f64)> {
        let all = self.all(metric);
        let least = all.iter().copied().fold(f64::INFINITY, f64::min);
        let most = all.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Some((median(&all)?, least, most))
    }

    /// The median of the ratios to another side, each taken within one round.
    pub fn ratio(&self, other: &Self, metric: Metric) -> Option<f64> {
        let pairs = self.0.iter().zip(&other.0);
        let ratios: Vec<f64> = pairs
            .filter_map(|(a, b)| Some(a.get(&metric)? / b.get(&metric)?))
            .filter(|ratio| ratio.is_finite())
            .collect();
        median(&ratios)
    }

    /// Every metric that at least one round has.
    pub fn metrics(&self) -> Vec<Metric> {
        let mut all: Vec<Metric> = self.0.iter().flat_map(|figures| figures.keys().copied()).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_measured_values() {
        let hundred: Vec<u64> = (1..=100).collect();
        assert_eq!(percentile(&hundred, 0.5), 50);
        assert_eq!(percentile(&hundred, 0.99), 99);
        assert_eq!(percentile(&hundred, 1.0), 100);
        assert_eq!(percentile(&hundred, 0.0), 1);
        assert_eq!(percentile(&[7], 0.99), 7);
        assert_eq!(percentile(&[], 0.99), 0);
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }

    fn runs(values: &[f64]) -> Runs {
        Runs(values.iter().map(|value| Figures::from([(Metric::MbPerS, *value)])).collect())
    }

    #[test]
    fn ratios_compare_runs_of_the_same_round() {
        let (ours, theirs) = (runs(&[10.0, 1.0, 10.0]), runs(&[20.0, 2.0, 20.0]));
        assert_eq!(ours.ratio(&theirs, Metric::MbPerS), Some(0.5));
        assert_eq!(ours.ratio(&theirs, Metric::Rss), None);
        assert_eq!(ours.ratio(&runs(&[0.0, 0.0, 0.0]), Metric::MbPerS), None);
    }

    #[test]
    fn a_spread_is_median_minimum_and_maximum() {
        assert_eq!(runs(&[3.0, 1.0, 9.0]).spread(Metric::MbPerS), Some((3.0, 1.0, 9.0)));
        assert_eq!(runs(&[]).spread(Metric::MbPerS), None);
    }
}
