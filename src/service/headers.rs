//! Reads and writes headers that several endpoints share.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use oci::Digest;

pub(super) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
pub(super) const UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");
pub(super) const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
pub(super) const OCI_TAG: HeaderName = HeaderName::from_static("oci-tag");
pub(super) const OCI_FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

/// For content named by a digest, which never changes.
pub(super) const IMMUTABLE: HeaderValue = HeaderValue::from_static("max-age=31536000, immutable");
/// For content named by a tag, which may point elsewhere next time.
pub(super) const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");

/// A header value from text that is known to be valid: names, digests, numbers.
pub(super) fn value(text: impl AsRef<str>) -> HeaderValue {
    HeaderValue::from_str(text.as_ref()).unwrap_or(HeaderValue::from_static(""))
}

/// The entity tag of content: its digest.
pub(super) fn etag(digest: &Digest) -> HeaderValue {
    value(format!("\"{digest}\""))
}

/// A header's value, if it is present and is text.
pub(super) fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Whether `If-None-Match` names this content, so the client has it (RFC 9110 §13.1.2). Entity tags without quotes
/// count too: some registries taught them to their clients.
pub(super) fn client_has(headers: &HeaderMap, digest: &Digest) -> bool {
    entity_tags(headers, &header::IF_NONE_MATCH).any(|tag| tag == "*" || tag == digest.as_str())
}

/// Whether the range applies: there is no `If-Range`, or it names this content (RFC 9110 §13.1.5).
pub(super) fn range_counts(headers: &HeaderMap, digest: &Digest) -> bool {
    text(headers, &header::IF_RANGE).is_none_or(|tag| tag.trim().trim_matches('"') == digest.as_str())
}

/// The entity tags in a header, without quotes.
pub(super) fn entity_tags<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(|tag| tag.trim().trim_start_matches("W/").trim_matches('"'))
}
