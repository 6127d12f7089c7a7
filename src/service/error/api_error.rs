//! The errors of the management API and their rows of the table.

use super::ErrorRow;
use crate::config::{Problem, Problems};
use api::FieldProblem;
use http::StatusCode as S;
use serde_json::{Value, json};

/// After how many seconds to search again where artifacts are being indexed.
const INDEXING_RETRY: u64 = 5;

/// Why the management API did not serve a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// No such path, or nothing there that the caller may see.
    #[error("there is nothing at this path, or it is not visible to you")]
    NotFound,
    /// Fields of the request are missing, unknown or invalid.
    #[error("the request is invalid: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    InvalidRequest(Vec<FieldProblem>),
    /// The body has another media type.
    #[error("the request needs a body with Content-Type: {0}")]
    ContentType(&'static str),
    /// A path of another registry that has nothing behind it here; what replaces it.
    #[error("{0}")]
    Replaced(String),
    /// The body is longer than this many bytes.
    #[error("the body is longer than {0} bytes")]
    BodyTooLarge(usize),
    /// With the change, the configuration could not be loaded.
    #[error("the change was not made: the configuration would be invalid: {0}")]
    ConfigurationInvalid(Problems),
    /// Another thing has this name.
    #[error("{0} exists already")]
    NameTaken(String),
    /// It cannot be deleted while these refer to it.
    #[error("{what} is in use by {}", .by.join(", "))]
    InUse {
        /// What was to be deleted.
        what: String,
        /// What refers to it.
        by: Vec<String>,
    },
    /// The file with this setting is not edited by the registry.
    #[error("{path} cannot be changed here: {why}")]
    ReadOnlyFile {
        /// The file.
        path: String,
        why: String,
    },
    /// The file on disk is invalid, so it must be repaired by hand first.
    #[error("the file on disk is invalid and must be repaired first: {0}")]
    FileBroken(Problems),
    /// Somebody else is editing the file.
    #[error("somebody else is editing {0}; retry in a moment")]
    FileBusy(String),
    /// Reading or writing a file failed; the message is for the log.
    #[error("{0}")]
    FileFailed(String),
    /// An environment variable overrides this setting.
    #[error("{setting} is set by the environment variable {variable}")]
    LockedByEnvironment { setting: String, variable: String },
    /// Nobody could manage the registry any more.
    #[error("this would leave no administrator who can log in")]
    LastAdmin,
    /// A built-in role cannot be deleted.
    #[error("{0} is built in and cannot be deleted; it can be overridden")]
    Builtin(String),
    /// The request could mean several things, or something else is in its way.
    #[error("{0}")]
    Ambiguous(String),
    /// The resource is not in the state that the request requires; its current entity tag, if it exists.
    #[error(
        "the precondition failed: {}",
        if .0.is_some() { "it has changed, or exists already" } else { "it does not exist" }
    )]
    PreconditionFailed(Option<String>),
    /// The request needs `If-Match`.
    #[error("this request needs If-Match with the ETag of what it changes")]
    PreconditionRequired,
    /// Too many requests of this kind; the seconds after which to retry.
    #[error("too many requests; retry in {0} seconds")]
    TooManyRequests(u64),
    /// Artifacts of this repository are being indexed since they were first searched.
    #[error("the artifacts of {0} are being indexed; retry in {INDEXING_RETRY} seconds")]
    NotIndexedYet(String),
    /// Another registry does not answer as it should.
    #[error("{0}")]
    OtherRegistry(String),
    /// Without authentication, anybody could change the configuration.
    #[error("management needs logins: set REGISTRY_AUTH_TYPE=basic and REGISTRY_AUTH_HTPASSWD")]
    ManagementDisabled,
    /// Roles and rules have no effect.
    #[error("this needs access control: set REGISTRY_ACCESS_CONTROL_ENABLED=true and REGISTRY_ACCESS_CONTROL_CONFIG")]
    AccessControlDisabled,
    /// Users and passwords belong to an external token service.
    #[error("users and passwords are those of the external token service")]
    ExternalUsers,
    /// A token with scopes was sent.
    #[error("this token or API key does not include this; log in at /api/v1/auth/login, or use a password")]
    ScopeTooNarrow,
    /// A page of another site made the request.
    #[error("writes from pages of other sites are refused; list the page's origin in server.cors_origins to allow it")]
    OtherSite,
    /// Without authentication, only known host names are served.
    #[error("the host {0:?} is not a name of this registry; set REGISTRY_PUBLIC_URL if it is")]
    UnknownHost(String),
}

