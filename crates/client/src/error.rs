//! The one error of this crate.

use crate::{headers, text};
use http::{HeaderMap, StatusCode};
use std::{
    error::Error as StdError,
    fmt,
    time::{Duration, SystemTime},
};

/// What failed, why, and whether it is worth another attempt. Shown as one sentence for people.
pub struct Error(Box<ErrorInner>);

struct ErrorInner {
    operation: String,
    fault: ErrorCause,
}

/// Why an operation failed, coarse enough to choose an exit code by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// No connection, or it broke and could not be resumed.
    Unreachable,
    /// TLS failed: a certificate that is not trusted, or no TLS at all.
    Tls,
    /// A time limit passed without progress.
    Timeout,
    /// An address, URL or redirect that must not be followed.
    Refused,
    /// Not logged in, or the credentials were not accepted (401).
    Unauthorized,
    /// Logged in and not allowed (403).
    Denied,
    /// Not there (404).
    NotFound,
    /// Somebody else was faster, or it exists already (409, 412).
    Conflict,
    /// Larger than the registry or the limit here allows (413).
    TooLarge,
    /// Too many requests (429).
    TooManyRequests,
    /// The registry does not offer this (405, 501).
    Unsupported,
    /// Another status that means failure.
    Status,
    /// The content does not have its digest or length.
    Digest,
    /// The registry's answer makes no sense.
    Protocol,
    /// What was to be pushed could not be read.
    Source,
}

/// One entry of a registry's error body. Other people's text: [`fmt::Display`] escapes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseError {
    /// `MANIFEST_UNKNOWN` and the like.
    pub code: String,
    /// Words for people.
    pub message: String,
}

/// An error that does not know yet during which operation.
#[derive(Debug)]
pub(crate) struct ErrorCause {
    pub(crate) kind: ErrorKind,
    pub(crate) status: Option<StatusCode>,
    pub(crate) codes: Vec<ResponseError>,
    detail: String,
    pub(crate) retry: bool,
    pub(crate) retry_after: Option<Duration>,
}

/// The most entries that are kept of an error body.
const MOST_CODES: usize = 5;

impl ErrorCause {
    pub(crate) fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
        Self { kind, status: None, codes: Vec::new(), detail: detail.into(), retry: false, retry_after: None }
    }

    pub(crate) fn protocol(detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Protocol, detail)
    }

    /// What was to be sent could not be read.
    pub(crate) fn source(error: &std::io::Error) -> Self {
        Self::new(ErrorKind::Source, format!("the content cannot be read: {}", causes(error)))
    }

    /// The same, worth another attempt.
    pub(crate) fn retryable(mut self) -> Self {
        self.retry = true;
        self
    }

    /// The same, final.
    pub(crate) fn last(mut self) -> Self {
        self.retry = false;
        self
    }

    /// The same, of a kind that says more than the status.
    pub(crate) fn of(mut self, kind: ErrorKind) -> Self {
        self.kind = kind;
        self
    }

    /// The same, with words before its own.
    pub(crate) fn before(mut self, words: &str) -> Self {
        self.detail.insert_str(0, words);
        self
    }

    /// An answer that means failure.
    pub(crate) fn answer(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let codes = codes(body);
        let kind = match status.as_u16() {
            401 => ErrorKind::Unauthorized,
            403 => ErrorKind::Denied,
            404 => ErrorKind::NotFound,
            409 | 412 => ErrorKind::Conflict,
            413 => ErrorKind::TooLarge,
            429 => ErrorKind::TooManyRequests,
            405 | 501 => ErrorKind::Unsupported,
            _ => ErrorKind::Status,
        };
        let mut detail = format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or_default());
        let detail_len = detail.trim_end().len();
        detail.truncate(detail_len);
        for error in &codes {
            detail.push_str(&format!(": {error}"));
        }
        let retry_after = headers::retry_after(headers, SystemTime::now());
        let denied = codes.iter().any(|error| error.code == "DENIED");
        let retry = !denied && matches!(status.as_u16(), 408 | 429 | 502 | 503 | 504);
        Self { kind, status: Some(status), codes, detail, retry, retry_after }
    }

    /// What went wrong, without the operation.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// With the operation, the sentence is complete.
    pub(crate) fn during(self, operation: impl Into<String>) -> Error {
        Error(Box::new(ErrorInner { operation: operation.into(), fault: self }))
    }
}

