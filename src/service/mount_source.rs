//! Mounts by a token that does not include the source.

use super::{endpoint::Endpoint, login::LoginMemory, routed::Caller};
use crate::{
    access::{Ceiling, Decision, Scope},
    config::Live,
    registry::Registry,
    who::{Action, Subject},
};
use oci::RepositoryName;
use std::time::{Duration, Instant};

/// Mounts that were answered with a challenge for a token that includes the source.
///
/// The caller may not have asked for such a token, or may not be able to get one. The client cannot know, so it is
/// challenged once; after that the mount becomes an ordinary upload.
pub(super) struct ChallengedSources(quick_cache::sync::Cache<(Subject, RepositoryName), Instant>);

/// How long a client is not challenged again; longer than it takes to get a token.
const CHALLENGED: Duration = Duration::from_secs(60);

/// Maximum number of mounts remembered. Forgetting one costs a client one more request.
const MOST_CHALLENGED: usize = 4096;

impl Default for ChallengedSources {
    fn default() -> Self {
        Self(quick_cache::sync::Cache::new(MOST_CHALLENGED))
    }
}

impl ChallengedSources {
    /// Whether the caller has not been challenged recently; remembers that they are now.
    fn is_new(&self, subject: &Subject, source: &RepositoryName) -> bool {
        let key = (subject.clone(), source.clone());
        let news = self.0.get(&key).is_none_or(|at| at.elapsed() >= CHALLENGED);
        if news {
            self.0.insert(key, Instant::now());
        }
        news
    }
}

/// Whether to ask for a token that includes the source of a mount. Not if the rules deny the caller a pull from it
/// anyway.
pub(super) async fn lacks_source(
    endpoint: &Endpoint,
    live: &Live,
    registry: &Registry,
    logins: &LoginMemory,
    who: &Caller,
) -> bool {
    let Some(from) = endpoint.mount_source().filter(|_| who.by_token()) else { return false };
    if who.ceiling.allows(&who.subject, from, Action::Pull) {
        return false;
    }
    let scopes = vec![Scope::Repository(from.clone(), vec![Action::Pull])];
    let wider = Ceiling::of(who.ceiling.key().cloned(), Some(scopes));
    let suffices = match live.rights.decide_without_facts(&who.subject, &wider, from, Action::Pull) {
        Decision::Decided(verdict) => verdict.allowed,
        Decision::NeedsFacts(undecided) => registry.repository(from).decide_by_facts(undecided).await.allowed,
    };
    suffices && logins.challenged_sources.is_new(&who.subject, from)
}
