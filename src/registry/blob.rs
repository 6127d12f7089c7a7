//! Blobs of a repository. Knowing a digest grants nothing: a repository serves a blob only through its own membership
//! link.
//!
//! A mount without a source tries the last four repositories where the same caller used the digest, and verifies
//! each. Pushes of other users must not change its result.

use super::{Registry, RegistryError, Repository, Result, VerifyReads, Visible, quota::Growth};
use crate::{
    files::world,
    storage::{Blob, Condemnation, Durability, Examined, FactKey, Item, Presence, Put, RunId, Why},
};
use oci::{Digest, RepositoryName};
use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime},
};

/// If reads are sampled, one in this many is verified.
const SAMPLED: u64 = 16;

/// Repositories remembered for one digest.
const HINTS_EACH: usize = 4;

impl Repository {
    /// A blob of a repository, for reading.
    ///
    /// # Errors
    /// [`RegistryError::BlobUnknown`], also if the repository has a link but the bytes are gone: the client then pushes them
    /// again.
    pub async fn blob(&self, digest: &Digest) -> Result<Blob> {
        let unknown = || RegistryError::BlobUnknown(digest.clone());
        let link = FactKey::Layer(self.name.clone(), digest.clone());
        self.get_to_read(&link).await?.ok_or_else(unknown)?;
        let blob = self.store().open_to_read(digest).await?.ok_or_else(unknown)?;
        self.hint(digest);
        Ok(blob)
    }

    /// The same for a client that checks before a push: if the blob exists, the client relies on it until the push
    /// ends.
    ///
    /// # Errors
    /// Those of [`Repository::blob`].
    pub async fn blob_to_rely_on(&self, digest: &Digest) -> Result<Blob> {
        let (blob, linked) = self.aged_blob(digest).await?;
        let often_enough = self.settings().collection.lease / 4;
        if world::now().duration_since(linked).is_ok_and(|age| age >= often_enough) {
            let items = [Item::Blob(digest.clone()), Item::Link(self.name.clone(), digest.clone())];
            for item in &items {
                // Restore it if it lies in the graveyard.
                if !self.store().renew(item, often_enough).await?
                    && self.registry.ensure(std::slice::from_ref(item)).await? == [Presence::Missing]
                {
                    return Err(RegistryError::BlobUnknown(digest.clone()));
                }
            }
        }
        Ok(blob)
    }

    async fn aged_blob(&self, digest: &Digest) -> Result<(Blob, SystemTime)> {
        let found = self.linked(digest).await?.ok_or_else(|| RegistryError::BlobUnknown(digest.clone()))?;
        self.hint(digest);
        Ok(found)
    }

    /// Removes a blob from a repository. Its bytes stay for other repositories until they are collected.
    ///
    /// # Errors
    /// [`RegistryError::BlobUnknown`]; [`RegistryError::ImmutableContent`].
    pub async fn delete_blob(&self, digest: &Digest) -> Result<()> {
        let immutable = self.immutable().await?;
        let _taking = self.lock_for_removal(&immutable).await;
        self.check_removal(&immutable, digest).await?;
        let link = Item::Link(self.name.clone(), digest.clone());
        match self.store().condemn(&link, self.registry.core.deletions.run(), Why::Deleted, Duration::ZERO).await? {
            Condemnation::Condemned => Ok(()),
            Condemnation::Gone | Condemnation::Renewed => Err(RegistryError::BlobUnknown(digest.clone())),
        }
    }

