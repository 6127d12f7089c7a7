//! What mirrors did, by rule, for metrics.

use crate::config::MirrorRule;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// What became of a request of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MirrorResult {
    /// It was here.
    Hit,
    /// It was fetched.
    Fetched,
    /// It was here and may be old: the upstream could not be asked.
    Stale,
    /// The upstream does not have it.
    Absent,
    /// It could not be had.
    Error,
}

/// What is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MirrorFetch {
    Manifest,
    Blob,
    Tags,
}

/// What the mirror of one rule did since the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorCounts {
    pub upstream: String,
    /// Empty without a prefix.
    pub prefix: String,
    /// By result.
    pub requests: [u64; 5],
    /// By what was fetched.
    pub fetches: [u64; 3],
    /// Bytes that were fetched.
    pub bytes: u64,
    /// Requests to the upstream that failed.
    pub errors: u64,
}

impl MirrorResult {
    pub const ALL: [Self; 5] = [Self::Hit, Self::Fetched, Self::Stale, Self::Absent, Self::Error];

    /// Its label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Fetched => "fetched",
            Self::Stale => "stale",
            Self::Absent => "absent",
            Self::Error => "error",
        }
    }
}

impl MirrorFetch {
    pub const ALL: [Self; 3] = [Self::Manifest, Self::Blob, Self::Tags];

    /// Its label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Blob => "blob",
            Self::Tags => "tags",
        }
    }
}

/// The counters of one rule.
#[derive(Default)]
pub(super) struct RuleCounters {
    requests: [AtomicU64; 5],
    fetches: [AtomicU64; 3],
    bytes: AtomicU64,
    errors: AtomicU64,
}

impl RuleCounters {
    pub(super) fn request(&self, result: MirrorResult) {
        self.requests[result as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn fetch(&self, what: MirrorFetch) {
        self.fetches[what as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn error(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
    }
}

/// The counters of all rules. They outlive changes of the settings: a rule is known by its upstream and prefix.
#[derive(Default)]
pub(super) struct CountersByRule(Mutex<BTreeMap<(String, String), Arc<RuleCounters>>>);

impl CountersByRule {
    pub(super) fn of(&self, rule: &MirrorRule) -> Arc<RuleCounters> {
        let prefix = rule.prefix.as_ref().map(ToString::to_string).unwrap_or_default();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry((rule.upstream().to_owned(), prefix)).or_default().clone()
    }

    pub(super) fn all(&self) -> Vec<MirrorCounts> {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = known.iter().map(|((upstream, prefix), counters)| MirrorCounts {
            upstream: upstream.clone(),
            prefix: prefix.clone(),
            requests: counters.requests.each_ref().map(get),
            fetches: counters.fetches.each_ref().map(get),
            bytes: get(&counters.bytes),
            errors: get(&counters.errors),
        });
        counts.collect()
    }
}
