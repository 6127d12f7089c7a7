//! Blobs: read whole or in ranges, deleted, pushed in one go, mounted (end-2, 4b, 10, 11).

use super::{
    super::{
        answer::{blob_location, created, empty, of_content},
        asked,
        body::{Body, Part},
        error::Error,
        gate::Granted,
        headers::{self, value},
    },
    upload,
};
use crate::oci::{Algorithm, Digest, RangeSet, Ranges, RepositoryName, Span};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

pub(super) async fn read(granted: Granted, name: RepositoryName, digest: Digest) -> Result<Response<Body>, Error> {
    let asked = &granted.request.head.headers;
    // Whoever pushes asks first, and does not send what is there.
    let blob = match granted.is_head() && granted.may_push(&name) {
        true => granted.registry().blob_to_rely_on(&name, &digest).await?,
        false => granted.registry().blob(&name, &digest).await?,
    };
    let mut response = of_content();
    describe(response.headers_mut(), &digest);
    if headers::client_has(asked, &digest) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    let len = blob.len();
    let range = headers::text(asked, &header::RANGE).filter(|_| headers::range_counts(asked, &digest));
    let most = granted.registry().settings().ranges_per_request;
    let ranges = range.and_then(RangeSet::parse).map_or(Ranges::Whole, |set| set.resolve(len, most));
    let (status, media_type, parts) = match ranges {
        Ranges::Unsatisfiable => return Err(Error::RangeNotSatisfiable(len)),
        Ranges::Whole => (StatusCode::OK, OCTETS, vec![Part::Span(Span::whole(len))]),
        Ranges::Spans(spans) => match spans.as_slice() {
            [span] => {
                response.headers_mut().insert(header::CONTENT_RANGE, value(content_range(*span, len)));
                (StatusCode::PARTIAL_CONTENT, OCTETS, vec![Part::Span(*span)])
            }
            // Never joined into one: clients take a part that is not multipart for the first.
            spans => {
                let boundary = uuid::Uuid::new_v4().simple().to_string();
                let media_type = value(format!("multipart/byteranges; boundary={boundary}"));
                (StatusCode::PARTIAL_CONTENT, media_type, multipart(spans, len, &boundary))
            }
        },
    };
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, media_type);
    let slot = granted.request.conn.as_ref().and_then(|conn| conn.slot.clone());
    let body = Body::of_blob(blob, parts, slot);
    response.headers_mut().insert(header::CONTENT_LENGTH, body.len().into());
    *response.body_mut() = body;
    Ok(response)
}

/// What is true of a blob's response whatever part of it is sent. It is anybody's content: a
/// browser is to download it, and run nothing of it.
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

/// One part per range in the order asked for (RFC 9110 §14.6).
fn multipart(spans: &[Span], len: u64, boundary: &str) -> Vec<Part> {
    let mut parts = Vec::with_capacity(spans.len() * 2 + 1);
    for (i, span) in spans.iter().enumerate() {
        let lead = if i == 0 { "" } else { "\r\n" };
        let range = content_range(*span, len);
        let head =
            format!("{lead}--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: {range}\r\n\r\n");
        parts.push(Part::Text(head.into()));
        parts.push(Part::Span(*span));
    }
    parts.push(Part::Text(format!("\r\n--{boundary}--\r\n").into()));
    parts
}

pub(super) async fn delete(granted: Granted, name: RepositoryName, digest: Digest) -> Result<Response<Body>, Error> {
    granted.registry().delete_blob(&name, &digest).await?;
    Ok(empty(StatusCode::ACCEPTED))
}

pub(super) async fn push(mut granted: Granted, name: RepositoryName, digest: Digest) -> Result<Response<Body>, Error> {
    let chunk = asked::chunk(&granted.request.head.headers, &granted.request.body, None)?;
    let incoming = granted.incoming();
    granted.registry().push_blob(&name, granted.subject(), &digest, chunk, incoming).await?;
    Ok(created(blob_location(&name, &digest), &digest))
}

pub(super) async fn mount(
    granted: Granted,
    name: RepositoryName,
    digest: Digest,
    from: Option<RepositoryName>,
) -> Result<Response<Body>, Error> {
    if granted.registry().mount(&name, &digest, from.as_ref(), granted.may_pull()).await? {
        return Ok(created(blob_location(&name, &digest), &digest));
    }
    // Absent and forbidden answer alike: an ordinary upload begins.
    upload::begin(granted, name, Algorithm::default()).await
}
