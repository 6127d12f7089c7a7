//! What is known of upstreams that do not answer, or want to be left alone.

use super::MirrorError;
use crate::{config::MirrorRule, files::world};
use client::ErrorKind;
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// How long an upstream that does not answer is not asked again: meanwhile clients get what is here, or an error, at
/// once.
const PAUSE: Duration = Duration::from_secs(10);

/// How long an upstream is left alone that does not say for how long (429), and the longest that one can ask for.
const UNSAID: Duration = Duration::from_mins(1);
const LONGEST: Duration = Duration::from_hours(1);

#[derive(Default)]
pub(super) struct Upstreams(Mutex<HashMap<String, Resting>>);

/// An upstream that is not asked.
struct Resting {
    until: Duration,
    why: String,
}

impl Upstreams {
    /// Whether the upstream of a rule may be asked now.
    pub(super) fn may_ask(&self, rule: &MirrorRule) -> Result<(), MirrorError> {
        let upstream = rule.upstream();
        let mut resting = self.resting();
        let Some(rest) = resting.get(upstream) else { return Ok(()) };
        match rest.until.checked_sub(world::uptime()) {
            Some(left) if !left.is_zero() => Err(MirrorError::Unavailable {
                upstream: upstream.to_owned(),
                why: rest.why.clone(),
                seconds: left.as_secs() + 1,
            }),
            _ => {
                resting.remove(upstream);
                Ok(())
            }
        }
    }

    /// What an error of the upstream means for those who wait, and for those who come next.
    pub(super) fn failed(&self, rule: &MirrorRule, error: &client::Error) -> MirrorError {
        let (upstream, why) = (rule.upstream().to_owned(), error.to_string());
        let unavailable = |pause: Duration| {
            let until = world::uptime() + pause;
            self.resting().insert(upstream.clone(), Resting { until, why: why.clone() });
            tracing::warn!(%upstream, error = %why, seconds = pause.as_secs(), "the upstream of a mirror is not asked for a while");
            MirrorError::Unavailable { upstream: upstream.clone(), why: why.clone(), seconds: pause.as_secs().max(1) }
        };
        match error.kind() {
            // A registry that hides what it does not show answers in any of these ways. It is no question of a login
            // here: that is why no challenge of ours comes of it.
            ErrorKind::NotFound | ErrorKind::Unauthorized | ErrorKind::Denied => {
                tracing::debug!(%upstream, error = %why, "the upstream does not have what was asked for");
                MirrorError::Absent
            }
            ErrorKind::TooManyRequests => unavailable(error.retry_after().unwrap_or(UNSAID).min(LONGEST)),
            ErrorKind::Unreachable | ErrorKind::Timeout => unavailable(PAUSE),
            ErrorKind::Status if error.status().is_some_and(|status| status.is_server_error()) => {
                unavailable(error.retry_after().unwrap_or(PAUSE).min(LONGEST))
            }
            ErrorKind::Tls
            | ErrorKind::Refused
            | ErrorKind::Conflict
            | ErrorKind::TooLarge
            | ErrorKind::Unsupported
            | ErrorKind::Status
            | ErrorKind::Digest
            | ErrorKind::Protocol
            | ErrorKind::Source => {
                tracing::error!(%upstream, error = %why, "the upstream of a mirror gave an answer that cannot be used");
                MirrorError::Unusable { upstream, why }
            }
        }
    }

    fn resting(&self) -> MutexGuard<'_, HashMap<String, Resting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
