//! Everything in a repository, read at once: for what no count of names can tell.

use super::details::{ManifestDetail, ManifestKind, ManifestReader};
use crate::{
    registry::{Repository, Result},
    storage::DirOf,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use oci::{Algorithm, Digest, Tag};
use std::{collections::BTreeSet, sync::Arc, time::SystemTime};

/// Names per page.
const PAGE: usize = 10_000;

/// Manifests read at once.
const AT_ONCE: usize = 4;

impl Repository {
    /// The kinds of manifests that tags point to. Reads all of them.
    ///
    /// # Errors
    /// Only the store's, except for damage.
    pub async fn kinds(&self) -> Result<BTreeSet<ManifestKind>> {
        let tagged: BTreeSet<Digest> = self.all_tags().await?.into_iter().map(|(_, digest, _)| digest).collect();
        Ok(self.read_all(tagged).await?.iter().map(|manifest| manifest.kind()).collect())
    }

    /// Every manifest that can be read.
    ///
    /// # Errors
    /// Only the store's, except for damage.
    pub async fn all_manifests(&self) -> Result<Vec<Arc<ManifestDetail>>> {
        let mut digests = Vec::new();
        for algorithm in Algorithm::ALL {
            let mut names = self.store().names(DirOf::revisions(&self.name, algorithm), PAGE).from_memory();
            while let Some(digest) = names.next().await? {
                digests.push(digest);
            }
        }
        self.read_all(digests).await
    }

    async fn read_all(&self, digests: impl IntoIterator<Item = Digest>) -> Result<Vec<Arc<ManifestDetail>>> {
        let reads = digests.into_iter().map(|digest| async move { ManifestReader::of(self).get(&digest).await });
        let read: Vec<_> = stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
        Ok(read.into_iter().flatten().collect())
    }

    /// Every tag that can be read: its target, and when it was set.
    ///
    /// # Errors
    /// Only the store's, except for damage.
    pub async fn all_tags(&self) -> Result<Vec<(Tag, Digest, SystemTime)>> {
        let mut tags = Vec::new();
        let mut names = self.store().names(DirOf::tags(&self.name), PAGE).from_memory();
        while let Some(tag) = names.next().await? {
            if let Some((digest, pushed)) = self.readable_tag(&tag).await? {
                tags.push((tag, digest, pushed));
            }
        }
        Ok(tags)
    }

    /// Manifests whose digests begin with these hexadecimal digits, at most `most`; of one algorithm, or of all.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn digests_beginning_with(
        &self,
        algorithm: Option<&str>,
        digits: &str,
        most: usize,
    ) -> Result<Vec<Digest>> {
        let mut found = Vec::new();
        for algorithm in Algorithm::ALL.into_iter().filter(|known| algorithm.is_none_or(|name| name == known.as_str()))
        {
            let mut names = self.store().names(DirOf::revisions(&self.name, algorithm), PAGE).from_memory();
            while found.len() < most
                && let Some(digest) = names.next().await?
            {
                if digest.hex().starts_with(digits) {
                    found.push(digest);
                }
            }
        }
        Ok(found)
    }

    /// When a manifest was last pulled, to the hour, if known.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn last_pulled(&self) -> Result<Option<SystemTime>> {
        Ok(self.pull_times(SystemTime::now()).await?.last())
    }

    /// When this manifest was last pulled, to the hour, if known.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn last_pulled_of(&self, digest: &Digest) -> Result<Option<SystemTime>> {
        Ok(self.pull_times(SystemTime::now()).await?.of(digest).last)
    }
}
