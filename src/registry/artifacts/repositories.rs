//! Creates and deletes repositories of artifacts.
//!
//! A deletion is one fact: from then on the repository does not exist for anybody, and everything in it stays a root of
//! garbage collection until it is removed for good. Until then nobody can take its name, so that no stranger ever owns
//! what somebody else has uploaded.

use super::{ArtifactRepository, FEATURE, PAGE, facts::NewArtifactRepository};
use crate::{
    artifacts::ArtifactRepositoryName,
    files::world,
    registry::{Creation, Registry, RegistryError, Result},
    storage::{self, ArtifactFact, ArtifactKey, DirOf, Durability, Expect, FactKey, Put, PutOutcome, StorageError},
};
use oci::{json, json::Object};
use serde_json::{Map, Value};
use std::time::Duration;
use tokio::sync::RwLockReadGuard;

/// How often the features of the store are written while others write them.
const ATTEMPTS: usize = 16;

impl ArtifactRepository {
    /// Creates it.
    ///
    /// # Errors
    /// [`RegistryError::ArtifactRepositoryExists`], [`RegistryError::ArtifactRepositoryInTrash`].
    pub async fn create(&self, new: NewArtifactRepository) -> Result<()> {
        let repository = self.clone();
        self.registry
            .shielded(async move {
                let _alone = repository.registry.core.locks.changing(repository.name.to_match()).await;
                if repository.deletion().await?.is_some() {
                    return Err(RegistryError::ArtifactRepositoryInTrash(repository.name));
                }
                // Before anything that an older version would take for garbage.
                repository.registry.state_feature().await?;
                let absent = |fact, bytes: Vec<u8>| Put::when(repository.key(fact), bytes, Expect::Absent);
                let created = Creation::now(&repository.registry.caller).to_bytes();
                let mut puts = vec![absent(ArtifactFact::Created, created)];
                // Those of a creation that was interrupted mean nothing.
                let mut any = |fact, bytes: Option<Vec<u8>>| {
                    puts.extend(bytes.map(|bytes| Put::any(repository.key(fact), bytes)));
                };
                any(ArtifactFact::Visibility, Some(new.visibility.to_bytes()));
                any(ArtifactFact::Owner, new.owner.map(|owner| owner.to_bytes()));
                any(ArtifactFact::Description, new.description.map(|text| text.to_bytes()));
                match repository.store().put(puts, Durability::Durable).await? {
                    PutOutcome::Done => Ok(()),
                    PutOutcome::Conflict(_) => Err(RegistryError::ArtifactRepositoryExists(repository.name)),
                }
            })
            .await
    }

    /// Moves it to the trash, with everything in it.
    ///
    /// # Errors
    /// [`RegistryError::ArtifactRepositoryUnknown`].
    pub async fn delete(&self) -> Result<()> {
        let repository = self.clone();
        self.registry
            .shielded(async move {
                // Waits for what is being published.
                let _alone = repository.registry.core.locks.changing(repository.name.to_match()).await;
                repository.must_exist().await?;
                let deleted = Creation::now(&repository.registry.caller).to_bytes();
                let put = Put::any(repository.key(ArtifactFact::Deleted), deleted);
                repository.store().put(vec![put], Durability::Durable).await?;
                repository.forget_index();
                Ok(())
            })
            .await
    }

    /// Removes a deleted repository for good, with everything in it. After a failure it can be repeated.
    ///
    /// # Errors
    /// Only the store's. One that is not deleted stays.
    pub async fn purge(&self) -> Result<()> {
        let repository = self.clone();
        self.registry.shielded(async move { repository.purge_now().await }).await
    }

