//! Manifests that an index of their repository lists: whether a client may delete one
//! (`manifests.protect_children`).
//!
//! The push of an index holds the locks of its children, so that what is found here is still so when the child is
//! deleted: an index that is pushed meanwhile comes before the deletion, and is found, or after it, and finds the
//! child missing.

use super::{Error, Registry, Result};
use crate::{
    oci::{Algorithm, Digest, ManifestType, RepositoryName, Tag},
    storage::Dir,
};

/// Indexes named in one refusal.
const MOST_PARENTS: usize = 5;

/// Tags named for each of them.
const MOST_TAGS: usize = 3;

/// Names read at once.
const PAGE: usize = 1000;

impl Registry {
    /// Whether no index of a repository lists a manifest, where such a manifest is protected. Reads every index of
    /// the repository. The caller holds the lock of the manifest's deletion.
    ///
    /// # Errors
    /// [`Error::ChildProtected`].
    pub(super) async fn may_leave_parents(&self, repository: &RepositoryName, digest: &Digest) -> Result<()> {
        if !self.settings.protect_children {
            return Ok(());
        }
        let parents = self.parents(repository, digest).await?;
        match parents.is_empty() {
            true => Ok(()),
            false => Err(Error::ChildProtected(parents)),
        }
    }

    /// Indexes that list a manifest, for people: the first of them, with their tags.
    async fn parents(&self, repository: &RepositoryName, child: &Digest) -> Result<Vec<String>> {
        let mut parents = Vec::new();
        for algorithm in Algorithm::ALL {
            let mut after: Option<String> = None;
            loop {
                let dir = Dir::Revisions(repository.clone(), algorithm);
                let page = self.core.store.children(&dir, after.as_deref(), PAGE).await?;
                for name in &page.entries {
                    let Ok(digest) = format!("{algorithm}:{}", name.name).parse::<Digest>() else { continue };
                    if digest != *child && self.lists(repository, &digest, child).await? {
                        parents.push(self.with_tags(repository, &digest).await?);
                    }
                    if parents.len() >= MOST_PARENTS {
                        return Ok(parents);
                    }
                }
                after = page.entries.into_iter().next_back().map(|child| child.name);
                if !page.more {
                    break;
                }
            }
        }
        Ok(parents)
    }

    /// Whether a manifest is an index that lists another one.
    async fn lists(&self, repository: &RepositoryName, digest: &Digest, child: &Digest) -> Result<bool> {
        let Some(revision) = self.revision(repository, digest).await? else { return Ok(false) };
        if ManifestType::of(&revision.media_type).is_some_and(|media_type| !media_type.is_index()) {
            return Ok(false);
        }
        match self.children(digest, &revision.media_type).await {
            Ok(children) => Ok(children.contains(child)),
            // It was deleted meanwhile, or cannot be pulled.
            Err(Error::ManifestUnknown(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn with_tags(&self, repository: &RepositoryName, digest: &Digest) -> Result<String> {
        let hints = Dir::Tagged(repository.clone(), digest.clone());
        let mut tags = Vec::new();
        for hint in self.core.store.children(&hints, None, PAGE).await?.entries {
            if let Ok(tag) = hint.name.parse::<Tag>()
                && self.tagged(repository, &tag).await?.as_ref() == Some(digest)
            {
                tags.push(hint.name);
            }
            if tags.len() >= MOST_TAGS {
                break;
            }
        }
        Ok(match tags.is_empty() {
            true => digest.to_string(),
            false => format!("{digest} (tag {})", tags.join(", ")),
        })
    }
}
