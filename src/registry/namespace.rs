//! Namespaces: the first component of repository names.
//!
//! A namespace exists if somebody created it, or if a repository is in it. So it need not be created before the first
//! push into it, unless the settings say so (`repositories.auto_create`).

use super::{Everything, Registry, RegistryError, Result, catalog::CatalogScope, facts::Creation};
use crate::storage::{DirOf, Durability, Expect, FactKey, Put, PutOutcome};
use oci::{InvalidName, RepositoryName};
use std::{collections::BTreeMap, fmt, str::FromStr};

/// Names per page.
const PAGE: usize = 1000;

/// The name of a namespace: one component.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NamespaceName(RepositoryName);

impl NamespaceName {
    /// The namespace of a repository; `None` for names of one component.
    pub fn of(repository: &RepositoryName) -> Option<Self> {
        let (namespace, _) = repository.as_str().split_once('/')?;
        namespace.parse().ok()
    }

    /// The name as written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The prefix of its repositories' names, without the slash.
    pub fn prefix(&self) -> &RepositoryName {
        &self.0
    }
}

impl FromStr for NamespaceName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        match text.contains('/') {
            true => Err(InvalidName::Grammar),
            false => text.parse().map(Self),
        }
    }
}

impl fmt::Display for NamespaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Registry {
    /// Creates a namespace.
    ///
    /// # Errors
    /// [`RegistryError::NamespaceExists`], if it was created before; one that only has repositories becomes one that was
    /// created.
    pub async fn create_namespace(&self, name: &NamespaceName) -> Result<()> {
        let key = FactKey::Namespace(name.0.clone());
        let put = Put::when(key, Creation::now(&self.caller).to_bytes(), Expect::Absent);
        match self.core.store.put(vec![put], Durability::Durable).await? {
            PutOutcome::Done => Ok(()),
            PutOutcome::Conflict(_) => Err(RegistryError::NamespaceExists(name.clone())),
        }
    }

    /// Deletes an empty namespace. A push into it that is under way may bring it back.
    ///
    /// # Errors
    /// [`RegistryError::NamespaceInUse`], [`RegistryError::NamespaceUnknown`].
    pub async fn delete_namespace(&self, name: &NamespaceName) -> Result<()> {
        if self.has_repositories(name).await? {
            return Err(RegistryError::NamespaceInUse(name.clone()));
        }
        match self.core.store.delete(&FactKey::Namespace(name.0.clone()), Expect::Any).await? {
            true => Ok(()),
            false => Err(RegistryError::NamespaceUnknown(name.clone())),
        }
    }

    /// The namespaces that were created, and when and by whom, if that can be read.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn created_namespaces(&self) -> Result<BTreeMap<NamespaceName, Option<Creation>>> {
        let mut created = BTreeMap::new();
        let (dir, mut last) = (DirOf::names(None), None::<String>);
        loop {
            let page = self.core.store.page(&dir, last.as_deref(), PAGE).await?;
            let keys = page.entries.iter().cloned().map(FactKey::Namespace).collect();
            for (name, found) in page.entries.iter().zip(self.core.store.get_all(keys).await?) {
                if let Some(fact) = found? {
                    created.insert(NamespaceName(name.clone()), Creation::parse(&fact.bytes));
                }
            }
            match page.entries.last() {
                Some(name) if page.more => last = Some(name.to_string()),
                _ => return Ok(created),
            }
        }
    }

    /// When and by whom a namespace was created, if it was.
    pub async fn namespace_origin(&self, name: &NamespaceName) -> Option<Creation> {
        self.fact(&FactKey::Namespace(name.0.clone()), Creation::parse).await
    }

    /// Whether a namespace was created or has a repository.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn namespace_exists(&self, name: &NamespaceName) -> Result<bool> {
        let was_created = self.core.store.get(&FactKey::Namespace(name.0.clone())).await?.is_some();
        Ok(was_created || self.has_repositories(name).await?)
    }

    async fn has_repositories(&self, name: &NamespaceName) -> Result<bool> {
        let found = self.names_of(CatalogScope::Existing, Some(&name.0), None, 1, &Everything).await?;
        Ok(!found.entries.is_empty())
    }
}
