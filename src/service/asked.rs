//! What a push says of itself in its headers: where its bytes belong, and on which condition.

use super::{
    error::Error,
    headers::{entity_tags, text},
};
use crate::{
    oci::{ChunkRange, excerpt},
    registry::{Chunk, Condition},
};
use http::{HeaderMap, header};
use http_body::Body;

/// The condition of a push.
///
/// # Errors
/// [`Error::ConditionInvalid`] for what cannot be honoured: ignoring it would lose an update.
pub(super) fn condition(headers: &HeaderMap) -> Result<Condition, Error> {
    let one_of = |name| -> Vec<&str> { entity_tags(headers, name).collect() };
    match (headers.contains_key(header::IF_MATCH), headers.contains_key(header::IF_NONE_MATCH)) {
        (false, false) => Ok(Condition::None),
        (true, false) => match one_of(&header::IF_MATCH).as_slice() {
            ["*"] => Ok(Condition::Present),
            // An entity tag that is no digest of ours matches nothing.
            tags => Ok(Condition::OneOf(tags.iter().filter_map(|tag| tag.parse().ok()).collect())),
        },
        (false, true) => match one_of(&header::IF_NONE_MATCH).as_slice() {
            ["*"] => Ok(Condition::Absent),
            _ => Err(Error::ConditionInvalid),
        },
        (true, true) => Err(Error::ConditionInvalid),
    }
}

/// Refuses a body that is compressed for the transfer: its digest would be that of other bytes.
///
/// # Errors
/// [`Error::EncodingUnsupported`].
pub(super) fn uncompressed(headers: &HeaderMap) -> Result<(), Error> {
    let codings = headers.get_all(header::CONTENT_ENCODING).iter();
    let mut codings = codings.flat_map(|value| value.as_bytes().split(|&byte| byte == b',')).map(<[u8]>::trim_ascii);
    match codings.find(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity")) {
        None => Ok(()),
        Some(coding) => Err(Error::EncodingUnsupported(excerpt(&String::from_utf8_lossy(coding)).into_owned())),
    }
}

/// What a request says of the bytes it brings to a place in an upload.
///
/// # Errors
/// [`Error::ChunkRangeInvalid`].
pub(super) fn chunk(headers: &HeaderMap, body: &impl Body, offset: Option<u64>) -> Result<Chunk, Error> {
    let range = match headers.get(header::CONTENT_RANGE) {
        None => None,
        Some(range) => Some(range.to_str().unwrap_or_default().parse::<ChunkRange>()?),
    };
    let length = text(headers, &header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
    // A body that is not there has no header that says so.
    let length = length.or_else(|| body.size_hint().exact());
    Ok(Chunk { range, length, offset })
}
