//! Deletes a whole repository: what it holds moves to the graveyard, as in other deletions, and its facts go last.
//!
//! First it is announced that the repository is being deleted: pushes in progress have ended by then, and further ones
//! are refused until the deletion ends, so nothing that a client was told is stored disappears unseen. A crash leaves
//! a repository with fewer tags and manifests and all its facts: its owner can repeat the deletion, and a stranger
//! cannot take the name.

use super::{RegistryError, Repository, Result};
use crate::{
    files::world,
    storage::{self, Condemned, DirOf, Expect, FactKey, Item, ItemKind, ListingPage, Why},
};
use futures_util::{StreamExt, TryStreamExt, stream};
use oci::Digest;
use std::time::Duration;

/// Names per page.
const PAGE: usize = 1000;

/// Deletions at once: they share the syncs of directories.
const AT_ONCE: usize = 8;

/// What a deletion of a repository removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RemovedRepository {
    /// Tags.
    pub tags: u64,
    /// Manifests.
    pub manifests: u64,
    /// Blobs that the repository could serve. Their bytes may be in other repositories too.
    pub blobs: u64,
}

impl Repository {
    /// Deletes the repository with everything in it; runs to completion.
    ///
    /// # Errors
    /// [`RegistryError::NameUnknown`]; [`RegistryError::TagImmutable`] if it has such a tag; [`RegistryError::RepositoryLeaving`] if it is being
    /// deleted already. Then nothing was removed. After an error of the store a part is removed, and the deletion can
    /// be repeated.
    pub async fn delete(&self) -> Result<RemovedRepository> {
        let repository = self.clone();
        self.registry.shielded(async move { repository.remove().await }).await
    }

    async fn remove(&self) -> Result<RemovedRepository> {
        let core = &self.registry.core;
        let _departure = {
            // Waits for the pushes in progress.
            let _alone = core.locks.changing(&self.name).await;
            if !self.exists().await? {
                return Err(RegistryError::NameUnknown(self.name.clone()));
            }
            self.may_be_deleted().await?;
            core.departures.begin(&self.name).ok_or_else(|| RegistryError::RepositoryLeaving(self.name.clone()))?
        };
        let tags = self.remove_tags().await?;
        let manifests = self.remove_items(&ItemKind::Revisions(self.name.clone())).await?;
        let blobs = self.remove_items(&ItemKind::Links(self.name.clone())).await?;
        self.forget_all_pulls().await?;
        // The owner last: until then they can repeat this. Hints grant nothing.
        for key in [
            FactKey::Description,
            FactKey::OwnImmutable,
            FactKey::Visibility,
            FactKey::Created,
            FactKey::Owner,
            FactKey::Recorded,
        ]
        .map(|key| key(self.name.clone()))
        {
            self.store().delete(&key, Expect::Any).await?;
        }
        Ok(RemovedRepository { tags, manifests, blobs })
    }

    /// Checks that it has no immutable tag.
    async fn may_be_deleted(&self) -> Result<()> {
        let immutable = self.immutable().await?;
        if immutable.is_empty() {
            return Ok(());
        }
        let mut tags = self.store().names(DirOf::tags(&self.name), PAGE);
        while let Some(tag) = tags.next().await? {
            if immutable.holds(&tag) {
                return Err(RegistryError::TagImmutable(tag));
            }
        }
        Ok(())
    }

    /// Removes all tags, also damaged ones and those that point to nothing. They go before what they point to.
    async fn remove_tags(&self) -> Result<u64> {
        let mut tags = self.store().names(DirOf::tags(&self.name), PAGE);
        let mut removed = 0;
        while let Some(tag) = tags.next().await? {
            world::yield_now().await;
            let digest = match self.tagged(&tag).await {
                Err(RegistryError::Storage(storage::StorageError::Damaged { .. })) => None,
                digest => digest?,
            };
            removed +=
                u64::from(self.store().delete(&FactKey::Tag(self.name.clone(), tag.clone()), Expect::Any).await?);
            if let Some(digest) = digest {
                self.store().delete(&FactKey::Tagged(self.name.clone(), digest, tag), Expect::Any).await?;
            }
        }
        Ok(removed)
    }

    /// Moves all items of a kind to the graveyard for good, also those that lie there and could be restored. Returns how
    /// many were live.
    async fn remove_items(&self, kind: &ItemKind) -> Result<u64> {
        let (mut removed, mut after) = (0, None);
        loop {
            let ListingPage { entries, more } = self.store().items(kind, after.as_ref(), PAGE).await?;
            after = entries.last().map(|aged| aged.item.clone());
            removed += entries.len() as u64;
            self.remove_all(entries.into_iter().map(|aged| aged.item)).await?;
            if !more {
                break;
            }
        }
        // After the live ones: a collection may have moved some of them here meanwhile.
        let is_ours = |item: &Item| match (kind, item) {
            (ItemKind::Revisions(_), Item::Revision(name, _)) | (ItemKind::Links(_), Item::Link(name, _)) => {
                *name == self.name
            }
            _ => false,
        };
        let mut after: Option<Condemned> = None;
        loop {
            let ListingPage { entries, more } = self.store().condemned(after.as_ref(), PAGE).await?;
            after = entries.last().map(|grave| grave.entry.clone());
            let graves = entries.into_iter().map(|grave| grave.entry).filter(|entry| entry.why == Why::Unreferenced);
            self.remove_all(graves.map(|entry| entry.item).filter(is_ours)).await?;
            if !more {
                return Ok(removed);
            }
        }
    }

    async fn remove_all(&self, items: impl Iterator<Item = Item>) -> Result<()> {
        let removals = items.map(|item| async move {
            world::yield_now().await;
            match &item {
                Item::Revision(_, digest) => self.remove_revision(digest).await,
                _ => self
                    .store()
                    .condemn(&item, self.registry.core.deletions.run(), Why::Deleted, Duration::ZERO)
                    .await
                    .map(drop)
                    .map_err(RegistryError::from),
            }
        });
        stream::iter(removals).buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn remove_revision(&self, digest: &Digest) -> Result<()> {
        let _deleting = self.registry.core.locks.lock_for_deletion(&self.name, digest).await;
        let subject = match self.revision(digest).await {
            Ok(revision) => revision.and_then(|revision| revision.subject),
            Err(RegistryError::Storage(storage::StorageError::Damaged { .. })) => None,
            Err(error) => return Err(error),
        };
        self.take_revision(digest, subject).await.map(drop)
    }
}
