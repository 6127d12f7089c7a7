//! Splits a request's path at slashes and decodes it.

use std::borrow::Cow;

/// Calls `read` with the segments of a path. Each is decoded once, after the split: an escaped slash stays within its
/// segment. Only a repository name, whose segments are joined again, may contain one.
///
/// A segment with a malformed escape is not decoded. No grammar allows `%`, so it is rejected later.
pub(super) fn segments<T>(path: &str, read: impl FnOnce(&[&str]) -> T) -> T {
    if !path.contains('%') {
        // Enough for almost every path, so there is one allocation.
        let mut segments = Vec::with_capacity(8);
        segments.extend(path.split('/'));
        return read(&segments);
    }
    let decoded: Vec<Cow<'_, str>> = path.split('/').map(|segment| decode(segment).unwrap_or(segment.into())).collect();
    read(&decoded.iter().map(AsRef::as_ref).collect::<Vec<_>>())
}

/// A segment with escapes decoded; `None` if one is malformed or the result is not UTF-8.
fn decode(segment: &str) -> Option<Cow<'_, str>> {
    if !segment.contains('%') {
        return Some(segment.into());
    }
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    let digit = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16));
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => (digit(rest.next())? << 4 | digit(rest.next())?) as u8,
            plain => plain,
        });
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}
