//! Counts the blobs that clients push and pull, and samples how many bytes pass.

use crate::service::{distribution::DistributionEndpoint, endpoint::Endpoint};
use api::activity::{ActivityReport, ActivitySample, TransferTotals};
use std::{
    collections::VecDeque,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

/// The time between two samples, in seconds.
const STEP: u64 = 10;

/// Samples that are kept: half an hour.
const MOST_SAMPLES: usize = 180;

/// What a request does with a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transfer {
    /// Sends a part of one.
    Part,
    /// Sends the last part, or the whole.
    Upload,
    /// Receives one.
    Download,
}

impl Transfer {
    /// What a request with this method does.
    pub(super) fn of(endpoint: &Endpoint, method: &str) -> Option<Self> {
        let Endpoint::Distribution(endpoint) = endpoint else { return None };
        match endpoint {
            DistributionEndpoint::UploadAppend(..) => Some(Self::Part),
            DistributionEndpoint::UploadFinish(..) | DistributionEndpoint::BlobPush(..) => Some(Self::Upload),
            DistributionEndpoint::BlobRead(..) => (method == "GET").then_some(Self::Download),
            _ => None,
        }
    }
}

/// How a request ended.
pub(super) struct TransferEnd {
    pub(super) status: u16,
    /// The answer was not sent completely.
    pub(super) is_cut: bool,
    pub(super) received: u64,
    pub(super) sent: u64,
    pub(super) took: Duration,
}

/// Blobs in one direction.
#[derive(Default)]
struct TransferCounters {
    total: AtomicU64,
    failed: AtomicU64,
    in_progress: AtomicU64,
    bytes: AtomicU64,
    succeeded: AtomicU64,
    microseconds: AtomicU64,
}

/// All of them.
pub(super) struct Transfers {
    began: SystemTime,
    start: Instant,
    uploads: TransferCounters,
    downloads: TransferCounters,
    /// When the current step ends, in seconds since the start.
    next: AtomicU64,
    samples: Mutex<SampleRing>,
}

/// Bytes so far, of all requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PassedBytes {
    pub(super) received: u64,
    pub(super) sent: u64,
}

#[derive(Default)]
struct SampleRing {
    kept: VecDeque<TransferSample>,
    /// At the end of the latest one.
    passed: PassedBytes,
}

struct TransferSample {
    /// In seconds since the start.
    end: u64,
    passed: PassedBytes,
    uploads: u64,
    downloads: u64,
}

impl Transfers {
    pub(super) fn starting(began: SystemTime, start: Instant) -> Self {
        Self {
            began,
            start,
            uploads: TransferCounters::default(),
            downloads: TransferCounters::default(),
            next: AtomicU64::new(STEP),
            samples: Mutex::default(),
        }
    }

    fn counters(&self, transfer: Transfer) -> &TransferCounters {
        match transfer {
            Transfer::Part | Transfer::Upload => &self.uploads,
            Transfer::Download => &self.downloads,
        }
    }

