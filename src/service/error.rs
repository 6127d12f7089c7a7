//! The table of all errors a request can end with: their status, code and headers.
//!
//! A test compares it with `docs/errors.md`.

mod api_error;
mod written;

pub use api::FieldProblem;
pub use api_error::ApiError;
pub(super) use written::ErrorFormat;

use super::{
    answer::{SessionReply, session_headers},
    endpoint::Methods,
};
use crate::{
    accounts::AccountsError,
    mirror::MirrorError,
    registry::{self, Interruption, QuotaLimit},
    storage,
    wire::memory::MemoryUsedUp,
};
use http::{HeaderName, StatusCode, header, uri::Authority};
use oci::{InvalidDigest, InvalidName, InvalidReference, InvalidTag};
use serde::Serialize;
use serde_json::{Value, json};
use std::borrow::Cow;

/// Why a request was not served.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    #[error("no such path in this registry")]
    PathUnknown,
    /// The endpoint does not have this method; the allowed ones.
    #[error("method not allowed: this path accepts {0}")]
    MethodNotAllowed(Methods),
    #[error("too many connections, from this address or in total: retry in a few seconds")]
    TooManyConnections,
    /// The memory limit for clients is reached.
    #[error(transparent)]
    MemoryUsedUp(#[from] MemoryUsedUp),
    #[error("the request line and headers are longer than {limit} bytes; the longest part is {part}, {len} bytes")]
    HeadTooLarge {
        limit: usize,
        /// Its longest part: a header, or the URL.
        part: String,
        len: usize,
    },
    /// Both `Content-Length` and `Transfer-Encoding`: where the body ends would be ambiguous.
    #[error(
        "a request must have either Content-Length or Transfer-Encoding, not both; with the latter it must not be sent \
         before the response to the one before it"
    )]
    LengthAmbiguous,
    /// Two `Authorization` headers: which one counts would be ambiguous.
    #[error("the request has more than one Authorization header")]
    AuthorizationRepeated,
    #[error("{}", crate::identity::InvalidCredentials::TooLong)]
    AuthorizationTooLong,
    /// Authentication is missing or failed; the client may log in by this challenge.
    #[error("not logged in: {reason}")]
    Unauthorized {
        /// The value of `WWW-Authenticate`.
        challenge: String,
        message: Cow<'static, str>,
        /// The reason for the log.
        reason: String,
    },
    /// A login is required, but no URL is known to which a client could safely send a password.
    #[error(
"no login by plain HTTP as {}: set REGISTRY_PUBLIC_URL to the https address that clients use, or name the TLS \
         proxy in REGISTRY_TRUSTED_PROXIES",
