//! Quotas: how much repositories may hold together.

use oci::{Patterns, RepositoryName};

/// A limit on what all repositories that match hold together. Every quota that matches a repository applies to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// The repositories that it counts: any of these patterns.
    pub repositories: Patterns,
    /// The most bytes of manifests and blobs; what several of the repositories share counts in each of them.
    pub bytes: Option<u64>,
    /// The most tags.
    pub tags: Option<u64>,
    /// The most repositories.
    pub number: Option<u64>,
}

impl Quota {
    /// Whether it counts a repository.
    pub(crate) fn counts(&self, repository: &RepositoryName) -> bool {
        self.repositories.matches(repository, None)
    }

    /// Its patterns, for people.
    pub fn patterns(&self) -> String {
        self.repositories.as_slice().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }
}
