//! Settings of the search for artifacts.

use crate::artifacts::{ArtifactOrder, PropertyKey};

/// Settings of the search for artifacts, and of downloads of what it finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactSearchSettings {
    /// Most results in one answer.
    pub max_results: usize,
    /// The order of results, unless the request says another.
    pub order: ArtifactOrder,
    /// Most files in one archive.
    pub max_files: usize,
    /// Keys of properties that lead to their artifacts without looking at others.
    pub indexed: Vec<PropertyKey>,
}

impl Default for ArtifactSearchSettings {
    fn default() -> Self {
        Self {
            max_results: 100,
            order: ArtifactOrder::default(),
            max_files: 1000,
            indexed: ["build", "branch", "commit"].iter().filter_map(|key| key.parse().ok()).collect(),
        }
    }
}
