//! Hashing content as it passes, with a state that can be saved and resumed.

use super::{Algorithm, Digest};
use sha2::{
    Digest as _, Sha256, Sha512,
    digest::common::hazmat::{SerializableState, SerializedState},
};
use std::fmt::Write as _;

/// Computes a [`Digest`] over bytes given in order.
#[derive(Clone)]
pub enum Hasher {
    /// A running SHA-256.
    Sha256(Sha256),
    /// A running SHA-512.
    Sha512(Sha512),
}

/// The state of a hasher as text, to be stored with the bytes it has hashed.
///
/// The layout of the state depends on the version of the hashing library, so it includes that version; the state of
/// another version is not read.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SavedHash {
    algorithm: String,
    layout: String,
    state: String,
}

/// Names the layout of a serialised state; changes with the `sha2` release line.
const LAYOUT: &str = "sha2-0.11";

impl Hasher {
    /// A hasher that has hashed nothing yet.
    pub fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
            Algorithm::Sha512 => Self::Sha512(Sha512::new()),
        }
    }

    /// The algorithm of the digest.
    pub fn algorithm(&self) -> Algorithm {
        match self {
            Self::Sha256(_) => Algorithm::Sha256,
            Self::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// Hashes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hash) => hash.update(bytes),
            Self::Sha512(hash) => hash.update(bytes),
        }
    }

    /// The digest of all bytes hashed.
    pub fn finish(self) -> Digest {
        match self {
            Self::Sha256(hash) => Digest::from_hash(Algorithm::Sha256, &hash.finalize()),
            Self::Sha512(hash) => Digest::from_hash(Algorithm::Sha512, &hash.finalize()),
        }
    }

    pub fn digest(algorithm: Algorithm, bytes: &[u8]) -> Digest {
        let mut hasher = Self::new(algorithm);
        hasher.update(bytes);
        hasher.finish()
    }

    /// The current state.
    pub fn save(&self) -> SavedHash {
        let state = match self {
            Self::Sha256(hash) => to_hex(&hash.serialize()),
            Self::Sha512(hash) => to_hex(&hash.serialize()),
        };
        SavedHash { algorithm: self.algorithm().to_string(), layout: LAYOUT.into(), state }
    }

    /// Continues from a saved state; `None` if this build cannot read it (then hash from the start).
    pub fn resume(saved: &SavedHash) -> Option<Self> {
        if saved.layout != LAYOUT {
            return None;
        }
        let bytes = from_hex(&saved.state)?;
        match saved.algorithm.parse().ok()? {
            Algorithm::Sha256 => {
                let state = SerializedState::<Sha256>::try_from(bytes.as_slice()).ok()?;
                Sha256::deserialize(&state).ok().map(Self::Sha256)
            }
            Algorithm::Sha512 => {
                let state = SerializedState::<Sha512>::try_from(bytes.as_slice()).ok()?;
                Sha512::deserialize(&state).ok().map(Self::Sha512)
            }
        }
    }
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hasher({})", self.algorithm())
    }
}

fn to_hex(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let nibble = |b: u8| char::from(b).to_digit(16).map(|d| d as u8);
    digits.chunks(2).map(|pair| Some(nibble(pair[0])? << 4 | nibble(pair[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_match_known_values() {
        assert_eq!(
            Hasher::digest(Algorithm::Sha256, b"").as_str(),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert!(Hasher::digest(Algorithm::Sha512, b"abc").hex().starts_with("ddaf35a193617aba"));
    }

    #[test]
    fn a_saved_state_continues_where_it_stopped() {
        for algorithm in Algorithm::ALL {
            for cut in [0, 1, 63, 64, 65, 127, 128, 129, 1000] {
                let bytes: Vec<u8> = (0..2000u32).map(|i| i as u8).collect();
                let mut first = Hasher::new(algorithm);
                first.update(&bytes[..cut]);
                let mut second = Hasher::resume(&first.save()).unwrap();
                second.update(&bytes[cut..]);
                assert_eq!(second.finish(), Hasher::digest(algorithm, &bytes));
            }
        }
    }

    #[test]
    fn a_state_of_another_layout_or_garbage_is_not_read() {
        let good = Hasher::new(Algorithm::Sha256).save();
        for bad in [
            SavedHash { layout: "sha2-9".into(), ..good.clone() },
            SavedHash { state: "zz".into(), ..good.clone() },
            SavedHash { state: "abc".into(), ..good.clone() },
            SavedHash { state: String::new(), ..good.clone() },
            SavedHash { algorithm: "md5".into(), ..good.clone() },
            SavedHash { algorithm: "sha512".into(), ..good },
        ] {
            assert!(Hasher::resume(&bad).is_none(), "{bad:?}");
        }
    }
}
