//! What a search for artifacts asks: filters, the order of results, and which of them are wanted. Parsed once from the
//! query of a request; what it finds is in [`super::index`].

mod filters;
mod order;
mod query;
#[cfg(test)]
mod tests;
mod wildcard;

pub use filters::{ArtifactFilters, LONGEST_FILTER, MOST_FILTERS};
pub use order::{ArtifactOrder, ArtifactSort};
pub use query::{ArchiveFormat, ArtifactQuery, DownloadQuery, MOST_OFFSET};
pub use wildcard::Wildcard;

use std::borrow::Cow;

/// A parameter of a query that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct InvalidQuery {
    /// Its name, shortened.
    pub key: String,
    /// What is wrong, and what is allowed.
    pub problem: Cow<'static, str>,
}

impl InvalidQuery {
    fn new(key: &str, problem: impl Into<Cow<'static, str>>) -> Self {
        Self { key: oci::excerpt(key).into_owned(), problem: problem.into() }
    }
}
