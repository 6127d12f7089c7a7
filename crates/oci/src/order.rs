//! The orders of tags and of versions for people: natural, and by version.

use std::{cmp::Ordering, iter};

/// Compares texts so that numbers in them count as numbers: `v9` comes before `v10`.
pub fn natural(a: &str, b: &str) -> Ordering {
    let by_part = parts(a).zip(parts(b)).map(|(a, b)| a.compare(b)).find(|order| order.is_ne());
    by_part.unwrap_or_else(|| parts(a).count().cmp(&parts(b).count())).then_with(|| a.cmp(b))
}

/// Compares tags or versions as versions: by their numbers, and a pre-release before its release. A text that is no version
/// comes before all that are.
pub fn by_version(a: &str, b: &str) -> Ordering {
    match (VersionParts::of(a), VersionParts::of(b)) {
        (Some(a), Some(b)) => a.compare(&b),
        (a, b) => a.is_some().cmp(&b.is_some()),
    }
    .then_with(|| natural(a, b))
}

/// A run of digits, or of anything else.
#[derive(Clone, Copy)]
enum TextPart<'t> {
    Number(&'t str),
    Word(&'t str),
}

impl TextPart<'_> {
    fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => compare_numbers(a, b),
            (Self::Word(a), Self::Word(b)) => a.cmp(b),
            (Self::Number(_), Self::Word(_)) => Ordering::Less,
            (Self::Word(_), Self::Number(_)) => Ordering::Greater,
        }
    }
}

fn parts(mut text: &str) -> impl Iterator<Item = TextPart<'_>> {
    iter::from_fn(move || {
        let is_number = text.as_bytes().first()?.is_ascii_digit();
        let end = text.bytes().position(|byte| byte.is_ascii_digit() != is_number).unwrap_or(text.len());
        let (part, rest) = text.split_at(end);
        text = rest;
        Some(if is_number { TextPart::Number(part) } else { TextPart::Word(part) })
    })
}

/// Of any length: a tag can be a number of 128 digits.
fn compare_numbers(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// Numbers with dots between them, and what follows.
#[derive(Clone, Copy)]
struct VersionParts<'t> {
    /// With their dots.
    numbers: &'t str,
    rest: &'t str,
}

impl<'t> VersionParts<'t> {
    fn of(tag: &'t str) -> Option<Self> {
        let text = tag.strip_prefix(['v', 'V']).unwrap_or(tag);
        let is_digit = |at: usize| text.as_bytes().get(at).is_some_and(u8::is_ascii_digit);
        // A dot counts if a digit follows.
        let goes_on = |at: &usize| is_digit(*at) || (text.as_bytes()[*at] == b'.' && is_digit(at + 1));
        let end = (0..text.len()).find(|at| !goes_on(at)).unwrap_or(text.len());
        let (numbers, rest) = text.split_at(end);
        is_digit(0).then_some(Self { numbers, rest })
    }

    fn compare(&self, other: &Self) -> Ordering {
        let (mut ours, mut others) = (self.numbers.split('.'), other.numbers.split('.'));
        let by_number = iter::from_fn(|| match (ours.next(), others.next()) {
            (None, None) => None,
            (a, b) => Some(compare_numbers(a.unwrap_or_default(), b.unwrap_or_default())),
        });
        let is_release = |version: &Self| !version.rest.starts_with('-');
        by_number
            .fold(Ordering::Equal, Ordering::then)
            .then_with(|| is_release(self).cmp(&is_release(other)))
            .then_with(|| natural(self.rest, other.rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sorted(order: fn(&str, &str) -> Ordering, text: &str) -> String {
        let mut tags: Vec<&str> = text.split(' ').rev().collect();
        tags.sort_by(|a, b| order(a, b));
        tags.join(" ")
    }

    #[test]
    fn numbers_in_names_count_as_numbers() {
        for text in ["v1 v2 v9 v10 v11", "1.2 1.10 2.0", "a a1 a2 a10 b", "01 1 02 2", "2024-01 2024-02 latest"] {
            assert_eq!(sorted(natural, text), text);
        }
        let long = format!("{} {}", "9".repeat(127), "1".repeat(128));
        assert_eq!(sorted(natural, &long), long);
    }

    #[test]
    fn versions_come_after_names_and_releases_after_their_candidates() {
        for text in [
            "dev latest 1.0.0-alpha 1.0.0-alpha.2 1.0.0-alpha.10 1.0.0-rc.1 1.0.0 1.0.1 1.2 1.10 2",
            "v1.9 v1.10 v2.0-rc1 v2.0 3.0-alpine-rc 3.0",
            "vault 1",
        ] {
            assert_eq!(sorted(by_version, text), text);
        }
    }

    proptest! {
        #[test]
        fn both_are_total_orders(tags in proptest::collection::vec("[vV]?[0-9a.-]{1,6}", 3)) {
            for order in [natural, by_version] {
                let [a, b, c] = [&tags[0], &tags[1], &tags[2]];
                prop_assert_eq!(order(a, b), order(b, a).reverse());
                prop_assert_eq!(order(a, b) == Ordering::Equal, a == b);
                if order(a, b).is_le() && order(b, c).is_le() {
                    prop_assert!(order(a, c).is_le(), "{} {} {}", a, b, c);
                }
            }
        }
    }
}
