//! Reading and writing the headers several endpoints share.

use crate::oci::Digest;
use http::{HeaderMap, HeaderName, HeaderValue, header};

/// `Docker-Content-Digest`.
pub(super) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
/// `Docker-Upload-UUID`.
pub(super) const UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");
/// `OCI-Subject`.
pub(super) const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
/// `OCI-Tag`.
pub(super) const OCI_TAG: HeaderName = HeaderName::from_static("oci-tag");
/// `OCI-Filters-Applied`.
pub(super) const OCI_FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

/// What a content named by a digest never changes.
pub(super) const IMMUTABLE: HeaderValue = HeaderValue::from_static("max-age=31536000, immutable");
/// A tag may point elsewhere the next time.
pub(super) const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");

/// Makes a header value of text that is known to fit one: names, digests, numbers.
pub(super) fn value(text: impl AsRef<str>) -> HeaderValue {
    HeaderValue::from_str(text.as_ref()).unwrap_or(HeaderValue::from_static(""))
}

/// The entity tag of a content: its digest.
pub(super) fn etag(digest: &Digest) -> HeaderValue {
    value(format!("\"{digest}\""))
}

/// A header as text, if it is there and is text.
pub(super) fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Whether `If-None-Match` names this content: the client has it (RFC 9110 §13.1.2). Entity tags
/// without quotes are what some registries taught their clients.
pub(super) fn client_has(headers: &HeaderMap, digest: &Digest) -> bool {
    entity_tags(headers, &header::IF_NONE_MATCH).any(|tag| tag == "*" || tag == digest.as_str())
}

/// Whether a range counts: without `If-Range`, or if it names this content (RFC 9110 §13.1.5).
pub(super) fn range_counts(headers: &HeaderMap, digest: &Digest) -> bool {
    text(headers, &header::IF_RANGE).is_none_or(|tag| tag.trim().trim_matches('"') == digest.as_str())
}

/// The entity tags a header lists, without quotes.
pub(super) fn entity_tags<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(|tag| tag.trim().trim_start_matches("W/").trim_matches('"'))
}
