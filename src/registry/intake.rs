//! Takes in blobs that lie in files outside the store, as `wharfinger import` does. Each is hashed before it gets a
//! name, like what clients upload.

use super::{Registry, RegistryError, Repository, Result, verify};
use crate::{
    files::IntakeMode,
    storage::{Blob, Durability, FactKey, Item, Presence, Published, Put, TakenIn, Verified},
};
use oci::{Digest, Hasher, UploadId};
use std::{fs::File, sync::Arc};

/// A blob that was taken in and verified, and has no name yet.
#[must_use]
pub(crate) struct IncomingBlob {
    pub(crate) taken: TakenIn,
    verified: Verified,
}

impl Registry {
    /// Takes in the bytes of a file that has to have this digest.
    ///
    /// # Errors
    /// [`RegistryError::DigestMismatch`], [`RegistryError::BlobTooLarge`], no room, or the store's. Nothing is left
    /// then.
    pub(crate) async fn take_in(&self, digest: &Digest, from: Arc<File>, mode: IntakeMode) -> Result<IncomingBlob> {
        let len = from.metadata().map_or(0, |meta| meta.len());
        if len > self.settings.blob_bytes {
            return Err(RegistryError::BlobTooLarge(self.settings.blob_bytes));
        }
        self.admit(len).await?;
        let (taken, hasher) = self.core.store.take_in(from, mode, Hasher::new(digest.algorithm())).await?;
        self.add_written(taken.len);
        match verify::hashed(digest, hasher, taken.len) {
            Ok(verified) => Ok(IncomingBlob { taken, verified }),
            Err(error) => {
                self.core.store.drop_taken_in(taken).await?;
                Err(error)
            }
        }
    }

    /// Publishes blobs that were taken in. No repository has them yet.
    ///
    /// # Errors
    /// Only the store's.
    pub(crate) async fn publish_taken_in(&self, blobs: Vec<IncomingBlob>) -> Result<Vec<Published>> {
        let blobs = blobs.into_iter().map(|blob| (blob.taken, blob.verified)).collect();
        Ok(self.core.store.publish_taken_in(blobs).await?)
    }

    /// Which of these blobs are in the store. Unless this only looks, they are kept for a push, and condemned ones are
    /// restored.
    ///
    /// # Errors
    /// Only the store's.
    pub(crate) async fn known_blobs(&self, digests: &[Digest], only_looks: bool) -> Result<Vec<bool>> {
        if only_looks {
            let mut found = Vec::with_capacity(digests.len());
            for digest in digests {
                found.push(self.core.store.open(digest).await?.is_some());
            }
            return Ok(found);
        }
        let items: Vec<_> = digests.iter().cloned().map(Item::Blob).collect();
        Ok(self.ensure(&items).await?.iter().map(|presence| *presence != Presence::Missing).collect())
    }
}

impl Repository {
    /// Lets the repository serve blobs that are in the store. Returns how many it did not have before.
    ///
    /// # Errors
    /// Only the store's.
    pub(crate) async fn link_all(&self, digests: &[Digest]) -> Result<u64> {
        let _staying = self.staying().await?;
        let links: Vec<_> = digests.iter().map(|digest| Item::Link(self.name.clone(), digest.clone())).collect();
        let presence = self.registry.ensure(&links).await?;
        let missing = digests.iter().zip(presence).filter(|(_, presence)| *presence == Presence::Missing);
        let key = |digest: &Digest| FactKey::Layer(self.name.clone(), digest.clone());
        let puts: Vec<_> = missing.map(|(digest, _)| Put::any(key(digest), "")).collect();
        let new = puts.len() as u64;
        if new > 0 {
            self.store().put(puts, Durability::Durable).await?;
        }
        Ok(new)
    }

    /// The bytes of an upload so far. More can be read once they are there.
    ///
    /// # Errors
    /// [`RegistryError::UploadUnknown`].
    pub(crate) async fn upload_content(&self, id: &UploadId) -> Result<Blob> {
        self.store().read_upload(id).await?.ok_or(RegistryError::UploadUnknown(*id))
    }

    /// Which of these manifests the repository has, with their bytes. Unless this only looks, condemned ones are
    /// restored.
    ///
    /// # Errors
    /// Only the store's.
    pub(crate) async fn known_manifests(&self, digests: &[Digest], only_looks: bool) -> Result<Vec<bool>> {
        if only_looks {
            let keys = digests.iter().map(|digest| FactKey::Revision(self.name.clone(), digest.clone())).collect();
            let found = self.store().get_all(keys).await?;
            return Ok(found.iter().map(|found| matches!(found, Ok(Some(_)))).collect());
        }
        let both = |digest: &Digest| [Item::Revision(self.name.clone(), digest.clone()), Item::Blob(digest.clone())];
        let items: Vec<_> = digests.iter().flat_map(both).collect();
        let found = self.registry.ensure(&items).await?;
        Ok(found.chunks(2).map(|both| !both.contains(&Presence::Missing)).collect())
    }
}
