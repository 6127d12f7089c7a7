//! Answers' headers that need a parser: `Link`, `Retry-After`, `Content-Range`, `Range`.

use http::{HeaderMap, HeaderName};
use std::time::{Duration, SystemTime};

/// A header as text, if it is there and is text.
pub(crate) fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// The target of the first `Link` whose relation is `next` (RFC 8288).
pub(crate) fn next_link(headers: &HeaderMap) -> Option<&str> {
    let values = headers.get_all(http::header::LINK);
    values.iter().filter_map(|value| value.to_str().ok()).find_map(next_of)
}

fn next_of(value: &str) -> Option<&str> {
    let mut rest = value;
    loop {
        let (target, params) = rest.split_once('<')?.1.split_once('>')?;
        let end = unquoted(params, ',').unwrap_or(params.len());
        if is_next(&params[..end]) {
            return Some(target);
        }
        rest = &params[end..];
    }
}

/// Whether a link's parameters have `rel=next`; the first `rel` counts.
fn is_next(params: &str) -> bool {
    let mut rest = params;
    while let Some(start) = unquoted(rest, ';') {
        rest = &rest[start + 1..];
        let end = unquoted(rest, ';').unwrap_or(rest.len());
        let Some((name, value)) = rest[..end].split_once('=') else { continue };
        if name.trim().eq_ignore_ascii_case("rel") {
            return value.trim().trim_matches('"').split_whitespace().any(|rel| rel.eq_ignore_ascii_case("next"));
        }
    }
    false
}

/// Where the character stands outside of quotes.
fn unquoted(text: &str, wanted: char) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    text.char_indices().find_map(|(at, c)| {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if c == wanted && !quoted => return Some(at),
            _ => {}
        }
        None
    })
}

/// How long to wait before the next attempt: seconds, or until a date.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = text(headers, http::header::RETRY_AFTER)?;
    if value.bytes().all(|b| b.is_ascii_digit()) && !value.is_empty() {
        // A number too large for this is as good as the largest.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// First byte, last byte and total length of a `Content-Range`; the length may be unknown.
pub(crate) fn content_range(headers: &HeaderMap) -> Option<(u64, u64, Option<u64>)> {
    let value = text(headers, http::header::CONTENT_RANGE)?;
    let (range, total) = value.strip_prefix("bytes")?.trim_start().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    let total = if total.trim() == "*" { None } else { Some(total.trim().parse().ok()?) };
    (first <= last && total.is_none_or(|total| last < total)).then_some((first, last, total))
}

/// How many bytes an upload session has, by its `Range: 0-<last byte>`; `None` if it does not say.
///
/// `0-0` is what registries answer both for no byte and for one; it is read as none, and the `416`
/// that follows if there was one tells.
pub(crate) fn uploaded(headers: &HeaderMap) -> Option<u64> {
    let value = text(headers, http::header::RANGE)?;
    let value = value.strip_prefix("bytes=").unwrap_or(value);
    let (first, last) = value.split_once('-')?;
    let (first, last): (u64, u64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    match (first, last) {
        (0, 0) => Some(0),
        (0, last) => last.checked_add(1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderValue, header};
    use proptest::prelude::*;

    fn with(name: HeaderName, values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn the_next_page_is_found_among_links() {
        for (values, next) in [
            (&["</v2/_catalog?last=b&n=2>; rel=\"next\""][..], Some("/v2/_catalog?last=b&n=2")),
            (&["</a>;rel=next"], Some("/a")),
            (&["</a>; rel=prev, </b,;c>; title=\"x, <y>; rel=next\"; rel=\"last Next\""], Some("/b,;c")),
            (&["</a>; rel=prev", "</b>; REL=next"], Some("/b")),
            (&["</a>; rel=prev; rel=next"], None),
            (&["</a>; title=\"\\\"; rel=next"], None),
            (&["</a>"], None),
            (&["/a; rel=next"], None),
            (&["<"], None),
            (&[], None),
        ] {
            assert_eq!(next_link(&with(header::LINK, values)), next, "{values:?}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_700);
        let after = |value: &str| retry_after(&with(header::RETRY_AFTER, &[value]), now).map(|d| d.as_secs());
        assert_eq!(after("120"), Some(120));
        assert_eq!(after(" 0 "), Some(0));
        assert_eq!(after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(77));
        assert_eq!(after("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0), "in the past");
        assert_eq!(after("99999999999999999999999"), Some(u64::MAX));
        for bad in ["", "-1", "1.5", "soon"] {
            assert_eq!(after(bad), None, "{bad}");
        }
    }

    #[test]
    fn content_range_and_range_are_parsed() {
        let content = |value: &str| content_range(&with(header::CONTENT_RANGE, &[value]));
        assert_eq!(content("bytes 5-9/10"), Some((5, 9, Some(10))));
        assert_eq!(content("bytes 5-9/*"), Some((5, 9, None)));
        for bad in ["bytes */10", "bytes 9-5/10", "bytes 5-10/10", "items 5-9/10", "bytes 5-/10", "5"] {
            assert_eq!(content(bad), None, "{bad}");
        }
        let upload = |value: &str| uploaded(&with(header::RANGE, &[value]));
        assert_eq!((upload("0-0"), upload("0-9"), upload("bytes=0-9")), (Some(0), Some(10), Some(10)));
        for bad in ["3-9", "", "0", "0--1", &format!("0-{}", u64::MAX)] {
            assert_eq!(upload(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_link_makes_the_parser_panic(value in "[ -~]{0,60}") {
            let _ = next_of(&value);
        }
    }
}
