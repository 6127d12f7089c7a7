//! What the errors of object stores mean. Their words are shown in part only: they may repeat what was signed.

use crate::storage::objects::ObjectError;
use http::{HeaderMap, StatusCode};
use object_store::Error;
use std::{error::Error as StdError, time::Duration};

/// Why a request failed, as it is passed through object_store.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum CloudFault {
    #[error(transparent)]
    Known(ObjectError),
    /// The span begins beyond the end.
    #[error("the range is beyond the end")]
    Range,
}

/// The longest part of a server's words that is shown.
const MOST_SHOWN: usize = 200;

/// The error that an answer stands for.
pub(super) fn refusal(
    status: StatusCode,
    headers: &HeaderMap,
    text: &str,
    retry_after: Option<Duration>,
) -> ObjectError {
    let code = element(text, "Code").or_else(|| headers.get("x-ms-error-code")?.to_str().ok()).unwrap_or_default();
    let message = element(text, "Message").unwrap_or_default();
    let words =
        [status.as_str(), code, message].into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(": ");
    let why: String = words.chars().filter(|c| !c.is_control()).take(MOST_SHOWN).collect();
    match (status.as_u16(), code) {
        (404, _) => ObjectError::Absent,
        (412, _) => ObjectError::Changed,
        (507, _) | (_, "QuotaExceeded" | "InsufficientCapacity" | "XMinioStorageFull" | "AccountQuotaExceeded") => {
            ObjectError::Full { why }
        }
        // Ends when the clock or the credentials are mended, and no request was at fault.
        (_, "RequestTimeTooSkewed") => ObjectError::Denied {
            why: format!("{why}: the clocks of this machine and of the object store differ too much"),
        },
        (401 | 403, _) | (_, "ExpiredToken" | "InvalidAccessKeyId" | "TokenRefreshRequired") => {
            ObjectError::Denied { why }
        }
        (301 | 307 | 308, _) => {
            let region = headers.get("x-amz-bucket-region").and_then(|region| region.to_str().ok());
            let region = region.map_or(String::new(), |region| format!(" ({region})"));
            ObjectError::Other { why: format!("{why}: the bucket is in another region{region} or at another endpoint") }
        }
        (408 | 409 | 429 | 500..=599, _) | (400, "RequestTimeout" | "IncompleteBody" | "BadDigest" | "SlowDown") => {
            ObjectError::Unavailable { why, retry_after }
        }
        _ => ObjectError::Other { why },
    }
}

/// The text of the first element of this name, in an error of S3, GCS or Azure.
fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    rest.split_once("</").map(|(value, _)| value.trim())
}

/// The error of a call.
pub(super) fn object_error(error: &Error) -> ObjectError {
    match known(error) {
        Some(CloudFault::Known(error)) => return error.clone(),
        Some(CloudFault::Range) => return ObjectError::Other { why: "the range is beyond the end".to_owned() },
        None => {}
    }
    match error {
        Error::NotFound { .. } => ObjectError::Absent,
        Error::AlreadyExists { .. } | Error::Precondition { .. } | Error::NotModified { .. } => ObjectError::Changed,
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
            ObjectError::Denied { why: "the credentials do not permit this".to_owned() }
        }
        // The outer errors name the URL, which may have been one for credentials.
        other => ObjectError::Other { why: innermost(other).chars().take(MOST_SHOWN).collect() },
    }
}

/// Our own error, if it is the cause.
pub(super) fn known(error: &Error) -> Option<&CloudFault> {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(fault) = error.downcast_ref::<CloudFault>() {
            return Some(fault);
        }
        cause = error.source();
    }
    None
}

fn innermost(error: &(dyn StdError + 'static)) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, text: &str) -> ObjectError {
        refusal(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), text, None)
    }

    #[test]
    fn an_answer_means_what_its_status_or_its_code_says() {
        let busy = "<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>";
        assert!(
            matches!(of(503, busy), ObjectError::Unavailable { why, .. } if why == "503: SlowDown: Reduce your request rate.")
        );
        assert!(matches!(of(500, ""), ObjectError::Unavailable { why, .. } if why == "500"));
        assert!(matches!(of(400, "<Error><Code>ExpiredToken</Code></Error>"), ObjectError::Denied { .. }));
        assert!(
            matches!(of(403, "<Error><Code>RequestTimeTooSkewed</Code></Error>"), ObjectError::Denied { why } if why.contains("clocks"))
        );
        assert!(matches!(of(400, "<Error><Code>InvalidArgument</Code></Error>"), ObjectError::Other { .. }));
        assert!(matches!(of(507, ""), ObjectError::Full { .. }));
        assert!(matches!(of(403, "<Error><Code>QuotaExceeded</Code></Error>"), ObjectError::Full { .. }));
        assert_eq!(of(404, "<Error><Code>NoSuchKey</Code></Error>"), ObjectError::Absent);
    }

    #[test]
    fn what_was_signed_is_not_shown() {
        let text = "<Error><Code>SignatureDoesNotMatch</Code><Message>No.</Message><AWSAccessKeyId>AKIA</AWSAccessKeyId>\
                    <StringToSign>AWS4-HMAC-SHA256 secret</StringToSign></Error>";
        let shown = of(403, text).to_string();
        assert!(
            shown.contains("SignatureDoesNotMatch") && !shown.contains("AKIA") && !shown.contains("secret"),
            "{shown}"
        );
    }
}
