//! Deletes artifacts to the trash, restores them, and empties it.

use super::{ArtifactRepository, PAGE, StoredArtifact, now};
use crate::{
    artifacts::{Artifact, ArtifactId, TrashedArtifact},
    files::world,
    registry::{RegistryError, Result},
    storage::{ArtifactKey, ArtifactLogKind, DirOf, Durability, Expect, FactKey, Put, TrashId},
};
use std::time::Duration;

impl ArtifactRepository {
    /// Moves an artifact to the trash; `rule` is that of retention, if it was one. Runs to completion.
    ///
    /// # Errors
    /// [`RegistryError::ArtifactUnknown`] if it was changed or deleted since it was read.
    pub async fn delete_artifact(&self, stored: &StoredArtifact, rule: Option<&str>) -> Result<TrashId> {
        let (repository, stored, rule) = (self.clone(), stored.clone(), rule.map(str::to_owned));
        self.registry
            .shielded(async move {
                let _staying = repository.staying().await?;
                let _changing = repository.registry.core.locks.lock_artifacts(repository.name.to_match()).await;
                // Without it, what it replaces would be shown again.
                repository.finish_replacing(&stored.artifact).await?;
                // First to the trash: whoever looks in both places finds it.
                let entry = repository.keep_in_trash(&stored.artifact, rule.as_deref()).await?;
                if !repository.take(&stored.artifact, stored.fact).await? {
                    repository.store().delete(&repository.trash_key(entry), Expect::Any).await?;
                    return Err(RegistryError::ArtifactUnknown);
                }
                repository.log(ArtifactLogKind::Deleted, &stored.artifact).await;
                Ok(entry)
            })
            .await
    }

    /// The trash, oldest deletion first.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn trash(&self) -> Result<Vec<(TrashId, TrashedArtifact)>> {
        let mut names = self.store().names(DirOf::artifact_trash(&self.name), PAGE);
        let mut found = Vec::new();
        while let Some(entry) = names.next().await? {
            if let Some(trashed) = self.trashed(entry).await? {
                found.push((entry, trashed));
            }
        }
        Ok(found)
    }

    /// Restores the artifact with this id that was deleted last.
    ///
    /// # Errors
    /// [`RegistryError::ArtifactUnknown`] if it is not in the trash; [`RegistryError::ArtifactExists`] if there is one with
    /// the same version, path and properties.
    pub async fn restore(&self, id: &ArtifactId) -> Result<Artifact> {
        let (repository, id) = (self.clone(), *id);
        self.registry.shielded(async move { repository.restore_now(id).await }).await
    }

    async fn restore_now(&self, id: ArtifactId) -> Result<Artifact> {
        let _staying = self.staying().await?;
        let _changing = self.registry.core.locks.lock_artifacts(self.name.to_match()).await;
        let mut names = self.store().names(DirOf::artifact_trash(&self.name), PAGE);
        let mut last = None;
        while let Some(entry) = names.next().await? {
            if entry.id == id {
                last = Some(entry);
            }
        }
        let entry = last.ok_or(RegistryError::ArtifactUnknown)?;
        let trashed = self.trashed(entry).await?.ok_or(RegistryError::ArtifactUnknown)?;
        // As a publication: a collection may have read the records already, and not yet the trash.
        let artifact = Artifact { updated: now(), replaces: None, ..trashed.artifact };
        let push = self.declare(&artifact.digest).await?;
        let restored = async {
            self.must_have_blob(&artifact.digest).await?;
            if !self.write(&artifact, Expect::Absent).await? {
                return Err(RegistryError::ArtifactExists(id));
            }
            match self.is_declared(push).await? {
                true => Ok(()),
                false => Err(RegistryError::Overtaken),
            }
        };
        if let Err(error) = restored.await {
            self.withdraw(push).await;
            return Err(error);
        }
        self.complete(push).await;
        self.store().delete(&self.trash_key(entry), Expect::Any).await?;
        self.log(ArtifactLogKind::Put, &artifact).await;
        Ok(artifact)
    }

    /// Puts a copy of a record into the trash.
    pub(super) async fn keep_in_trash(&self, artifact: &Artifact, rule: Option<&str>) -> Result<TrashId> {
        let entry = TrashId { at: self.registry.core.notes.next(), id: artifact.id };
        let trashed = TrashedArtifact {
            deleted: now(),
            deleted_by: self.caller(),
            rule: rule.map(Box::from),
            artifact: artifact.clone(),
        };
        let put = Put::any(self.trash_key(entry), trashed.to_bytes());
        self.store().put(vec![put], Durability::Durable).await?;
        Ok(entry)
    }

    async fn trashed(&self, entry: TrashId) -> Result<Option<TrashedArtifact>> {
        let key = self.trash_key(entry);
        let Some(fact) = self.store().get(&key).await? else { return Ok(None) };
        let read = TrashedArtifact::parse(&fact.bytes).filter(|trashed| trashed.artifact.id == entry.id);
        if read.is_none() {
            tracing::error!(path = key.path(), "malformed record of a deleted artifact; it cannot be restored");
        }
        Ok(read)
    }

    fn trash_key(&self, entry: TrashId) -> FactKey {
        FactKey::Artifact(ArtifactKey::Trash(self.name.clone(), entry))
    }

    /// Removes for good what has been in the trash for this time. Returns how much.
    pub(super) async fn empty_trash(&self, keep: Duration) -> Result<u64> {
        let mut names = self.store().names(DirOf::artifact_trash(&self.name), PAGE);
        let mut removed = 0;
        while let Some(entry) = names.next().await? {
            world::yield_now().await;
            let key = self.trash_key(entry);
            let Some(fact) = self.store().get(&key).await? else { continue };
            if self.registry.is_over(fact.written, keep).await? {
                removed += u64::from(self.store().delete(&key, Expect::Unchanged(fact)).await?);
            }
        }
        Ok(removed)
    }
}
