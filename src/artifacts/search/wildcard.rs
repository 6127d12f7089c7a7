//! Texts to look for: `*` and `%` match any text, and ASCII letters match in either case.

use memchr::memmem::Finder;
use std::fmt;

/// A text to look for in a field. It must match the whole field.
///
/// Matching takes time in proportion to the text that is read, whatever the pattern is.
#[derive(Clone)]
pub struct Wildcard {
    text: Box<str>,
    /// The least length of a text that matches.
    least: usize,
    /// In lower case; `None` if there is no wildcard.
    pieces: Option<WildcardPieces>,
}

/// The literal text around the wildcards, in lower case.
#[derive(Clone)]
struct WildcardPieces {
    first: Box<[u8]>,
    middle: Box<[Finder<'static>]>,
    last: Box<[u8]>,
}

impl Wildcard {
    /// Reads a text in which `*` and `%` are wildcards.
    pub fn of(text: &str) -> Self {
        let lower = text.to_ascii_lowercase();
        let pieces: Vec<&[u8]> = lower.split(['*', '%']).map(str::as_bytes).collect();
        let pieces = match pieces.as_slice() {
            [first, middle @ .., last] => {
                let middle = middle.iter().filter(|piece| !piece.is_empty());
                let middle = middle.map(|piece| Finder::new(*piece).into_owned()).collect();
                Some(WildcardPieces { first: (*first).into(), middle, last: (*last).into() })
            }
            _ => None,
        };
        Self { text: text.into(), least: least(&lower, &pieces), pieces }
    }

    /// Any text that contains this one; nothing in it is a wildcard.
    pub fn containing(text: &str) -> Self {
        let middle = Finder::new(text.to_ascii_lowercase().as_bytes()).into_owned();
        let pieces = Some(WildcardPieces { first: Box::default(), middle: [middle].into(), last: Box::default() });
        Self { text: text.into(), least: text.len(), pieces }
    }

    /// The text as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a whole text matches. `lower` is room to work in, and is overwritten.
    pub fn matches(&self, text: &str, lower: &mut Vec<u8>) -> bool {
        if text.len() < self.least {
            return false;
        }
        let Some(WildcardPieces { first, middle, last }) = &self.pieces else {
            return text.eq_ignore_ascii_case(&self.text);
        };
        let text = text.as_bytes();
        let ends_match = text[..first.len()].eq_ignore_ascii_case(first)
            && text[text.len() - last.len()..].eq_ignore_ascii_case(last);
        if !ends_match || middle.is_empty() {
            return ends_match;
        }
        lower.clear();
        lower.extend(text[first.len()..text.len() - last.len()].iter().map(u8::to_ascii_lowercase));
        let mut rest = lower.as_slice();
        // The first place that fits leaves the most for the pieces after it.
        for piece in middle {
            match piece.find(rest) {
                Some(at) => rest = &rest[at + piece.needle().len()..],
                None => return false,
            }
        }
        true
    }
}

/// The first and the last piece must not overlap, and `text[..]` above relies on it.
fn least(lower: &str, pieces: &Option<WildcardPieces>) -> usize {
    match pieces {
        Some(WildcardPieces { first, middle, last }) => {
            first.len() + last.len() + middle.iter().map(|piece| piece.needle().len()).sum::<usize>()
        }
        None => lower.len(),
    }
}

impl fmt::Debug for Wildcard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wildcard({:?})", self.text)
    }
}

impl PartialEq for Wildcard {
    fn eq(&self, other: &Self) -> bool {
        // The pieces follow from the text, except that a text that is contained has no wildcards.
        self.text == other.text && self.least == other.least
    }
}

impl Eq for Wildcard {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Wildcard::of(pattern).matches(text, &mut Vec::new())
    }

    #[test]
    fn a_pattern_matches_the_whole_text_in_either_case() {
        for (pattern, text) in [
            ("bin/app", "BIN/App"),
            ("*", ""),
            ("%", "a/b"),
            ("bin/*", "bin/a/b"),
            ("*.tar.gz", "x.TAR.GZ"),
            ("a*b%c", "aXbYc"),
            ("a*b%c", "abc"),
            ("*b*", "abc"),
            ("**", "x"),
            ("a_b", "a_b"),
            ("a*a", "aa"),
            ("", ""),
            ("*Ä*", "xÄy"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("bin/app", "bin/app2"),
            ("bin", "bin/app"),
            ("a_b", "axb"),
            ("a?b", "axb"),
            ("a*a", "a"),
            ("ab*ba", "aba"),
            ("*a*a*", "a"),
            ("", "x"),
            ("*ä*", "xÄy"),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn a_contained_text_has_no_wildcards() {
        let contains = |part: &str, text: &str| Wildcard::containing(part).matches(text, &mut Vec::new());
        assert!(contains("B*", "ab*c") && !contains("B*", "abc"));
        assert!(contains("abc", "ABC") && !contains("abc", "ab"));
    }

    /// The definition of a match, by trying every length of each wildcard.
    fn slowly(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], _) => text.is_empty(),
            ([b'*' | b'%', rest @ ..], _) => (0..=text.len()).any(|skipped| slowly(rest, &text[skipped..])),
            ([p, pattern @ ..], [t, text @ ..]) => p.eq_ignore_ascii_case(t) && slowly(pattern, text),
            (_, []) => false,
        }
    }

    proptest! {
        #[test]
        fn every_pattern_matches_by_its_definition(pattern in "[abA*%]{0,8}", text in "[abB]{0,10}") {
            prop_assert_eq!(matches(&pattern, &text), slowly(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
