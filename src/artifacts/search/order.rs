//! The orders of search results.

use std::fmt;

/// What results are sorted by. Ties are broken by the id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ArtifactSort {
    Name,
    Version,
    Path,
    Size,
    #[default]
    CreatedAt,
    UpdatedAt,
}

/// The order of search results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArtifactOrder {
    pub sort: ArtifactSort,
    pub descending: bool,
}

impl ArtifactSort {
    pub const ALL: [Self; 6] = [Self::Name, Self::Version, Self::Path, Self::Size, Self::CreatedAt, Self::UpdatedAt];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Version => "version",
            Self::Path => "path",
            Self::Size => "size",
            Self::CreatedAt => "created_at",
            Self::UpdatedAt => "updated_at",
        }
    }

    /// What a word means, in either case.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sort| sort.as_str().eq_ignore_ascii_case(word))
    }
}

impl ArtifactOrder {
    /// The word for the direction.
    pub fn direction(self) -> &'static str {
        if self.descending { "desc" } else { "asc" }
    }
}

impl Default for ArtifactOrder {
    /// The newest first.
    fn default() -> Self {
        Self { sort: ArtifactSort::default(), descending: true }
    }
}

impl fmt::Display for ArtifactSort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
