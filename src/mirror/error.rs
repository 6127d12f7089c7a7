//! Why something could not be brought here.

use crate::registry::RegistryError;

/// Why something could not be brought here. Several clients get the same one.
#[derive(Clone, Debug, thiserror::Error)]
pub enum MirrorError {
    /// The upstream does not have it, or does not show it to us: some registries do not tell the two apart.
    #[error("the mirrored registry does not have it")]
    Absent,
    /// The upstream does not answer, or wants to be left alone for some seconds.
    #[error("{upstream} cannot be asked now: {why}")]
    Unavailable { upstream: String, why: String, seconds: u64 },
    /// The upstream's answer cannot be used.
    #[error("{upstream} gave an answer that cannot be used: {why}")]
    Unusable { upstream: String, why: String },
    /// It cannot be stored here.
    #[error("what was fetched cannot be stored: {0}")]
    Store(String),
}

impl From<RegistryError> for MirrorError {
    fn from(error: RegistryError) -> Self {
        Self::Store(error.to_string())
    }
}
