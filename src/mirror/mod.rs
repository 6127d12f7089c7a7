//! Pull-through mirrors: what a repository does not have is fetched from another registry when somebody pulls it.
//!
//! Manifests are fetched before they are served. A blob is sent to everybody who wants it while it is stored, and its
//! last bytes only after its digest was verified. However many clients want the same, the upstream is asked once.
//!
//! What the mirror stores belongs to the caller [`CALLER`], which no user can be: so the mirror tells its own tags from
//! those that somebody pushed, and leaves the latter alone.

mod blob;
mod counts;
mod error;
mod evict;
mod flights;
mod manifest;
mod sync;
mod tags;
mod upstream;

pub use blob::ComingBlob;
pub use counts::{MirrorCounts, MirrorFetch, MirrorResult};
pub use error::MirrorError;
pub use evict::{Evicted, evict};
pub use sync::SyncedTags;

use crate::{
    config::{Live, MirrorRule},
    files::world,
    registry::{AutoCreate, MissingReferences, Registry, Repository, Settings},
    who::Subject,
};
use blob::BlobFlights;
use counts::CountersByRule;
use flights::Flights;
use oci::{Digest, RepositoryName, Tag};
use quick_cache::sync::Cache;
use std::{sync::Arc, time::Duration};
use tags::{ByLength, UpstreamTags};
use upstream::Upstreams;

/// Who stores what the mirror fetches. Names of users do not begin with `@`.
const CALLER: &str = "@mirror";

/// How long the upstream is not asked again about what it does not have.
const ABSENT: Duration = Duration::from_secs(30);

/// Entries of the caches: some hundred bytes each.
const MOST_KNOWN: usize = 16_384;

/// Lists of tags that are remembered, about.
const MOST_LISTS: usize = 1000;

/// All mirrored repositories of a daemon. Clones share what they know.
#[derive(Clone, Default)]
pub struct Mirrors(Arc<MirrorState>);

struct MirrorState {
    manifests: Flights<(RepositoryName, String), Result<(), MirrorError>>,
    blobs: BlobFlights,
    /// What the upstream did not have, and when.
    absent: Cache<(RepositoryName, String), Duration>,
    /// When the upstream was last asked about a tag.
    checked: Cache<(RepositoryName, Tag, Digest), Duration>,
    upstreams: Upstreams,
    /// The upstream's tags, and who is fetching them.
    lists: Cache<RepositoryName, UpstreamTags, ByLength>,
    listings: Flights<RepositoryName, Result<Arc<[Tag]>, MirrorError>>,
    counters: CountersByRule,
}

impl Default for MirrorState {
    fn default() -> Self {
        Self {
            manifests: Flights::default(),
            blobs: BlobFlights::default(),
            absent: Cache::new(MOST_KNOWN),
            checked: Cache::new(MOST_KNOWN),
            upstreams: Upstreams::default(),
            lists: Cache::with_weighter(MOST_LISTS, tags::MOST_REMEMBERED, ByLength),
            listings: Flights::default(),
            counters: CountersByRule::default(),
        }
    }
}

impl Live {
    /// The rule for a repository that mirrors another registry.
    pub fn mirror_of(&self, repository: &RepositoryName) -> Option<&Arc<MirrorRule>> {
        self.mirrors.iter().find(|rule| rule.repositories.matches(repository, None))
    }

    /// The repository here that a client means by a name in the namespace of another registry.
    pub fn in_namespace(&self, namespace: &str, name: &RepositoryName) -> Option<RepositoryName> {
        let rules = self.mirrors.iter().filter(|rule| rule.upstream() == namespace);
        let mut names =
            rules.filter_map(|rule| rule.local_name(name).filter(|name| rule.repositories.matches(name, None)));
        names.next()
    }
}

impl Mirrors {
    /// What the mirrors did since the start, by rule.
    pub fn counts(&self) -> Vec<MirrorCounts> {
        self.0.counters.all()
    }

    /// What an error of the upstream means.
    fn failed(&self, rule: &MirrorRule, error: &client::Error) -> MirrorError {
        let failed = self.0.upstreams.failed(rule, error);
        if !matches!(failed, MirrorError::Absent) {
            self.0.counters.of(rule).error();
        }
        failed
    }

    /// Whether the upstream did not have this a moment ago.
    fn is_absent(&self, key: &(RepositoryName, String)) -> bool {
        self.0.absent.get(key).is_some_and(|since| world::uptime().saturating_sub(since) < ABSENT)
    }

    /// Notes what the upstream does not have.
    fn learn<T>(&self, key: (RepositoryName, String), found: &Result<T, MirrorError>) {
        if matches!(found, Err(MirrorError::Absent)) {
            self.0.absent.insert(key, world::uptime());
        }
    }
}

/// The repository as the mirror writes to it. Its manifests come before their layers, which are fetched when they are
/// pulled.
fn own(repository: &Repository) -> Repository {
    let registry = repository.registry();
    let settings = Settings {
        missing_references: MissingReferences::Accept,
        auto_create: AutoCreate::Anywhere,
        owner_on_push: false,
        ..registry.settings().clone()
    };
    let registry: Registry = registry.under(Arc::new(settings)).asked_by(Subject::User(CALLER.into()));
    registry.repository(repository.name())
}
