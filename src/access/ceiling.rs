//! What a caller's credential allows at most.

use super::{KeyScopes, Scope};
use crate::who::{Action, Permission, Subject};
use oci::RepositoryName;

/// What a caller's credential allows at most. It never grants anything by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Ceiling {
    /// No limit beyond the caller's own rights.
    #[default]
    None,
    /// Only these scopes, of a token.
    Scopes(Vec<Scope>),
    /// Only what an API key is for.
    Key(KeyScopes),
    /// A token that was given for an API key: only what both allow.
    KeyAndScopes(KeyScopes, Vec<Scope>),
}

impl Ceiling {
    /// The limits of a token with these scopes, if it has any, that was given for an API key, if it was.
    pub fn of(key: Option<KeyScopes>, scopes: Option<Vec<Scope>>) -> Self {
        match (key, scopes) {
            (None, None) => Self::None,
            (None, Some(scopes)) => Self::Scopes(scopes),
            (Some(key), None) => Self::Key(key),
            (Some(key), Some(scopes)) => Self::KeyAndScopes(key, scopes),
        }
    }

    /// The limits of the API key, if there is one.
    pub fn key(&self) -> Option<&KeyScopes> {
        match self {
            Self::None | Self::Scopes(_) => None,
            Self::Key(key) | Self::KeyAndScopes(key, _) => Some(key),
        }
    }

    /// The scopes of the token, if it has any.
    pub fn scopes(&self) -> Option<&[Scope]> {
        match self {
            Self::None | Self::Key(_) => None,
            Self::Scopes(scopes) | Self::KeyAndScopes(_, scopes) => Some(scopes),
        }
    }

    /// Whether the ceiling permits an action to this caller.
    pub fn allows(&self, subject: &Subject, repository: &RepositoryName, action: Action) -> bool {
        let listed = |scope: &Scope| match scope {
            Scope::Repository(name, actions) => name == repository && actions.contains(&action),
            Scope::Catalog => false,
        };
        self.scopes().is_none_or(|scopes| scopes.iter().any(listed))
            && self.key().is_none_or(|key| key.allow(subject, repository, action))
    }

    /// Whether the ceiling permits listing repositories.
    pub fn allows_listing(&self) -> bool {
        self.scopes().is_none_or(|scopes| scopes.contains(&Scope::Catalog))
            && self.key().is_none_or(KeyScopes::allow_listing)
    }

    /// Whether the ceiling permits what is outside any repository. The scopes of a token only list repositories.
    pub fn permits(&self, permission: Permission) -> bool {
        self.scopes().is_none() && self.key().is_none_or(|key| key.permit(permission))
    }

    /// Whether the ceiling permits a pull of anything below a prefix. `false` is certain, `true` is not.
    pub(super) fn reaches(&self, subject: &Subject, prefix: &RepositoryName) -> bool {
        let below = |scope: &Scope| match scope {
            Scope::Repository(name, _) => {
                name.as_str().strip_prefix(prefix.as_str()).is_some_and(|rest| rest.starts_with('/'))
            }
            Scope::Catalog => true,
        };
        self.scopes().is_none_or(|scopes| scopes.iter().any(below))
            && self.key().is_none_or(|key| key.reach(subject, prefix))
    }
}
