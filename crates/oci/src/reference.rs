//! Tags, and references to manifests by tag or digest.

use super::{Digest, InvalidDigest};
use std::{fmt, str::FromStr, sync::Arc};

/// A tag: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}` (distribution-spec, "Pulling manifests").
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(Arc<str>);

/// The text is not a tag.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a tag must be at most {} letters, digits, '_', '.' and '-', and must not start with '.' or '-'", Tag::MAX)]
pub struct InvalidTag;

impl Tag {
    /// The longest tag in bytes.
    pub const MAX: usize = 128;

    /// The tag as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The fallback tag of the manifest that this tag belongs to, if it is named after one: a fallback tag itself
    /// ([`Digest::fallback_tag`]), or with a suffix, as signing tools wrote before there were referrers
    /// (`sha256-<hex>.sig`).
    pub fn companion(&self) -> Option<&str> {
        let stem = self.0.split('.').next()?;
        let (algorithm, hex) = stem.split_once('-')?;
        let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        let fits = matches!(algorithm, "sha256" | "sha512") && hex.len() == 64 && hex.bytes().all(is_hex);
        fits.then_some(stem)
    }

    /// A fallback tag. The caller made it from a digest, so it matches the grammar.
    pub(super) fn of_digest(text: String) -> Self {
        Self(text.into())
    }
}

impl FromStr for Tag {
    type Err = InvalidTag;

    fn from_str(text: &str) -> Result<Self, InvalidTag> {
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        match text.as_bytes() {
            [first, rest @ ..]
                if word(*first)
                    && rest.len() < Self::MAX
                    && rest.iter().all(|&b| word(b) || b == b'.' || b == b'-') =>
            {
                Ok(Self(text.into()))
            }
            _ => Err(InvalidTag),
        }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl serde::Serialize for Tag {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// How a request names a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// A tag, which can be moved.
    Tag(Tag),
    /// A digest, which always names the same manifest.
    Digest(Digest),
}

impl Reference {
    /// The tag or the digest as written.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Tag(tag) => tag.as_str(),
            Self::Digest(digest) => digest.as_str(),
        }
    }
}

/// Why a text is neither a tag nor a digest. With a `:` it is taken for a digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReference {
    /// Meant as a tag.
    #[error(transparent)]
    Tag(#[from] InvalidTag),
    /// Meant as a digest.
    #[error(transparent)]
    Digest(#[from] InvalidDigest),
}

impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        Ok(match text.contains(':') {
            true => Self::Digest(text.parse()?),
            false => Self::Tag(text.parse()?),
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tags_follow_the_grammar() {
        for good in ["latest", "V1", "_", "1.2.3-rc.1", "a..b", &"t".repeat(128)] {
            assert!(good.parse::<Tag>().is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "-a", "a/b", "a b", "a+b", "é", "a%20", "a\0", &"t".repeat(129)] {
            assert_eq!(bad.parse::<Tag>(), Err(InvalidTag), "{bad:?}");
        }
    }

    #[test]
    fn tags_named_after_a_manifest_are_recognised_by_their_form() {
        for digest in [format!("sha256:{}", "a1".repeat(32)), format!("sha512:{}", "a1".repeat(64))] {
            let fallback = digest.parse::<Digest>().unwrap().fallback_tag();
            assert_eq!(fallback.companion(), Some(fallback.as_str()));
            let signature: Tag = format!("{fallback}.sig").parse().unwrap();
            assert_eq!(signature.companion(), Some(fallback.as_str()));
        }
        let hex = "0".repeat(64);
        for other in [format!("sha256-{hex}0"), format!("sha256-{hex}-x"), format!("md5-{hex}"), "sha256-abc".into()] {
            assert_eq!(other.parse::<Tag>().unwrap().companion(), None, "{other}");
        }
    }

    #[test]
    fn a_colon_means_a_digest() {
        assert!(matches!("v1".parse(), Ok(Reference::Tag(_))));
        assert!(matches!(format!("sha256:{}", "0".repeat(64)).parse(), Ok(Reference::Digest(_))));
        assert!(matches!("sha256:x".parse::<Reference>(), Err(InvalidReference::Digest(_))));
    }

    proptest! {
        #[test]
        fn references_parse_back_to_themselves(text in "([a-zA-Z0-9_][a-zA-Z0-9._-]{0,127})|(sha256:[0-9a-f]{64})") {
            prop_assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
        }
    }
}
