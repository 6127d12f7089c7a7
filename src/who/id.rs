//! Ids of logins and API keys.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, str::FromStr};

/// An id of `N` random bytes, written in lowercase hexadecimal. It is no secret: what proves anything is kept beside it
/// as a hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HexId<const N: usize>([u8; N]);

/// The id of a session: one login of one user, on one device.
pub type SessionId = HexId<16>;

/// The id of an API key.
pub type ApiKeyId = HexId<8>;

impl<const N: usize> HexId<N> {
    /// The id with these bytes.
    pub fn of(bytes: [u8; N]) -> Self {
        Self(bytes)
    }
}

impl<const N: usize> FromStr for HexId<N> {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let read = || {
            let mut bytes = [0; N];
            let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
            if pairs.len() != N {
                return None;
            }
            for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
                *byte = digit(*high)? << 4 | digit(*low)?;
            }
            Some(Self(bytes))
        };
        read().ok_or("an id has a fixed number of lowercase hexadecimal digits")
    }
}

impl<const N: usize> fmt::Display for HexId<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl<const N: usize> fmt::Debug for HexId<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<const N: usize> Serialize for HexId<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, const N: usize> Deserialize<'de> for HexId<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        let id = ApiKeyId::of([0, 1, 0x2a, 0xff, 4, 5, 6, 7]);
        assert_eq!(id.to_string(), "00012aff04050607");
        assert_eq!("00012aff04050607".parse(), Ok(id));
        for other in
            ["00012AFF04050607", "00012aff0405060", "00012aff040506070", "", "00012aff0405060g", "../012aff040506"]
        {
            assert!(other.parse::<ApiKeyId>().is_err(), "{other}");
        }
        assert!("00012aff04050607".parse::<SessionId>().is_err());
    }
}
