//! The artifact store: repositories of files with versions and properties.

mod archive;
mod browse;
mod download;
mod edit;
mod endpoint;
mod file;
mod found;
mod item;
mod one;
mod operations;
mod plan;
mod repositories;
mod search;
mod trash;
mod upload;
mod versions;

pub use endpoint::{ArtifactEndpoint, AskedVersion};
pub(in super::super) use found::ArtifactSearchEndpoint;
pub(super) use found::OPERATIONS as SEARCH_OPERATIONS;
pub(super) use operations::OPERATIONS;
