//! Whether a repository exists, and how it comes into being: by a push, or explicitly.
//!
//! A repository exists if it has a manifest or a recorded fact. Its facts outlive its last manifest, so a stranger
//! cannot become the owner of a repository by pushing to it after everything in it was deleted.

use super::{
    RegistryError, Repository, Result,
    catalog::CatalogScope,
    facts::{Creation, Description, OwnerName},
    namespace::NamespaceName,
    settings::AutoCreate,
};
use crate::{
    access::Visibility,
    storage::{Durability, Expect, FactKey, Put, PutOutcome},
};
use oci::RepositoryName;
use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};
use tokio::sync::RwLockReadGuard;

/// Repositories that are being deleted.
#[derive(Default)]
pub(super) struct Departures(Mutex<HashSet<RepositoryName>>);

/// A repository that is being deleted, until this is dropped.
pub(super) struct Departure<'d> {
    departures: &'d Departures,
    name: RepositoryName,
}

impl Departures {
    /// `None` if somebody else is deleting it.
    pub(super) fn begin(&self, name: &RepositoryName) -> Option<Departure<'_>> {
        let is_first = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone());
        is_first.then(|| Departure { departures: self, name: name.clone() })
    }

    fn has(&self, name: &RepositoryName) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(name)
    }
}

impl Drop for Departure<'_> {
    fn drop(&mut self) {
        self.departures.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

/// What is recorded about a repository that is created explicitly.
#[derive(Clone, Debug, Default)]
pub struct NewRepository {
    /// Private if unset.
    pub visibility: Option<Visibility>,
    /// Nobody if unset.
    pub owner: Option<OwnerName>,
    /// None if unset.
    pub description: Option<Description>,
}

impl Repository {
    /// Whether it has a manifest or a recorded fact.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn exists(&self) -> Result<bool> {
        let dirs = CatalogScope::Existing.dirs().iter().map(|dir| dir(self.name.clone())).collect();
        Ok(self.store().hold_any(dirs).await?.contains(&true))
    }

    /// Held while something is added to the repository: it is not deleted meanwhile.
    ///
    /// # Errors
    /// [`RegistryError::RepositoryLeaving`].
    pub(super) async fn staying(&self) -> Result<RwLockReadGuard<'_, ()>> {
        let staying = self.registry.core.locks.staying(&self.name).await;
        match self.registry.core.departures.has(&self.name) {
            true => Err(RegistryError::RepositoryLeaving(self.name.clone())),
            false => Ok(staying),
        }
    }

    /// Creates an empty repository.
    ///
    /// # Errors
    /// [`RegistryError::RepositoryExists`]; [`RegistryError::NamespaceAbsent`] if its namespace has to exist and does not;
    /// [`RegistryError::RepositoryLeaving`].
    pub async fn create(&self, new: NewRepository) -> Result<()> {
        let repository = self.clone();
        self.registry
            .shielded(async move {
                let _alone = repository.registry.core.locks.changing(&repository.name).await;
                if repository.registry.core.departures.has(&repository.name) {
                    return Err(RegistryError::RepositoryLeaving(repository.name));
                }
                if repository.settings().auto_create == AutoCreate::InNamespaces {
                    repository.has_namespace().await?;
                }
                match !repository.exists().await? && repository.record_creation(new).await? {
                    true => Ok(()),
                    false => Err(RegistryError::RepositoryExists(repository.name)),
                }
            })
            .await
    }

    /// Records who becomes the owner by the push that creates the repository, unless it exists. Otherwise nothing is
    /// recorded, so that an emptied repository leaves nothing.
    ///
    /// # Errors
    /// Those of [`Repository::may_be_created`].
    pub(super) async fn created_by_push(&self) -> Result<()> {
        let settings = self.settings();
        // By default nothing depends on it, and a push need not ask.
        if settings.auto_create == AutoCreate::Anywhere && !settings.owner_on_push {
            return Ok(());
        }
        if self.exists().await? {
            return Ok(());
        }
        self.may_be_created().await?;
        let owner = match self.settings().owner_on_push {
            true => self.registry.caller.name().and_then(|name| name.parse().ok()),
            false => None,
        };
        if owner.is_some() {
            // If not: another push came first.
            self.record_creation(NewRepository { owner, ..NewRepository::default() }).await?;
        }
        Ok(())
    }

    /// Checks before anything is uploaded whether a push may go to this repository.
    ///
    /// # Errors
    /// Those of [`Repository::may_be_created`].
    pub(super) async fn may_be_pushed_to(&self) -> Result<()> {
        match self.settings().auto_create == AutoCreate::Anywhere || self.exists().await? {
            true => Ok(()),
            false => self.may_be_created().await,
        }
    }

    /// Checks whether a push may create the repository.
    ///
    /// # Errors
    /// [`RegistryError::RepositoryAbsent`], [`RegistryError::NamespaceAbsent`].
    async fn may_be_created(&self) -> Result<()> {
        match self.settings().auto_create {
            AutoCreate::Anywhere => Ok(()),
            AutoCreate::InNamespaces => self.has_namespace().await,
            AutoCreate::Never => Err(RegistryError::RepositoryAbsent(self.name.clone())),
        }
    }

    async fn has_namespace(&self) -> Result<()> {
        match NamespaceName::of(&self.name) {
            Some(namespace) if self.registry.namespace_exists(&namespace).await? => Ok(()),
            namespace => Err(RegistryError::NamespaceAbsent { repository: self.name.clone(), namespace }),
        }
    }

    /// Writes the first facts of a repository; `false` if it has some already.
    async fn record_creation(&self, new: NewRepository) -> Result<bool> {
        let absent = |key: fn(RepositoryName) -> FactKey, bytes: Vec<u8>| {
            Put::when(key(self.name.clone()), bytes, Expect::Absent)
        };
        let mut puts = vec![absent(FactKey::Created, Creation::now(&self.registry.caller).to_bytes())];
        if new.owner.is_some() || new.visibility.is_some() {
            puts.push(Put::any(FactKey::Recorded(self.name.clone()), ""));
        }
        puts.extend(new.visibility.map(|visibility| absent(FactKey::Visibility, visibility.to_bytes())));
        puts.extend(new.owner.map(|owner| absent(FactKey::Owner, owner.to_bytes())));
        puts.extend(new.description.map(|description| absent(FactKey::Description, description.to_bytes())));
        Ok(self.store().put(puts, Durability::Durable).await? == PutOutcome::Done)
    }
}
