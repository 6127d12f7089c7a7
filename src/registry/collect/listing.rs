//! What a manifest with a subject is listed by: kept in step with the manifest by collection, where
//! a crash came between the two. No lock: neither a push nor a deletion waits for this.

use crate::{
    oci::{Digest, Manifest, RepositoryName},
    registry::{Error, Registry, Result, referrer},
    storage::{Durability, Expect, Item, Key, Put},
};

impl Registry {
    /// The entry of a manifest that its subject does not list, if there is such a one.
    pub(super) async fn missing_entry(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        manifest: &Manifest,
        len: u64,
    ) -> Result<Option<Put>> {
        let Some(subject) = manifest.subject.clone() else { return Ok(None) };
        let key = Key::Referrer { repository: repository.clone(), subject, referrer: digest.clone() };
        let is_there = self.core.store.get(&key).await?.is_some();
        Ok((!is_there).then(|| Put::any(key, referrer::entry(digest, manifest, len))))
    }

    /// Lists a manifest whose push, or whose deletion, ended between the two. Not one that lacks what
    /// it refers to: its push was refused.
    pub(super) async fn list_again(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        manifest: &Manifest,
        entry: Put,
    ) -> Result<()> {
        match self.check_references(repository, manifest).await {
            Err(Error::MissingReferences(_)) => return Ok(()),
            checked => drop(checked?),
        }
        let revision = Item::Revision(repository.clone(), digest.clone());
        if !self.is_live(&revision).await? {
            return Ok(());
        }
        // That it is seen does not mean that it is durable: its push may have failed at just that.
        self.ensure(&[Item::Blob(digest.clone()), revision]).await?;
        self.core.store.put(vec![entry.clone()], Durability::Durable).await?;
        // A deletion may have gone on meanwhile.
        self.unlist(repository, digest, entry).await
    }

    /// A condemned manifest is about to be removed for good: what it refers to lists it no more.
    pub(super) async fn forget_referrer(&self, repository: &RepositoryName, digest: &Digest) -> Result<()> {
        let Some(subject) = self.revision(repository, digest).await?.and_then(|revision| revision.subject) else {
            return Ok(());
        };
        let key = Key::Referrer { repository: repository.clone(), subject, referrer: digest.clone() };
        match self.core.store.get(&key).await? {
            Some(entry) => self.unlist(repository, digest, Put::any(key, entry.bytes)).await,
            None => Ok(()),
        }
    }

    /// Removes an entry whose manifest is not there. If that is pushed again meanwhile its entry is
    /// put back.
    async fn unlist(&self, repository: &RepositoryName, digest: &Digest, entry: Put) -> Result<()> {
        let item = Item::Revision(repository.clone(), digest.clone());
        if self.is_live(&item).await? {
            return Ok(());
        }
        self.core.store.delete(&entry.key, Expect::Any).await?;
        if self.is_live(&item).await? {
            self.core.store.put(vec![entry], Durability::Durable).await?;
        }
        Ok(())
    }
}
