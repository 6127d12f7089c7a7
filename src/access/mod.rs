//! Who may do what: rules, roles and the one function that decides. Pure: files are parsed here
//! and read elsewhere.

mod decision;
mod file;
mod json;
mod policy;
mod scope;
#[cfg(test)]
mod tests;
mod unreachable;

pub use decision::{Facts, Reason, Rights, Step, Verdict};
pub use policy::{Policy, Problem, Rule};
pub use scope::Scope;

use crate::{oci::RepositoryName, who::Action};

/// What a caller's credential is good for at most. It never grants anything by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Ceiling {
    /// Whatever the caller may do.
    #[default]
    None,
    /// These, and nothing else.
    Scopes(Vec<Scope>),
}

impl Ceiling {
    /// Whether the ceiling is above this.
    pub fn allows(&self, repository: &RepositoryName, action: Action) -> bool {
        match self {
            Self::None => true,
            Self::Scopes(scopes) => scopes.iter().any(|scope| match scope {
                Scope::Repository(name, actions) => name == repository && actions.contains(&action),
                Scope::Catalog => false,
            }),
        }
    }

    /// Whether repositories may be listed.
    pub fn allows_listing(&self) -> bool {
        match self {
            Self::None => true,
            Self::Scopes(scopes) => scopes.contains(&Scope::Catalog),
        }
    }
}