    pub(super) fn begin(&self, transfer: Transfer) {
        self.counters(transfer).in_progress.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn end(&self, transfer: Transfer, end: &TransferEnd) {
        let counters = self.counters(transfer);
        counters.in_progress.fetch_sub(1, Ordering::Relaxed);
        let has_answer = (200..400).contains(&end.status);
        let bytes = match transfer {
            Transfer::Part | Transfer::Upload => end.received,
            Transfer::Download => end.sent,
        };
        if has_answer {
            counters.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        match (has_answer && !end.is_cut, end.status) {
            (true, _) => {
                let took = u64::try_from(end.took.as_micros()).unwrap_or(u64::MAX);
                counters.microseconds.fetch_add(took, Ordering::Relaxed);
                counters.succeeded.fetch_add(1, Ordering::Relaxed);
                counters.total.fetch_add(u64::from(transfer != Transfer::Part), Ordering::Relaxed);
            }
            // The client has to log in, and asks again.
            (false, 401) => {}
            (false, _) => {
                counters.failed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Ends the steps whose time is over. `passed` is what had passed before that of this moment: no timer wakes an idle
    /// registry for this.
    pub(super) fn sample(&self, now: Instant, passed: impl FnOnce() -> PassedBytes) {
        let seconds = now.saturating_duration_since(self.start).as_secs();
        if seconds < self.next.load(Ordering::Relaxed) {
            return;
        }
        let mut ring = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let mut end = self.next.load(Ordering::Relaxed);
        if seconds < end {
            return;
        }
        let passed = passed();
        let mut in_step = PassedBytes {
            received: passed.received.saturating_sub(ring.passed.received),
            sent: passed.sent.saturating_sub(ring.passed.sent),
        };
        ring.passed = passed;
        let last = seconds / STEP * STEP;
        // After a long silence, the steps that would not be kept are not made.
        let first_kept = last.saturating_sub(STEP * (MOST_SAMPLES as u64 - 1));
        if end < first_kept {
            ring.kept.clear();
            (end, in_step) = (first_kept, PassedBytes::default());
        }
        while end <= last {
            if ring.kept.len() == MOST_SAMPLES {
                ring.kept.pop_front();
            }
            let now = |counters: &TransferCounters| counters.in_progress.load(Ordering::Relaxed);
            let (uploads, downloads) = (now(&self.uploads), now(&self.downloads));
            ring.kept.push_back(TransferSample { end, passed: in_step, uploads, downloads });
            in_step = PassedBytes::default();
            end += STEP;
        }
        self.next.store(end, Ordering::Relaxed);
    }

    /// `time` writes times.
    pub(super) fn report(&self, time: fn(SystemTime) -> String) -> ActivityReport {
        let ring = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let sample = |sample: &TransferSample| ActivitySample {
            time: time(self.began + Duration::from_secs(sample.end)),
            received_per_second: sample.passed.received / STEP,
            sent_per_second: sample.passed.sent / STEP,
            active_uploads: sample.uploads,
            active_downloads: sample.downloads,
        };
        ActivityReport {
            since: time(self.began),
            uploads: self.uploads.totals(),
            downloads: self.downloads.totals(),
            samples: ring.kept.iter().map(sample).collect(),
            requests: None,
        }
    }
}

impl TransferCounters {
    fn totals(&self) -> TransferTotals {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let seconds = get(&self.microseconds) as f64 / 1e6 / get(&self.succeeded).max(1) as f64;
        TransferTotals {
            total: get(&self.total),
            failed: get(&self.failed),
            in_progress: get(&self.in_progress),
            bytes: get(&self.bytes),
            average_seconds: (seconds * 1e4).round() / 1e4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(received: u64, sent: u64) -> impl FnOnce() -> PassedBytes {
        move || PassedBytes { received, sent }
    }

    fn rates(transfers: &Transfers) -> Vec<(u64, u64)> {
        let report = transfers.report(|_| String::new());
        report.samples.iter().map(|sample| (sample.received_per_second, sample.sent_per_second)).collect()
    }

    #[test]
    fn bytes_are_sampled_by_step_and_silence_is_zero() {
        let start = Instant::now();
        let transfers = Transfers::starting(SystemTime::UNIX_EPOCH, start);
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        transfers.sample(at(9999), passed(100, 0));
        assert!(rates(&transfers).is_empty(), "no step has ended");
        transfers.sample(at(10_000), passed(100, 200));
        transfers.sample(at(19_999), passed(900, 900));
        assert_eq!(rates(&transfers), [(10, 20)]);
        transfers.sample(at(45_000), passed(1100, 1200));
        assert_eq!(rates(&transfers), [(10, 20), (100, 100), (0, 0), (0, 0)]);
        transfers.sample(at(50_000), passed(1600, 1200));
        assert_eq!(rates(&transfers).last(), Some(&(50, 0)));
    }

    #[test]
    fn half_an_hour_is_kept_however_long_nothing_happens() {
        let start = Instant::now();
        let transfers = Transfers::starting(SystemTime::UNIX_EPOCH, start);
        let at = |seconds| start + Duration::from_secs(seconds);
        transfers.sample(at(STEP), passed(10, 0));
        transfers.sample(at(STEP * MOST_SAMPLES as u64), passed(10, 0));
        assert_eq!((rates(&transfers).len(), rates(&transfers)[0]), (MOST_SAMPLES, (1, 0)));
        transfers.sample(at(STEP * (MOST_SAMPLES as u64 + 1)), passed(10, 0));
        assert_eq!((rates(&transfers).len(), rates(&transfers)[0]), (MOST_SAMPLES, (0, 0)));
        transfers.sample(at(10_000_000), passed(990, 0));
        assert_eq!(rates(&transfers), [(0, 0); MOST_SAMPLES]);
        let report = transfers.report(|time| format!("{:?}", time.duration_since(SystemTime::UNIX_EPOCH).unwrap()));
        assert_eq!(report.samples.last().unwrap().time, "10000000s");
    }

    #[test]
    fn a_part_is_no_blob_and_a_challenge_no_failure() {
        let transfers = Transfers::starting(SystemTime::UNIX_EPOCH, Instant::now());
        let end = |status| TransferEnd { status, is_cut: false, received: 8, sent: 9, took: Duration::from_secs(2) };
        for (transfer, status) in [
            (Transfer::Part, 202),
            (Transfer::Upload, 201),
            (Transfer::Upload, 401),
            (Transfer::Upload, 400),
            (Transfer::Download, 206),
        ] {
            transfers.begin(transfer);
            assert_eq!(transfers.counters(transfer).totals().in_progress, 1);
            transfers.end(transfer, &end(status));
        }
        transfers.begin(Transfer::Download);
        transfers.end(Transfer::Download, &TransferEnd { is_cut: true, sent: 4, ..end(200) });
        let report = transfers.report(|_| String::new());
        let totals =
            |total, failed, bytes| TransferTotals { total, failed, in_progress: 0, bytes, average_seconds: 2.0 };
        assert_eq!((report.uploads, report.downloads), (totals(1, 1, 16), totals(1, 1, 13)));
    }
}
