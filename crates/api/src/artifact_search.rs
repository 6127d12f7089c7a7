//! Search for artifacts, and what retention would do with them.

use crate::artifacts::ArtifactInfo;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// What a search for artifacts found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArtifactSearchAnswer {
    /// The results that were asked for, in order.
    pub results: Vec<ArtifactInfo>,
    /// How many artifacts match, on all pages together.
    pub total: u64,
    /// The most results of this answer.
    pub limit: u64,
    /// Results that were left out before the first.
    pub offset: u64,
    /// What they are sorted by.
    pub sort: String,
    /// `asc` or `desc`.
    pub order: String,
}

/// What retention would do with an artifact now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArtifactPlanItem {
    /// Its ID.
    pub id: String,
    /// Its version.
    pub version: String,
    /// Its path.
    pub path: String,
    /// In bytes.
    pub size: u64,
    /// When it was uploaded (RFC 3339).
    pub created_at: String,
    /// Whether it stays.
    pub keep: bool,
    /// The rule that decides: `keep`, `exclude_latest`, `max_versions`, `max_age_days`, `max_total_size` or `none`.
    pub rule: String,
    /// Why, for people.
    pub reason: String,
}

/// A version, and what it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArtifactVersionItem {
    /// The version.
    pub version: String,
    /// Whether it is the newest of the repository.
    pub latest: bool,
    /// How many artifacts it has.
    pub artifact_count: u64,
    /// Bytes of its artifacts together.
    pub size: u64,
    /// When an artifact in it last changed, as RFC 3339.
    pub updated_at: String,
}

/// An entry of a directory of a version: another directory, or an artifact.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArtifactEntryItem {
    /// The last component of its path.
    pub name: String,
    /// Its path within the version.
    pub path: String,
    /// Whether it is a directory.
    pub is_directory: bool,
    /// How many artifacts are in it; 1 for an artifact.
    pub artifact_count: u64,
    /// In bytes.
    pub size: u64,
    /// When it, or an artifact in it, last changed, as RFC 3339.
    pub updated_at: String,
    /// The artifact, unless it is a directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<ArtifactInfo>,
}

/// A property that artifacts have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArtifactPropertyItem {
    /// Its key.
    pub key: String,
    /// How many artifacts have it.
    pub artifact_count: u64,
    /// How many values it has.
    pub value_count: u64,
    /// Its most frequent values.
    pub values: Vec<ArtifactPropertyValue>,
}

/// A value of a property.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArtifactPropertyValue {
    /// The value.
    pub value: String,
    /// How many artifacts have it.
    pub artifact_count: u64,
}

/// The rules of retention of a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArtifactRetentionRules {
    /// The rules that apply: its own, and those of the settings where it has none.
    #[schema(value_type = Object)]
    pub in_force: Map<String, Value>,
    /// Its own.
    #[schema(value_type = Option<Object>)]
    pub own: Option<Map<String, Value>>,
}
