//! Content digests.

use std::{fmt, str::FromStr, sync::Arc};

/// A digest algorithm that this registry supports (image-spec, "Registered Algorithms").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    #[default]
    Sha256,
    Sha512,
}

impl Algorithm {
    /// Every algorithm, in the order their directories are listed.
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    /// The registered name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// Length of the encoded part in hexadecimal digits.
    pub fn hex_len(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Algorithm {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        Self::ALL.into_iter().find(|a| a.as_str() == text).ok_or(InvalidDigest::Unsupported)
    }
}

/// The digest of some content, in the one spelling the specification allows:
/// `sha256:` or `sha512:` and lower-case hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    algorithm: Algorithm,
    text: Arc<str>,
}

/// Why a text is not a digest that we can serve.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDigest {
    /// Not `algorithm:encoded`, or the encoded part has a wrong length or alphabet.
    #[error("a digest must be 'sha256:' and 64, or 'sha512:' and 128 lowercase hexadecimal digits")]
    Grammar,
    /// Another algorithm than sha256 and sha512.
    #[error("only sha256 and sha512 digests are supported")]
    Unsupported,
}

impl Digest {
    /// The digest with these raw hash bytes.
    pub(super) fn from_hash(algorithm: Algorithm, hash: &[u8]) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = String::with_capacity(8 + hash.len() * 2);
        text.push_str(algorithm.as_str());
        text.push(':');
        for byte in hash {
            text.push(char::from(DIGITS[usize::from(byte >> 4)]));
            text.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
        Self { algorithm, text: text.into() }
    }

    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The encoded part: lower-case hexadecimal.
    pub fn hex(&self) -> &str {
        &self.text[self.algorithm.as_str().len() + 1..]
    }

    /// `algorithm:hex`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The fallback tag under which clients of registries without the referrers API list the manifests that refer to
    /// this digest (distribution-spec, "Referrers Tag Schema"): the algorithm cut to 32 characters, `-`, the encoded
    /// part cut to 64.
    pub fn fallback_tag(&self) -> super::Tag {
        let hex = self.hex();
        super::Tag::of_digest(format!("{}-{}", self.algorithm, &hex[..hex.len().min(64)]))
    }
}

impl FromStr for Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        let (algorithm, encoded) = text.split_once(':').ok_or(InvalidDigest::Grammar)?;
        let Ok(algorithm) = algorithm.parse::<Algorithm>() else {
            return Err(match is_generic(algorithm, encoded) {
                true => InvalidDigest::Unsupported,
                false => InvalidDigest::Grammar,
            });
        };
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if encoded.len() != algorithm.hex_len() || !encoded.bytes().all(hex) {
            return Err(InvalidDigest::Grammar);
        }
        Ok(Self { algorithm, text: text.into() })
    }
}

/// Whether the text follows the grammar of image-spec's "Digests" for unknown algorithms:
/// `[a-z0-9]+([+._-][a-z0-9]+)*` `:` `[a-zA-Z0-9=_-]+`.
fn is_generic(algorithm: &str, encoded: &str) -> bool {
    let component = |c: &str| !c.is_empty() && c.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    algorithm.split(['+', '.', '_', '-']).all(component)
        && !encoded.is_empty()
        && encoded.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'=' | b'_' | b'-'))
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> serde::Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_the_canonical_spelling_is_a_digest() {
        let hex = "0123456789abcdef".repeat(4);
        assert!(format!("sha256:{hex}").parse::<Digest>().is_ok());
        assert!(format!("sha512:{hex}{hex}").parse::<Digest>().is_ok());
        for bad in [
            format!("sha256:{}", hex.to_uppercase()),
            format!("SHA256:{hex}"),
            format!("sha256:{hex}0"),
            format!("sha256:{}", &hex[1..]),
            format!("sha512:{hex}"),
            format!("sha256 :{hex}"),
            format!("sha256:{hex}\n"),
            "sha256:".into(),
            ":".into(),
            hex.clone(),
            "sha256:baddigeststring".into(),
            "sha256:../../../etc/passwd".into(),
        ] {
            assert_eq!(bad.parse::<Digest>(), Err(InvalidDigest::Grammar), "{bad}");
        }
        assert_eq!(format!("blake3:{hex}").parse::<Digest>(), Err(InvalidDigest::Unsupported));
        assert_eq!("md5+x:aa=_-".parse::<Digest>(), Err(InvalidDigest::Unsupported));
    }

    #[test]
    fn a_sha512_fallback_tag_is_cut_to_64_digits() {
        let digest: Digest = format!("sha512:{}", "a".repeat(128)).parse().unwrap();
        assert_eq!(digest.fallback_tag().as_str(), format!("sha512-{}", "a".repeat(64)));
    }

    proptest! {
        #[test]
        fn digests_parse_back_to_themselves(text in "(sha256:[0-9a-f]{64})|(sha512:[0-9a-f]{128})") {
            let digest: Digest = text.parse().unwrap();
            prop_assert_eq!(digest.to_string(), text);
            prop_assert_eq!(digest.hex().len(), digest.algorithm().hex_len());
        }
    }
}
