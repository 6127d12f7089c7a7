//! Sends the bytes of a blob, whole or in ranges.

use super::{
    answer::content_response,
    error::ServiceError,
    gate::Granted,
    headers::{self, value},
};
use crate::{
    storage::Blob,
    wire::{
        body::{BodyPart, ResponseBody},
        verification::Verification,
    },
};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use oci::{Digest, RangeSet, Ranges, Span};

/// What a response says about the bytes it sends.
pub(super) struct SentBlob<'d> {
    pub(super) digest: &'d Digest,
    pub(super) media_type: HeaderValue,
    /// The value of `Content-Disposition`.
    pub(super) disposition: HeaderValue,
    /// The value of `Cache-Control`.
    pub(super) caching: HeaderValue,
}

impl<'d> SentBlob<'d> {
    /// A blob as the distribution protocol sends it.
    pub(super) fn of_repository(digest: &'d Digest) -> Self {
        Self {
            digest,
            media_type: HeaderValue::from_static("application/octet-stream"),
            disposition: HeaderValue::from_static("attachment"),
            caching: headers::IMMUTABLE,
        }
    }
}

/// The response to a request for a whole blob, without its bytes and their number.
pub(super) fn blob_response(digest: &Digest) -> Response<ResponseBody> {
    let served = SentBlob::of_repository(digest);
    let mut response = content_response();
    describe(response.headers_mut(), &served);
    response.headers_mut().insert(header::CONTENT_TYPE, served.media_type);
    response
}

/// Answers with the bytes of a blob, as far as the request's preconditions and ranges ask for them.
///
/// # Errors
/// [`ServiceError::RangeNotSatisfiable`].
pub(super) async fn send(
    granted: &Granted,
    blob: Blob,
    served: SentBlob<'_>,
) -> Result<Response<ResponseBody>, ServiceError> {
    let asked = &granted.request.head.headers;
    let (digest, type_of_whole) = (served.digest, served.media_type.clone());
    let mut response = content_response();
    describe(response.headers_mut(), &served);
    if headers::client_has(asked, digest) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    let len = blob.len();
    let range = headers::text(asked, &header::RANGE).filter(|_| headers::range_counts(asked, digest));
    let most = granted.registry().settings().ranges_per_request;
    let ranges = range.and_then(RangeSet::parse).map_or(Ranges::Whole, |set| set.resolve(len, most));
    let whole = || (StatusCode::OK, type_of_whole.clone(), vec![BodyPart::Span(Span::whole(len))]);
    let (status, media_type, parts) = match ranges {
        Ranges::Unsatisfiable => return Err(ServiceError::RangeNotSatisfiable(len)),
        Ranges::Whole => whole(),
        Ranges::Spans(spans) => match spans.as_slice() {
            [span] => {
                response.headers_mut().insert(header::CONTENT_RANGE, value(content_range(*span, len)));
                (StatusCode::PARTIAL_CONTENT, type_of_whole.clone(), vec![BodyPart::Span(*span)])
            }
            // Ranges are never joined into one: clients mistake a single part for the first range.
            spans => {
                let boundary = uuid::Uuid::new_v4().simple().to_string();
                let parts = multipart(spans, len, &boundary);
                match parts.iter().map(BodyPart::len).sum::<u64>() > len.saturating_mul(2) {
                    true => whole(),
                    false => {
                        let media_type = value(format!("multipart/byteranges; boundary={boundary}"));
                        (StatusCode::PARTIAL_CONTENT, media_type, parts)
                    }
                }
            }
        },
    };
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, media_type);
    if !granted.is_head()
        && let [BodyPart::Span(span)] = parts.as_slice()
    {
        blob.begin(*span).await.map_err(crate::registry::RegistryError::Storage)?;
    }
    let conn = granted.request.conn.as_ref();
    let (slot, outbox) = (conn.and_then(|conn| conn.slot.clone()), conn.map(|conn| conn.outbox.clone()));
    let is_verified = status == StatusCode::OK && !granted.is_head() && granted.registry().verifies_read();
    let body = match is_verified {
        true => ResponseBody::from_verified_blob(blob, verification(granted, len, digest.clone())?, outbox),
        false => ResponseBody::from_blob(blob, parts, slot, outbox),
    };
    response.headers_mut().insert(header::CONTENT_LENGTH, body.len().into());
    *response.body_mut() = body;
    Ok(response)
}

/// How a blob of this length is verified while it is sent, and what happens if it is damaged.
fn verification(granted: &Granted, len: u64, digest: Digest) -> Result<Verification, ServiceError> {
    let (registry, read_only) = (granted.registry().clone(), granted.request.live.operator.read_only);
    let found = digest.clone();
    let mut verification = Verification::new(digest, move || match read_only {
        true => {
            tracing::error!(digest = %found, "a blob is damaged; it stays in place while the registry is read-only")
        }
        false => registry.found_damaged(&found),
    });
    // An empty blob has no last byte to hold back.
    if len == 0 {
        verification.end()?;
    }
    Ok(verification)
}

/// Headers of every such response, whatever part is sent. The bytes are untrusted: a browser must download them and run
/// nothing.
fn describe(headers: &mut HeaderMap, served: &SentBlob<'_>) {
    headers.insert(header::ETAG, headers::etag(served.digest));
    headers.insert(header::CACHE_CONTROL, served.caching.clone());
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_DISPOSITION, served.disposition.clone());
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
}

fn content_range(span: Span, len: u64) -> String {
    format!("bytes {}-{}/{len}", span.start, span.end() - 1)
}

/// One part per range, in the order requested (RFC 9110 §14.6).
fn multipart(spans: &[Span], len: u64, boundary: &str) -> Vec<BodyPart> {
    let mut parts = Vec::with_capacity(spans.len() * 2 + 1);
    for (i, span) in spans.iter().enumerate() {
        let lead = if i == 0 { "" } else { "\r\n" };
        let range = content_range(*span, len);
        let head =
            format!("{lead}--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: {range}\r\n\r\n");
        parts.push(BodyPart::Text(head.into()));
        parts.push(BodyPart::Span(*span));
    }
    parts.push(BodyPart::Text(format!("\r\n--{boundary}--\r\n").into()));
    parts
}
