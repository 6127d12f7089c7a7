//! What an OCI registry is; no HTTP in sight.

pub mod settings;
