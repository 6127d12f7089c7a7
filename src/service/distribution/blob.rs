//! Blobs: read, in ranges too, delete, push in one request, mount (end-2, 4b, 10, 11).

use super::{
    super::{
        answer::{blob_location, content_response, created, empty},
        error::ServiceError,
        gate::Granted,
        headers::{self, value},
        incoming::HELD_BY_UPLOAD,
        push_headers,
    },
    upload,
};
use crate::{
    registry::Repository,
    who::Action,
    wire::{
        body::{BodyPart, ResponseBody},
        verification::Verification,
    },
};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use oci::{Algorithm, Digest, RangeSet, Ranges, RepositoryName, Span};

const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

pub(super) async fn read(
    repository: Repository,
    granted: Granted,
    digest: Digest,
) -> Result<Response<ResponseBody>, ServiceError> {
    let asked = &granted.request.head.headers;
    // Clients check with HEAD before a push and skip the blobs that exist.
    let may_write = granted.is_head() && !granted.request.live.operator.read_only;
    let blob = match may_write && granted.may(Action::Push, repository.name()).await {
        true => repository.blob_to_rely_on(&digest).await?,
        false => repository.blob(&digest).await?,
    };
    let mut response = content_response();
    describe(response.headers_mut(), &digest);
    if headers::client_has(asked, &digest) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    let len = blob.len();
    let range = headers::text(asked, &header::RANGE).filter(|_| headers::range_counts(asked, &digest));
    let most = repository.settings().ranges_per_request;
    let ranges = range.and_then(RangeSet::parse).map_or(Ranges::Whole, |set| set.resolve(len, most));
    let whole = || (StatusCode::OK, OCTETS, vec![BodyPart::Span(Span::whole(len))]);
    let (status, media_type, parts) = match ranges {
        Ranges::Unsatisfiable => return Err(ServiceError::RangeNotSatisfiable(len)),
        Ranges::Whole => whole(),
        Ranges::Spans(spans) => match spans.as_slice() {
            [span] => {
                response.headers_mut().insert(header::CONTENT_RANGE, value(content_range(*span, len)));
                (StatusCode::PARTIAL_CONTENT, OCTETS, vec![BodyPart::Span(*span)])
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
    let conn = granted.request.conn.as_ref();
    let (slot, outbox) = (conn.and_then(|conn| conn.slot.clone()), conn.map(|conn| conn.outbox.clone()));
    let is_verified = status == StatusCode::OK && !granted.is_head() && repository.registry().verifies_read();
    let body = match is_verified {
        true => ResponseBody::from_verified_blob(blob, verification(&granted, len, digest)?, outbox),
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

/// Headers of every blob response, whatever part is sent. Blobs are untrusted: a browser must download them and run
/// nothing.
fn describe(headers: &mut HeaderMap, digest: &Digest) {
    headers.insert(headers::CONTENT_DIGEST, value(digest.as_str()));
    headers.insert(header::ETAG, headers::etag(digest));
    headers.insert(header::CACHE_CONTROL, headers::IMMUTABLE);
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
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

pub(super) async fn delete(repository: Repository, digest: Digest) -> Result<Response<ResponseBody>, ServiceError> {
    repository.delete_blob(&digest).await?;
    Ok(empty(StatusCode::ACCEPTED))
}

pub(super) async fn push(
    repository: Repository,
    mut granted: Granted,
    digest: Digest,
) -> Result<Response<ResponseBody>, ServiceError> {
    let chunk = push_headers::chunk(&granted.request.head.headers, &granted.request.body, None)?;
    let incoming = granted.incoming(HELD_BY_UPLOAD);
    repository.push_blob(&digest, chunk, incoming).await?;
    Ok(created(blob_location(repository.name(), &digest), &digest))
}

pub(super) async fn mount(
    repository: Repository,
    granted: Granted,
    digest: Digest,
    from: Option<RepositoryName>,
) -> Result<Response<ResponseBody>, ServiceError> {
    if repository.mount(&digest, from.as_ref(), &granted.sources()).await? {
        return Ok(created(blob_location(repository.name(), &digest), &digest));
    }
    // An absent and a forbidden source answer alike: an ordinary upload begins.
    upload::begin(repository, Algorithm::default()).await
}
