//! Why an image was not copied.

use super::limits::LONGEST_MESSAGE;
use crate::{registry::RegistryError, storage::StorageError};
use client::ErrorKind;
use oci::media_type;
use std::time::Duration;

/// Why an image was not copied.
#[derive(Debug, thiserror::Error)]
pub(super) enum CopyFailure {
    /// By the other registry.
    #[error("{0}")]
    Source(client::Error),
    /// By this one.
    #[error("it cannot be stored here: {0}")]
    Here(RegistryError),
    /// The other registry sends too little.
    #[error("the other registry sends less than {} in {} seconds", crate::files::Size(super::limits::SLOWEST), .0.as_secs())]
    TooSlow(Duration),
    /// What was received in several parts does not fit together. The next attempt begins anew.
    #[error("the parts of a blob do not fit together: {0}")]
    Parts(RegistryError),
    /// Another attempt would change nothing.
    #[error("{0}")]
    Final(String),
}

impl CopyFailure {
    /// Whether another attempt may succeed.
    pub(super) fn is_temporary(&self) -> bool {
        match self {
            // A proxy or a disk on the way may have changed the bytes.
            Self::Source(error) => error.is_temporary() || error.kind() == ErrorKind::Digest,
            Self::Here(RegistryError::Overtaken | RegistryError::TooManyUploads) => true,
            Self::TooSlow(_) | Self::Parts(_) => true,
            Self::Here(_) | Self::Final(_) => false,
        }
    }

    /// Whether it is likely to hit every other image, too.
    pub(super) fn is_of_all(&self) -> bool {
        match self {
            Self::Source(error) => matches!(
                error.kind(),
                ErrorKind::Unreachable
                    | ErrorKind::Tls
                    | ErrorKind::Timeout
                    | ErrorKind::Refused
                    | ErrorKind::Unauthorized
                    | ErrorKind::TooManyRequests
            ),
            Self::Here(error) => matches!(error, RegistryError::Storage(_) | RegistryError::Stopping),
            Self::TooSlow(_) => true,
            Self::Parts(_) | Self::Final(_) => false,
        }
    }

    /// The message for people, without what only developers need.
    pub(super) fn message(&self) -> String {
        let message = match self {
            Self::Here(RegistryError::Storage(StorageError::Full { .. })) => {
                "it cannot be stored here: there is not enough free space".to_owned()
            }
            Self::Here(RegistryError::Storage(error)) => {
                tracing::error!(%error, "a migration cannot write to the store");
                "it cannot be stored here: the log says why".to_owned()
            }
            other => other.to_string(),
        };
        shortened(&message)
    }

    /// The refusal of a manifest that cannot be copied because of its type.
    pub(super) fn of_type(found: &str) -> Self {
        let essence = media_type::essence(found);
        if essence.starts_with("application/vnd.docker.distribution.manifest.v1+") {
            return Self::Final(
                "the image has the format of Docker before 1.10 (schema 1), which clients no longer pull and this \
                 registry does not store; pull it with an old Docker, and push it again with a current one"
                    .to_owned(),
            );
        }
        Self::Final(format!("manifests of type {:?} are not stored here", oci::excerpt(essence)))
    }
}

impl From<client::Error> for CopyFailure {
    fn from(error: client::Error) -> Self {
        Self::Source(error)
    }
}

impl From<RegistryError> for CopyFailure {
    fn from(error: RegistryError) -> Self {
        Self::Here(error)
    }
}

/// A message that is kept, of at most [`LONGEST_MESSAGE`] characters.
pub(super) fn shortened(message: &str) -> String {
    match message.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message.to_owned(),
    }
}
