//! Blobs of a repository. Knowing a digest grants nothing: each blob is served by a link of the
//! repository's own.
//!
//! A mount without a source guesses from the caller's own past: the last four places where they met
//! the digest, each verified. What others push must not change how it ends.

use super::{Error, Registry, Result};
use crate::{
    files::world,
    oci::{Digest, RepositoryName},
    storage::{Blob, Durability, Item, Key, Presence, Put, Verdict, Why},
};
use std::time::{Duration, SystemTime};

impl Registry {
    /// A blob of a repository, to be read.
    ///
    /// # Errors
    /// [`Error::BlobUnknown`], also where the repository may serve it and the bytes are gone: a
    /// client then brings them again.
    pub async fn blob(&self, repository: &RepositoryName, digest: &Digest) -> Result<Blob> {
        self.aged_blob(repository, digest).await.map(|(blob, _)| blob)
    }

    /// The same for somebody who may push and asks whether he has to: told that it is there, he
    /// relies on that for as long as his push takes.
    ///
    /// # Errors
    /// Those of [`Registry::blob`].
    pub async fn blob_to_rely_on(&self, repository: &RepositoryName, digest: &Digest) -> Result<Blob> {
        let (blob, linked) = self.aged_blob(repository, digest).await?;
        let often_enough = self.settings.collection.lease / 4;
        if world::now().duration_since(linked).is_ok_and(|age| age >= often_enough) {
            let items = [Item::Blob(digest.clone()), Item::Link(repository.clone(), digest.clone())];
            for item in &items {
                // What lies in the graveyard comes back.
                if !self.core.store.renew(item, often_enough).await?
                    && self.ensure(std::slice::from_ref(item)).await? == [Presence::Missing]
                {
                    return Err(Error::BlobUnknown(digest.clone()));
                }
            }
        }
        Ok(blob)
    }

    async fn aged_blob(&self, repository: &RepositoryName, digest: &Digest) -> Result<(Blob, SystemTime)> {
        let found = self.linked(repository, digest).await?.ok_or_else(|| Error::BlobUnknown(digest.clone()))?;
        self.hint(digest, repository);
        Ok(found)
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
                // It may be old, and is to live on for whoever mounts it.
                let blob = Item::Blob(digest.clone());
                if !self.core.store.renew(&blob, self.settings.collection.lease / 4).await?
                    && self.ensure(&[blob]).await? == [Presence::Missing]
                {
                    continue;
                }
                self.link(repository, digest).await?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The blob behind a repository's link, if both are there, and how old the link is.
    pub(super) async fn linked(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<(Blob, SystemTime)>> {
        let link = Key::Layer(repository.clone(), digest.clone());
        let Some(link) = self.core.store.get(&link).await? else { return Ok(None) };
        Ok(self.core.store.open(digest).await?.map(|blob| (blob, link.written)))
    }

    /// Brings back what lies in the graveyard, and counts it.
    pub(super) async fn ensure(&self, items: &[Item]) -> Result<Vec<Presence>> {
        let found = self.core.store.ensure(items).await?;
        let restored = found.iter().filter(|presence| **presence == Presence::Restored).count();
        self.core.collected.resurrected(restored);
        Ok(found)
    }

    /// Lets a repository serve a blob that is there.
    pub(super) async fn link(&self, repository: &RepositoryName, digest: &Digest) -> Result<()> {
        let link = Key::Layer(repository.clone(), digest.clone());
        self.core.store.put(vec![Put::any(link, "")], Durability::Durable).await?;
        self.hint(digest, repository);
        Ok(())
    }
}
