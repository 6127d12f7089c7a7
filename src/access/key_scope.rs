//! The scopes of API keys.

use crate::who::{Action, Permission, Subject};
use oci::{InvalidPattern, Pattern, RepositoryName};
use std::{fmt, str::FromStr, sync::Arc};

/// One thing that an API key is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyScope {
    /// Actions in repositories: `repository:<pattern>:<actions>`.
    Repository(Pattern, Vec<Action>),
    /// Actions in repositories of artifacts: `artifact:<pattern>:<actions>`.
    Artifact(Pattern, Vec<Action>),
    /// What a role can have: `ACTION:RESOURCE`. One on images is for all repositories.
    Permission(Permission),
}

/// What an API key is for. Its owner's rights limit it further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyScopes(Arc<[KeyScope]>);

/// Maximum number of scopes of a key.
pub const MOST_KEY_SCOPES: usize = 100;

/// Why a text is not a scope of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidScope {
    /// Neither form.
    #[error("a scope is written repository:PATTERN:ACTIONS, artifact:PATTERN:ACTIONS or ACTION:RESOURCE")]
    Form,
    /// An invalid pattern.
    #[error(transparent)]
    Pattern(#[from] InvalidPattern),
    /// No action, or an unknown one.
    #[error("the actions of a scope are a list of pull, push and delete, or *")]
    Actions,
    /// An unknown permission.
    #[error("{0}")]
    Permission(&'static str),
    /// A key without scopes would be for nothing.
    #[error("a key needs a scope")]
    None,
    /// More than [`MOST_KEY_SCOPES`].
    #[error("a key has at most {MOST_KEY_SCOPES} scopes")]
    TooMany,
}

impl KeyScopes {
    /// Reads the scopes of a key.
    ///
    /// # Errors
    /// The position of the first invalid one, if one is, and why.
    pub fn parse<S: AsRef<str>>(texts: &[S]) -> Result<Self, (Option<usize>, InvalidScope)> {
        match texts.len() {
            0 => return Err((None, InvalidScope::None)),
            1..=MOST_KEY_SCOPES => {}
            _ => return Err((None, InvalidScope::TooMany)),
        }
        let read = |(i, text): (usize, &S)| text.as_ref().parse().map_err(|why| (Some(i), why));
        texts.iter().enumerate().map(read).collect::<Result<Arc<[_]>, _>>().map(Self)
    }

    /// The scopes, in order.
    pub fn iter(&self) -> impl Iterator<Item = &KeyScope> {
        self.0.iter()
    }

    /// Whether a key with these scopes could do nothing that this one cannot. `true` is certain, `false` is not.
    pub fn include(&self, others: &Self) -> bool {
        others.iter().all(|other| self.iter().any(|scope| scope.includes(other)))
    }

    pub(super) fn allow(&self, owner: &Subject, repository: &RepositoryName, action: Action) -> bool {
        self.iter().any(|scope| match scope {
            KeyScope::Repository(pattern, actions) => {
                actions.contains(&action) && pattern.matches(repository, owner.name())
            }
            KeyScope::Permission(permission) => [Permission::on_images(action), Permission::ADMIN].contains(permission),
            KeyScope::Artifact(..) => false,
        })
    }

    pub(super) fn allow_listing(&self) -> bool {
        self.iter().any(KeyScope::pulls)
    }

    pub(super) fn permit(&self, permission: Permission) -> bool {
        self.iter().any(|scope| match scope {
            KeyScope::Permission(listed) => [permission, Permission::ADMIN].contains(listed),
            KeyScope::Repository(..) | KeyScope::Artifact(..) => false,
        })
    }

    pub(super) fn reach(&self, owner: &Subject, prefix: &RepositoryName) -> bool {
        self.iter().filter(|scope| scope.pulls()).any(|scope| match scope {
            KeyScope::Repository(pattern, _) => pattern.reaches(prefix, owner.name()),
            KeyScope::Permission(_) => true,
            KeyScope::Artifact(..) => false,
        })
    }
}

impl KeyScope {
    /// Whether it allows a pull of some repository.
    fn pulls(&self) -> bool {
        match self {
            Self::Repository(_, actions) => actions.contains(&Action::Pull),
            Self::Permission(permission) => {
                [Permission::on_images(Action::Pull), Permission::ADMIN].contains(permission)
            }
            Self::Artifact(..) => false,
        }
    }

    fn includes(&self, other: &Self) -> bool {
        let all = |actions: &[Action], others: &[Action]| others.iter().all(|action| actions.contains(action));
        match (self, other) {
            (Self::Permission(Permission::ADMIN), _) => true,
            (Self::Permission(permission), Self::Permission(other)) => permission == other,
            (Self::Permission(permission), Self::Repository(_, actions)) => {
                actions.iter().all(|action| Permission::on_images(*action) == *permission)
            }
            (Self::Repository(pattern, actions), Self::Repository(other, others))
            | (Self::Artifact(pattern, actions), Self::Artifact(other, others)) => {
                let is_literal =
                    || other.as_str().parse::<RepositoryName>().is_ok_and(|name| pattern.matches(&name, None));
                let is_below = pattern == other || pattern.as_str() == "**" || is_literal();
                is_below && all(actions, others)
            }
            _ => false,
        }
    }
}

impl FromStr for KeyScope {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        let (kind, rest) = text.split_once(':').ok_or(InvalidScope::Form)?;
        let make = match kind {
            "repository" => Self::Repository,
            "artifact" => Self::Artifact,
            _ if rest.contains(':') => return Err(InvalidScope::Form),
            _ => return text.parse().map(Self::Permission).map_err(InvalidScope::Permission),
        };
        let (pattern, actions) = rest.split_once(':').ok_or(InvalidScope::Form)?;
        let actions = match actions {
            "*" => Action::ALL.to_vec(),
            list => {
                let read: Result<Vec<Action>, _> = list.split(',').map(str::parse).collect();
                let mut read = read.map_err(|_| InvalidScope::Actions)?;
                read.sort_unstable();
                read.dedup();
                read
            }
        };
        Ok(make(pattern.parse()?, actions))
    }
}

