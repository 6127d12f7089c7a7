//! Short-lived locks that order requests for the same manifest, tag or upload. One daemon serves a store, so they can
//! be in memory.

use crate::files::Stripes;
use oci::{Digest, Manifest, ReferencedDigest, RepositoryName, Tag, UploadId};
use tokio::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Enough that unrelated requests seldom wait for each other.
const STRIPES: usize = 512;

/// The locks. The order is always: tags, then the repository's content, then its existence, then the manifest. The lock
/// of an upload is taken alone.
pub(super) struct Locks {
    tags: Stripes<Mutex<()>>,
    repositories: Stripes<RwLock<()>>,
    existence: Stripes<RwLock<()>>,
    facts: Stripes<Mutex<()>>,
    artifacts: Stripes<Mutex<()>>,
    manifests: Stripes<RwLock<()>>,
    uploads: Stripes<RwLock<()>>,
}

impl Default for Locks {
    fn default() -> Self {
        Self {
            tags: Stripes::new(STRIPES),
            repositories: Stripes::new(STRIPES),
            existence: Stripes::new(STRIPES),
            facts: Stripes::new(STRIPES),
            artifacts: Stripes::new(STRIPES),
            manifests: Stripes::new(STRIPES),
            uploads: Stripes::new(STRIPES),
        }
    }
}

impl Locks {
    /// Held while setting these tags; no one else sets them meanwhile.
    pub(super) async fn lock_tags(&self, repository: &RepositoryName, tags: &[Tag]) -> Vec<MutexGuard<'_, ()>> {
        let mut guards = Vec::new();
        for lock in self.tags.of_each(tags.iter().map(|tag| (repository, tag))) {
            guards.push(lock.lock().await);
        }
        guards
    }

    /// Held while setting an immutable tag in this repository, shared; no content is removed from it meanwhile.
    pub(super) async fn lock_for_immutable_tag(&self, repository: &RepositoryName) -> RwLockReadGuard<'_, ()> {
        self.repositories.of(repository).read().await
    }

    /// Held while removing content from this repository after a check of its immutable tags.
    pub(super) async fn lock_for_removal(&self, repository: &RepositoryName) -> RwLockWriteGuard<'_, ()> {
        self.repositories.of(repository).write().await
    }

    /// Held while something is added to this repository, shared; it does not begin to be deleted meanwhile.
    pub(super) async fn staying(&self, repository: &RepositoryName) -> RwLockReadGuard<'_, ()> {
        self.existence.of(repository).read().await
    }

    /// Held while a repository's facts are compared and changed; taken before all others.
    pub(super) async fn lock_facts(&self, repository: &RepositoryName) -> MutexGuard<'_, ()> {
        self.facts.of(repository).lock().await
    }

    /// The same for a repository of artifacts.
    pub(super) async fn lock_artifact_facts(&self, repository: &RepositoryName) -> MutexGuard<'_, ()> {
        self.facts.of(&(repository, "artifacts")).lock().await
    }

    /// Held while records of artifacts are compared and changed in this repository; taken after its existence.
    pub(super) async fn lock_artifacts(&self, repository: &RepositoryName) -> MutexGuard<'_, ()> {
        self.artifacts.of(repository).lock().await
    }

    /// Held while this repository is created, or its deletion begins.
    pub(super) async fn changing(&self, repository: &RepositoryName) -> RwLockWriteGuard<'_, ()> {
        self.existence.of(repository).write().await
    }

    /// Held while pushing this manifest, shared; neither it nor a manifest that it lists is deleted meanwhile.
    pub(super) async fn lock_for_push(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        manifest: &Manifest,
    ) -> Vec<RwLockReadGuard<'_, ()>> {
        let children = manifest.children.iter().filter_map(|child| match &child.digest {
            ReferencedDigest::Known(digest) => Some(digest),
            ReferencedDigest::Foreign(_) => None,
        });
        // Each stripe once, in order: a deletion may queue between two acquisitions of one stripe, and the second
        // would wait for it forever.
        let mut guards = Vec::new();
        for lock in self.manifests.of_each(children.chain([digest]).map(|digest| (repository, digest))) {
            guards.push(lock.read().await);
        }
        guards
    }

    /// Held while deleting this manifest or a tag of it; nobody pushes it meanwhile. Otherwise a deletion could
    /// remove the tag that a concurrent push has set and acknowledged.
    pub(super) async fn lock_for_deletion(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> RwLockWriteGuard<'_, ()> {
        self.manifests.of(&(repository, digest)).write().await
    }

    /// Held while this upload becomes a blob, until the repository has the blob.
    pub(super) async fn lock_for_finish(&self, id: &UploadId) -> RwLockReadGuard<'_, ()> {
        self.uploads.of(id).read().await
    }

    /// Waits for all requests that are lock_for_finish this upload.
    pub(super) async fn wait_until_finished(&self, id: &UploadId) {
        drop(self.uploads.of(id).write().await);
    }
}
