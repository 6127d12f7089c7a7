//! Who asks, and what for.

use std::fmt;

/// Who a request comes from, once authenticated.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// Nobody in particular: not logged in.
    Anonymous,
    /// A named user.
    User(std::sync::Arc<str>),
}

/// What may be done in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Read blobs, manifests, tags and referrers.
    Pull,
    /// Write them, and all that belongs to an upload session.
    Push,
    /// Remove them.
    Delete,
}

impl Subject {
    /// The user's name, if somebody is logged in.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Anonymous => None,
            Self::User(name) => Some(name),
        }
    }

    /// Whether a name may be a user's. Reserved are `*` (everybody logged in), `anonymous`
    /// (everybody who is not) and what begins with `@` (groups); control characters and blanks at
    /// the ends deceive readers.
    pub fn is_user_name(name: &str) -> bool {
        !name.is_empty()
            && !matches!(name, "*" | "anonymous")
            && !name.starts_with('@')
            && name.trim() == name
            && !name.chars().any(char::is_control)
    }
}

impl std::str::FromStr for Action {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "pull" => Ok(Self::Pull),
            "push" => Ok(Self::Push),
            "delete" => Ok(Self::Delete),
            _ => Err("a permission is pull, push or delete"),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "anonymous",
            Self::User(name) => name,
        })
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Delete => "delete",
        })
    }
}
