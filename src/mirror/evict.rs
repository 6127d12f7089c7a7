//! Removes what mirrors stored and nobody pulls any more, or what there is no room for. It can be fetched again.
//!
//! What somebody pushed stays, with everything that it refers to. Bytes are freed by the next collection.

use super::CALLER;
use crate::{
    config::{Live, MirrorRule},
    registry::{Registry, RegistryError, Repository, Shows, Visible, view::ManifestReader},
    storage::{DirOf, FactKey},
};
use oci::{Algorithm, Digest, Reference, RepositoryName, Tag};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::SystemTime,
};

/// Repositories of a page.
const PAGE: usize = 1000;

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evicted {
    pub manifests: u64,
    /// What they referred to and nothing else in the repositories of the rule does.
    pub bytes: u64,
}

/// A manifest in a mirrored repository.
struct EvictionCandidate {
    repository: RepositoryName,
    digest: Digest,
    /// When it was last pulled or fetched. None if it has to stay.
    unused_since: Option<SystemTime>,
    /// Its own bytes and those of its blobs.
    holds: Vec<(Digest, u64)>,
}

/// The repositories that a rule applies to.
struct OfRule<'l> {
    live: &'l Live,
    rule: &'l Arc<MirrorRule>,
}

impl Visible for OfRule<'_> {
    fn shows(&self, repository: &RepositoryName) -> Shows {
        self.live.mirror_of(repository).is_some_and(|rule| Arc::ptr_eq(rule, self.rule)).into()
    }

    fn reaches(&self, prefix: &RepositoryName) -> bool {
        self.rule.repositories.reach(prefix, None, |_| true)
    }
}

/// The repositories here that a rule applies to.
pub(super) async fn repositories(
    registry: &Registry,
    live: &Live,
    rule: &Arc<MirrorRule>,
) -> Result<Vec<RepositoryName>, RegistryError> {
    let (visible, mut found, mut last) = (OfRule { live, rule }, Vec::new(), None::<String>);
    loop {
        let page = registry.existing_repositories(None, last.as_deref(), PAGE, &visible).await?;
        last = page.entries.last().map(ToString::to_string);
        found.extend(page.entries);
        if !page.more {
            return Ok(found);
        }
    }
}

/// Removes what the rules say, as of `now`.
///
/// # Errors
/// The store's; what was removed before stays removed.
pub async fn evict(registry: &Registry, live: &Live, now: SystemTime) -> Result<Evicted, RegistryError> {
    let mut evicted = Evicted::default();
    for rule in live.mirrors.iter().filter(|rule| rule.unused.is_some() || rule.max_bytes.is_some()) {
        let mut kept = Vec::new();
        for name in repositories(registry, live, rule).await? {
            kept.extend(manifests(&registry.repository(&name), now).await?);
        }
        let mut sizes = HashMap::new();
        let mut total = 0;
        for (digest, size) in kept.iter().flat_map(|kept| &kept.holds) {
            let holders: &mut u64 = sizes.entry(digest.clone()).or_insert(0);
            total += if *holders == 0 { *size } else { 0 };
            *holders += 1;
        }
        // Those that were not used for the longest time go first.
        kept.sort_by_key(|kept| kept.unused_since);
        for kept in kept {
            let Some(since) = kept.unused_since else { continue };
            let idle = now.duration_since(since).unwrap_or_default();
            let is_old = rule.unused.is_some_and(|most| idle > most);
            if !is_old && rule.max_bytes.is_none_or(|most| total <= most) {
                continue;
            }
            let manifest = Reference::Digest(kept.digest.clone());
            match registry.repository(&kept.repository).delete_manifest(&manifest).await {
                Ok(()) => {}
                // Immutable tags and protected children stay; what was deleted meanwhile is gone.
                Err(RegistryError::Storage(error)) => return Err(error.into()),
                Err(error) => {
                    tracing::debug!(repository = %kept.repository, digest = %kept.digest, %error, "what a mirror stored stays");
                    continue;
                }
            }
            evicted.manifests += 1;
            for (digest, size) in kept.holds {
                if let Some(holders) = sizes.get_mut(&digest) {
                    *holders -= 1;
                    if *holders == 0 {
                        total -= size;
                        evicted.bytes += size;
                    }
                }
            }
        }
    }
    Ok(evicted)
}

/// The manifests of a repository, and which of them may go.
async fn manifests(repository: &Repository, now: SystemTime) -> Result<Vec<EvictionCandidate>, RegistryError> {
    let pulls = repository.pull_times(now).await?;
    let mut reader = ManifestReader::of(repository);
    let mut tags = HashMap::<Digest, Vec<(Tag, SystemTime)>>::new();
    let mut names = repository.store().names(DirOf::tags(repository.name()), PAGE);
    while let Some(tag) = names.next().await? {
        if let Some((digest, since)) = repository.tagged_since(&tag).await? {
            tags.entry(digest).or_default().push((tag, since));
        }
    }
    let mut digests = Vec::new();
    for algorithm in Algorithm::ALL {
        let mut names = repository.store().names(DirOf::revisions(repository.name(), algorithm), PAGE);
        while let Some(digest) = names.next().await? {
            digests.push(digest);
        }
    }
    let (mut found, mut stays, mut ahead) = (Vec::new(), HashSet::new(), Vec::new());
    for digest in digests {
        let Some(detail) = reader.get(&digest).await? else { continue };
        let tags = tags.remove(&digest).unwrap_or_default();
        let mut is_mirrored = detail.pushed_by.as_deref() == Some(CALLER);
        for (tag, _) in &tags {
            is_mirrored &= is_set_by_mirror(repository, tag, &digest).await?;
        }
        if !is_mirrored {
            ahead.push(digest.clone());
        }
        let times = tags.iter().map(|(_, since)| *since).chain([detail.pushed]).chain(pulls.of(&digest).last);
        let blobs = detail.blobs().filter_map(|blob| Some((blob.digest.clone().known()?, blob.size)));
        found.push(EvictionCandidate {
            repository: repository.name().clone(),
            unused_since: is_mirrored.then(|| times.max()).flatten(),
            holds: blobs.chain([(digest.clone(), detail.len)]).collect(),
            digest,
        });
    }
    // What somebody pushed needs everything that it refers to.
    while let Some(digest) = ahead.pop() {
        if stays.insert(digest.clone())
            && let Some(detail) = reader.get(&digest).await?
        {
            ahead.extend(detail.children().cloned());
            ahead.extend(detail.content.iter().filter_map(|content| content.subject.clone()));
        }
    }
    for kept in &mut found {
        if stays.contains(&kept.digest) {
            kept.unused_since = None;
        }
    }
    Ok(found)
}

/// Whether the mirror set a tag to what it points to now. A push leaves the pusher's name there.
pub(super) async fn is_set_by_mirror(
    repository: &Repository,
    tag: &Tag,
    digest: &Digest,
) -> Result<bool, RegistryError> {
    let hint = FactKey::Tagged(repository.name().clone(), digest.clone(), tag.clone());
    let hint = repository.store().get(&hint).await?;
    Ok(hint.is_some_and(|hint| hint.bytes.trim_ascii_end() == CALLER.as_bytes()))
}