impl fmt::Display for KeyScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, pattern, actions) = match self {
            Self::Repository(pattern, actions) => ("repository", pattern, actions),
            Self::Artifact(pattern, actions) => ("artifact", pattern, actions),
            Self::Permission(permission) => return permission.fmt(f),
        };
        let actions: Vec<_> = actions.iter().map(ToString::to_string).collect();
        write!(f, "{kind}:{}:{}", pattern.as_str(), actions.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(texts: &[&str]) -> KeyScopes {
        KeyScopes::parse(texts).unwrap()
    }

    #[test]
    fn scopes_are_read_as_they_are_written() {
        for text in [
            "repository:a/b:pull",
            "repository:${user}/**:pull,push",
            "artifact:tools:push",
            "VIEW:USER",
            "ADMIN:SYSTEM",
        ] {
            assert_eq!(text.parse::<KeyScope>().map(|scope| scope.to_string()).as_deref(), Ok(text));
        }
        for (text, means) in [
            ("repository:**:*", "repository:**:pull,push,delete"),
            ("artifact:a:push,pull,push", "artifact:a:pull,push"),
        ] {
            assert_eq!(text.parse::<KeyScope>().unwrap().to_string(), means);
        }
        for (text, why) in [
            ("", InvalidScope::Form),
            ("repository", InvalidScope::Form),
            ("repository:a", InvalidScope::Form),
            ("registry:catalog:*", InvalidScope::Form),
            ("repository:a:", InvalidScope::Actions),
            ("repository:a:read", InvalidScope::Actions),
            ("repository:a:pull,*", InvalidScope::Actions),
            ("repository:a:pull:push", InvalidScope::Actions),
            ("repository::pull", InvalidScope::Pattern(InvalidPattern::Empty)),
            ("repository:A:pull", InvalidScope::Pattern(InvalidPattern::Character)),
        ] {
            assert_eq!(text.parse::<KeyScope>(), Err(why), "{text}");
        }
        assert!(matches!("view:user".parse::<KeyScope>(), Err(InvalidScope::Permission(_))));
        let many = vec!["VIEW:USER"; MOST_KEY_SCOPES + 1];
        assert!(KeyScopes::parse(&many[1..]).is_ok());
        assert_eq!(KeyScopes::parse(&many), Err((None, InvalidScope::TooMany)));
        assert_eq!(KeyScopes::parse::<&str>(&[]), Err((None, InvalidScope::None)));
        assert_eq!(KeyScopes::parse(&["VIEW:USER", "x"]), Err((Some(1), InvalidScope::Form)));
    }

    #[test]
    fn a_key_includes_another_only_if_that_can_do_no_more() {
        for (one, other, includes) in [
            (&["ADMIN:SYSTEM"][..], &["repository:**:*", "artifact:**:*", "VIEW:USER"][..], true),
            (&["repository:**:pull"], &["repository:a/b:pull"], true),
            (&["repository:a/*:pull"], &["repository:a/b:pull"], true),
            (&["repository:a/*:pull"], &["repository:a/*:pull"], true),
            (&["repository:a/*:pull"], &["repository:a/b:pull,push"], false),
            (&["repository:a/*:pull"], &["repository:a/b/c:pull"], false),
            (&["repository:a/*:pull"], &["repository:a/**:pull"], false),
            (&["repository:${user}/x:pull"], &["repository:alice/x:pull"], false),
            (&["repository:a:pull"], &["PULL:IMAGE"], false),
            (&["repository:**:*"], &["artifact:a:pull"], false),
            (&["PULL:IMAGE"], &["repository:**:pull"], true),
            (&["PULL:IMAGE"], &["repository:**:push"], false),
            (&["VIEW:USER"], &["UPDATE:USER"], false),
            (&["VIEW:USER", "repository:a:pull"], &["VIEW:USER", "repository:b:pull"], false),
        ] {
            assert_eq!(scopes(one).include(&scopes(other)), includes, "{one:?} {other:?}");
        }
    }

    #[test]
    fn a_key_allows_what_it_lists_for_its_owner() {
        let alice = Subject::User("alice".into());
        let name = |text: &str| text.parse::<RepositoryName>().unwrap();
        let key = scopes(&["repository:home/${user}/**:pull,push", "artifact:**:*", "VIEW:USER"]);
        assert!(key.allow(&alice, &name("home/alice/app"), Action::Push));
        assert!(!key.allow(&alice, &name("home/alice/app"), Action::Delete));
        assert!(!key.allow(&alice, &name("home/bob/app"), Action::Pull));
        assert!(key.permit("VIEW:USER".parse().unwrap()) && !key.permit("UPDATE:USER".parse().unwrap()));
        assert!(key.reach(&alice, &name("home")) && !key.reach(&alice, &name("home/bob")));
        assert!(key.allow_listing() && !scopes(&["repository:a:push", "artifact:**:*"]).allow_listing());
        let admin = scopes(&["ADMIN:SYSTEM"]);
        assert!(admin.allow(&alice, &name("x"), Action::Delete) && admin.permit("UPDATE:USER".parse().unwrap()));
        let images = scopes(&["PULL:IMAGE"]);
        assert!(images.allow(&alice, &name("x"), Action::Pull) && !images.allow(&alice, &name("x"), Action::Push));
        assert!(images.reach(&alice, &name("x")));
    }
}
