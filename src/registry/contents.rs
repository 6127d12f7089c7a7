//! What manifests consist of, kept in memory: a deletion asks it of the image of every immutable tag.
//!
//! It follows from the bytes of a manifest, so it never changes, even if the bytes are lost: who pushes such a manifest
//! again still needs what it refers to. Bytes that can be manifests of two types refer to the same in both. Whether a
//! repository has the manifest is not kept.

use super::{Registry, RegistryError, Repository, Result, revision::RevisionRecord};
use oci::Digest;
use quick_cache::{Weighter, sync::Cache};
use std::sync::Arc;

/// What is kept, in bytes.
const MOST_BYTES: u64 = 8 << 20;

/// Manifests expected in the cache. Few in tests, which create many registries.
const MANIFESTS: usize = if cfg!(test) { 64 } else { 4096 };

/// The digests in a manifest.
pub(super) struct ManifestContents {
    /// Config and layers.
    pub(super) blobs: Vec<Digest>,
    /// The manifests, or blobs, that an index lists.
    pub(super) children: Vec<Digest>,
}

/// What was asked for recently.
pub(super) struct KnownContents(Cache<Digest, Arc<ManifestContents>, BytesHeld>);

impl Default for KnownContents {
    fn default() -> Self {
        Self(Cache::with_weighter(MANIFESTS, MOST_BYTES, BytesHeld))
    }
}

#[derive(Clone)]
struct BytesHeld;

impl Weighter<Digest, Arc<ManifestContents>> for BytesHeld {
    fn weight(&self, digest: &Digest, contents: &Arc<ManifestContents>) -> u64 {
        // The text of a digest is an allocation of its own.
        let of_digest = |digest: &Digest| (2 * size_of::<Digest>() + digest.as_str().len()) as u64;
        let digests = contents.blobs.iter().chain(&contents.children).map(of_digest);
        of_digest(digest) + size_of::<ManifestContents>() as u64 + digests.sum::<u64>()
    }
}

impl Repository {
    /// What a manifest consists of; `None` if the repository does not have it, or it cannot be pulled.
    pub(super) async fn contents(&self, digest: &Digest) -> Result<Option<Arc<ManifestContents>>> {
        match self.revision(digest).await? {
            Some(revision) => self.contents_of(digest, &revision).await,
            None => Ok(None),
        }
    }

    /// The same for a manifest that the repository has. Its bytes are read unless the result is known.
    pub(super) async fn contents_of(
        &self,
        digest: &Digest,
        revision: &RevisionRecord,
    ) -> Result<Option<Arc<ManifestContents>>> {
        if let Some(known) = self.registry.known_contents(digest) {
            return Ok(Some(known));
        }
        let manifest = match self.registry.parsed(digest, &revision.media_type).await {
            // It was deleted meanwhile, or its bytes are lost.
            Err(RegistryError::ManifestUnknown(_)) => return Ok(None),
            parsed => parsed?,
        };
        let blobs = manifest.config.into_iter().chain(manifest.layers);
        let contents = Arc::new(ManifestContents {
            blobs: blobs.filter_map(|blob| blob.digest.known()).collect(),
            children: manifest.children.into_iter().filter_map(|child| child.digest.known()).collect(),
        });
        self.registry.core.contents.0.insert(digest.clone(), contents.clone());
        Ok(Some(contents))
    }
}

impl Registry {
    /// What a manifest consists of, if that is in memory.
    pub(super) fn known_contents(&self, digest: &Digest) -> Option<Arc<ManifestContents>> {
        self.core.contents.0.get(digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_kept_than_is_allowed() {
        let known = KnownContents::default();
        let digest = |i: u32| format!("sha256:{i:064x}").parse::<Digest>().unwrap();
        let contents = |len| Arc::new(ManifestContents { blobs: vec![digest(0); len], children: Vec::new() });
        for i in 0..2000 {
            known.0.insert(digest(i), contents(100));
        }
        assert!(known.0.weight() <= MOST_BYTES && known.0.len() > 100, "{} of {}", known.0.len(), known.0.weight());
        known.0.insert(digest(2000), contents(100_000));
        assert!(known.0.get(&digest(2000)).is_none() && known.0.len() > 100, "one does not displace the others");
    }
}
