//! Push parameters from request headers: the byte range and the precondition.

use super::{
    error::ServiceError,
    headers::{entity_tags, text},
};
use crate::registry::{Chunk, Condition};
use http::{HeaderMap, header};
use http_body::Body;
use oci::{ChunkRange, excerpt};

/// The precondition of a push.
///
/// # Errors
/// [`ServiceError::ConditionInvalid`] for a precondition that is not supported: ignoring it would lose an update.
pub(super) fn condition(headers: &HeaderMap) -> Result<Condition, ServiceError> {
    let one_of = |name| -> Vec<&str> { entity_tags(headers, name).collect() };
    match (headers.contains_key(header::IF_MATCH), headers.contains_key(header::IF_NONE_MATCH)) {
        (false, false) => Ok(Condition::None),
        (true, false) => match one_of(&header::IF_MATCH).as_slice() {
            ["*"] => Ok(Condition::Present),
            // An entity tag that is not a digest matches nothing.
            tags => Ok(Condition::OneOf(tags.iter().filter_map(|tag| tag.parse().ok()).collect())),
        },
        (false, true) => match one_of(&header::IF_NONE_MATCH).as_slice() {
            ["*"] => Ok(Condition::Absent),
            _ => Err(ServiceError::ConditionInvalid),
        },
        (true, true) => Err(ServiceError::ConditionInvalid),
    }
}

/// Rejects a body with a content encoding: its digest would be that of the encoded bytes.
///
/// # Errors
/// [`ServiceError::EncodingUnsupported`].
pub(super) fn uncompressed(headers: &HeaderMap) -> Result<(), ServiceError> {
    let codings = headers.get_all(header::CONTENT_ENCODING).iter();
    let mut codings = codings.flat_map(|value| value.as_bytes().split(|&byte| byte == b',')).map(<[u8]>::trim_ascii);
    match codings.find(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity")) {
        None => Ok(()),
        Some(coding) => Err(ServiceError::EncodingUnsupported(excerpt(&String::from_utf8_lossy(coding)).into_owned())),
    }
}

/// The range, length and offset of a chunk sent to an upload session.
///
/// # Errors
/// [`ServiceError::ChunkRangeInvalid`].
pub(super) fn chunk(headers: &HeaderMap, body: &impl Body, offset: Option<u64>) -> Result<Chunk, ServiceError> {
    let range = match headers.get(header::CONTENT_RANGE) {
        None => None,
        Some(range) => Some(range.to_str().unwrap_or_default().parse::<ChunkRange>()?),
    };
    let length = text(headers, &header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
    // An empty body has no Content-Length header.
    let length = length.or_else(|| body.size_hint().exact());
    Ok(Chunk { range, length, offset })
}
