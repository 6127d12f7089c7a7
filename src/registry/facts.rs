//! The facts of a repository, recorded besides its content: its visibility, its owner, and others.
//!
//! Visibility and owner are read only if no rule decides, by name, and before any content. If they cannot be read, they
//! grant nothing.

mod change;
mod values;

pub use values::{Creation, Description, InvalidDescription, InvalidOwner, OwnerName};

use super::{Registry, Repository, Result};
use crate::{
    access::{RepositoryFacts, Undecided, Verdict, Visibility},
    storage::{self, DirOf, Fact, FactKey},
};
use futures_util::future::BoxFuture;
use oci::{Expression, RepositoryName};
use std::collections::{BTreeMap, BTreeSet};

/// Names per page.
const PAGE: usize = 1000;

/// Which repositories a caller may see.
pub trait Visible: Send + Sync {
    /// Whether this repository is visible.
    fn shows(&self, repository: &RepositoryName) -> Shows;
    /// Whether anything below this prefix can be visible, whatever the facts are; `false` only if certainly nothing
    /// is.
    fn reaches(&self, prefix: &RepositoryName) -> bool;
    /// Whether facts may make more visible than that.
    fn asks_facts(&self) -> bool {
        false
    }
}

/// Whether a repository is visible.
pub enum Shows {
    /// Visible.
    Yes,
    /// Hidden.
    No,
    /// Its facts decide.
    ByFacts(Undecided),
}

impl Shows {
    /// Whether it is visible with these facts.
    pub fn by(self, facts: &RepositoryFacts) -> bool {
        match self {
            Self::Yes => true,
            Self::No => false,
            Self::ByFacts(undecided) => undecided.with(facts).allowed,
        }
    }
}

impl From<bool> for Shows {
    fn from(shows: bool) -> Self {
        if shows { Self::Yes } else { Self::No }
    }
}

/// All repositories are visible.
pub struct Everything;

impl Visible for Everything {
    fn shows(&self, _: &RepositoryName) -> Shows {
        Shows::Yes
    }
    fn reaches(&self, _: &RepositoryName) -> bool {
        true
    }
}

/// Everything that is recorded about a repository besides its content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordedFacts {
    /// Who may do what where no rule decides.
    pub access: RepositoryFacts,
    /// What it is for.
    pub description: Option<Description>,
    /// When and by whom it was created.
    pub origin: Option<Creation>,
    /// The tags that are immutable besides those of the operator's rules, as an expression.
    pub immutable: Option<String>,
}

impl Repository {
    /// Everything that is recorded. What cannot be read is logged and left out.
    ///
    /// # Errors
    /// Only the store's, if it cannot be known what is recorded.
    pub async fn recorded_facts(&self) -> Result<RecordedFacts> {
        let facts = self.registry.recorded_facts(std::slice::from_ref(&self.name)).await?;
        Ok(facts.into_iter().next().unwrap_or_default())
    }

    /// Which of its tags are immutable besides those of the operator's rules.
    ///
    /// # Errors
    /// The store's, also if the recorded expression is malformed.
    pub async fn own_immutable(&self) -> Result<Option<Expression>> {
        let key = FactKey::OwnImmutable(self.name.clone());
        let Some(fact) = self.store().get(&key).await? else { return Ok(None) };
        match parse_expression(&fact.bytes) {
            Some(tags) => Ok(Some(tags)),
            None => Err(storage::StorageError::damaged(key.path(), "it is not an expression and a line feed").into()),
        }
    }

    /// Decides what the rules left open. Boxed, because few requests need it.
    pub fn decide_by_facts(self, undecided: Undecided) -> BoxFuture<'static, Verdict> {
        Box::pin(async move { undecided.with(&self.facts().await) })
    }

    /// Its visibility and owner. What cannot be read grants nothing.
    ///
    /// Both are read, and never from memory: how long it takes does not tell strangers whether there is anything.
    pub async fn facts(&self) -> RepositoryFacts {
        match self.registry.access_facts(std::slice::from_ref(&self.name)).await {
            Ok(facts) => facts.into_iter().next().unwrap_or_default(),
            Err(error) => {
                tracing::error!(repository = %self.name, %error, "cannot read repository facts; they grant nothing");
                RepositoryFacts::default()
            }
        }
    }

    /// Whether a caller may see the repository.
    pub(super) async fn is_shown(&self, visible: &dyn Visible) -> bool {
        match visible.shows(&self.name) {
            Shows::Yes => true,
            Shows::No => false,
            Shows::ByFacts(undecided) => self.clone().decide_by_facts(undecided).await.allowed,
        }
    }
}

