//! The artifact store: repositories of files with versions and properties.

mod edit;
mod endpoint;
mod file;
mod item;
mod operations;
mod repositories;
mod trash;
mod upload;
mod versions;

pub use endpoint::{ArtifactEndpoint, AskedVersion};
pub(super) use operations::OPERATIONS;