.0.as_ref().map_or("an unknown host", |host| host.as_str())
)]
    LoginUnsafe(Option<Authority>),
    /// The caller is not allowed to do this, and logging in again would not help.
    #[error("denied: {reason}")]
    Denied {
        message: String,
        /// The reason for the log.
        reason: String,
    },
    /// Too many passwords wait to be verified; the seconds after which to retry.
    #[error("too many logins at once; retry in {0} seconds")]
    LoginBusy(u64),
    /// The client has reached its limit of costly requests in progress.
    #[error("too many costly requests of this client at once; retry in {COSTLY_RETRY} second")]
    TooManyHeavy,
    #[error("{what}{}{message}", if message.is_empty() { "" } else { ": " })]
    SwitchedOff {
        /// The setting that disables it.
        what: &'static str,
        /// The methods that are still allowed.
        allow: String,
        message: std::sync::Arc<str>,
    },
    /// A token request in neither of the two forms.
    #[error("{0}")]
    TokenRequest(&'static str),
    #[error(transparent)]
    TokenUnsigned(#[from] crate::identity::Unsigned),
    #[error(transparent)]
    NameInvalid(#[from] InvalidName),
    #[error(transparent)]
    TagInvalid(#[from] InvalidTag),
    /// Invalid digest, or one of an algorithm that is not supported.
    #[error(transparent)]
    DigestInvalid(#[from] InvalidDigest),
    #[error("no upload has this ID")]
    UploadIdInvalid,
    #[error("the query parameter {0:?} must not be repeated")]
    ParameterRepeated(&'static str),
    #[error("the query parameter \"n\" must be a whole number, 0 or more")]
    PageSizeInvalid,
    #[error("{0}")]
    ChunkRangeInvalid(#[from] oci::InvalidChunkRange),
    /// An invalid or unsupported precondition header.
    #[error("a push accepts If-Match with digests or *, or If-None-Match: *, and not both headers")]
    ConditionInvalid,
    #[error("the requested range is outside the content, which has {0} bytes")]
    RangeNotSatisfiable(u64),
    /// The body has this content encoding; a digest is that of the bytes as sent.
    #[error("Content-Encoding {0:?} is not supported for a manifest: send it uncompressed")]
    EncodingUnsupported(String),
    /// What a repository mirrors cannot be fetched.
    #[error(transparent)]
    Mirror(#[from] MirrorError),
    /// The management API refused.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The registry refused or failed.
    #[error(transparent)]
    Registry(#[from] registry::RegistryError),
    /// The handler panicked. Only this request ends.
    #[error("a request handler panicked")]
    Panicked,
}

impl From<InvalidReference> for ServiceError {
    fn from(invalid: InvalidReference) -> Self {
        match invalid {
            InvalidReference::Tag(e) => e.into(),
            InvalidReference::Digest(e) => e.into(),
        }
    }
}

impl From<AccountsError> for ServiceError {
    fn from(error: AccountsError) -> Self {
        match error {
            AccountsError::Storage(error) => error.into(),
            AccountsError::NoRandomness => crate::identity::Unsigned.into(),
            AccountsError::TooManyKeys | AccountsError::Contended(_) => ApiError::Ambiguous(error.to_string()).into(),
        }
    }
}

impl From<storage::StorageError> for ServiceError {
    fn from(error: storage::StorageError) -> Self {
        Self::Registry(error.into())
    }
}

/// Seconds after which a client may retry a costly request: none takes longer.
const COSTLY_RETRY: u64 = 1;

/// A row of the table.
pub(super) struct ErrorRow {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    /// The message for the client, if it differs from the error's own.
    message: Option<Cow<'static, str>>,
    headers: Vec<(HeaderName, String)>,
    /// More for programs.
    detail: Option<Value>,
}

impl ErrorRow {
    const fn new(status: StatusCode, code: &'static str) -> Self {
        Self { status, code, message: None, headers: Vec::new(), detail: None }
    }

    fn detail(self, detail: impl Serialize) -> Self {
        Self { detail: Some(json!(detail)), ..self }
    }

    fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn message(self, words: impl Into<Cow<'static, str>>) -> Self {
        Self { message: Some(words.into()), ..self }
    }

    /// 401 with a challenge.
    fn log_in(challenge: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED").with(header::WWW_AUTHENTICATE, challenge)
    }

    /// 405 with the allowed methods.
    fn not_allowed(allow: impl Into<String>) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED").with(header::ALLOW, allow)
    }

    /// 429 with `Retry-After` in seconds.
    fn too_many(seconds: u64) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS").with(header::RETRY_AFTER, seconds.to_string())
    }

    /// 503 with `Retry-After` in seconds.
    fn unavailable(seconds: u64) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE").with(header::RETRY_AFTER, seconds.to_string())
    }

    /// 500: an internal failure, whose details are in the log.
    fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN").message(OURS)
    }
}

/// The message of every internal failure; the details are in the log.
const OURS: &str = "internal error: see the registry's log for this request ID (X-Request-Id)";

/// As a reason phrase this ends a push: docker's engine retries every 5xx for 50 seconds, except one that says "no
/// space left on device".
const FULL: &str = "the registry's storage is full (no space left on device); pulls still work";

impl ServiceError {
    /// The error's row. No arm matches several by default, so every new error states its status, code, headers and
    /// message. Statuses that need a header have a function of their own, so that none is forgotten.
    ///
    /// The message is never just the specification's text for the code: Docker's library then drops the message, and
    /// its engine retries for a minute.
    ///
    /// An error that a retry does not solve has a code that clients do not retry: docker's engine repeats a push for 50
    /// seconds on SIZE_INVALID, crane on UNAVAILABLE and podman on both, and none of them on DENIED.
    pub(super) fn row(&self) -> ErrorRow {
        use StatusCode as S;
        use registry::RegistryError as R;
        match self {
            Self::PathUnknown => ErrorRow::new(S::NOT_FOUND, "UNSUPPORTED"),
            Self::MethodNotAllowed(allow) => ErrorRow::not_allowed(allow.to_string()),
            Self::TooManyConnections => ErrorRow::unavailable(5).with(header::CONNECTION, "close"),
            Self::MemoryUsedUp(_) => ErrorRow::unavailable(5),
            Self::HeadTooLarge { .. } => ErrorRow::new(S::REQUEST_HEADER_FIELDS_TOO_LARGE, "SIZE_INVALID"),
            Self::LengthAmbiguous => ErrorRow::new(S::BAD_REQUEST, "SIZE_INVALID").with(header::CONNECTION, "close"),
            Self::AuthorizationRepeated => ErrorRow::new(S::BAD_REQUEST, "UNAUTHORIZED"),
            Self::AuthorizationTooLong => ErrorRow::new(S::REQUEST_HEADER_FIELDS_TOO_LARGE, "UNAUTHORIZED"),
            // The reason is only logged: it could reveal to strangers what exists.
            Self::Unauthorized { challenge, message, .. } => ErrorRow::log_in(challenge).message(message.clone()),
            Self::LoginUnsafe(_) => ErrorRow::new(S::FORBIDDEN, "DENIED"),
            Self::Denied { message, .. } => ErrorRow::new(S::FORBIDDEN, "DENIED").message(message.clone()),
            Self::LoginBusy(seconds) => ErrorRow::too_many(*seconds),
            Self::TooManyHeavy => ErrorRow::too_many(COSTLY_RETRY),
            Self::SwitchedOff { allow, .. } => ErrorRow::not_allowed(allow),
            Self::TokenRequest(_) => ErrorRow::new(S::BAD_REQUEST, "UNSUPPORTED"),
            Self::TokenUnsigned(_) => ErrorRow::internal(),
            Self::NameInvalid(_) => ErrorRow::new(S::BAD_REQUEST, "NAME_INVALID"),
            Self::TagInvalid(_) => ErrorRow::new(S::BAD_REQUEST, "TAG_INVALID"),
            Self::DigestInvalid(_) => ErrorRow::new(S::BAD_REQUEST, "DIGEST_INVALID"),
            Self::UploadIdInvalid => ErrorRow::new(S::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN"),
            Self::ParameterRepeated(_) => ErrorRow::new(S::BAD_REQUEST, "UNSUPPORTED"),
            Self::PageSizeInvalid => ErrorRow::new(S::BAD_REQUEST, "PAGINATION_NUMBER_INVALID"),
            Self::ChunkRangeInvalid(_) => ErrorRow::new(S::BAD_REQUEST, "BLOB_UPLOAD_INVALID"),
            Self::ConditionInvalid => ErrorRow::new(S::BAD_REQUEST, "UNSUPPORTED"),
            Self::RangeNotSatisfiable(len) => ErrorRow::new(S::RANGE_NOT_SATISFIABLE, "RANGE_INVALID")
                .with(header::CONTENT_RANGE, format!("bytes */{len}")),
            Self::EncodingUnsupported(_) => {
                ErrorRow::new(S::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED").with(header::ACCEPT_ENCODING, "identity")
            }
            Self::Panicked => ErrorRow::internal(),
            Self::Mirror(MirrorError::Absent) => ErrorRow::new(S::NOT_FOUND, "MANIFEST_UNKNOWN"),
            // The reason names addresses of the operator's network, and is for the log.
            Self::Mirror(MirrorError::Unavailable { upstream, seconds, .. }) => {
                ErrorRow::unavailable(*seconds).message(format!(
                    "{upstream}, which this repository mirrors, does not answer now; what is here already can be pulled"
                ))
            }
            Self::Mirror(MirrorError::Unusable { upstream, .. }) => {
                ErrorRow::new(S::BAD_GATEWAY, "UNKNOWN").message(format!(
                    "{upstream}, which this repository mirrors, gave an answer that cannot be used; see the registry's log"
                ))
            }
            Self::Mirror(MirrorError::Store(_)) => {
                ErrorRow::unavailable(30).message("the registry cannot store what it mirrors; see its log")
            }
            Self::Api(error) => error.row(),
            Self::Registry(error) => {
                match error {
                    R::BlobUnknown(_) => ErrorRow::new(S::NOT_FOUND, "BLOB_UNKNOWN"),
                    R::ManifestUnknown(_) => ErrorRow::new(S::NOT_FOUND, "MANIFEST_UNKNOWN"),
                    R::NameUnknown(_) => ErrorRow::new(S::NOT_FOUND, "NAME_UNKNOWN"),
                    R::RepositoryAbsent(_) => ErrorRow::new(S::FORBIDDEN, "DENIED"),
                    R::NamespaceAbsent { .. } => ErrorRow::new(S::FORBIDDEN, "DENIED"),
                    R::RepositoryExists(_) => ErrorRow::new(S::CONFLICT, "NAME_TAKEN"),
                    R::RepositoryLeaving(_) => ErrorRow::unavailable(5),
                    R::NamespaceExists(_) => ErrorRow::new(S::CONFLICT, "NAME_TAKEN"),
                    R::NamespaceUnknown(_) => ErrorRow::new(S::NOT_FOUND, "NOT_FOUND"),
                    R::NamespaceInUse(_) => ErrorRow::new(S::CONFLICT, "IN_USE"),
                    R::UploadUnknown(_) => ErrorRow::new(S::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN"),
                    R::ArtifactRepositoryUnknown(_) => ErrorRow::new(S::NOT_FOUND, "NOT_FOUND"),
                    R::ArtifactRepositoryExists(_) => ErrorRow::new(S::CONFLICT, "NAME_TAKEN"),
                    R::ArtifactRepositoryInTrash(_) => ErrorRow::new(S::CONFLICT, "NAME_TAKEN"),
                    R::ArtifactUnknown => ErrorRow::new(S::NOT_FOUND, "NOT_FOUND"),
                    R::ArtifactExists(_) => ErrorRow::new(S::CONFLICT, "NAME_TAKEN"),
                    R::ArtifactAmbiguous(ids) => ErrorRow::new(S::CONFLICT, "AMBIGUOUS").detail(ids),
                    R::ArtifactTooLarge(_) => ErrorRow::new(S::PAYLOAD_TOO_LARGE, "DENIED"),
                    R::PropertyMissing(_) => ErrorRow::new(S::BAD_REQUEST, "INVALID_REQUEST"),
                    R::MediaTypeRefused(_) => ErrorRow::new(S::UNSUPPORTED_MEDIA_TYPE, "DENIED"),
                    R::MissingReferences(_) => ErrorRow::new(S::BAD_REQUEST, "MANIFEST_BLOB_UNKNOWN"),
                    R::ManifestInvalid(_) => ErrorRow::new(S::BAD_REQUEST, "MANIFEST_INVALID"),
                    R::ManifestTooLarge(_) => ErrorRow::new(S::PAYLOAD_TOO_LARGE, "DENIED"),
                    R::DigestMismatch { .. } => ErrorRow::new(S::BAD_REQUEST, "DIGEST_INVALID"),
                    R::OutOfOrder { home, id, len } => ErrorRow {
                        headers: session_headers(home, id, *len, SessionReply::ChunkRefused),
                        ..ErrorRow::new(S::RANGE_NOT_SATISFIABLE, "BLOB_UPLOAD_INVALID")
                    },
                    R::ChunkLength => ErrorRow::new(S::BAD_REQUEST, "SIZE_INVALID"),
                    R::BlobTooLarge(_) => ErrorRow::new(S::PAYLOAD_TOO_LARGE, "DENIED"),
                    R::TooManyUploads => ErrorRow::too_many(60),
                    R::UploadBytesExceeded(_) => ErrorRow::new(S::PAYLOAD_TOO_LARGE, "DENIED"),
                    R::QuotaExceeded(quota) => match quota.limit {
                        QuotaLimit::Bytes(_) => ErrorRow::new(S::PAYLOAD_TOO_LARGE, "DENIED"),
                        QuotaLimit::Tags(_) => ErrorRow::new(S::FORBIDDEN, "DENIED"),
                        QuotaLimit::Repositories(_) => ErrorRow::new(S::FORBIDDEN, "DENIED"),
                    },
                    R::TooManyTags(_) => ErrorRow::new(S::URI_TOO_LONG, "TAG_INVALID"),
                    R::TagImmutable(_) => ErrorRow::new(S::CONFLICT, "DENIED"),
                    R::ImmutableContent(_) => ErrorRow::new(S::FORBIDDEN, "DENIED"),
                    R::ChildProtected(_) => ErrorRow::new(S::FORBIDDEN, "DENIED"),
                    R::PreconditionFailed => ErrorRow::new(S::PRECONDITION_FAILED, "DENIED"),
                    R::Interrupted(Interruption::Stalled) => ErrorRow::new(S::REQUEST_TIMEOUT, "BLOB_UPLOAD_INVALID"),
                    R::Interrupted(Interruption::NoMemory) => ErrorRow::unavailable(5),
                    R::Interrupted(Interruption::Cut) => ErrorRow::new(S::BAD_REQUEST, "BLOB_UPLOAD_INVALID"),
                    R::Overtaken => ErrorRow::unavailable(1),
                    R::Stopping => ErrorRow::unavailable(5),
                    R::Storage(error) => match error {
                        storage::StorageError::Full { .. } => ErrorRow::new(S::INSUFFICIENT_STORAGE, "DENIED")
                            .message(FULL)
                            .with(header::RETRY_AFTER, "120"),
                        storage::StorageError::ReadOnly { .. } => ErrorRow::unavailable(120)
                            .message("the registry cannot write to its storage; pulls still work"),
                        storage::StorageError::TooManyFiles { .. } => ErrorRow::unavailable(5)
                            .message("the registry has too many files open: retry in a few seconds"),
                        storage::StorageError::Unavailable { retry_after, .. } => {
                            let seconds = retry_after.map_or(5, |after| after.as_secs().clamp(1, 120));
                            ErrorRow::unavailable(seconds).message("the storage of the registry is unavailable: retry later")
                        }
                        storage::StorageError::Damaged { .. } => ErrorRow::internal(),
                        storage::StorageError::Io { .. } => ErrorRow::internal(),
                    },
                }
            }
        }
    }

    /// The message for the client.
    pub(super) fn message(&self) -> String {
        self.row().message.map_or_else(|| self.to_string(), Cow::into_owned)
    }
}

#[cfg(test)]
mod tests;