impl ApiError {
    /// A request with one problem.
    pub fn invalid(problem: FieldProblem) -> Self {
        Self::InvalidRequest(vec![problem])
    }

    /// The error's row. No arm matches several by default.
    pub(super) fn row(&self) -> ErrorRow {
        match self {
            Self::NotFound => ErrorRow::new(S::NOT_FOUND, "NOT_FOUND"),
            Self::Replaced(_) => ErrorRow::new(S::NOT_FOUND, "NOT_FOUND"),
            Self::InvalidRequest(problems) => ErrorRow::new(S::BAD_REQUEST, "INVALID_REQUEST").detail(problems),
            Self::ContentType(_) => ErrorRow::new(S::UNSUPPORTED_MEDIA_TYPE, "INVALID_REQUEST"),
            Self::BodyTooLarge(_) => ErrorRow::new(S::PAYLOAD_TOO_LARGE, "INVALID_REQUEST"),
            Self::ConfigurationInvalid(problems) => {
                ErrorRow::new(S::BAD_REQUEST, "INVALID_REQUEST").detail(detailed(problems))
            }
            Self::NameTaken(_) => ErrorRow::new(S::CONFLICT, "NAME_TAKEN"),
            Self::InUse { by, .. } => ErrorRow::new(S::CONFLICT, "IN_USE").detail(by),
            Self::ReadOnlyFile { path, .. } => {
                ErrorRow::new(S::CONFLICT, "READ_ONLY_FILE").detail(json!({ "file": path }))
            }
            Self::FileBroken(problems) => ErrorRow::new(S::CONFLICT, "FILE_BROKEN").detail(detailed(problems)),
            Self::FileBusy(_) => ErrorRow::unavailable(2),
            Self::FileFailed(_) => ErrorRow::internal(),
            Self::LockedByEnvironment { variable, .. } => {
                ErrorRow::new(S::CONFLICT, "LOCKED_BY_ENVIRONMENT").detail(json!({ "variable": variable }))
            }
            Self::LastAdmin => ErrorRow::new(S::CONFLICT, "LAST_ADMIN"),
            Self::Builtin(_) => ErrorRow::new(S::CONFLICT, "BUILTIN"),
            Self::Ambiguous(_) => ErrorRow::new(S::CONFLICT, "AMBIGUOUS"),
            Self::PreconditionFailed(current) => {
                ErrorRow::new(S::PRECONDITION_FAILED, "PRECONDITION_FAILED").detail(json!({ "current": current }))
            }
            Self::PreconditionRequired => ErrorRow::new(S::PRECONDITION_REQUIRED, "PRECONDITION_REQUIRED"),
            Self::TooManyRequests(seconds) => ErrorRow::too_many(*seconds),
            Self::NotIndexedYet(_) => ErrorRow::unavailable(INDEXING_RETRY),
            Self::OtherRegistry(_) => ErrorRow::new(S::BAD_GATEWAY, "OTHER_REGISTRY"),
            Self::ManagementDisabled => ErrorRow::new(S::FORBIDDEN, "MANAGEMENT_DISABLED"),
            Self::AccessControlDisabled => ErrorRow::new(S::CONFLICT, "ACCESS_CONTROL_DISABLED"),
            Self::ExternalUsers => ErrorRow::new(S::CONFLICT, "EXTERNAL_USERS"),
            Self::ScopeTooNarrow => ErrorRow::new(S::FORBIDDEN, "SCOPE_TOO_NARROW"),
            Self::OtherSite => ErrorRow::new(S::FORBIDDEN, "DENIED"),
            Self::UnknownHost(_) => ErrorRow::new(S::FORBIDDEN, "DENIED"),
        }
    }
}

/// The problems of a file, each with file, line and key.
fn detailed(problems: &Problems) -> Value {
    let problem = |problem: &Problem| {
        json!({
            "file": problem.file.as_ref().map(|file| file.display().to_string()),
            "line": problem.line,
            "key": problem.key,
            "problem": problem.message,
        })
    };
    problems.0.iter().map(problem).collect()
}
