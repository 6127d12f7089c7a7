//! The latest requests, in memory. The log has all of them; these are for people who do not have the log at hand.

use crate::who::Subject;
use api::activity::AccessLogEntry;
use oci::{Reference, RepositoryName};
use std::{
    collections::VecDeque,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

/// Requests that are kept.
const MOST_KEPT: usize = 1000;

/// The longest reason that is kept, in bytes.
const LONGEST_REASON: usize = 300;

/// A request that has been answered. It has what the log has: no path, no query, no header but the user agent.
#[derive(Debug)]
pub(in crate::service) struct KeptRequest {
    pub(super) number: u64,
    pub(super) began: SystemTime,
    pub(super) id: Box<str>,
    pub(super) client: Option<IpAddr>,
    pub(super) caller: Subject,
    pub(super) auth: &'static str,
    pub(super) method: &'static str,
    pub(super) endpoint: &'static str,
    pub(super) repository: Option<RepositoryName>,
    pub(super) reference: Option<Reference>,
    pub(super) status: u16,
    pub(super) reason: Option<Box<str>>,
    pub(super) received: u64,
    pub(super) sent: u64,
    pub(super) took: Duration,
    pub(super) agent: Option<Box<str>>,
}

/// The latest ones, oldest first.
#[derive(Default)]
pub(super) struct RecentRequests(Mutex<RequestRing>);

#[derive(Default)]
struct RequestRing {
    kept: VecDeque<Arc<KeptRequest>>,
    /// Requests so far.
    count: u64,
}

impl RecentRequests {
    pub(super) fn keep(&self, mut request: KeptRequest) {
        request.reason = request.reason.map(shortened);
        let mut ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ring.count += 1;
        request.number = ring.count;
        let oldest = if ring.kept.len() == MOST_KEPT { ring.kept.pop_front() } else { None };
        ring.kept.push_back(Arc::new(request));
        drop(ring);
        // Freed without the lock.
        drop(oldest);
    }

    /// All of them, newest first.
    pub(super) fn newest_first(&self) -> Vec<Arc<KeptRequest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).kept.iter().rev().cloned().collect()
    }
}

/// The beginning of a long text.
fn shortened(text: Box<str>) -> Box<str> {
    match text.len() {
        0..=LONGEST_REASON => text,
        _ => format!("{}…", &text[..text.floor_char_boundary(LONGEST_REASON)]).into(),
    }
}

impl KeptRequest {
    /// Its place in the order of requests.
    pub(in crate::service) fn number(&self) -> u64 {
        self.number
    }

    /// Whether it was refused, or failed, or its client went away.
    pub(in crate::service) fn has_failed(&self) -> bool {
        self.status >= 400
    }

    /// Whether one of its texts contains this one. Three digits are a status, and an ID is found as a whole.
    pub(in crate::service) fn mentions(&self, text: &str) -> bool {
        if text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return self.status.to_string() == text;
        }
        let texts = [
            self.caller.name(),
            Some(self.endpoint),
            Some(self.method),
            self.repository.as_ref().map(RepositoryName::as_str),
            self.reference.as_ref().map(Reference::as_str),
            self.agent.as_deref(),
        ];
        texts.into_iter().flatten().any(|field| field.contains(text))
            || self.client.is_some_and(|client| client.to_string().contains(text))
            || *self.id == *text
    }

    /// Its JSON. `time` writes times.
    pub(in crate::service) fn entry(&self, time: fn(SystemTime) -> String) -> AccessLogEntry {
        AccessLogEntry {
            time: time(self.began),
            request_id: self.id.to_string(),
            address: self.client.map(|client| client.to_string()),
            user: self.caller.name().unwrap_or("anonymous").to_owned(),
            auth: self.auth.to_owned(),
            method: self.method.to_owned(),
            action: self.endpoint.to_owned(),
            repository: self.repository.as_ref().map(ToString::to_string),
            reference: self.reference.as_ref().map(ToString::to_string),
            status: self.status,
            reason: self.reason.as_deref().map(str::to_owned),
            received: self.received,
            sent: self.sent,
            milliseconds: (self.took.as_secs_f64() * 1e5).round() / 1e2,
            agent: self.agent.as_deref().map(str::to_owned),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(status: u16, reason: Option<&str>) -> KeptRequest {
        KeptRequest {
            number: 0,
            began: SystemTime::UNIX_EPOCH,
            id: "5b1c".into(),
            client: Some([203, 0, 113, 9].into()),
            caller: Subject::Anonymous,
            auth: "none",
            method: "GET",
            endpoint: "manifest_read",
            repository: Some("team/app".parse().unwrap()),
            reference: Some("1.0".parse().unwrap()),
            status,
            reason: reason.map(Into::into),
            received: 0,
            sent: 9,
            took: Duration::from_micros(7525),
            agent: None,
        }
    }

    #[test]
    fn the_latest_requests_are_kept_and_no_more() {
        let recent = RecentRequests::default();
        for status in 0..=MOST_KEPT as u16 {
            recent.keep(request(status, None));
        }
        let kept = recent.newest_first();
        let numbers = (kept.len(), kept[0].number(), kept[MOST_KEPT - 1].number());
        assert_eq!(numbers, (MOST_KEPT, MOST_KEPT as u64 + 1, 2));
        assert_eq!((kept[0].status, kept[MOST_KEPT - 1].status), (MOST_KEPT as u16, 1));
    }

    #[test]
    fn a_long_reason_is_cut_between_letters() {
        let recent = RecentRequests::default();
        for reason in ["x".repeat(LONGEST_REASON), "x".repeat(LONGEST_REASON - 1) + "ä"] {
            recent.keep(request(400, Some(&reason)));
        }
        let kept = recent.newest_first();
        assert_eq!(kept[1].reason.as_deref().unwrap(), "x".repeat(LONGEST_REASON));
        assert_eq!(kept[0].reason.as_deref().unwrap(), "x".repeat(LONGEST_REASON - 1) + "…");
    }

    #[test]
    fn a_request_is_found_by_what_is_shown_of_it() {
        let request = request(404, None);
        for text in ["team/", "1.0", "203.0.113", "manifest", "GET", "404", "5b1c"] {
            assert!(request.mentions(text), "{text}");
        }
        for text in ["team/other", "203", "5b1", "alice"] {
            assert!(!request.mentions(text), "{text}");
        }
        assert!(request.has_failed());
        assert_eq!(request.entry(|_| "then".to_owned()).milliseconds, 7.53);
    }
}
