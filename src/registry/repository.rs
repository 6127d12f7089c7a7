//! A repository, as seen by one caller.

use super::{Registry, Result, Settings};
use crate::storage::{Fact, FactKey, Storage, StorageError};
use oci::RepositoryName;

/// A handle to one repository for one request. The repository need not exist: the first push creates it.
///
/// Its operations are in the modules of the nouns: `blob`, `upload`, `manifest`, `push`, `tag`, `referrer`.
#[derive(Clone)]
pub struct Repository {
    pub(super) registry: Registry,
    pub(super) name: RepositoryName,
}

impl Registry {
    pub fn repository(&self, name: &RepositoryName) -> Repository {
        Repository { registry: self.clone(), name: name.clone() }
    }
}

impl Repository {
    pub fn name(&self) -> &RepositoryName {
        &self.name
    }

    /// The registry that contains it.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The settings of this handle.
    pub fn settings(&self) -> &Settings {
        &self.registry.settings
    }

    /// The store; see [`Registry::store`].
    pub(crate) fn store(&self) -> &dyn Storage {
        self.registry.store()
    }

    /// A value for a client that pulls. While the store is away it is the one that was last seen, so that pulls go on.
    pub(super) async fn get_to_read(&self, key: &FactKey) -> Result<Option<Fact>> {
        match self.store().get(key).await {
            Err(error @ StorageError::Unavailable { .. }) => match self.store().last_seen(key) {
                Some(fact) => Ok(Some(fact)),
                None => Err(error.into()),
            },
            found => Ok(found?),
        }
    }
}
