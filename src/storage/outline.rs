//! What a repository holds, at a glance: for lists, search, totals and quotas.

use memchr::memmem::Finder;
use oci::Digest;
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    num::NonZeroU64,
    time::SystemTime,
};

/// The most bytes of tags, and the most manifests, that an outline names.
const MOST_TAG_BYTES: usize = 4 << 10;
const MOST_DIGESTS: usize = 1 << 10;

/// The hexadecimal digits by which an outline knows a digest.
const KNOWN_DIGITS: usize = 8;

/// What a repository holds. While it is being changed, the numbers may be of different moments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepositoryOutline {
    /// Number of tags.
    pub tags: u64,
    /// Number of manifests.
    pub manifests: u64,
    /// Number of blobs that are no manifests.
    pub blobs: u64,
    /// Bytes of its manifests and blobs. What several repositories share counts in each of them.
    pub bytes: u64,
    /// When a tag was last pushed.
    pub pushed: Option<SystemTime>,
    /// When a tag, a manifest or a blob was last added or removed.
    pub changed: Option<SystemTime>,
    /// What a search looks for.
    pub names: OutlineNames,
    /// Identifies this state; `None` if the next change might not give another stamp.
    pub stamp: Option<OutlineStamp>,
}

/// The names in a repository, as far as they are few, so that a search need not read those where it finds nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutlineNames {
    /// Each tag with a line feed.
    tags: Option<Box<str>>,
    /// The first digits of the digest of each manifest.
    digests: Option<Box<[u32]>>,
}

/// Identifies a state of a repository: a hash of the times of its directories. Small, because there is one for each
/// repository; that two states in turn have the same one is as likely as 1 in 2⁶³.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutlineStamp(NonZeroU64);

impl Default for OutlineNames {
    fn default() -> Self {
        Self { tags: Some(Box::default()), digests: Some(Box::default()) }
    }
}

impl OutlineNames {
    /// The names of these tags and manifests.
    pub(super) fn of<'a>(tags: &[String], manifests: impl ExactSizeIterator<Item = &'a Digest>) -> Self {
        let bytes: usize = tags.iter().map(|tag| tag.len() + 1).sum();
        let digits = |digest: &Digest| u32::from_str_radix(digest.hex().get(..KNOWN_DIGITS)?, 16).ok();
        Self {
            tags: (bytes <= MOST_TAG_BYTES).then(|| tags.iter().flat_map(|tag| [tag.as_str(), "\n"]).collect()),
            digests: if manifests.len() <= MOST_DIGESTS { manifests.map(digits).collect() } else { None },
        }
    }

    /// Whether a tag may contain a text; `false` is certain.
    pub fn may_have_tag(&self, text: &Finder<'_>) -> bool {
        self.tags.as_ref().is_none_or(|tags| text.find(tags.as_bytes()).is_some())
    }

    /// Whether the digest of a manifest may begin with these hexadecimal digits; `false` is certain.
    pub fn may_have_digest(&self, digits: &str) -> bool {
        let known = &digits[..digits.len().min(KNOWN_DIGITS)];
        let Ok(wanted) = u32::from_str_radix(known, 16) else { return false };
        let beyond = 4 * (KNOWN_DIGITS - known.len());
        self.digests.as_ref().is_none_or(|digests| digests.iter().any(|digest| digest >> beyond == wanted))
    }
}

impl OutlineStamp {
    pub(super) fn of(times: [Option<SystemTime>; 5]) -> Self {
        let mut hasher = DefaultHasher::new();
        times.hash(&mut hasher);
        Self(NonZeroU64::MIN | hasher.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(start: &str) -> Digest {
        format!("sha256:{start:0<64}").parse().unwrap()
    }

    #[test]
    fn names_are_found_by_any_part_and_digests_by_their_beginning() {
        let tags = ["v1", "v10", "stable"].map(str::to_owned);
        let manifests = [digest("00abcdef12"), digest("ffffffff34")];
        let names = OutlineNames::of(&tags, manifests.iter());
        for (text, found) in [("v1", true), ("10", true), ("table", true), ("v2", false), ("1v", false)] {
            assert_eq!(names.may_have_tag(&Finder::new(text)), found, "{text}");
        }
        for (digits, found) in
            [("00abcd", true), ("00abcdef12", true), ("ffffffff99", true), ("abcdef", false), ("00abcc", false)]
        {
            assert_eq!(names.may_have_digest(digits), found, "{digits}");
        }
        assert!(
            !OutlineNames::default().may_have_tag(&Finder::new("v"))
                && !OutlineNames::default().may_have_digest("000000")
        );
    }

    #[test]
    fn of_very_many_names_none_is_kept_and_every_one_may_be_there() {
        let tags: Vec<_> = (0..1000).map(|n| format!("version-{n}")).collect();
        let manifests: Vec<_> = (0..=MOST_DIGESTS).map(|n| digest(&format!("{n:08x}"))).collect();
        let names = OutlineNames::of(&tags, manifests.iter());
        assert!(names.may_have_tag(&Finder::new("anything")) && names.may_have_digest("ffffff"));
        assert_eq!(names, OutlineNames { tags: None, digests: None });
    }
}
