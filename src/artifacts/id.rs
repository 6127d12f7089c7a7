//! Ids of artifacts.

use super::{ArtifactPath, ArtifactVersion, Properties, as_text};
use sha2::{Digest as _, Sha256};
use std::{fmt, str::FromStr};

/// Identifies an artifact within its repository: a hash of version, path and properties. So there cannot be two with
/// the same three, whoever stores them at the same time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ArtifactId([u8; ArtifactId::DIGITS]);

/// The text is not an id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an artifact's ID must be 'art-' and 26 characters of a-z and 2-7")]
pub struct InvalidArtifactId;

/// Of RFC 4648, in lowercase: no digit is easily taken for a letter.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

impl ArtifactId {
    const PREFIX: &'static str = "art-";

    /// Of five bits each, so 130 in all.
    const DIGITS: usize = 26;

    /// The id of the artifact with this version, path and properties.
    pub fn of(version: &ArtifactVersion, path: &ArtifactPath, properties: &Properties) -> Self {
        let mut hash = Sha256::new();
        // Each text with its length, so that no two lists of texts are the same bytes.
        let mut text = |text: &str| {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        };
        text(version.as_str());
        text(path.as_str());
        for (key, value) in properties.iter() {
            text(key.as_str());
            text(value.as_str());
        }
        let hash = hash.finalize();
        let mut digits = [0; Self::DIGITS];
        for (i, digit) in digits.iter_mut().enumerate() {
            let (byte, bit) = (i * 5 / 8, i * 5 % 8);
            let two = u16::from_be_bytes([hash[byte], hash[byte + 1]]);
            *digit = ALPHABET[usize::from(two >> (11 - bit) & 31)];
        }
        Self(digits)
    }

    fn digits(&self) -> &str {
        // Only digits of the alphabet are ever in it.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The first digits, to tell apart what has the same name.
    pub fn short(&self) -> &str {
        self.digits().get(..8).unwrap_or_default()
    }
}

impl FromStr for ArtifactId {
    type Err = InvalidArtifactId;

    fn from_str(text: &str) -> Result<Self, InvalidArtifactId> {
        let digits = text.strip_prefix(Self::PREFIX).ok_or(InvalidArtifactId)?.as_bytes();
        let digits: [u8; Self::DIGITS] = digits.try_into().map_err(|_| InvalidArtifactId)?;
        digits.iter().all(|digit| ALPHABET.contains(digit)).then_some(Self(digits)).ok_or(InvalidArtifactId)
    }
}

impl fmt::Display for ArtifactId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Self::PREFIX, self.digits())
    }
}

impl fmt::Debug for ArtifactId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

as_text!(ArtifactId);

#[cfg(test)]
mod tests {
    use super::*;

    fn id(version: &str, path: &str, properties: &[(&str, &str)]) -> ArtifactId {
        let mut all = Properties::default();
        for (key, value) in properties {
            all.add(key, value).unwrap();
        }
        ArtifactId::of(&version.parse().unwrap(), &path.parse().unwrap(), &all)
    }

    #[test]
    fn an_id_parses_back_to_itself() {
        let id = id("1.0", "app", &[("os", "linux")]);
        let text = id.to_string();
        assert_eq!((text.len(), text.parse()), (30, Ok(id)));
        assert_eq!(id.short(), &text[4..12]);
        for bad in
            [&text[..29], &text[1..], &text.to_uppercase(), &format!("{text}a"), &text.replace("art-", "art_"), "art-"]
        {
            assert_eq!(bad.parse::<ArtifactId>(), Err(InvalidArtifactId), "{bad}");
        }
    }

    #[test]
    fn the_id_of_a_description_never_changes() {
        assert_eq!(id("1.0", "app", &[]).to_string(), "art-7vturbxqthtzeil6ssemzxmaox");
    }

    #[test]
    fn ids_differ_wherever_version_path_or_properties_differ() {
        let ids = [
            id("1", "app", &[]),
            id("11", "pp", &[]),
            id("1", "a/pp", &[]),
            id("1", "app", &[("a", "")]),
            id("1", "app", &[("a", "b")]),
            id("1", "app", &[("ab", "")]),
            id("1", "app", &[("a", "b"), ("c", "d")]),
            id("1", "app", &[("a", "bc"), ("d", "")]),
        ];
        let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
        assert_eq!(id("1", "app", &[("a", "b"), ("c", "d")]), id("1", "app", &[("c", "d"), ("a", "b")]));
    }
}
