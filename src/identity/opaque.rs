//! Secrets that say nothing by themselves: API keys, refresh tokens and the values of cookies.
//!
//! Each is `<prefix>_<id>_<secret>_<crc>`. The id finds the record, which has a hash of the whole text. A plain hash is
//! enough, since nobody guesses 256 random bits. Scanners for leaked secrets recognise the prefix, and the checksum
//! tells them, and us, a typing error from a wrong key.

use crate::who::HexId;
use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    digest::{SHA256, digest},
    error::Unspecified,
    rand,
};
use std::fmt;

/// A secret of one kind: what `P` says, about something with an id of `N` bytes. Never shown but by
/// [`reveal`](Self::reveal).
#[derive(Clone, PartialEq, Eq)]
pub struct OpaqueText<const P: char, const N: usize> {
    id: HexId<N>,
    text: String,
}

/// An API key.
pub type ApiKeyText = OpaqueText<'f', 8>;

/// A refresh token of a session.
pub type RefreshText = OpaqueText<'r', 16>;

/// The value of a session's cookie.
pub type CookieText = OpaqueText<'c', 16>;

/// Bytes of the secret part.
const SECRET: usize = 32;

impl<const P: char, const N: usize> OpaqueText<P, N> {
    /// A new secret about something new.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn random() -> Result<Self, Unspecified> {
        let mut id = [0; N];
        rand::fill(&mut id)?;
        Self::about(HexId::of(id))
    }

    /// A new secret about something that exists.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn about(id: HexId<N>) -> Result<Self, Unspecified> {
        let mut secret = [0; SECRET];
        rand::fill(&mut secret)?;
        let before_sum = format!("wh{P}_{id}_{}", HexId::of(secret));
        Ok(Self { id, text: format!("{before_sum}_{:08x}", crc(before_sum.as_bytes())) })
    }

    /// Reads a secret that a client sent; `None` if it is not one of this kind, or was mistyped.
    pub fn parse(text: &str) -> Option<Self> {
        let (before_sum, sum) = text.rsplit_once('_')?;
        let (id, secret) = before_sum.strip_prefix("wh")?.strip_prefix(P)?.strip_prefix('_')?.split_once('_')?;
        let id = id.parse().ok()?;
        secret.parse::<HexId<SECRET>>().ok()?;
        (sum == format!("{:08x}", crc(before_sum.as_bytes()))).then(|| Self { id, text: text.to_owned() })
    }

    /// What it is about.
    pub fn id(&self) -> HexId<N> {
        self.id
    }

    /// The secret itself, for its owner.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// Its SHA-256, in hexadecimal: what is stored of it.
    pub fn hash(&self) -> String {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, self.text.as_bytes()).as_ref());
        HexId::of(hash).to_string()
    }

    /// Whether this is what was stored of it. The time it takes does not tell how much of a wrong one is right.
    pub fn is_stored_as(&self, hash: &str) -> bool {
        verify_slices_are_equal(self.hash().as_bytes(), hash.as_bytes()).is_ok()
    }
}

impl<const P: char, const N: usize> fmt::Debug for OpaqueText<P, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wh{P}_{}_…", self.id)
    }
}

/// CRC-32 (IEEE 802.3).
fn crc(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_was_made_and_in_no_other_spelling() {
        let key = ApiKeyText::random().unwrap();
        let text = key.reveal();
        assert_eq!((text.len(), ApiKeyText::parse(text).as_ref()), (94, Some(&key)));
        assert!(text.starts_with(&format!("whf_{}_", key.id())));
        for i in 0..text.len() {
            let (mut wrong, was) = (text.to_owned(), &text[i..=i]);
            wrong.replace_range(i..=i, if was == "0" { "1" } else { "0" });
            assert_eq!(ApiKeyText::parse(&wrong), None, "{wrong}");
            assert_eq!(ApiKeyText::parse(&text[..i]), None);
        }
        assert_eq!(ApiKeyText::parse(&text.to_uppercase()), None);
        assert_eq!(ApiKeyText::parse(&format!("{text} ")), None);
        let refresh = RefreshText::random().unwrap();
        assert!(CookieText::parse(refresh.reveal()).is_none() && ApiKeyText::parse(refresh.reveal()).is_none());
    }

    #[test]
    fn only_the_hash_is_stored_and_nothing_is_shown() {
        let (key, other) = (ApiKeyText::random().unwrap(), ApiKeyText::random().unwrap());
        assert!(key.is_stored_as(&key.hash()) && !key.is_stored_as(&other.hash()) && !key.is_stored_as(""));
        assert_eq!(key.hash(), oci::Hasher::digest(oci::Algorithm::Sha256, key.reveal().as_bytes()).hex());
        assert_eq!(format!("{key:?}"), format!("whf_{}_…", key.id()));
        let again = RefreshText::about(RefreshText::random().unwrap().id()).unwrap();
        assert_ne!(again, RefreshText::about(again.id()).unwrap());
    }

    #[test]
    fn the_checksum_is_the_usual_one() {
        assert_eq!(crc(b"123456789"), 0xcbf4_3926);
    }
}
