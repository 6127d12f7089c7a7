//! `/api/v1/system` and `/api/v1/permissions`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What this registry is and how callers log in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SystemInfo {
    /// The program's name.
    pub name: String,
    /// The program's version.
    pub version: String,
    /// How callers authenticate: `none`, `basic`, `token` (the built-in token service) or `external` (another one).
    pub login: String,
    /// Whether access rules and roles are in force.
    pub access_control: bool,
    /// Whether anybody may make a user for themselves.
    pub registration: bool,
    /// Whether the operator refuses all writes.
    pub read_only: bool,
    /// Whether clients may delete content.
    pub delete: bool,
    /// The operator's message; empty for none.
    pub message: String,
    /// Limits of requests.
    pub limits: SystemLimits,
}

/// Limits of requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SystemLimits {
    /// Items of a list, if the request names no number.
    pub page_default: u64,
    /// The most items of a list in one answer.
    pub page_max: u64,
}

/// The words of which permissions of roles are made, as `VERB:RESOURCE`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PermissionVocabulary {
    /// What may be done.
    pub verbs: Vec<String>,
    /// What it may be done to.
    pub resources: Vec<String>,
}
