//! `/api/v1/roles`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Permissions that groups give to their members.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RoleInfo {
    /// The name.
    pub name: String,
    /// For people.
    pub description: String,
    /// As `ACTION:RESOURCE`.
    pub permissions: Vec<String>,
    /// The repositories to which its permissions on images apply; none if empty.
    pub repositories: Vec<String>,
    /// The artifact repositories in which its permissions on artifacts and their repositories apply; none if empty.
    #[serde(default)]
    pub artifacts: Vec<String>,
    /// Whether this role exists without being defined. It can be overridden, but not deleted.
    pub builtin: bool,
    /// Whether the file of rules defines it.
    pub defined: bool,
}

/// `POST /roles` and `PUT /roles/{role}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutRole {
    /// The name. It may be absent if the path has it.
    #[serde(default)]
    pub name: String,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// Its permissions.
    #[serde(default)]
    pub permissions: Vec<PermissionText>,
    /// The repositories to which its permissions on images apply; none if empty.
    #[serde(default)]
    pub repositories: Vec<String>,
    /// The artifact repositories in which its permissions on artifacts and their repositories apply; none if empty.
    #[serde(default)]
    pub artifacts: Vec<String>,
}

/// `PATCH /roles/{role}`: what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateRole {
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Permissions to add.
    #[serde(default)]
    pub add: Vec<PermissionText>,
    /// Permissions to remove.
    #[serde(default)]
    pub remove: Vec<PermissionText>,
    /// The repositories to which its permissions on images apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repositories: Option<Vec<String>>,
    /// The artifact repositories in which its permissions on artifacts and their repositories apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifacts: Option<Vec<String>>,
}

/// A permission, in one of two forms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum PermissionText {
    /// `ACTION:RESOURCE`.
    Text(String),
    /// Its two words.
    Words {
        /// Such as `PULL`.
        action: String,
        /// Such as `IMAGE`.
        resource: String,
    },
}

/// As `ACTION:RESOURCE`.
impl std::fmt::Display for PermissionText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Words { action, resource } => write!(f, "{action}:{resource}"),
        }
    }
}
