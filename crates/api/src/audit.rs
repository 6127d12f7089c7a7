//! `/api/v1/audit`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A change that somebody made through the API, or by a command on the registry's machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// When (RFC 3339).
    pub time: String,
    /// Who: a user, or `anonymous`. From the command line, a user of the operating system. What a rule made the registry
    /// do by itself: `wharfinger`.
    pub actor: String,
    /// `command line`, or the kind of rule such as `artifact retention`, if the change was not made through the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The address of the client, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The request's ID, as in the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// What was done, such as `update_user`.
    pub action: String,
    /// To what, such as the user's name.
    pub target: String,
    /// The files that changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<AuditFile>,
}

/// A file that a change edited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditFile {
    /// `htpasswd`, `access-control` or `settings`.
    pub file: String,
    /// The hash of its text before.
    pub before: String,
    /// The hash of its text after.
    pub after: String,
}
