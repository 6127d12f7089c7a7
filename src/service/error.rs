//! THE table: every error a request can end with, and the status, code and headers it has.
//!
//! `docs/errors.md` shows the same to people; a test holds the two together.

use super::{
    answer::{self, Standing, session_headers},
    body::Body,
};
use crate::{
    oci::{InvalidDigest, InvalidName, InvalidReference, InvalidTag},
    registry::{self, Interruption},
    storage,
};
use http::{HeaderName, HeaderValue, Response, StatusCode, header, uri::Authority};
use hyper::ext::ReasonPhrase;
use serde::Serialize;
use serde_json::{Value, json};
use std::borrow::Cow;

/// Why a request was not served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No endpoint has such a path.
    #[error("no such path in this registry")]
    PathUnknown,
    /// The endpoint has no such method; these it has.
    #[error("method not allowed: this path accepts {0}")]
    MethodNotAllowed(&'static str),
    /// The request's head is longer than the limit.
    #[error("the request line and headers are longer than {limit} bytes; the longest part is {part}, {len} bytes")]
    HeadTooLarge {
        /// In bytes.
        limit: usize,
        /// What takes most of it: a header, or the URL.
        part: String,
        /// Of that part.
        len: usize,
    },
    /// `Content-Length` and `Transfer-Encoding` at once: nobody may guess where it ends.
    #[error("a request must have either Content-Length or Transfer-Encoding, not both")]
    LengthAmbiguous,
    /// Two `Authorization` headers: nobody may guess which one counts.
    #[error("the request has more than one Authorization header")]
    AuthorizationRepeated,
    /// The `Authorization` header is longer than anything that is accepted.
    #[error("{}", crate::auth::InvalidCredentials::TooLong)]
    AuthorizationTooLong,
    /// Nobody is logged in, or not with the right password; by this challenge they may try.
    #[error("not logged in: {reason}")]
    Unauthorized {
        /// The challenge.
        challenge: String,
        /// For the client.
        told: Cow<'static, str>,
        /// For the log.
        reason: String,
    },
    /// A login is needed, and there is no address known to which a client could send a password safely.
    #[error(
        "no login by plain HTTP as {}: set REGISTRY_PUBLIC_URL to the https address that clients use, or name the TLS \
         proxy in REGISTRY_TRUSTED_PROXIES",
        .0.as_ref().map_or("an unknown host", |host| host.as_str())
    )]
    LoginUnsafe(Option<Authority>),
    /// Somebody is logged in, or there is nothing to log in to, and this may not be done.
    #[error("denied: {reason}")]
    Denied {
        /// For the client.
        told: String,
        /// For the log.
        reason: String,
    },
    /// Too many wait for their passwords to be verified; try again after so many seconds.
    #[error("too many logins at once; retry in {0} seconds")]
    LoginBusy(u64),
    /// The operator has switched this off.
    #[error("{what}{}{message}", if message.is_empty() { "" } else { ": " })]
    SwitchedOff {
        /// Which switch.
        what: &'static str,
        /// The methods that go on.
        allow: &'static str,
        /// What the operator says about it.
        message: std::sync::Arc<str>,
    },
    /// A request for a token that is none of the two forms.
    #[error("{0}")]
    TokenRequest(&'static str),
    /// A token could not be signed.
    #[error(transparent)]
    TokenUnsigned(#[from] crate::auth::Unsigned),
    /// A repository name out of its grammar.
    #[error(transparent)]
    NameInvalid(#[from] InvalidName),
    /// A tag out of its grammar.
    #[error(transparent)]
    TagInvalid(#[from] InvalidTag),
    /// A digest out of its grammar, or of an algorithm we do not store by.
    #[error(transparent)]
    DigestInvalid(#[from] InvalidDigest),
    /// An upload id nobody was given.
    #[error("no upload has this ID")]
    UploadIdInvalid,
    /// A parameter that must come once.
    #[error("the query parameter {0:?} must not be repeated")]
    ParameterRepeated(&'static str),
    /// `n` is no number.
    #[error("the query parameter \"n\" must be a whole number, 0 or more")]
    PageSizeInvalid,
    /// A chunk's `Content-Range` out of its grammar.
    #[error("{0}")]
    ChunkRangeInvalid(#[from] crate::oci::InvalidChunkRange),
    /// A precondition header that is not of its grammar, or cannot be honoured.
    #[error("a push accepts If-Match with digests or *, or If-None-Match: *, and not both headers")]
    ConditionInvalid,
    /// No range that was asked for lies within the content of this length.
    #[error("the requested range is outside the content, which has {0} bytes")]
    RangeNotSatisfiable(u64),
    /// The body is compressed for the transfer, in this way; a digest names the bytes as they are sent.
    #[error("Content-Encoding {0:?} is not supported for a manifest: send it uncompressed")]
    EncodingUnsupported(String),
    /// The registry said no.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// The code did what it must never do; the request ends, the daemon goes on.
    #[error("a request handler panicked")]
    Panicked,
}

impl From<InvalidReference> for Error {
    fn from(invalid: InvalidReference) -> Self {
        match invalid {
            InvalidReference::Tag(e) => e.into(),
            InvalidReference::Digest(e) => e.into(),
        }
    }
}

impl From<storage::Error> for Error {
    fn from(error: storage::Error) -> Self {
        Self::Registry(error.into())
    }
}

/// A row of the table.
pub(super) struct Row {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
}

/// What every client reads of a failure of ours; the log has the rest.
const OURS: &str = "internal error: see the registry's log for this request ID (X-Request-Id)";

/// As a reason phrase it ends a push: docker's engine repeats every 5xx for 50 seconds, but for one that says "no space
/// left on device".
const FULL: &str = "the registry's storage is full (no space left on device); pulls still work";

const fn row(status: StatusCode, code: &'static str) -> Row {
    Row { status, code }
}

impl Error {
    /// Status and code. No arm catches several by default: a new error states its row.
    ///
    /// What will not become better by itself has a code that clients do not retry: docker's engine repeats a push
    /// for 50 seconds on SIZE_INVALID, crane on UNAVAILABLE and podman on both, and none of them on DENIED.
    pub(super) fn row(&self) -> Row {
        use StatusCode as S;
        use registry::Error as R;
        match self {
            Self::PathUnknown => row(S::NOT_FOUND, "UNSUPPORTED"),
            Self::MethodNotAllowed(_) => row(S::METHOD_NOT_ALLOWED, "UNSUPPORTED"),
            Self::HeadTooLarge { .. } => row(S::REQUEST_HEADER_FIELDS_TOO_LARGE, "SIZE_INVALID"),
            Self::LengthAmbiguous => row(S::BAD_REQUEST, "SIZE_INVALID"),
            Self::AuthorizationRepeated => row(S::BAD_REQUEST, "UNAUTHORIZED"),
            Self::AuthorizationTooLong => row(S::REQUEST_HEADER_FIELDS_TOO_LARGE, "UNAUTHORIZED"),
            Self::Unauthorized { .. } => row(S::UNAUTHORIZED, "UNAUTHORIZED"),
            Self::LoginUnsafe(_) => row(S::FORBIDDEN, "DENIED"),
            Self::Denied { .. } => row(S::FORBIDDEN, "DENIED"),
            Self::LoginBusy(_) => row(S::TOO_MANY_REQUESTS, "TOOMANYREQUESTS"),
            Self::SwitchedOff { .. } => row(S::METHOD_NOT_ALLOWED, "UNSUPPORTED"),
            Self::TokenRequest(_) => row(S::BAD_REQUEST, "UNSUPPORTED"),
            Self::TokenUnsigned(_) => row(S::INTERNAL_SERVER_ERROR, "UNKNOWN"),
            Self::NameInvalid(_) => row(S::BAD_REQUEST, "NAME_INVALID"),
            Self::TagInvalid(_) => row(S::BAD_REQUEST, "TAG_INVALID"),
            Self::DigestInvalid(_) => row(S::BAD_REQUEST, "DIGEST_INVALID"),
            Self::UploadIdInvalid => row(S::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN"),
            Self::ParameterRepeated(_) => row(S::BAD_REQUEST, "UNSUPPORTED"),
            Self::PageSizeInvalid => row(S::BAD_REQUEST, "PAGINATION_NUMBER_INVALID"),
            Self::ChunkRangeInvalid(_) => row(S::BAD_REQUEST, "BLOB_UPLOAD_INVALID"),
            Self::ConditionInvalid => row(S::BAD_REQUEST, "UNSUPPORTED"),
            Self::RangeNotSatisfiable(_) => row(S::RANGE_NOT_SATISFIABLE, "RANGE_INVALID"),
            Self::EncodingUnsupported(_) => row(S::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED"),
            Self::Panicked => row(S::INTERNAL_SERVER_ERROR, "UNKNOWN"),
            Self::Registry(error) => match error {
                R::BlobUnknown(_) => row(S::NOT_FOUND, "BLOB_UNKNOWN"),
                R::ManifestUnknown(_) => row(S::NOT_FOUND, "MANIFEST_UNKNOWN"),
                R::NameUnknown(_) => row(S::NOT_FOUND, "NAME_UNKNOWN"),
                R::UploadUnknown(_) => row(S::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN"),
                R::MissingReferences(_) => row(S::BAD_REQUEST, "MANIFEST_BLOB_UNKNOWN"),
                R::ManifestInvalid(_) => row(S::BAD_REQUEST, "MANIFEST_INVALID"),
                R::ManifestTooLarge(_) => row(S::PAYLOAD_TOO_LARGE, "DENIED"),
                R::DigestMismatch { .. } => row(S::BAD_REQUEST, "DIGEST_INVALID"),
                R::OutOfOrder { .. } => row(S::RANGE_NOT_SATISFIABLE, "BLOB_UPLOAD_INVALID"),
                R::ChunkLength => row(S::BAD_REQUEST, "SIZE_INVALID"),
                R::BlobTooLarge(_) => row(S::PAYLOAD_TOO_LARGE, "DENIED"),
                R::TooManyUploads => row(S::TOO_MANY_REQUESTS, "TOOMANYREQUESTS"),
                R::UploadBytesExceeded(_) => row(S::PAYLOAD_TOO_LARGE, "DENIED"),
                R::TooManyTags(_) => row(S::URI_TOO_LONG, "TAG_INVALID"),
                R::TagImmutable(_) => row(S::CONFLICT, "DENIED"),
                R::ChildProtected(_) => row(S::FORBIDDEN, "DENIED"),
                R::PreconditionFailed => row(S::PRECONDITION_FAILED, "DENIED"),
                R::Interrupted(Interruption::Stalled) => row(S::REQUEST_TIMEOUT, "BLOB_UPLOAD_INVALID"),
                R::Interrupted(Interruption::Cut) => row(S::BAD_REQUEST, "BLOB_UPLOAD_INVALID"),
                R::Overtaken => row(S::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
                R::Stopping => row(S::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
                R::Storage(error) => match error {
                    storage::Error::Full { .. } => row(S::INSUFFICIENT_STORAGE, "DENIED"),
                    storage::Error::ReadOnly { .. } => row(S::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
                    storage::Error::Damaged { .. } => row(S::INTERNAL_SERVER_ERROR, "UNKNOWN"),
                    storage::Error::Io { .. } => row(S::INTERNAL_SERVER_ERROR, "UNKNOWN"),
                },
            },
        }
    }

    /// What the client may read. Never just a code's own text, as the specification has it: Docker's
    /// library then forgets that there was a message, and its engine goes on trying for a minute.
    fn message(&self) -> String {
        match self {
            Self::Registry(registry::Error::Storage(storage::Error::Full { .. })) => FULL.to_owned(),
            Self::Registry(registry::Error::Storage(storage::Error::ReadOnly { .. })) => {
                "the registry cannot write to its storage; pulls still work".to_owned()
            }
            // Why is for the log: it would tell a stranger what there is.
            Self::Unauthorized { told, .. } => told.clone().into_owned(),
            Self::Denied { told, .. } => told.clone(),
            ours if ours.row().status == StatusCode::INTERNAL_SERVER_ERROR => OURS.to_owned(),
            told => told.to_string(),
        }
    }

    /// One entry per missing digest where that is what is wrong (distribution-spec, "Pushing
    /// Manifests"), else one.
    fn entries(&self) -> Vec<Entry> {
        let code = self.row().code;
        match self {
            Self::Registry(registry::Error::MissingReferences(missing)) => missing
                .iter()
                .map(|reference| Entry {
                    code,
                    message: reference.to_string(),
                    detail: Some(json!({ "digest": reference.digest.as_str() })),
                })
                .collect(),
            other => vec![Entry { code, message: other.message(), detail: None }],
        }
    }

    /// Headers that belong to the status.
    fn headers(&self) -> Vec<(HeaderName, String)> {
        match self {
            Self::SwitchedOff { allow, .. } => vec![(header::ALLOW, (*allow).to_owned())],
            Self::MethodNotAllowed(allow) => vec![(header::ALLOW, (*allow).to_owned())],
            Self::Unauthorized { challenge, .. } => vec![(header::WWW_AUTHENTICATE, challenge.clone())],
            Self::LoginBusy(seconds) => vec![(header::RETRY_AFTER, seconds.to_string())],
            Self::LengthAmbiguous => vec![(header::CONNECTION, "close".to_owned())],
            Self::RangeNotSatisfiable(len) => vec![(header::CONTENT_RANGE, format!("bytes */{len}"))],
            Self::Registry(registry::Error::OutOfOrder { repository, id, len }) => {
                session_headers(repository, id, *len, Standing::Refused)
            }
            Self::EncodingUnsupported(_) => vec![(header::ACCEPT_ENCODING, "identity".to_owned())],
            Self::Registry(registry::Error::TooManyUploads) => vec![(header::RETRY_AFTER, "60".to_owned())],
            Self::Registry(registry::Error::Overtaken) => vec![(header::RETRY_AFTER, "1".to_owned())],
            Self::Registry(registry::Error::Stopping) => vec![(header::RETRY_AFTER, "5".to_owned())],
            Self::Registry(registry::Error::Storage(storage::Error::Full { .. })) => {
                vec![(header::RETRY_AFTER, "120".to_owned())]
            }
            Self::Registry(registry::Error::Storage(storage::Error::ReadOnly { .. })) => {
                vec![(header::RETRY_AFTER, "120".to_owned())]
            }
            _ => Vec::new(),
        }
    }

    /// The answer, in the shape of the distribution specification ("Error Codes").
    pub(super) fn response(&self) -> Response<Body> {
        let (row, entries) = (self.row(), self.entries());
        let mut response = answer::json(json!({ "errors": entries }).to_string(), "application/json");
        *response.status_mut() = row.status;
        for (name, value) in self.headers() {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert(name, value);
            }
        }
        if let Some(phrase) = entries.first().and_then(|entry| phrase(row.status, &entry.message)) {
            response.extensions_mut().insert(phrase);
        }
        response
    }
}

/// The longest reason phrase. Proxies bound the status line.
const LONGEST_PHRASE: usize = 200;

/// The message as the reason phrase of HTTP/1.1, which hyper leaves out on HTTP/2: an answer to `HEAD` has no body, of a
/// 5xx docker and podman print nothing but the status line, and containerd never prints more. Clients act on 401 and 404
/// by themselves.
fn phrase(status: StatusCode, message: &str) -> Option<ReasonPhrase> {
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND) {
        return None;
    }
    let plain = |c: char| if c == ' ' || c.is_ascii_graphic() { c } else { '?' };
    ReasonPhrase::try_from(message.chars().map(plain).take(LONGEST_PHRASE).collect::<String>()).ok()
}

#[derive(Serialize)]
struct Entry {
    code: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<Value>,
}

#[cfg(test)]
mod tests;
