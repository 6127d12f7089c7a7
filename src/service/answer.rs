//! Response shapes that several endpoints share.

use super::{
    error::ServiceError,
    headers::{CONTENT_DIGEST, UPLOAD_UUID, value},
};
use crate::{registry::UploadHome, storage, wire::ResponseBody};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use oci::{Digest, RepositoryName, UploadId, UploadPlace};
use serde::Serialize;
use std::{future::Future, pin::Pin};

/// The future of an endpoint. Boxed: an unboxed one would take tens of kilobytes in every request.
pub(super) type Answering = Pin<Box<dyn Future<Output = Result<Response<ResponseBody>, ServiceError>> + Send>>;

/// A response with a complete JSON body. The trailing newline puts a terminal's prompt on its own line.
pub(super) fn json(text: impl Into<Vec<u8>>, media_type: &'static str) -> Response<ResponseBody> {
    let mut text = text.into();
    text.push(b'\n');
    let mut response = Response::new(ResponseBody::from(text));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// Like [`json`], but serializes `content` off the reactor if `bytes`, its approximate size, is large.
pub(super) async fn large_json(
    bytes: usize,
    content: impl Serialize + Send + 'static,
    media_type: &'static str,
) -> Result<Response<ResponseBody>, ServiceError> {
    // Only text and lists of text are serialized here, which cannot fail.
    let text = storage::work_on(bytes, move || Ok(serde_json::to_vec(&content).unwrap_or_default())).await?;
    Ok(json(text, media_type))
}

/// An empty response with capacity for the headers of a content response.
pub(super) fn content_response() -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::default());
    *response.headers_mut() = HeaderMap::with_capacity(12);
    response
}

pub(super) fn empty(status: StatusCode) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::default());
    *response.status_mut() = status;
    if status != StatusCode::NO_CONTENT {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    response
}

/// The response to a successful push: the content's location and digest.
pub(super) fn created(location: String, digest: &Digest) -> Response<ResponseBody> {
    let mut response = empty(StatusCode::CREATED);
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, value(location));
    headers.insert(CONTENT_DIGEST, value(digest.as_str()));
    response
}

/// The `Link` to the next page (RFC 8288). It is relative because clients refuse other hosts.
pub(super) fn next_page(response: &mut Response<ResponseBody>, target: String) {
    response.headers_mut().insert(header::LINK, value(format!("<{target}>; rel=\"next\"")));
}

/// The URL path of a blob.
pub(super) fn blob_location(name: &RepositoryName, digest: &Digest) -> String {
    format!("/v2/{name}/blobs/{digest}")
}

/// Why the headers of an upload session are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SessionReply {
    /// The session's state was requested or has changed.
    Current,
    ChunkRefused,
}

/// The location and progress of an upload session. `Location` includes the current offset, so a request repeated at
/// that URL starts at that offset again (`registry::session`). `Range` cannot express "nothing": clients expect `0-0`
/// for an empty session, but a refused chunk omits it, or the client would skip one byte.
pub(super) fn session_headers(
    home: &UploadHome,
    id: &UploadId,
    len: u64,
    reply: SessionReply,
) -> Vec<(HeaderName, String)> {
    let place = UploadPlace { id: *id, offset: Some(len) };
    let location = match home {
        UploadHome::Images(name) => format!("/v2/{name}/blobs/uploads/{place}"),
        UploadHome::Artifacts(name) => format!("/api/v1/artifacts/{name}/upload/{place}"),
    };
    let mut headers = vec![(header::LOCATION, location), (UPLOAD_UUID, id.to_string())];
    if len > 0 || reply == SessionReply::Current {
        headers.push((header::RANGE, format!("0-{}", len.saturating_sub(1))));
    }
    headers
}
