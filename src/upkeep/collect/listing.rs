//! Keeps the referrer entries of manifests with a subject consistent where a crash separated the two. Takes no lock:
//! neither a push nor a deletion waits for this.

use crate::{
    registry::{Registry, RegistryError, Repository, Result, referrer, revision::RevisionRecord},
    storage::{Condemned, Durability, Expect, FactKey, Item, Put},
};
use oci::{Digest, Manifest, json};

impl Repository {
    /// The entry of a manifest that its subject does not list, if there is one.
    pub(super) async fn missing_entry(&self, digest: &Digest, manifest: &Manifest, len: u64) -> Result<Option<Put>> {
        let Some(subject) = manifest.subject.clone() else { return Ok(None) };
        let key = FactKey::Referrer { repository: self.name().clone(), subject, referrer: digest.clone() };
        let is_there = self.store().get(&key).await?.is_some();
        Ok((!is_there).then(|| Put::any(key, referrer::entry(digest, manifest, len))))
    }

    /// Lists a manifest whose push or deletion was interrupted between the two writes. Skips a manifest that lacks
    /// what it refers to: its push was refused.
    pub(super) async fn list_again(&self, digest: &Digest, manifest: &Manifest, entry: Put) -> Result<()> {
        match self.check_references(manifest).await {
            Err(RegistryError::MissingReferences(_)) => return Ok(()),
            checked => drop(checked?),
        }
        let revision = Item::Revision(self.name().clone(), digest.clone());
        if !self.registry().is_live(&revision).await? {
            return Ok(());
        }
        // That it is visible does not mean that it is durable: the sync may be where its push failed.
        self.registry().ensure(&[Item::Blob(digest.clone()), revision]).await?;
        self.store().put(vec![entry.clone()], Durability::Durable).await?;
        // A deletion may have continued meanwhile.
        self.unlist(digest, entry).await
    }

    /// Removes an entry whose manifest does not exist. If the manifest is pushed again meanwhile, its entry is put
    /// back.
    async fn unlist(&self, digest: &Digest, entry: Put) -> Result<()> {
        let item = Item::Revision(self.name().clone(), digest.clone());
        if self.registry().is_live(&item).await? {
            return Ok(());
        }
        self.store().delete(&entry.key, Expect::Any).await?;
        if self.registry().is_live(&item).await? {
            self.store().put(vec![entry], Durability::Durable).await?;
        }
        Ok(())
    }
}

impl Registry {
    /// An item of the graveyard is about to be purged: if it is a manifest, its subject must no longer list it. Its
    /// deletion may have ended before it saw that a collection had listed it again.
    pub(super) async fn forget_referrer(&self, grave: &Condemned) -> Result<()> {
        let Item::Revision(repository, digest) = &grave.item else { return Ok(()) };
        let Some(buried) = self.store().condemned_value(grave).await? else { return Ok(()) };
        // A manifest that cannot be read names no subject, and is purged as well.
        let revision = json::from_slice::<RevisionRecord>(&buried.bytes).ok();
        let Some(subject) = revision.and_then(|revision| revision.subject) else { return Ok(()) };
        let key = FactKey::Referrer { repository: repository.clone(), subject, referrer: digest.clone() };
        match self.store().get(&key).await? {
            Some(entry) => self.repository(repository).unlist(digest, Put::any(key, entry.bytes)).await,
            None => Ok(()),
        }
    }
}