/// Parses a recorded expression of immutable tags.
pub(crate) fn parse_expression(bytes: &[u8]) -> Option<Expression> {
    std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?.parse().ok()
}

impl Registry {
    /// The repositories that may have facts.
    pub(super) async fn repositories_with_facts(&self) -> Result<BTreeSet<String>> {
        let mut recorded = self.core.store.names(DirOf::recorded(), PAGE).from_memory();
        let mut names = BTreeSet::new();
        while let Some(name) = recorded.next().await? {
            names.insert(name.to_string());
        }
        Ok(names)
    }

    /// Visibility and owner of all repositories that have one of them.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn all_access_facts(&self) -> Result<BTreeMap<RepositoryName, RepositoryFacts>> {
        let names = self.repositories_with_facts().await?;
        let names: Vec<RepositoryName> = names.iter().filter_map(|name| name.parse().ok()).collect();
        let mut found = BTreeMap::new();
        for some in names.chunks(PAGE) {
            found.extend(some.iter().cloned().zip(self.access_facts(some).await?));
        }
        Ok(found)
    }

    /// Visibility and owner of each of these repositories, in their order, read at once.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn access_facts(&self, names: &[RepositoryName]) -> Result<Vec<RepositoryFacts>> {
        let keys: Vec<FactKey> =
            names.iter().flat_map(|name| [FactKey::Visibility(name.clone()), FactKey::Owner(name.clone())]).collect();
        let found = self.core.store.get_all(keys.clone()).await?;
        let facts = keys.chunks(2).zip(found.chunks(2)).map(|(keys, found)| match (keys, found) {
            ([visibility, owner], [shown, owned]) => RepositoryFacts {
                visibility: parsed(visibility, shown, Visibility::parse).unwrap_or_default(),
                owner: parsed(owner, owned, RepositoryFacts::parse_owner),
            },
            _ => RepositoryFacts::default(),
        });
        Ok(facts.collect())
    }

    /// Everything that is recorded of each of these repositories, in their order, read at once.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn recorded_facts(&self, names: &[RepositoryName]) -> Result<Vec<RecordedFacts>> {
        const KINDS: [fn(RepositoryName) -> FactKey; 5] =
            [FactKey::Visibility, FactKey::Owner, FactKey::Description, FactKey::Created, FactKey::OwnImmutable];
        let keys: Vec<FactKey> = names.iter().flat_map(|name| KINDS.map(|kind| kind(name.clone()))).collect();
        let found = self.core.store.get_all(keys.clone()).await?;
        let mut recorded = vec![RecordedFacts::default(); names.len()];
        for (i, (key, fact)) in keys.iter().zip(&found).enumerate() {
            let of = &mut recorded[i / KINDS.len()];
            match key {
                FactKey::Visibility(_) => {
                    of.access.visibility = parsed(key, fact, Visibility::parse).unwrap_or_default()
                }
                FactKey::Owner(_) => of.access.owner = parsed(key, fact, RepositoryFacts::parse_owner),
                FactKey::Description(_) => of.description = parsed(key, fact, Description::parse),
                FactKey::Created(_) => of.origin = parsed(key, fact, Creation::parse),
                _ => of.immutable = parsed(key, fact, parse_expression).map(|tags| tags.to_string()),
            }
        }
        Ok(recorded)
    }

    /// A recorded value. If it cannot be read, the error is logged, not returned to the caller.
    pub(super) async fn fact<T>(&self, key: &FactKey, parse: fn(&[u8]) -> Option<T>) -> Option<T> {
        parsed(key, &self.core.store.get(key).await, parse)
    }
}

/// The value of what was read. What cannot be used is logged, and is none.
pub(super) fn parsed<T>(
    key: &FactKey,
    read: &storage::Result<Option<Fact>>,
    parse: fn(&[u8]) -> Option<T>,
) -> Option<T> {
    match read {
        Ok(None) => None,
        Ok(Some(fact)) => {
            let value = parse(&fact.bytes);
            if value.is_none() {
                let path = key.path();
                tracing::error!(path, "malformed repository fact; it grants nothing until it is corrected");
            }
            value
        }
        Err(error) => {
            tracing::error!(path = key.path(), %error, "cannot read a repository fact; it grants nothing");
            None
        }
    }
}

#[cfg(test)]
mod tests;
