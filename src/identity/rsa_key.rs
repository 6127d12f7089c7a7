//! The RSA keys that are accepted, wherever one is loaded.

use aws_lc_rs::rsa;

/// Smaller keys can be broken, and larger ones are slow to verify.
const BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// Whether a `SubjectPublicKeyInfo` (RFC 5280 §4.1) holds an RSA key.
///
/// # Errors
/// Its length, if it is not accepted.
pub fn is_rsa_key(spki: &[u8]) -> Result<bool, String> {
    let Ok(key) = rsa::PublicKey::from_der(spki) else { return Ok(false) };
    let modulus = rsa::PublicKeyComponents::<Vec<u8>>::from(&key).n;
    let zeros = modulus.first().map_or(0, |first| first.leading_zeros() as usize);
    let bits = modulus.len() * 8 - zeros;
    let (least, most) = (BITS.start(), BITS.end());
    let unfit = || format!("an RSA key of {bits} bits; {least} to {most} bits are accepted");
    BITS.contains(&bits).then_some(true).ok_or_else(unfit)
}
