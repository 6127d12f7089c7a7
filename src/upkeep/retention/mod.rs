//! Retention: which tags and untagged manifests the operator's rules keep, and which they delete.
//!
//! [`Repository::retention_plan`] reads and decides, [`Repository::apply_retention`] removes the tags. Manifests are not
//! removed here: collection does that, by a protocol that no push can lose to.

mod attached;
mod decide;
mod plan;
mod removed;
#[cfg(test)]
mod tests;

pub use plan::{Grounds, PlannedManifest, PlannedTag, RetentionPlan, RetentionVerdict};
pub use removed::RemovedManifests;

use crate::{
    registry::{PullTimes, Repository, Result, view::TaggedManifest},
    storage::DirOf,
};
use decide::{ManifestFacts, RetentionFacts, TagFacts};
use oci::{Algorithm, Digest, ManifestType};
use std::{collections::HashSet, time::SystemTime};

/// Names per page: every page reads the whole directory.
const PAGE: usize = 10_000;

impl Repository {
    /// Whether a rule applies to the repository; without one, [`Repository::retention_plan`] keeps everything.
    pub fn has_retention(&self) -> bool {
        self.settings().retention.iter().any(|rule| rule.decides(self.name()))
    }

    /// What the rules decide, as of `now`, for each tag of the repository and each manifest without a tag. Only reads,
    /// and takes no lock: a concurrent change is seen either before or after it happened, and
    /// [`Repository::apply_retention`] checks again.
    ///
    /// # Errors
    /// Only the store's. A tag or an index that cannot be read is an error, because it is unknown what it keeps.
    pub async fn retention_plan(&self, now: SystemTime, removed: &RemovedManifests) -> Result<RetentionPlan> {
        let (settings, repository) = (self.settings(), self.name());
        let times = self.pull_times(now).await?;
        let rule = settings.retention.iter().find(|rule| rule.decides(repository));
        let indexes_count = rule.is_some_and(|rule| rule.delete_untagged.is_some()) || removed.are_of(repository);
        let intents = self.intents().await?;
        let in_use: HashSet<&Digest> = intents.iter().flat_map(|i| i.refers.iter().chain([&i.manifest])).collect();
        // Manifests before tags: a manifest that is pushed and tagged meanwhile must not look untagged.
        let manifests = self.manifest_facts(&times, indexes_count, &in_use).await?;
        let tags = self.tag_facts(&times).await?;
        let facts = RetentionFacts { tags, manifests, removed: removed.of(repository), grace: removed.grace };
        let immutable = self.immutable().await?;
        Ok(decide::decide(repository, &settings.retention, &immutable, facts, now))
    }

    /// Removes the tags that the rules delete, and returns how many. A tag that was pushed since the plan was made
    /// stays, even if it points to the same manifest, and so does one that has become immutable.
    ///
    /// A push of the tag, also by another process, happens either before or after its removal: the store moves the
    /// tag away first, and checks it again before deleting it.
    ///
    /// # Errors
    /// The store's; the tags before the failure have been removed.
    pub async fn apply_retention(&self, plan: &RetentionPlan) -> Result<u64> {
        let mut removed = 0;
        for planned in plan.deleted_tags().filter(|planned| planned.verdict.subject().is_none()) {
            let PlannedTag { tag, digest, pushed, .. } = planned;
            removed += u64::from(self.expire_tag(tag, digest, *pushed).await?);
        }
        Ok(removed)
    }

    async fn tag_facts(&self, times: &PullTimes) -> Result<Vec<TagFacts>> {
        let fact = |TaggedManifest { tag, digest, pushed }: &TaggedManifest| TagFacts {
            pulls: times.of(digest),
            tag: tag.clone(),
            digest: digest.clone(),
            pushed: *pushed,
        };
        Ok(self.tag_targets().await?.iter().map(fact).collect())
    }

    async fn manifest_facts(
        &self,
        times: &PullTimes,
        indexes_count: bool,
        in_use: &HashSet<&Digest>,
    ) -> Result<Vec<ManifestFacts>> {
        let mut facts = Vec::new();
        for algorithm in Algorithm::ALL {
            let mut manifests = self.store().names(DirOf::revisions(self.name(), algorithm), PAGE);
            while let Some(digest) = manifests.next().await? {
                let Some((revision, since)) = self.revision_since(&digest).await? else { continue };
                let is_index = ManifestType::of(&revision.media_type).is_none_or(ManifestType::is_index);
                let children = match is_index && indexes_count {
                    true => self.registry().children(&digest, &revision.media_type).await?,
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
}
