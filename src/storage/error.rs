//! Trouble with the storage, told apart by what the caller can do about it.

use std::io;

/// Why a storage call failed. "Not there" is never one of these.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk, a quota or the reserve is exhausted.
    #[error("no space left: cannot write {what}")]
    Full {
        /// What was to be written.
        what: String,
    },
    /// Nothing is written for now; reading goes on.
    #[error("storage is read-only: {why}")]
    ReadOnly {
        /// What is wrong.
        why: String,
    },
    /// A file holds what it cannot hold.
    #[error("{what} is damaged: {why}")]
    Damaged {
        /// Which file.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// Any other failure of the operating system.
    #[error("cannot {operation} {what}: {source}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        what: String,
        /// What the system said.
        source: io::Error,
    },
}

impl Error {
    /// Sorts an error of the operating system.
    pub fn io(operation: &'static str, what: impl Into<String>, source: io::Error) -> Self {
        let what = what.into();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { what },
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { why: source.to_string() },
            io::ErrorKind::InvalidData => Self::Damaged { what, why: source.to_string() },
            _ => Self::Io { operation, what, source },
        }
    }

    /// A file that holds what it cannot hold.
    pub fn damaged(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Damaged { what: what.into(), why: why.into() }
    }
}
