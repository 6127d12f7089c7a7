//! Search for artifacts, and what retention would do with them.

use crate::artifacts::ArtifactInfo;
use serde::{Deserialize, Serialize};
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
