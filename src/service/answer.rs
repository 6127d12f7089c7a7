//! The shapes of answers that several endpoints, or endpoints and errors, share.

use super::{
    body::Body,
    headers::{CONTENT_DIGEST, UPLOAD_UUID, value},
};
use crate::oci::{Digest, RepositoryName, UploadId, UploadPlace};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

/// A response with a whole JSON body. It ends with a newline, so that a terminal's prompt stands on a line of its own.
pub(super) fn json(text: impl Into<Vec<u8>>, media_type: &'static str) -> Response<Body> {
    let mut text = text.into();
    text.push(b'\n');
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// A response that content goes into, with room for the headers that come with it.
pub(super) fn of_content() -> Response<Body> {
    let mut response = Response::new(Body::default());
    *response.headers_mut() = HeaderMap::with_capacity(12);
    response
}

/// A response without a body.
pub(super) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::default());
    *response.status_mut() = status;
    if status != StatusCode::NO_CONTENT {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    response
}

/// The answer to a push of a content: where it is, and its digest.
pub(super) fn created(location: String, digest: &Digest) -> Response<Body> {
    let mut response = empty(StatusCode::CREATED);
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, value(location));
    headers.insert(CONTENT_DIGEST, value(digest.as_str()));
    response
}

/// The `Link` to the next page (RFC 8288): relative, as clients refuse other hosts.
pub(super) fn next_page(response: &mut Response<Body>, target: String) {
    response.headers_mut().insert(header::LINK, value(format!("<{target}>; rel=\"next\"")));
}

/// Where a blob is read.
pub(super) fn blob_location(name: &RepositoryName, digest: &Digest) -> String {
    format!("/v2/{name}/blobs/{digest}")
}

/// How an answer about a session came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is told where it stands.
    Told,
    /// A chunk was refused.
    Refused,
}

/// Where a session is and what it has. `Location` names the place the client is told of, so that a request that is sent
/// there again starts there again (`registry::session`). `Range` cannot say "nothing": `0-0` is what clients expect
/// of an empty session, but a refusal leaves it out, or one byte would be skipped.
pub(super) fn session_headers(
    name: &RepositoryName,
    id: &UploadId,
    len: u64,
    standing: Standing,
) -> Vec<(HeaderName, String)> {
    let place = UploadPlace { id: *id, offset: Some(len) };
    let location = format!("/v2/{name}/blobs/uploads/{place}");
    let mut headers = vec![(header::LOCATION, location), (UPLOAD_UUID, id.to_string())];
    if len > 0 || standing == Standing::Told {
        headers.push((header::RANGE, format!("0-{}", len.saturating_sub(1))));
    }
    headers
}
