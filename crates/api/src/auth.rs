//! `/api/v1/auth`: logins, sessions, and what a caller may do.

use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// `POST /api/v1/auth/login`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginRequest {
    /// The user's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The user's name too: some clients call it so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The user's password.
    pub password: String,
}

/// The answer to a login, and to a refresh.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LoginAnswer {
    /// An access token, for `Authorization: Bearer`.
    pub token: String,
    /// The same.
    pub access_token: String,
    /// Gives the next access token, once, by `POST /api/v1/auth/refresh`. Unset if the client has a newer one, or uses
    /// the cookie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    /// For how many seconds the access token is valid.
    pub expires_in: u64,
    /// When it was issued (RFC 3339).
    pub issued_at: String,
    /// The user's name.
    pub username: String,
    /// The user's groups.
    pub groups: Vec<String>,
    /// The user, in short.
    pub user: UserSummary,
    /// Always true.
    pub success: bool,
}

/// A user, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UserSummary {
    /// The user's name.
    pub id: String,
    /// The user's name.
    pub username: String,
    /// `admin` or `user`.
    pub role: String,
    /// Whether the user is an administrator.
    pub is_admin: bool,
}

/// `POST /api/v1/auth/refresh`. Without a token, the session is that of the cookie.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshRequest {
    /// The last refresh token of the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
}

/// `POST /api/v1/auth/logout`. Without a token, the session is that of the cookie or of the access token.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LogoutRequest {
    /// End all sessions of the user, and void all their tokens.
    #[serde(default)]
    pub everywhere: bool,
    /// The last refresh token of the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
}

/// `PUT /api/v1/auth/password`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    /// The present password.
    pub current_password: String,
    /// The next one.
    pub new_password: String,
}

/// The caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Me {
    /// The user's name.
    pub username: String,
    /// `admin` or `user`.
    pub role: String,
    /// Whether the user is an administrator.
    pub is_admin: bool,
    /// The user's groups.
    pub groups: Vec<String>,
    /// The roles that the user has through groups.
    pub roles: Vec<String>,
    /// The permissions of these roles, as `VERB:RESOURCE`.
    pub permissions: Vec<String>,
    /// How the caller proved who they are.
    pub auth: AuthInfo,
}

/// How a caller proved who they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuthInfo {
    /// `basic` (a password), `token`, `api_key` or `session`.
    pub method: String,
    /// When these credentials expire (RFC 3339), if they do.
    pub expires_at: Option<String>,
    /// What they are limited to; unset if only the user's rights count.
    pub ceiling: Option<Vec<String>>,
}

/// One session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionInfo {
    /// Its id.
    pub sid: String,
    /// Whether this request belongs to it.
    pub current: bool,
    /// When the user logged in (RFC 3339).
    pub created_at: String,
    /// When it was used last, to some minutes (RFC 3339).
    pub refreshed_at: String,
    /// When it ends, unless it is used before (RFC 3339).
    pub expires_at: String,
    /// What the client calls itself.
    pub agent: Option<String>,
    /// The client's address.
    pub address: Option<String>,
}

/// The answer to `GET /api/v1/auth/can`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CanAnswer {
    /// Whether the action is allowed.
    pub allowed: bool,
    /// Why.
    pub reason: String,
    /// What each step of the decision said, up to the one that decided.
    pub steps: Vec<CanStep>,
    /// The rule that decided, if one did.
    pub rule: Option<CanRule>,
}

/// One step of a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CanStep {
    /// Its name: `ceiling`, `admin`, `rules`, `roles`, `facts` or `default`.
    pub step: String,
    /// Whether it allows the action; unset if it does not decide.
    pub allows: Option<bool>,
    /// Why.
    pub reason: String,
}

/// A rule of the access rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CanRule {
    /// The line it starts on.
    pub line: u64,
    /// Its position in the list, from 0.
    pub index: u64,
}

/// A secret is never shown by accident.
macro_rules! hidden {
    ($($type:ident),+) => {
        $(impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($type), "(…)"))
            }
        })+
    };
}

hidden!(LoginRequest, LoginAnswer, RefreshRequest, LogoutRequest, PasswordChange);
