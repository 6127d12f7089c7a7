//! The latest requests, in memory. The log has all of them; these are for people who do not have the log at hand.

use api::activity::AccessLogEntry;
use std::{
    mem,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

/// Requests that are kept.
const MOST_KEPT: usize = 1000;

/// The longest reason that is kept, in bytes.
const LONGEST_REASON: usize = 300;

/// A request that has been answered. It has what the log has: no path, no query, no header but the user agent.
#[derive(Clone, Debug)]
pub(in crate::service) struct KeptRequest {
    pub(super) began: SystemTime,
    pub(super) client: Option<IpAddr>,
    pub(super) auth: &'static str,
    pub(super) method: &'static str,
    pub(super) endpoint: &'static str,
    pub(super) status: u16,
    pub(super) received: u64,
    pub(super) sent: u64,
    pub(super) took: Duration,
    pub(super) texts: KeptTexts,
    /// Set when it is kept.
    pub(super) number: u64,
}

/// The texts of a request. One that it does not have is empty.
#[derive(Clone, Debug, Default)]
pub(super) struct KeptTexts {
    id: String,
    user: String,
    repository: String,
    reference: String,
    reason: String,
    agent: String,
}

/// The texts of a request that is over.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RequestTexts<'a> {
    pub(super) id: &'a str,
    pub(super) user: Option<&'a str>,
    pub(super) repository: Option<&'a str>,
    pub(super) reference: Option<&'a str>,
    pub(super) reason: Option<&'a str>,
    pub(super) agent: Option<&'a str>,
}

/// The latest ones.
#[derive(Default)]
pub(super) struct RecentRequests(Mutex<RequestRing>);

#[derive(Default)]
struct RequestRing {
    /// The place of the next one is that of the oldest.
    kept: Vec<KeptRequest>,
    /// Requests so far.
    count: u64,
}

impl RequestRing {
    /// Where the next request is kept.
    fn place(&self) -> usize {
        (self.count % MOST_KEPT as u64) as usize
    }
}

impl RecentRequests {
    /// Keeps a request in place of the oldest, whose memory `request` gets for its texts. If each had memory of its own,
    /// every request would free what another thread allocated a thousand requests ago: that was a fifth of its cost.
    pub(super) fn keep(&self, request: impl FnOnce(KeptTexts) -> KeptRequest) {
        let mut ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = ring.place();
        ring.count += 1;
        let number = ring.count;
        match ring.kept.get_mut(place) {
            Some(oldest) => *oldest = KeptRequest { number, ..request(mem::take(&mut oldest.texts)) },
            None => ring.kept.push(KeptRequest { number, ..request(KeptTexts::default()) }),
        }
    }

    /// All of them, newest first.
    pub(super) fn newest_first(&self) -> Vec<KeptRequest> {
        let ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (newer, older) = ring.kept.split_at(ring.place().min(ring.kept.len()));
        newer.iter().rev().chain(older.iter().rev()).cloned().collect()
    }
}

impl KeptTexts {
    /// The same memory with the texts of another request.
    pub(super) fn rewritten(self, with: RequestTexts<'_>) -> Self {
        let over = |mut memory: String, text: Option<&str>| {
            memory.clear();
            memory.push_str(text.unwrap_or_default());
            memory
        };
        let mut reason = over(self.reason, with.reason);
        if reason.len() > LONGEST_REASON {
            reason.truncate(reason.floor_char_boundary(LONGEST_REASON));
            reason.push('…');
        }
        Self {
            id: over(self.id, Some(with.id)),
            user: over(self.user, with.user),
            repository: over(self.repository, with.repository),
            reference: over(self.reference, with.reference),
            reason,
            agent: over(self.agent, with.agent),
        }
    }
}

/// A text that is there.
fn filled(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

impl KeptRequest {
    /// Its place in the order of requests.
    pub(in crate::service) fn number(&self) -> u64 {
        self.number
    }

    /// Whether it was refu, or failed, or its client went away.
    pub(in crate::service) fn has_failed(&self) -> bool {
        self.status >= 400
    }

    /// Whether one of its texts contains this one. Three digits are a status, and an ID is found as a whole.
    pub(in crate::service) fn mentions(&self, text: &str) -> bool {
        if text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return self.status.to_string() == text;
        }
        let KeptTexts { id, user, repository, reference, reason: _, agent } = &self.texts;
        [user.as_str(), self.endpoint, self.method, repository, reference, agent]
            .into_iter()
            .any(|field| field.contains(text))
            || self.client.is_some_and(|client| client.to_string().contains(text))
            || id == text
    }

    /// Its JSON. `time` writes times.
    pub(in crate::service) fn entry(&self, time: fn(SystemTime) -> String) -> AccessLogEntry {
        AccessLogEntry {
            time: time(self.began),
            request_id: self.texts.id.clone(),
            address: self.client.map(|client| client.to_string()),
            user: filled(&self.texts.user).unwrap_or_else(|| "anonymous".to_owned()),
            auth: self.auth.to_owned(),
            method: self.method.to_owned(),
            action: self.endpoint.to_owned(),
            repository: filled(&self.texts.repository),
            reference: filled(&self.texts.reference),
            status: self.status,
            reason: filled(&self.texts.reason),
            received: self.received,
            sent: self.sent,
            milliseconds: (self.took.as_secs_f64() * 1e5).round() / 1e2,
            agent: filled(&self.texts.agent),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep(recent: &RecentRequests, status: u16, reason: Option<&str>) {
        recent.keep(|texts| KeptRequest {
            began: SystemTime::UNIX_EPOCH,
            client: Some([203, 0, 113, 9].into()),
            auth: "none",
            method: "GET",
            endpoint: "manifest_read",
            status,
            received: 0,
            sent: 9,
            took: Duration::from_micros(7525),
            texts: texts.rewritten(RequestTexts {
                id: "5b1c",
                repository: Some("team/app"),
                reference: Some("1.0"),
                reason,
                ..RequestTexts::default()
            }),
            number: 0,
        });
    }

    #[test]
    fn the_latest_requests_are_kept_and_no_more() {
        let recent = RecentRequests::default();
        for status in 0..=MOST_KEPT as u16 {
            keep(&recent, status, Some("no").filter(|_| status < 500));
        }
        let kept = recent.newest_first();
        let numbers = (kept.len(), kept[0].number(), kept[MOST_KEPT - 1].number());
        assert_eq!(numbers, (MOST_KEPT, MOST_KEPT as u64 + 1, 2));
        assert_eq!((kept[0].status, kept[MOST_KEPT - 1].status), (MOST_KEPT as u16, 1));
        // Nothing is left of the request whose memory was used again.
        assert_eq!((kept[0].entry(|_| String::new()).reason, &*kept[999].texts.reason), (None, "no"));
    }

    #[test]
    fn a_long_reason_is_cut_between_letters() {
        let recent = RecentRequests::default();
        for reason in ["x".repeat(LONGEST_REASON), "x".repeat(LONGEST_REASON - 1) + "ä"] {
            keep(&recent, 400, Some(&reason));
        }
        let kept = recent.newest_first();
        assert_eq!(kept[1].texts.reason, "x".repeat(LONGEST_REASON));
        assert_eq!(kept[0].texts.reason, "x".repeat(LONGEST_REASON - 1) + "…");
    }

    #[test]
    fn a_request_is_found_by_what_is_shown_of_it() {
        let recent = RecentRequests::default();
        keep(&recent, 404, None);
        let request = &recent.newest_first()[0];
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
