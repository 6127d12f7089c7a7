//! Byte ranges: of a read (`Range`, RFC 9110 §14), and of a chunk of an upload (`Content-Range` in the format of the
//! distribution specification).

use std::{fmt, str::FromStr};

/// A range of bytes within some content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u64,
    /// Number of bytes.
    pub len: u64,
}

impl Span {
    /// The whole of content of this length.
    pub fn whole(len: u64) -> Self {
        Self { start: 0, len }
    }

    /// Offset just past the last byte.
    pub fn end(self) -> u64 {
        self.start + self.len
    }
}

/// The parts of the content that a `Range` header selects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ranges {
    /// Send everything, because there is no range to honour. Also for other units than bytes, for a malformed header,
    /// which RFC 9110 §14.2 tells a server to ignore, and for overlapping ranges.
    Whole,
    /// These spans, in the requested order; never empty.
    Spans(Vec<Span>),
    /// No requested range lies within the content: 416.
    Unsatisfiable,
}

/// A parsed `Range: bytes=…` header, not yet compared with a length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeSet(Vec<Asked>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    FromTo(u64, u64),
    From(u64),
    Last(u64),
    /// `500-0`: correct syntax, but backwards. RFC 9110 calls the header invalid; the conformance suite wants 416 for
    /// it, so it counts as a range that matches nothing.
    Backwards,
}

impl RangeSet {
    /// Parses the header's value; `None` if there is no range to honour.
    pub fn parse(value: &str) -> Option<Self> {
        let (unit, set) = value.split_once('=')?;
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return None;
        }
        let ranges = set.split(',').map(str::trim).filter(|s| !s.is_empty()).map(Asked::parse);
        let ranges = ranges.collect::<Option<Vec<_>>>()?;
        (!ranges.is_empty()).then_some(Self(ranges))
    }

    /// Applies the ranges to content of `len` bytes. More than `most` ranges, and overlapping ranges, are ignored: a
    /// server may refuse to send many small parts, or the same bytes many times (RFC 9110 §14.2).
    pub fn resolve(&self, len: u64, most: usize) -> Ranges {
        if self.0.len() > most {
            return Ranges::Whole;
        }
        let spans: Vec<_> = self.0.iter().filter_map(|asked| asked.resolve(len)).collect();
        match spans.as_slice() {
            [] => Ranges::Unsatisfiable,
            spans if overlap(spans) => Ranges::Whole,
            _ => Ranges::Spans(spans),
        }
    }
}

/// Whether two of these spans overlap.
fn overlap(spans: &[Span]) -> bool {
    let mut spans = spans.to_vec();
    spans.sort_unstable_by_key(|span| span.start);
    spans.windows(2).any(|pair| pair[1].start < pair[0].end())
}

impl Asked {
    fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.split_once('-')?;
        match (first.trim(), last.trim()) {
            ("", "") => None,
            ("", last) => number(last).map(Self::Last),
            (first, "") => number(first).map(Self::From),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                Some(if first <= last { Self::FromTo(first, last) } else { Self::Backwards })
            }
        }
    }

    fn resolve(self, len: u64) -> Option<Span> {
        let (start, end) = match self {
            Self::FromTo(first, last) => (first, last.saturating_add(1).min(len)),
            Self::From(first) => (first, len),
            Self::Last(n) => (len.saturating_sub(n), len),
            Self::Backwards => return None,
        };
        (start < end).then(|| Span { start, len: end - start })
    }
}

/// Parses digits only: `u64::from_str` would accept a sign. A number that is too large becomes the largest one.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

/// The `Content-Range` of an uploaded chunk: `<start>-<end>`, both inclusive (distribution-spec, "Pushing a blob in
/// chunks"; no unit, no total).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkRange {
    /// Offset of the chunk's first byte within the blob.
    pub start: u64,
    /// Number of bytes, at least one.
    pub len: u64,
}

/// The text is not a chunk range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the Content-Range of a chunk must be <first byte>-<last byte>, such as 0-1023")]
pub struct InvalidChunkRange;

impl FromStr for ChunkRange {
    type Err = InvalidChunkRange;

    fn from_str(text: &str) -> Result<Self, InvalidChunkRange> {
        let (first, last) = text.split_once('-').ok_or(InvalidChunkRange)?;
        let (start, last) = (number(first).ok_or(InvalidChunkRange)?, number(last).ok_or(InvalidChunkRange)?);
        if last < start || last == u64::MAX {
            return Err(InvalidChunkRange);
        }
        Ok(Self { start, len: last - start + 1 })
    }
}

