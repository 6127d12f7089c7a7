//! Manifests: kept byte for byte, refused when they mean two things, tagged, deleted.

mod children;
mod conditional;
mod deletion;
mod kept;
mod limits;
mod references;
mod refused;
