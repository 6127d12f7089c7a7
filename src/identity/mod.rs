//! Authentication: passwords, verified against htpasswd, and tokens, of the built-in token service and of external
//! ones. What a user may do is decided in `access`.

mod basic;
mod common_password;
mod credentials;
mod htpasswd;
mod htpasswd_edit;
mod issuer;
mod jws;
mod key_set;
mod opaque;
mod password;
mod password_policy;
mod queue;
mod recent;
mod rsa_key;
#[cfg(test)]
mod tests;
mod token;

pub use basic::{LoginLimits, LoginRefusal, Passwords};
pub use credentials::{Credentials, InvalidCredentials, LONGEST_AUTHORIZATION, Presented};
pub use htpasswd::{COSTS, InvalidLine, USUAL_COST, UserKind, Users};
pub use htpasswd_edit::{HtpasswdText, Unedited};
pub use issuer::{Issuer, Unsigned, new_signing_key};
pub use jws::TokenRefused;
pub use opaque::{ApiKeyText, CookieText, OpaqueText, RefreshText};
pub use password::{Password, Unfit, Unhashed};
pub use password_policy::PasswordPolicy;
pub use rsa_key::is_rsa_key;
pub use token::{Access, Bearer, Verifier};

use std::sync::Arc;

/// How callers authenticate. The startup settings choose the variant, so it never changes while the daemon runs; its
/// users and keys are those of one configuration generation.
#[derive(Clone, Debug, Default)]
pub enum Identity {
    /// No authentication: everybody is anonymous.
    #[default]
    Nobody,
    /// By user name and password.
    Password {
        /// The realm of the challenge.
        realm: String,
        /// The users who can log in.
        users: Arc<Users>,
        /// Signs and verifies the tokens of sessions; `None` if there is no key, and then no sessions.
        sessions: Option<Arc<Issuer>>,
    },
    /// By tokens of the built-in token service, or by the passwords it issues them for.
    OwnTokens(Arc<TokenService>),
    /// By tokens of an external token service.
    ExternalTokens {
        /// The URL of the service.
        realm: String,
        /// The name of this registry, the audience of the tokens.
        service: String,
        /// Verifies the tokens.
        verifier: Arc<Verifier>,
    },
}

/// The built-in token service.
#[derive(Debug)]
pub struct TokenService {
    /// The URL of this registry for clients; if unset, the one that the client used.
    pub public_url: Option<String>,
    /// The name of this registry, the audience of the tokens.
    pub name: String,
    /// The users who can get tokens.
    pub users: Arc<Users>,
    /// Signs and verifies the tokens.
    pub issuer: Arc<Issuer>,
}

impl Identity {
    /// Whether everybody is anonymous and cannot log in.
    pub fn is_nobody(&self) -> bool {
        matches!(self, Self::Nobody)
    }

    /// The users whose passwords are accepted, and what issues their tokens; `None` if there are no such users or tokens.
    pub fn own(&self) -> Option<(&Arc<Users>, &Arc<Issuer>)> {
        match self {
            Self::Nobody | Self::ExternalTokens { .. } => None,
            Self::Password { users, sessions, .. } => sessions.as_ref().map(|issuer| (users, issuer)),
            Self::OwnTokens(service) => Some((&service.users, &service.issuer)),
        }
    }

    /// The users whose passwords are accepted; `None` if passwords are not accepted.
    pub fn users(&self) -> Option<&Arc<Users>> {
        match self {
            Self::Nobody | Self::ExternalTokens { .. } => None,
            Self::Password { users, .. } => Some(users),
            Self::OwnTokens(service) => Some(&service.users),
        }
    }
}