    async fn purge_now(&self) -> Result<()> {
        if self.deletion().await?.is_none() {
            return Ok(());
        }
        let mut versions = self.store().names(DirOf::artifact_versions(&self.name), PAGE);
        while let Some(version) = versions.next().await? {
            let mut ids = self.store().names(DirOf::artifacts(&self.name, &version), PAGE);
            while let Some(id) = ids.next().await? {
                self.remove(ArtifactKey::Record(self.name.clone(), version.clone(), id)).await?;
            }
        }
        let mut trash = self.store().names(DirOf::artifact_trash(&self.name), PAGE);
        while let Some(entry) = trash.next().await? {
            self.remove(ArtifactKey::Trash(self.name.clone(), entry)).await?;
        }
        let mut log = self.store().names(DirOf::artifact_log(&self.name), PAGE);
        while let Some(entry) = log.next().await? {
            self.remove(ArtifactKey::Log(self.name.clone(), entry)).await?;
        }
        // That it was deleted goes last: until then nobody takes the name, and this can be repeated.
        for fact in [
            ArtifactFact::Created,
            ArtifactFact::Description,
            ArtifactFact::Retention,
            ArtifactFact::Visibility,
            ArtifactFact::Owner,
            ArtifactFact::Deleted,
        ] {
            self.store().delete(&self.key(fact), Expect::Any).await?;
        }
        Ok(())
    }

    async fn remove(&self, key: ArtifactKey) -> Result<()> {
        world::yield_now().await;
        self.store().delete(&FactKey::Artifact(key), Expect::Any).await?;
        Ok(())
    }

    /// Held while something is added to the repository: it is not deleted meanwhile.
    ///
    /// # Errors
    /// [`RegistryError::ArtifactRepositoryUnknown`].
    pub(super) async fn staying(&self) -> Result<RwLockReadGuard<'_, ()>> {
        let staying = self.registry.core.locks.staying(self.name.to_match()).await;
        self.must_exist().await?;
        Ok(staying)
    }
}

impl Registry {
    /// Removes for good what has been in the trash for the time that the settings say, and old notes of changes.
    /// Returns the number of artifacts and of repositories.
    ///
    /// # Errors
    /// The store's; what was not reached stays for the next time.
    pub async fn empty_artifact_trash(&self) -> Result<(u64, u64)> {
        let keep = self.settings.artifacts.trash;
        let (mut artifacts, mut repositories) = (0, 0);
        let mut names = self.core.store.names(DirOf::artifact_repositories(), PAGE);
        while let Some(name) = names.next().await? {
            let repository = self.artifacts(&name);
            match repository.deletion().await? {
                Some(deleted) if self.is_over(deleted.written, keep).await? => {
                    repository.purge().await?;
                    repositories += 1;
                }
                Some(_) => {}
                None => {
                    artifacts += repository.empty_trash(keep).await?;
                    repository.trim_log().await?;
                }
            }
        }
        Ok((artifacts, repositories))
    }

    /// Whether this much time has passed by the store's clock.
    pub(super) async fn is_over(&self, since: std::time::SystemTime, time: Duration) -> Result<bool> {
        let now = self.core.store.now().await?;
        Ok(now.duration_since(since).is_ok_and(|passed| passed >= time))
    }

    /// States in `ROOT.json` that the store has artifacts.
    async fn state_feature(&self) -> Result<()> {
        let damaged = || StorageError::damaged(FactKey::Root.path(), "it is not an object with a list of features");
        for _ in 0..ATTEMPTS {
            let Some(root) = self.core.store.get(&FactKey::Root).await? else { return Err(damaged().into()) };
            let read = json::from_slice::<Object<Map<String, Value>>>(&root.bytes);
            let Object(mut stated) = read.map_err(|_| damaged())?;
            let features = stated.entry("features").or_insert_with(|| Value::Array(Vec::new()));
            let Some(features) = features.as_array_mut() else { return Err(damaged().into()) };
            if features.iter().any(|feature| feature == FEATURE) {
                return Ok(());
            }
            features.push(FEATURE.into());
            let mut json = serde_json::to_vec(&stated).unwrap_or_default();
            json.push(b'\n');
            let put = Put::when(FactKey::Root, json, Expect::Is(root.version()));
            if self.core.store.put(vec![put], Durability::Durable).await? == PutOutcome::Done {
                return Ok(());
            }
        }
        Err(storage::StorageError::damaged(FactKey::Root.path(), "others keep changing it").into())
    }

    /// The names of all repositories of artifacts, those in the trash too.
    ///
    /// # Errors
    /// Only the store's.
    pub(crate) async fn artifact_repository_names(&self) -> Result<Vec<ArtifactRepositoryName>> {
        let mut names = self.core.store.names(DirOf::artifact_repositories(), PAGE);
        let mut found = Vec::new();
        while let Some(name) = names.next().await? {
            found.push(name);
        }
        Ok(found)
    }
}