/// Entries of an error body; none if it is something else.
fn codes(body: &[u8]) -> Vec<ResponseError> {
    #[derive(serde::Deserialize)]
    struct ErrorsResponse {
        #[serde(default)]
        errors: Vec<ErrorItem>,
    }
    #[derive(serde::Deserialize)]
    struct ErrorItem {
        #[serde(default)]
        code: serde_json::Value,
        #[serde(default)]
        message: serde_json::Value,
    }
    // Numbers as codes and nulls as messages have been met.
    let text = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => text,
        serde_json::Value::Null => String::new(),
        other => other.to_string(),
    };
    let body: ErrorsResponse = match oci::json::from_slice(body) {
        Ok(body) => body,
        Err(_) => return Vec::new(),
    };
    let entries = body.errors.into_iter().take(MOST_CODES);
    entries.map(|entry| ResponseError { code: text(entry.code), message: text(entry.message) }).collect()
}

impl fmt::Display for ResponseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (code, message) = (text::shown(&self.code), text::shown(&self.message));
        match (code.is_empty(), message.is_empty()) {
            (true, _) => f.write_str(&message),
            (false, true) => f.write_str(&code),
            (false, false) => write!(f, "{message} ({code})"),
        }
    }
}

impl Error {
    /// Why it failed.
    pub fn kind(&self) -> ErrorKind {
        self.0.fault.kind
    }

    /// The status of the answer, if there was one.
    pub fn status(&self) -> Option<StatusCode> {
        self.0.fault.status
    }

    /// What the registry said, at most a few entries.
    pub fn registry_errors(&self) -> &[ResponseError] {
        &self.0.fault.codes
    }

    /// Whether the same request may work later. The attempts that the client makes itself are over.
    pub fn is_temporary(&self) -> bool {
        self.0.fault.retry
    }

    /// How long the registry asks to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.fault.retry_after
    }

    /// What was attempted: `pull manifest team/app:v1 from registry.example.com`.
    pub fn operation(&self) -> &str {
        &self.0.operation
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: {}", self.0.operation, self.0.fault.detail)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({:?}, {:?})", self.kind(), self.to_string())
    }
}

impl StdError for Error {}

/// What an error and its causes say, as one phrase, without repetition.
pub(crate) fn causes(error: &(dyn StdError + 'static)) -> String {
    let mut phrase = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !phrase.contains(&words) {
            phrase.push_str(": ");
            phrase.push_str(&words);
        }
        cause = error.source();
    }
    text::shown(&phrase)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Error {
        let status = StatusCode::from_u16(status).unwrap();
        ErrorCause::answer(status, &HeaderMap::new(), body.as_bytes()).during("pull a/b:v1 from reg.example")
    }

    #[test]
    fn an_error_says_what_failed_and_what_the_registry_said() {
        let body = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"no such tag","detail":{"tag":"v1"}}]}"#;
        let error = answer(404, body);
        assert_eq!(
            error.to_string(),
            "cannot pull a/b:v1 from reg.example: 404 Not Found: no such tag (MANIFEST_UNKNOWN)"
        );
        assert_eq!((error.kind(), error.is_temporary()), (ErrorKind::NotFound, false));
        assert_eq!(answer(502, "<html>").to_string(), "cannot pull a/b:v1 from reg.example: 502 Bad Gateway");
        assert_eq!(answer(599, "").to_string(), "cannot pull a/b:v1 from reg.example: 599");
    }

    #[test]
    fn messages_of_a_registry_are_shortened_and_escaped() {
        let long = "x".repeat(10_000);
        let entry = format!(r#"{{"code":"X","message":"\u001b[31m{long}"}}"#);
        let body = format!(r#"{{"errors":[{}]}}"#, vec![entry; 50].join(","));
        let error = answer(400, &body);
        assert_eq!(error.registry_errors().len(), MOST_CODES);
        let shown = error.to_string();
        assert!(shown.len() < 2000 && !shown.contains('\x1b') && shown.contains(r"\u{1b}[31mxxx"), "{shown}");
        for odd in
            [r#"{"errors":[{"code":500}]}"#, r#"{"errors":[{}]}"#, r#"{"errors":{}}"#, r#"[]"#, r#"{"errors":[[]]}"#]
        {
            assert!(answer(500, odd).to_string().starts_with("cannot pull a/b:v1 from reg.example: 500"), "{odd}");
        }
    }

    #[test]
    fn only_temporary_errors_are_retried() {
        for (status, temporary) in
            [(408, true), (429, true), (502, true), (503, true), (504, true), (500, false), (507, false), (413, false)]
        {
            assert_eq!(answer(status, "").is_temporary(), temporary, "{status}");
        }
        assert!(!answer(429, r#"{"errors":[{"code":"DENIED"}]}"#).is_temporary());
    }
}