    /// Links a blob of another repository; `false` if that does not have it, or the caller may not pull from it.
    /// Without `from`, tries only the repositories where the caller last used the digest, so it is fast however many
    /// repositories there are.
    ///
    /// # Errors
    /// [`RegistryError::RepositoryAbsent`] and [`RegistryError::NamespaceAbsent`], if this would create the repository.
    pub async fn mount(&self, digest: &Digest, from: Option<&RepositoryName>, visible: &dyn Visible) -> Result<bool> {
        self.may_be_pushed_to().await?;
        let sources = match from {
            Some(from) => [from.clone()].into(),
            None => self.hints(digest),
        };
        for source in sources.iter() {
            let source = self.registry.repository(source);
            if source.is_shown(visible).await && source.linked(digest).await?.is_some() {
                // It may be old, and has to stay alive for the repository that mounts it.
                let blob = Item::Blob(digest.clone());
                if !self.store().renew(&blob, self.settings().collection.lease / 4).await?
                    && self.registry.ensure(&[blob]).await? == [Presence::Missing]
                {
                    continue;
                }
                if self.has_quotas()
                    && self.linked(digest).await?.is_none()
                    && let Some(blob) = self.store().open(digest).await?
                {
                    self.claim_quotas(Growth { bytes: blob.len(), ..Growth::default() }).await?;
                }
                self.link(digest).await?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The blob behind a repository's link, if both exist, and the age of the link.
    pub(super) async fn linked(&self, digest: &Digest) -> Result<Option<(Blob, SystemTime)>> {
        let link = FactKey::Layer(self.name.clone(), digest.clone());
        let Some(link) = self.store().get(&link).await? else { return Ok(None) };
        Ok(self.store().open(digest).await?.map(|blob| (blob, link.written)))
    }

    /// Lets a repository serve an existing blob.
    pub(super) async fn link(&self, digest: &Digest) -> Result<()> {
        let link = FactKey::Layer(self.name.clone(), digest.clone());
        self.store().put(vec![Put::any(link, "")], Durability::Durable).await?;
        self.hint(digest);
        Ok(())
    }

    /// Remembers that the caller used a digest here.
    pub(super) fn hint(&self, digest: &Digest) {
        let known = self.hints(digest);
        if known.first() == Some(&self.name) {
            return;
        }
        let others = known.iter().filter(|known| **known != self.name).cloned();
        let hints = std::iter::once(self.name.clone()).chain(others).take(HINTS_EACH).collect();
        self.registry.core.hints.insert((digest.clone(), self.registry.caller.clone()), hints);
    }

    /// Where the caller used a digest, most recent first.
    fn hints(&self, digest: &Digest) -> Arc<[RepositoryName]> {
        self.registry.core.hints.get(&(digest.clone(), self.registry.caller.clone())).unwrap_or_default()
    }
}

impl Registry {
    /// Whether the settings say to verify a blob that is about to be read completely.
    pub fn verifies_read(&self) -> bool {
        match self.settings.verify_reads {
            VerifyReads::Off => false,
            VerifyReads::Sampled => self.core.counters.reads.fetch_add(1, Ordering::Relaxed).is_multiple_of(SAMPLED),
            VerifyReads::Always => true,
        }
    }

    /// Moves a blob that was found damaged to quarantine, in a separate task that shutdown waits for.
    pub fn found_damaged(&self, digest: &Digest) {
        let (registry, digest) = (self.clone(), digest.clone());
        self.core.publishing.spawn(async move { registry.quarantine(&digest).await });
    }

    /// Reads a blob that was found damaged once more, and moves it to quarantine if it is. Returns whether it was.
    pub(crate) async fn quarantine(&self, digest: &Digest) -> bool {
        match self.core.store.examine(digest, RunId::fresh()).await {
            Ok(Examined::Damaged { quarantined, replaced }) => {
                let from =
                    if replaced { "a sound copy took its place" } else { "push an image that contains it again" };
                tracing::error!(%digest, ?quarantined, "a blob is damaged and was moved to quarantine; {from}");
                true
            }
            Ok(Examined::Sound) => {
                tracing::warn!(%digest, "a blob was read wrong once and right the next time; check disk and memory");
                false
            }
            Ok(Examined::Gone) => false,
            Err(error) => {
                tracing::error!(%digest, %error, "a blob is damaged and cannot be moved to quarantine");
                true
            }
        }
    }

    /// Restores a blob from the graveyard, and counts that.
    pub(crate) async fn ensure(&self, items: &[Item]) -> Result<Vec<Presence>> {
        let found = self.core.store.ensure(items).await?;
        let restored = found.iter().filter(|presence| **presence == Presence::Restored).count();
        self.core.counters.collections.resurrected(restored);
        Ok(found)
    }
}
