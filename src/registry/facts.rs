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
    storage::{self, Dir, DirOf, FactKey},
};
use futures_util::future::BoxFuture;
use oci::{Expression, RepositoryName};
use std::collections::BTreeSet;

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
        let mut recorded = RecordedFacts::default();
        for fact in self.store().listing(&Dir::Facts(self.name.clone()), None, PAGE).await?.entries {
            let (registry, name) = (&self.registry, self.name.clone());
            match fact.as_str() {
                "visibility" => recorded.access.visibility = self.visibility().await,
                "owner" => recorded.access.owner = self.owner().await,
                "description" => {
                    recorded.description = registry.fact(&FactKey::Description(name), Description::parse).await;
                }
                "created" => recorded.origin = registry.fact(&FactKey::Created(name), Creation::parse).await,
                _ => recorded.immutable = self.own_immutable().await.ok().flatten().map(|tags| tags.to_string()),
            }
        }
        Ok(recorded)
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
        Box::pin(async move {
            let mut facts = RepositoryFacts::default();
            if undecided.asks_visibility() {
                facts.visibility = self.visibility().await;
            }
            if undecided.asks_owner() {
                facts.owner = self.owner().await;
            }
            undecided.with(&facts)
        })
    }

    pub async fn facts(&self) -> RepositoryFacts {
        RepositoryFacts { visibility: self.visibility().await, owner: self.owner().await }
    }

    /// Whether a caller may see the repository.
    pub(super) async fn is_shown(&self, visible: &dyn Visible) -> bool {
        match visible.shows(&self.name) {
            Shows::Yes => true,
            Shows::No => false,
            Shows::ByFacts(undecided) => self.clone().decide_by_facts(undecided).await.allowed,
        }
    }

    async fn visibility(&self) -> Visibility {
        let key = FactKey::Visibility(self.name.clone());
        self.registry.fact(&key, Visibility::parse).await.unwrap_or_default()
    }

    async fn owner(&self) -> Option<String> {
        self.registry.fact(&FactKey::Owner(self.name.clone()), RepositoryFacts::parse_owner).await
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

    /// A recorded value. If it cannot be read, the error is logged, not returned to the caller.
    pub(super) async fn fact<T>(&self, key: &FactKey, parse: fn(&[u8]) -> Option<T>) -> Option<T> {
        let path = || key.path();
        match self.core.store.get(key).await {
            Ok(Some(fact)) => {
                let value = parse(&fact.bytes);
                if value.is_none() {
                    tracing::error!(
                        path = path(),
                        "malformed repository fact; it grants nothing until it is corrected"
                    );
                }
                value
            }
            Ok(None) => None,
            Err(error) => {
                tracing::error!(path = path(), %error, "cannot read a repository fact; it grants nothing");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
