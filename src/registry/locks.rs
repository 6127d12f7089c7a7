//! Short-lived order between requests that touch the same manifest, tag or upload. One daemon serves a
//! store, so memory is the place for it.

use crate::oci::{Digest, Manifest, ReferencedDigest, RepositoryName, Tag, UploadId};
use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
};
use tokio::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Enough that strangers seldom wait for each other.
const STRIPES: usize = 512;

/// The locks. Always taken in this order: tags, then the manifest. That of an upload is taken alone.
pub(super) struct Locks {
    tags: Vec<Mutex<()>>,
    manifests: Vec<RwLock<()>>,
    uploads: Vec<RwLock<()>>,
}

impl Default for Locks {
    fn default() -> Self {
        Self {
            tags: (0..STRIPES).map(|_| Mutex::default()).collect(),
            manifests: (0..STRIPES).map(|_| RwLock::default()).collect(),
            uploads: (0..STRIPES).map(|_| RwLock::default()).collect(),
        }
    }
}

fn stripe(key: impl Hash) -> usize {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    (hasher.finish() % STRIPES as u64) as usize
}

impl Locks {
    /// Whoever sets these tags; nobody else does meanwhile.
    pub(super) async fn tags(&self, repository: &RepositoryName, tags: &[Tag]) -> Vec<MutexGuard<'_, ()>> {
        let mut stripes: Vec<_> = tags.iter().map(|tag| stripe((repository, tag))).collect();
        stripes.sort_unstable();
        stripes.dedup();
        let mut guards = Vec::with_capacity(stripes.len());
        for i in stripes {
            guards.push(self.tags[i].lock().await);
        }
        guards
    }

    /// Whoever pushes this manifest, perhaps many; nobody deletes it meanwhile, nor one that it lists.
    pub(super) async fn pushing(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        manifest: &Manifest,
    ) -> Vec<RwLockReadGuard<'_, ()>> {
        let children = manifest.children.iter().filter_map(|child| match &child.digest {
            ReferencedDigest::Known(digest) => Some(digest),
            ReferencedDigest::Foreign(_) => None,
        });
        // Each once and in order: between two of one stripe a deletion may wait, which the second would wait for.
        let stripes: BTreeSet<_> = children.chain([digest]).map(|digest| stripe((repository, digest))).collect();
        let mut guards = Vec::with_capacity(stripes.len());
        for i in stripes {
            guards.push(self.manifests[i].read().await);
        }
        guards
    }

    /// Whoever deletes this manifest or a tag of it; nobody pushes it meanwhile. Without this a
    /// deletion could take the tag that a push in the middle of it set and answered for.
    pub(super) async fn deleting(&self, repository: &RepositoryName, digest: &Digest) -> RwLockWriteGuard<'_, ()> {
        self.manifests[stripe((repository, digest))].write().await
    }

    /// Whoever makes this upload a blob, from before it stops being an upload until the repository has the blob.
    pub(super) async fn finishing(&self, id: &UploadId) -> RwLockReadGuard<'_, ()> {
        self.uploads[stripe(id)].read().await
    }

    /// Waits for everybody who is finishing this upload.
    pub(super) async fn finished(&self, id: &UploadId) {
        drop(self.uploads[stripe(id)].write().await);
    }
}
