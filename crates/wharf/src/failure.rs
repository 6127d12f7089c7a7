//! Why a command failed, and with which status the process exits.

use client::ErrorKind;
use http::StatusCode;
use std::{fmt, io};

/// The exit statuses, as `wharf --help` lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// There is nothing more to do: whoever read the output has gone.
    Done = 0,
    /// It failed, or the answer is no.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// Nobody is logged in, or the credentials were refused.
    NotLoggedIn = 3,
    /// It does not exist, or nothing matches.
    NotFound = 4,
    /// It is not allowed.
    Forbidden = 5,
    /// It exists already, has changed meanwhile, or its file cannot be written.
    Conflict = 6,
    /// The server cannot be reached, or not safely, or not in time.
    Unreachable = 7,
    /// Some of several failed.
    Partial = 8,
    /// Content does not have its digest.
    Digest = 9,
}

/// A command that failed.
#[derive(Debug)]
pub struct Failure {
    /// The status to exit with.
    pub status: ExitStatus,
    /// What failed; empty if it has been reported already, or if the status says all.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The status of the answer that said so.
    pub http: Option<StatusCode>,
}

impl Failure {
    /// A failure of a kind.
    pub fn new(status: ExitStatus, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), hint: None, http: None }
    }

    /// A failure of no special kind.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(ExitStatus::Failed, message)
    }

    /// A command line that makes no sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ExitStatus::Usage, message)
    }

    /// Something that is not there.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ExitStatus::NotFound, message)
    }

    /// The answer to the question is no; nothing is printed.
    pub fn no() -> Self {
        Self::new(ExitStatus::Failed, "")
    }

    /// With advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// An operation on a file that failed.
    pub fn file(operation: &str, path: &std::path::Path, error: &io::Error) -> Self {
        Self::failed(format!("cannot {operation} {}: {error}", path.display()))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<client::Error> for Failure {
    fn from(error: client::Error) -> Self {
        let status = match error.kind() {
            ErrorKind::Unauthorized => ExitStatus::NotLoggedIn,
            ErrorKind::NotFound => ExitStatus::NotFound,
            ErrorKind::Denied => ExitStatus::Forbidden,
            ErrorKind::Conflict => ExitStatus::Conflict,
            ErrorKind::Unreachable | ErrorKind::Tls | ErrorKind::Timeout => ExitStatus::Unreachable,
            ErrorKind::Digest => ExitStatus::Digest,
            _ => ExitStatus::Failed,
        };
        let failure = Self { http: error.status(), ..Self::new(status, error.to_string()) };
        match error.kind() {
            ErrorKind::Unauthorized => failure.hint("log in with wharf login, as a user who may do this"),
            ErrorKind::Tls => failure.hint("for plain HTTP write http:// before the host, or give --plain-http"),
            _ => failure,
        }
    }
}

/// CommandOutput that nobody reads any more is the end of the command, not an error.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::new(ExitStatus::Done, ""),
            _ => Self::failed(format!("cannot write the output: {error}")),
        }
    }
}
