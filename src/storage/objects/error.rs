//! Errors of a store of objects, distinguished by what the caller can do about them.

use crate::storage::StorageError;
use std::{io, time::Duration};

/// The result of a call to a store of objects.
pub type ObjectResult<T> = Result<T, ObjectError>;

/// Why a call to a store of objects failed. The texts contain no secrets, and no addresses that grant access.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ObjectError {
    /// There is no such object.
    #[error("there is no such object")]
    Absent,
    /// The condition of a write did not hold.
    #[error("the object has changed")]
    Changed,
    /// It works later: the server is busy, unreachable, or did not answer in time. Whether anything was done is
    /// unknown.
    #[error("the object store is unavailable: {why}")]
    Unavailable {
        /// What happened.
        why: String,
        /// When to try again, if the server said so.
        retry_after: Option<Duration>,
    },
    /// There is no space left, or a quota is used up.
    #[error("the object store is full: {why}")]
    Full {
        /// What the server said.
        why: String,
    },
    /// Credentials are missing, have expired, or do not permit this.
    #[error("the object store denies access: {why}")]
    Denied {
        /// What the server said.
        why: String,
    },
    /// Bytes do not have the checksum or length that they should have.
    #[error("the object store returned damaged data: {why}")]
    Damaged {
        /// What is wrong.
        why: String,
    },
    /// Anything else: a request that the server does not understand, or an answer that we do not.
    #[error("the object store failed: {why}")]
    Other {
        /// What happened.
        why: String,
    },
}

impl ObjectError {
    /// The error of storage, for an operation on a key.
    pub(in crate::storage) fn during(self, operation: &'static str, key: &str) -> StorageError {
        match self {
            Self::Full { .. } => StorageError::Full { what: key.into() },
            Self::Damaged { why } => StorageError::damaged(key, why),
            Self::Unavailable { why, retry_after } => {
                StorageError::Unavailable { operation, what: key.into(), why, retry_after }
            }
            Self::Denied { .. } => {
                StorageError::io(operation, key, io::Error::new(io::ErrorKind::PermissionDenied, self.to_string()))
            }
            Self::Absent | Self::Changed | Self::Other { .. } => {
                StorageError::io(operation, key, io::Error::other(self.to_string()))
            }
        }
    }
}

/// `None` in place of [`ObjectError::Absent`].
pub(in crate::storage) fn found<T>(result: ObjectResult<T>) -> ObjectResult<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(ObjectError::Absent) => Ok(None),
        Err(error) => Err(error),
    }
}
