//! Byte ranges: exactly the requested bytes are sent, once.

use super::text;
use oci::{ChunkRange, RangeSet, Ranges};

/// Maximum number of ranges.
const MOST: usize = 8;

/// `<length of the content> <value of Range>`.
pub fn range(data: &[u8]) {
    let Some((len, value)) = text(data).and_then(|text| text.split_once(' ')) else { return };
    let Ok(len) = len.parse::<u64>() else { return };
    let Some(set) = RangeSet::parse(value) else {
        assert!(asked(value).is_none(), "a valid range is not ignored");
        return;
    };
    let asked = asked(value).expect("an invalid range is ignored");
    let mut fitting: Vec<_> = asked.iter().filter_map(|range| range.within(u128::from(len))).collect();
    fitting.sort_unstable();
    let overlap = fitting.windows(2).any(|pair| pair[1].0 <= pair[0].1);
    let spans = match set.resolve(len, MOST) {
        Ranges::Whole => return assert!(asked.len() > MOST || overlap),
        Ranges::Unsatisfiable => Vec::new(),
        Ranges::Spans(spans) => {
            assert!(!spans.is_empty());
            spans
        }
    };
    assert!(asked.len() <= MOST && !overlap && spans.len() <= asked.len());
    for span in &spans {
        assert!(span.len > 0 && u128::from(span.start) + u128::from(span.len) <= u128::from(len), "{span:?} of {len}");
    }
    // Checks the first and last byte of each range.
    let len = u128::from(len);
    let mut spans = spans.iter();
    for range in asked {
        let Some((first, last)) = range.within(len) else { continue };
        let span = spans.next().expect("a satisfiable range is sent");
        assert_eq!((u128::from(span.start), u128::from(span.end() - 1)), (first, last));
    }
    assert!(spans.next().is_none());
}

/// First and last byte as written; a number beyond 128 bits becomes the largest.
enum Asked {
    FromTo(u128, u128),
    From(u128),
    Last(u128),
}

impl Asked {
    /// First and last byte within a content of this length, if any.
    fn within(&self, len: u128) -> Option<(u128, u128)> {
        let (first, last) = match *self {
            Self::FromTo(first, last) if first > last => return None,
            Self::FromTo(first, last) => (first, last.min(len.checked_sub(1)?)),
            Self::From(first) => (first, len.checked_sub(1)?),
            Self::Last(0) => return None,
            Self::Last(n) => (len.saturating_sub(n), len.checked_sub(1)?),
        };
        (first <= last && first < len).then_some((first, last))
    }
}

/// RFC 9110 §14.1.1 and §14.1.2, with spaces around everything.
fn asked(value: &str) -> Option<Vec<Asked>> {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
        digits.then(|| text.parse::<u128>().unwrap_or(u128::MAX))
    };
    let (unit, ranges) = value.split_at(value.find('=')?);
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let mut all = Vec::new();
    for range in ranges[1..].split(',').map(str::trim).filter(|range| !range.is_empty()) {
        let (first, last) = range.split_at(range.find('-')?);
        all.push(match (first.trim(), last[1..].trim()) {
            ("", last) => Asked::Last(number(last)?),
            (first, "") => Asked::From(number(first)?),
            (first, last) => Asked::FromTo(number(first)?, number(last)?),
        });
    }
    (!all.is_empty()).then_some(all)
}

/// The value of a chunk's `Content-Range`.
pub fn content_range(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let number = |text: &str| {
        let digits = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
        digits.then(|| text.parse::<u128>().unwrap_or(u128::MAX))
    };
    let written = text.split_once('-').and_then(|(first, last)| Some((number(first)?, number(last)?)));
    // The byte past the last one must have an offset.
    let expected = written.filter(|(first, last)| first <= last && *last < u128::from(u64::MAX));
    match (text.parse::<ChunkRange>(), expected) {
        (Ok(range), Some((first, last))) => {
            assert!(range.len > 0);
            assert_eq!((u128::from(range.start), u128::from(range.len)), (first, last - first + 1));
            assert_eq!(range.to_string(), format!("{first}-{last}"));
            assert_eq!(range.to_string().parse(), Ok(range));
        }
        (Err(_), None) => {}
        (parsed, expected) => panic!("{parsed:?}, not {expected:?}"),
    }
}
