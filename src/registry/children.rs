//! Protects manifests that an index of their repository lists from deletion by clients
//! (`manifests.protect_children`).
//!
//! The push of an index holds the locks of its children, so the result of the check stays valid until the child is
//! deleted: an index that is pushed meanwhile either comes before the deletion, and is found, or after it, and finds
//! the child missing.

use super::{RegistryError, Repository, Result};
use crate::{files::world, storage::DirOf};
use oci::{Algorithm, Digest, ManifestType, Tag};

/// Indexes named in one error.
const MOST_PARENTS: usize = 5;

/// Tags named for each of them.
const MOST_TAGS: usize = 3;

/// Names per page.
const PAGE: usize = 1000;

impl Repository {
    /// Checks that no index of the repository lists a manifest, if children are protected. Reads every index of the
    /// repository. The caller holds the lock for deleting the manifest.
    ///
    /// # Errors
    /// [`RegistryError::ChildProtected`].
    pub(super) async fn may_leave_parents(&self, digest: &Digest) -> Result<()> {
        if !self.settings().protect_children {
            return Ok(());
        }
        let parents = self.parents(digest).await?;
        match parents.is_empty() {
            true => Ok(()),
            false => Err(RegistryError::ChildProtected(parents)),
        }
    }

    /// Indexes that list a manifest, for people: the first few, with their tags.
    async fn parents(&self, child: &Digest) -> Result<Vec<String>> {
        let mut parents = Vec::new();
        for algorithm in Algorithm::ALL {
            let mut manifests = self.store().names(DirOf::revisions(&self.name, algorithm), PAGE);
            while let Some(digest) = manifests.next().await? {
                world::yield_now().await;
                if digest != *child && self.lists(&digest, child).await? {
                    parents.push(self.with_tags(&digest).await?);
                }
                if parents.len() >= MOST_PARENTS {
                    return Ok(parents);
                }
            }
        }
        Ok(parents)
    }

    /// Whether a manifest is an index that lists another one.
    async fn lists(&self, digest: &Digest, child: &Digest) -> Result<bool> {
        let Some(revision) = self.revision(digest).await? else { return Ok(false) };
        if ManifestType::of(&revision.media_type).is_some_and(|media_type| !media_type.is_index()) {
            return Ok(false);
        }
        let contents = self.contents_of(digest, &revision).await?;
        Ok(contents.is_some_and(|contents| contents.children.contains(child)))
    }

    async fn with_tags(&self, digest: &Digest) -> Result<String> {
        let mut hints = self.store().names(DirOf::tagged(&self.name, digest), PAGE);
        let mut tags = Vec::new();
        while tags.len() < MOST_TAGS
            && let Some(tag) = hints.next().await?
        {
            if self.tagged(&tag).await?.as_ref() == Some(digest) {
                tags.push(tag);
            }
        }
        Ok(match tags.is_empty() {
            true => digest.to_string(),
            false => format!("{digest} (tag {})", tags.iter().map(Tag::as_str).collect::<Vec<_>>().join(", ")),
        })
    }
}
