//! Changes of recorded facts. Each fact is one small file with one value, so two changes of different facts never
//! meet, and of two changes of one fact the last wins.

use super::{
    PAGE,
    values::{Description, OwnerName},
};
use crate::{
    access::Visibility,
    registry::{Registry, RegistryError, Repository, Result},
    storage::{ArtifactFact, DirOf, Durability, Expect, FactKey, Put, Version},
};
use oci::{Expression, RepositoryName};
use tokio::sync::MutexGuard;

impl Repository {
    /// Held by whoever compares the facts with what a client knows of them before a change.
    pub async fn lock_facts(&self) -> MutexGuard<'_, ()> {
        self.registry.core.locks.lock_facts(&self.name).await
    }

    /// Sets who may pull where no rule decides.
    ///
    /// # Errors
    /// [`RegistryError::NameUnknown`], [`RegistryError::RepositoryLeaving`].
    pub async fn set_visibility(&self, visibility: Visibility) -> Result<()> {
        self.record(FactKey::Visibility, Some(visibility.to_bytes())).await
    }

    /// Sets the owner; `None` for nobody.
    ///
    /// # Errors
    /// Those of [`Repository::set_visibility`].
    pub async fn set_owner(&self, owner: Option<&OwnerName>) -> Result<()> {
        self.record(FactKey::Owner, owner.map(OwnerName::to_bytes)).await
    }

    /// Sets the description; `None` for no text.
    ///
    /// # Errors
    /// Those of [`Repository::set_visibility`].
    pub async fn set_description(&self, description: Option<&Description>) -> Result<()> {
        self.record(FactKey::Description, description.map(Description::to_bytes)).await
    }

    /// Sets which tags are immutable besides those of the operator's rules; `None` for no others.
    ///
    /// # Errors
    /// Those of [`Repository::set_visibility`].
    pub async fn set_own_immutable(&self, tags: Option<&Expression>) -> Result<()> {
        self.record(FactKey::OwnImmutable, tags.map(|tags| format!("{tags}\n").into())).await
    }

    /// Writes a fact, or removes it.
    async fn record(&self, key: fn(RepositoryName) -> FactKey, value: Option<Vec<u8>>) -> Result<()> {
        let repository = self.clone();
        self.registry
            .shielded(async move {
                let _staying = repository.staying().await?;
                if !repository.exists().await? {
                    return Err(RegistryError::NameUnknown(repository.name.clone()));
                }
                let (store, key) = (repository.store(), key(repository.name.clone()));
                let Some(value) = value else {
                    store.delete(&key, Expect::Any).await?;
                    return Ok(());
                };
                let mut puts = vec![Put::any(key, value)];
                if matches!(puts[0].key, FactKey::Visibility(_) | FactKey::Owner(_)) {
                    puts.push(Put::any(FactKey::Recorded(repository.name.clone()), ""));
                }
                store.put(puts, Durability::Durable).await?;
                Ok(())
            })
            .await
    }
}

impl Registry {
    /// Removes a user from the repositories of images and artifacts that they own, which then have no owner.
    ///
    /// # Errors
    /// Only the store's; repositories before the failure have no owner any more.
    pub async fn disown(&self, user: &OwnerName) -> Result<()> {
        let owned = || Expect::Is(Version::of(&user.to_bytes()));
        let mut recorded = self.core.store.names(DirOf::recorded(), PAGE);
        while let Some(name) = recorded.next().await? {
            self.core.store.delete(&FactKey::Owner(name), owned()).await?;
        }
        let mut artifacts = self.core.store.names(DirOf::artifact_repositories(), PAGE);
        while let Some(name) = artifacts.next().await? {
            self.core.store.delete(&self.artifacts(&name).key(ArtifactFact::Owner), owned()).await?;
        }
        Ok(())
    }

    /// Whether a user owns a repository of images or artifacts.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn owns_any(&self, user: &str) -> Result<bool> {
        let owns = |owner: Option<&str>| owner == Some(user);
        if self.all_access_facts().await?.values().any(|facts| owns(facts.owner.as_deref())) {
            return Ok(true);
        }
        let artifacts = self.artifact_repositories().await?;
        Ok(artifacts.iter().any(|(_, facts)| owns(facts.access.owner.as_deref())))
    }
}
