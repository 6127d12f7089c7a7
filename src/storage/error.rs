//! Storage errors, distinguished by what the caller can do about them.

use rustix::io::Errno;
use std::{io, time::Duration};

/// Why a storage call failed. "Not found" is never an error.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The disk, a quota or the reserve is exhausted.
    #[error("no space left: cannot write {what}")]
    Full {
        /// What was being written.
        what: String,
    },
    /// Writing has stopped for now; reading continues.
    #[error("storage is read-only: {why}")]
    ReadOnly {
        /// What is wrong.
        why: String,
    },
    /// A file has contents that it cannot have.
    #[error("{what} is damaged: {why}")]
    Damaged {
        /// Which file.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// The process has as many files open as the system allows.
    #[error("too many files are open: cannot {operation} {what}")]
    TooManyFiles {
        /// What was attempted.
        operation: &'static str,
        /// On which path or object.
        what: String,
    },
    /// The storage is another machine's, and it cannot be reached or is too busy.
    #[error("cannot {operation} {what}: the storage is unavailable: {why}")]
    Unavailable {
        /// What was attempted.
        operation: &'static str,
        /// On which object.
        what: String,
        /// What happened.
        why: String,
        /// When to try again, if the other machine said so.
        retry_after: Option<Duration>,
    },
    /// Any other failure of the operating system.
    #[error("cannot {operation} {what}: {source}")]
    Io {
        /// What was attempted.
        operation: &'static str,
        /// On which path or object.
        what: String,
        /// The error of the system.
        source: io::Error,
    },
}

impl StorageError {
    /// Classifies an error of the operating system.
    pub fn io(operation: &'static str, what: impl Into<String>, source: io::Error) -> Self {
        let what = what.into();
        match source.kind() {
            // The file would exceed `ulimit -f`, or the limit of the file system.
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::Full { what }
            }
            _ if matches!(Errno::from_io_error(&source), Some(Errno::MFILE | Errno::NFILE)) => {
                Self::TooManyFiles { operation, what }
            }
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { why: source.to_string() },
            io::ErrorKind::InvalidData => Self::Damaged { what, why: source.to_string() },
            _ => Self::Io { operation, what, source },
        }
    }

    /// An error for a file that has contents it cannot have.
    pub fn damaged(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Damaged { what: what.into(), why: why.into() }
    }
}