impl fmt::Display for ChunkRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.start, self.start + self.len - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ask(value: &str, len: u64) -> Ranges {
        RangeSet::parse(value).map_or(Ranges::Whole, |set| set.resolve(len, 4))
    }

    fn spans(list: &[(u64, u64)]) -> Ranges {
        Ranges::Spans(list.iter().map(|&(start, len)| Span { start, len }).collect())
    }

    #[test]
    fn byte_ranges_are_parsed() {
        assert_eq!(ask("bytes=500-1499", 2048), spans(&[(500, 1000)]));
        assert_eq!(ask("bytes=500-", 2048), spans(&[(500, 1548)]));
        assert_eq!(ask("bytes=-500", 2048), spans(&[(1548, 500)]));
        assert_eq!(ask("bytes=-5000", 2048), spans(&[(0, 2048)]));
        assert_eq!(ask("bytes=2000-5000", 2048), spans(&[(2000, 48)]));
        assert_eq!(ask("BYTES = 0-0 , 5-6", 10), spans(&[(0, 1), (5, 2)]));
        assert_eq!(ask("bytes=5-6,0-1", 10), spans(&[(5, 2), (0, 2)]), "in the order asked for");
        assert_eq!(ask("bytes=0-1,90-95", 10), spans(&[(0, 2)]), "what lies outside is left out");
        assert_eq!(ask("bytes=0-99999999999999999999999", 10), spans(&[(0, 10)]));
    }

    #[test]
    fn ranges_beyond_the_content_are_416() {
        for value in ["bytes=500-0", "bytes=2048-", "bytes=5000-10000", "bytes=-0"] {
            assert_eq!(ask(value, 2048), Ranges::Unsatisfiable, "{value}");
        }
        assert_eq!(ask("bytes=0-", 0), Ranges::Unsatisfiable);
    }

    #[test]
    fn anything_but_a_byte_range_is_ignored() {
        for value in
            ["", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=1", "bytes=+1-2", "lines=1-2", "bytes=1-2,x"]
        {
            assert_eq!(ask(value, 10), Ranges::Whole, "{value}");
        }
    }

    #[test]
    fn the_number_of_ranges_is_bounded() {
        assert!(matches!(ask("bytes=0-0,1-1,2-2,3-3", 10), Ranges::Spans(_)));
        assert_eq!(ask("bytes=0-0,1-1,2-2,3-3,4-4", 10), Ranges::Whole);
    }

    #[test]
    fn ranges_that_overlap_are_ignored() {
        assert_eq!(ask("bytes=5-9,0-4", 10), spans(&[(5, 5), (0, 5)]), "side by side");
        for value in ["bytes=0-4,4-9", "bytes=4-9,0-4", "bytes=0-0,0-0", "bytes=2-3,7-8,0-9", "bytes=0-,-1"] {
            assert_eq!(ask(value, 10), Ranges::Whole, "{value}");
        }
    }

    #[test]
    fn chunk_ranges_are_parsed() {
        assert_eq!("0-0".parse(), Ok(ChunkRange { start: 0, len: 1 }));
        assert_eq!("1024-2047".parse(), Ok(ChunkRange { start: 1024, len: 1024 }));
        for bad in ["", "-", "0", "0-", "-1", "2-1", "bytes 0-1", "0-1/2", "+0-1", "0-18446744073709551615", " 0-1"] {
            assert_eq!(bad.parse::<ChunkRange>(), Err(InvalidChunkRange), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn chunk_ranges_parse_back_to_themselves(start in 0..u64::MAX / 2, len in 1..u64::MAX / 2) {
            let range = ChunkRange { start, len };
            prop_assert_eq!(range.to_string().parse(), Ok(range));
        }

        #[test]
        fn every_span_lies_within_the_content(value in "bytes=[0-9,-]{0,30}", len in 0u64..2000) {
            if let Ranges::Spans(spans) = ask(&value, len) {
                prop_assert!(!spans.is_empty());
                prop_assert!(spans.iter().all(|s| s.len > 0 && s.end() <= len));
                prop_assert!(spans.iter().map(|s| s.len).sum::<u64>() <= len);
            }
        }
    }
}
