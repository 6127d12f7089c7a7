//! Who makes a request, and what they want to do.

mod id;
mod permission;

pub use id::{ApiKeyId, HexId, SessionId};
pub use permission::{Permission, Resource, Verb};

use ipnet::IpNet;
use std::{fmt, net::IpAddr};

/// The caller of a request, after authentication.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// Not logged in.
    Anonymous,
    /// A named user.
    User(std::sync::Arc<str>),
}

/// What may be done in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Read blobs, manifests, tags and referrers.
    Pull,
    /// Write them, and use upload sessions.
    Push,
    /// Remove them.
    Delete,
}

/// The network of an address: its first `v4` or `v6` bits.
pub fn network(address: IpAddr, v4: u8, v6: u8) -> IpAddr {
    let bits = if address.is_ipv4() { v4 } else { v6 };
    IpNet::new(address, bits).map_or(address, |net| net.network())
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Pull, Self::Push, Self::Delete];
}

impl Subject {
    /// The user's name, if the caller is logged in.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Anonymous => None,
            Self::User(name) => Some(name),
        }
    }

    /// Whether a user may have this name. Reserved are `*` (everybody who is logged in), `anonymous` (everybody who is
    /// not) and names that begin with `@` (groups). Control characters, and spaces at the ends, are refused because
    /// they deceive readers.
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
