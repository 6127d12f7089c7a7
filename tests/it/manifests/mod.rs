//! Manifests: stored byte for byte, refused when ambiguous, tagged, deleted.

mod children;
mod conditional;
mod deletion;
mod kept;
mod limits;
mod references;
mod refused;
