//! Which layers several manifests of a repository have.

use super::details::ManifestDetail;
use oci::Digest;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// In how many manifests of a repository each blob is.
pub struct SharedLayers(HashMap<String, u64>);

impl SharedLayers {
    /// Counts the blobs of all manifests but this one.
    pub fn beside(digest: &Digest, manifests: &[Arc<ManifestDetail>]) -> Self {
        let mut counts = HashMap::new();
        for manifest in manifests.iter().filter(|manifest| manifest.digest != *digest) {
            let blobs: HashSet<&str> = manifest.blobs().map(|blob| blob.digest.as_str()).collect();
            blobs.into_iter().for_each(|blob| *counts.entry(blob.to_owned()).or_default() += 1);
        }
        Self(counts)
    }

    /// How many other manifests have this blob.
    pub fn of(&self, blob: &str) -> u64 {
        self.0.get(blob).copied().unwrap_or_default()
    }
}
