//! Wharfinger: a container registry you run from files.

pub mod cli;
pub mod config;
/// What an OCI registry is, without HTTP.
pub mod registry {
    pub mod settings;
}
