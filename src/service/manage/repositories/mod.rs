//! Repositories as a whole: lists, facts, deletion, and what they hold.

mod access;
mod change;
mod endpoint;
mod item;
mod list;
mod manifests;
mod operations;
mod retention;
mod tags;

pub use endpoint::RepositoryEndpoint;
pub(super) use operations::OPERATIONS;

use super::super::{
    error::{ApiError, FieldProblem, ServiceError},
    gate::Granted,
    query::Query,
};
use oci::RepositoryName;

/// What comes between a repository's name and what belongs to the repository: no component of a name can be this.
pub(super) const MARK: &str = "-";

/// The name of a repository, from its components.
fn name_of(segments: &[&str]) -> Result<RepositoryName, ServiceError> {
    Ok(segments.join("/").parse::<RepositoryName>()?)
}

/// A field that cannot be read.
pub(super) fn invalid(at: &str, problem: impl ToString) -> ServiceError {
    ApiError::invalid(FieldProblem::new(at, problem.to_string())).into()
}

impl Granted {
    /// The parameters of the request.
    pub(in super::super::super) fn parameters(&self) -> Query<'_> {
        Query::parse(self.request.head.uri.query().unwrap_or_default())
    }

    /// The name of a user, if the caller may know it: strangers are not told who has an account here.
    pub(super) fn user_name<T>(&self, name: Option<T>) -> Option<T> {
        name.filter(|_| self.who().subject.name().is_some() || self.request.live.identity.is_nobody())
    }
}
