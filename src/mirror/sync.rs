//! Fetches tags before anybody pulls them, on a schedule.

use super::{MirrorError, Mirrors, evict::repositories, own};
use crate::{
    config::{Live, MirrorRule},
    registry::{Registry, Repository, view::ManifestReader},
};
use client::PageRequest;
use oci::{Digest, Reference, RepositoryName, Tag};
use std::sync::Arc;

/// The most tags of one repository that are fetched in one round.
const MOST_TAGS: usize = 1000;

/// Tags of a page.
const PAGE: u32 = 500;

/// What was fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SyncedTags {
    pub tags: u64,
    /// Tags, or whole repositories, that could not be.
    pub failed: u64,
}

impl Mirrors {
    /// Fetches the tags that a rule names, with everything that they refer to, in the repositories of the rule that are
    /// here.
    pub async fn sync(
        &self,
        registry: &Registry,
        live: &Live,
        rule: &Arc<MirrorRule>,
    ) -> Result<SyncedTags, MirrorError> {
        let mut synced = SyncedTags::default();
        for name in repositories(registry, live, rule).await? {
            let tags = match self.wanted(rule, &name).await {
                Ok(tags) => tags,
                Err(error @ MirrorError::Unavailable { .. }) => return Err(error),
                Err(error) => {
                    tracing::warn!(repository = %name, %error, "the tags of a mirrored repository cannot be listed");
                    synced.failed += 1;
                    continue;
                }
            };
            let repository = registry.repository(&name);
            for tag in tags {
                match self.sync_tag(rule, &repository, &tag).await {
                    Ok(()) => synced.tags += 1,
                    Err(error @ MirrorError::Unavailable { .. }) => return Err(error),
                    Err(error) => {
                        tracing::warn!(repository = %name, %tag, %error, "a tag of a mirror cannot be fetched");
                        synced.failed += 1;
                    }
                }
            }
        }
        Ok(synced)
    }

    /// The upstream's tags that a rule names.
    async fn wanted(&self, rule: &MirrorRule, name: &RepositoryName) -> Result<Vec<Tag>, MirrorError> {
        let (Some(sync), Some(upstream)) = (&rule.sync, rule.upstream_name(name)) else { return Ok(Vec::new()) };
        self.0.upstreams.may_ask(rule)?;
        let mut pages = rule.client.tags(&upstream, &PageRequest { size: Some(PAGE), after: None });
        let mut wanted = Vec::new();
        while let Some(page) = pages.next_page().await.map_err(|error| self.failed(rule, &error))? {
            wanted.extend(page.into_iter().filter(|tag| sync.tags.matches(tag)));
            if wanted.len() >= MOST_TAGS {
                tracing::warn!(repository = %name, "more than {MOST_TAGS} tags match mirror.sync_tags; the rest is not fetched");
                wanted.truncate(MOST_TAGS);
                break;
            }
        }
        Ok(wanted)
    }

    async fn sync_tag(&self, rule: &Arc<MirrorRule>, repository: &Repository, tag: &Tag) -> Result<(), MirrorError> {
        self.refresh(rule, repository, &Reference::Tag(tag.clone())).await?;
        let Some(digest) = repository.tagged(tag).await? else { return Ok(()) };
        self.complete(rule, repository, digest).await
    }

    /// Fetches what a manifest leads to and is not here.
    async fn complete(
        &self,
        rule: &Arc<MirrorRule>,
        repository: &Repository,
        digest: Digest,
    ) -> Result<(), MirrorError> {
        let own = own(repository);
        let (mut ahead, mut met) = (vec![digest], std::collections::HashSet::new());
        while let Some(digest) = ahead.pop() {
            if !met.insert(digest.clone()) {
                continue;
            }
            match self.bring_up_to_date(rule, &own, &Reference::Digest(digest.clone()), rule.tag_ttl).await.map(drop) {
                // An index may list platforms that its registry does not have.
                Err(MirrorError::Absent) => continue,
                brought => brought?,
            }
            let Some(detail) = ManifestReader::of(&own).get(&digest).await? else { continue };
            ahead.extend(detail.children().cloned());
            for blob in detail.blobs().filter(|blob| !oci::media_type::is_foreign_layer(&blob.media_type)) {
                let Some(blob) = blob.digest.clone().known() else { continue };
                if let Some(coming) = self.coming(rule, &own, &blob).await? {
                    coming.arrived().await?;
                }
            }
        }
        Ok(())
    }
}
