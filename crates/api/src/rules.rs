//! `/api/v1/rules`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An access rule, and where it is. The first rule that matches a user and a repository decides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RuleInfo {
    /// Its place in the list, from 0.
    pub index: u64,
    /// The line of the file on which it begins.
    pub line: u64,
    /// A repository pattern.
    pub repository: String,
    /// Names, `@group`, `*` for every user, `anonymous` for callers who are not logged in.
    pub users: Vec<String>,
    /// `pull`, `push`, `delete`.
    pub permissions: Vec<String>,
    /// The user for whom `POST /users/{user}/access` made this rule.
    #[serde(rename = "for", default, skip_serializing_if = "Option::is_none")]
    pub made_for: Option<String>,
}

/// An access rule as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleBody {
    /// A repository pattern.
    pub repository: String,
    /// Names, `@group`, `*` for every user, `anonymous` for callers who are not logged in.
    pub users: Vec<String>,
    /// `pull`, `push`, `delete`.
    pub permissions: Vec<String>,
    /// The user for whom `POST /users/{user}/access` made this rule.
    #[serde(rename = "for", default, skip_serializing_if = "Option::is_none")]
    pub made_for: Option<String>,
}

/// All rules.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RuleList {
    /// In the order in which they are tried.
    pub items: Vec<RuleInfo>,
    /// What applies if no rule does: `allow` or `deny`.
    pub default_policy: String,
}

/// `POST /rules/{index}/move`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MoveRule {
    /// The place that the rule gets in the list, from 0.
    pub to: u64,
}
