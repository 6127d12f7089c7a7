//! What a manifest with a subject is listed by: kept in step with the manifest by collection, where
//! a crash came between the two. No lock: neither a push nor a deletion waits for this.

use crate::{
    oci::{Digest, Manifest, RepositoryName},
    registry::{Error, Registry, Result, referrer, revision::Revision},
    storage::{Condemned, Durability, Expect, Item, Key, Put},
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

    /// What lies in the graveyard is about to go for good: if it is a manifest, what that refers to lists it
    /// no more. Its deletion may have ended before it saw that a collection had listed it again.
    pub(super) async fn forget_referrer(&self, grave: &Condemned) -> Result<()> {
        let Item::Revision(repository, digest) = &grave.item else { return Ok(()) };
        let Some(buried) = self.core.store.buried(grave).await? else { return Ok(()) };
        // What cannot be read names no subject, and goes as well.
        let revision = serde_json::from_slice::<Revision>(&buried.bytes).ok();
        let Some(subject) = revision.and_then(|revision| revision.subject) else { return Ok(()) };
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
