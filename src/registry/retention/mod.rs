//! Retention: which tags and untagged manifests the operator's rules keep, and which go.
//!
//! [`Registry::retention_plan`] reads and decides, [`Registry::apply_retention`] removes the tags.
//! Manifests are not removed here: collection takes them, by the protocol that no push can lose to.

mod attached;
mod decide;
mod plan;
mod pulls;
mod removed;
pub(super) mod rule;
#[cfg(test)]
mod tests;

pub use plan::{Grounds, Plan, PlannedManifest, PlannedTag, Verdict};
pub(super) use pulls::PullLog;
pub use removed::RemovedManifests;

use super::{Registry, Result};
use crate::{
    oci::{Algorithm, Bounds, Digest, Manifest, ManifestType, ReferencedDigest, RepositoryName, Tag},
    storage::{Dir, Expect, Key},
};
use decide::{Facts, ManifestFacts, TagFacts};
use pulls::PullTimes;
use std::{collections::HashSet, time::SystemTime};

/// Names read at once: every page reads the whole directory.
const PAGE: usize = 10_000;

/// Whatever was accepted is read again, however the bounds were when it came.
const UNBOUNDED: Bounds = Bounds { depth: 128, descriptors: usize::MAX };

impl Registry {
    /// Whether a rule decides about a repository; else [`Registry::retention_plan`] keeps all.
    pub fn has_retention(&self, repository: &RepositoryName) -> bool {
        self.settings.retention.iter().any(|rule| rule.decides(repository))
    }

    /// What the rules make of each tag of a repository, and of each manifest that no tag points
    /// to, as of `now`. Reads only, and takes no lock: what changes meanwhile is seen before or
    /// after the change, and [`Registry::apply_retention`] looks again.
    ///
    /// # Errors
    /// Only the store's. A tag or an index that cannot be read is one of these: nobody knows then
    /// what it keeps.
    pub async fn retention_plan(
        &self,
        repository: &RepositoryName,
        now: SystemTime,
        removed: &RemovedManifests,
    ) -> Result<Plan> {
        let settings = &self.settings;
        let times = self.pull_times(repository, now).await?;
        let rule = settings.retention.iter().find(|rule| rule.decides(repository));
        let indexes_count = rule.is_some_and(|rule| rule.delete_untagged.is_some()) || removed.are_of(repository);
        let intents = self.intents(repository).await?;
        let in_use: HashSet<&Digest> = intents.iter().flat_map(|i| i.refers.iter().chain([&i.manifest])).collect();
        // Manifests before tags: one that is pushed and tagged meanwhile is not taken for untagged.
        let manifests = self.manifest_facts(repository, &times, indexes_count, &in_use).await?;
        let tags = self.tag_facts(repository, &times).await?;
        let facts = Facts { tags, manifests, removed: removed.of(repository), grace: removed.grace };
        Ok(decide::decide(repository, &settings.retention, &settings.immutable, facts, now))
    }

    /// Removes the tags that the rules delete; how many. A tag that was pushed since the plan was made stays,
    /// even if it points to the same manifest, and so does one that has become immutable.
    ///
    /// A push of the tag comes before or after its removal, also one through another process: the
    /// store takes aside what it removes and looks at it again.
    ///
    /// # Errors
    /// The store's; the tags up to there are gone.
    pub async fn apply_retention(&self, repository: &RepositoryName, plan: &Plan) -> Result<u64> {
        let mut removed = 0;
        for planned in plan.deleted_tags().filter(|planned| planned.verdict.subject().is_none()) {
            let PlannedTag { tag, digest, pushed, .. } = planned;
            removed += u64::from(self.expire_tag(repository, tag, digest, *pushed).await?);
        }
        Ok(removed)
    }

    /// Removes a tag unless it was pushed again since; whether it was removed.
    pub(super) async fn expire_tag(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        digest: &Digest,
        pushed: SystemTime,
    ) -> Result<bool> {
        let (registry, repository, tag, digest) = (self.clone(), repository.clone(), tag.clone(), digest.clone());
        // To its end: a tag and the note that it may be there go together.
        self.shielded(async move {
            let _pushes = registry.core.locks.tags(&repository, std::slice::from_ref(&tag)).await;
            let found = registry.core.store.get(&Key::Tag(repository.clone(), tag.clone())).await?;
            match found.filter(|fact| fact.written == pushed && !registry.settings.is_immutable(&repository, &tag)) {
                Some(found) => registry.untag(&repository, &tag, &digest, Expect::Unchanged(found)).await,
                None => Ok(false),
            }
        })
        .await
    }

    async fn tag_facts(&self, repository: &RepositoryName, times: &PullTimes) -> Result<Vec<TagFacts>> {
        let mut facts = Vec::new();
        for tag in self.names(&Dir::Tags(repository.clone())).await? {
            let Ok(tag) = tag.parse::<Tag>() else { continue };
            // One that is deleted meanwhile is none of ours.
            let Some((digest, pushed)) = self.tagged_since(repository, &tag).await? else { continue };
            facts.push(TagFacts { pulls: times.of(&digest), tag, digest, pushed });
        }
        Ok(facts)
    }

    async fn manifest_facts(
        &self,
        repository: &RepositoryName,
        times: &PullTimes,
        indexes_count: bool,
        in_use: &HashSet<&Digest>,
    ) -> Result<Vec<ManifestFacts>> {
        let mut facts = Vec::new();
        for algorithm in Algorithm::ALL {
            for hex in self.names(&Dir::Revisions(repository.clone(), algorithm)).await? {
                let Ok(digest) = format!("{algorithm}:{hex}").parse::<Digest>() else { continue };
                let Some((revision, since)) = self.revision_since(repository, &digest).await? else { continue };
                let is_index = ManifestType::of(&revision.media_type).is_none_or(ManifestType::is_index);
                let children = match is_index && indexes_count {
                    true => self.children(&digest, &revision.media_type).await?,
                    false => Vec::new(),
                };
                let pulls = times.of(&digest);
                let in_use = in_use.contains(&digest);
                let pushed = revision.pushed().unwrap_or(since);
                facts.push(ManifestFacts { digest, pushed, since, pulls, subject: revision.subject, children, in_use });
            }
        }
        Ok(facts)
    }

    /// What an index lists.
    pub(super) async fn children(&self, digest: &Digest, media_type: &str) -> Result<Vec<Digest>> {
        let bytes = self.manifest_bytes(digest).await?;
        let index = Manifest::parse(&bytes, Some(media_type), UNBOUNDED)?;
        let known = index.children.into_iter().filter_map(|child| match child.digest {
            ReferencedDigest::Known(digest) => Some(digest),
            ReferencedDigest::Foreign(_) => None,
        });
        Ok(known.collect())
    }

    /// All names of a directory.
    async fn names(&self, dir: &Dir) -> Result<Vec<String>> {
        let mut names: Vec<String> = Vec::new();
        loop {
            let page = self.core.store.children(dir, names.last().map(String::as_str), PAGE).await?;
            names.extend(page.entries.into_iter().map(|child| child.name));
            if !page.more {
                return Ok(names);
            }
        }
    }
}
