//! Blobs of a repository. Knowing a digest grants nothing: each is served by a link of its own.

use super::{Error, Registry, Result};
use crate::{
    oci::{Digest, RepositoryName},
    storage::{Blob, Durability, Item, Key, Put, Verdict, Why},
};
use std::time::Duration;

impl Registry {
    /// A blob of a repository, to be read.
    ///
    /// # Errors
    /// [`Error::BlobUnknown`], also where the repository may serve it and the bytes are gone: a
    /// client then brings them again.
    pub async fn blob(&self, repository: &RepositoryName, digest: &Digest) -> Result<Blob> {
        let blob = self.linked(repository, digest).await?.ok_or_else(|| Error::BlobUnknown(digest.clone()))?;
        self.hint(digest, repository);
        Ok(blob)
    }

    /// Takes a blob out of a repository. Its bytes stay for others, and go by collection.
    ///
    /// # Errors
    /// [`Error::BlobUnknown`].
    pub async fn delete_blob(&self, repository: &RepositoryName, digest: &Digest) -> Result<()> {
        let link = Item::Link(repository.clone(), digest.clone());
        match self.core.store.condemn(&link, self.core.deletions.run(), Why::Deleted, Duration::ZERO).await? {
            Verdict::Condemned => Ok(()),
            Verdict::Gone | Verdict::Renewed => Err(Error::BlobUnknown(digest.clone())),
        }
    }

    /// Gives a repository a blob that another one has; `false` if that one has not, or may not
    /// be pulled from. Without `from` only where the digest was last seen is tried: the answer
    /// comes at once, however many repositories there are.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn mount(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        from: Option<&RepositoryName>,
        may_pull: impl Fn(&RepositoryName) -> bool + Send,
    ) -> Result<bool> {
        let sources = match from {
            Some(from) => [from.clone()].into(),
            None => self.hints(digest),
        };
        for source in sources.iter().filter(|source| may_pull(source)) {
            if self.linked(source, digest).await?.is_some() {
                self.link(repository, digest).await?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The blob behind a repository's link, if both are there.
    pub(super) async fn linked(&self, repository: &RepositoryName, digest: &Digest) -> Result<Option<Blob>> {
        let link = Key::Layer(repository.clone(), digest.clone());
        match self.core.store.get(&link).await? {
            Some(_) => Ok(self.core.store.open(digest).await?),
            None => Ok(None),
        }
    }

    /// Lets a repository serve a blob that is there.
    pub(super) async fn link(&self, repository: &RepositoryName, digest: &Digest) -> Result<()> {
        let link = Key::Layer(repository.clone(), digest.clone());
        self.core.store.put(vec![Put::any(link, "")], Durability::Durable).await?;
        self.hint(digest, repository);
        Ok(())
    }
}
