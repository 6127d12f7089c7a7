//! `/api/v1/groups`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A group of users who share roles.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupInfo {
    /// The name. In a request it may be absent if the path has it.
    #[serde(default)]
    pub name: String,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// The roles that all members have.
    #[serde(default)]
    pub roles: Vec<String>,
    /// The users.
    #[serde(default)]
    pub members: Vec<String>,
}

/// `PATCH /groups/{group}`: what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateGroup {
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The roles that all members have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<String>>,
    /// The users.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<Vec<String>>,
}
