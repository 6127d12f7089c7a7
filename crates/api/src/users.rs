//! `/api/v1/users`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UserInfo {
    /// The name.
    pub username: String,
    /// Groups, in order of their names.
    pub groups: Vec<String>,
    /// The roles of these groups, in order of their names.
    pub roles: Vec<String>,
    /// Whether the user may do everything.
    pub is_admin: bool,
    /// Whether the user cannot log in until somebody unlocks them.
    pub locked: bool,
    /// Whether the user has no password and uses API keys only.
    pub robot: bool,
    /// An address to reach them at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// When the user was created, if that is known (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// When the user last logged in, if that is known (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_login_at: Option<String>,
}

/// `POST /users`.
#[derive(Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateUser {
    /// The name.
    pub username: String,
    /// The password; a robot has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// An address to reach them at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Whether the user has no password and uses API keys only.
    #[serde(default)]
    pub robot: bool,
    /// Give the name of a deleted user again; this needs `ADMIN:SYSTEM`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reuse_name: bool,
}

/// `PATCH /users/{user}`: what is absent stays.
#[derive(Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateUser {
    /// A new password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// An address to reach them at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Whether the user cannot log in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked: Option<bool>,
    /// All groups of the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<String>>,
}

/// `PUT /users/{user}/groups`, and with a name `PUT /users/groups`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserGroups {
    /// The user, if the path does not name them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// All groups of the user.
    pub groups: Vec<String>,
}

/// What a user may do in some repositories.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UserAccess {
    /// A repository pattern.
    pub repository: String,
    /// `pull`, `push`, `delete`.
    pub actions: Vec<String>,
    /// The rule, role or default that grants it.
    pub why: String,
}

/// `POST /users/{user}/access` and `DELETE`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeAccess {
    /// A repository, or a pattern.
    pub repository: String,
    /// `pull`, `push`, `delete`.
    pub actions: Vec<String>,
    /// Only show what would change.
    #[serde(default)]
    pub dry_run: bool,
}

/// What a change of access does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AccessChanged {
    /// The user's own rule after the change; unset if it was removed.
    pub rule: Option<super::rules::RuleInfo>,
    /// The lines that change, as a unified diff.
    pub diff: String,
    /// What the user may do there before the change.
    pub before: Vec<String>,
    /// What the user may do there after it.
    pub after: Vec<String>,
}

/// Shows no password.
impl std::fmt::Debug for CreateUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreateUser").field("username", &self.username).finish_non_exhaustive()
    }
}

/// Shows no password.
impl std::fmt::Debug for UpdateUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UpdateUser").field("locked", &self.locked).field("groups", &self.groups).finish_non_exhaustive()
    }
}
