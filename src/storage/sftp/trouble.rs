//! What can go wrong with an SFTP server.

use russh_sftp::{client::error::Error as SftpError, protocol::StatusCode};

/// Why a call to an SFTP server failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SftpTrouble {
    /// The server did not prove a host key that is known. Trying again does not help.
    #[error("{0}")]
    HostKey(String),
    /// The server refused the login. Trying again does not help.
    #[error("{0}")]
    Login(String),
    /// There is no connection, or it was lost: the effect of a write is unknown.
    #[error("SFTP server {0}")]
    Unreachable(String),
    /// No such file or directory.
    #[error("no such file")]
    Missing,
    /// The server does not allow it.
    #[error("permission denied by the SFTP server")]
    Denied,
    /// The server cannot do this at all.
    #[error("the SFTP server does not support this")]
    Unsupported,
    /// The lock of the writer is lost.
    #[error("another daemon has taken the store over")]
    TakenOver,
    /// Everything else; servers rarely say more.
    #[error("the SFTP server reports: {0}")]
    Failed(String),
}

impl SftpTrouble {
    /// Whether another connection may do better.
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }
}

impl From<SftpError> for SftpTrouble {
    fn from(error: SftpError) -> Self {
        match error {
            SftpError::Status(status) => match status.status_code {
                StatusCode::NoSuchFile => Self::Missing,
                StatusCode::PermissionDenied => Self::Denied,
                StatusCode::OpUnsupported => Self::Unsupported,
                StatusCode::NoConnection | StatusCode::ConnectionLost => Self::Unreachable(status.error_message),
                code if status.error_message.is_empty() => Self::Failed(code.to_string()),
                _ => Self::Failed(status.error_message),
            },
            SftpError::Limited(what) => Self::Failed(what),
            SftpError::Timeout => Self::Unreachable("does not answer".into()),
            error => Self::Unreachable(format!("connection lost: {error}")),
        }
    }
}
