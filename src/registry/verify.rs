//! The only place that creates [`Verified`]: a digest counts as verified only after its bytes were hashed.

use super::{RegistryError, Result};
use crate::storage::{self, Blob, Verified};
use bytes::Bytes;
use oci::{Algorithm, Digest, Hasher, Span};

/// Bytes read at once while hashing a file.
const STEP: u64 = 1 << 20;

/// Compares bytes in memory with their expected digest.
pub(super) fn bytes(expected: &Digest, content: &Bytes) -> Result<Verified> {
    compare(expected, Hasher::digest(expected.algorithm(), content), content.len() as u64)
}

/// Computes the digest of bytes in memory.
pub(super) fn hash_bytes(content: &Bytes) -> Verified {
    Verified::vouch(Hasher::digest(Algorithm::Sha256, content), content.len() as u64)
}

/// The digest of an upload whose bytes were hashed as they were appended. `None` if they were hashed by another
/// algorithm, or if the file has other bytes: then the sealed file has to be hashed.
pub(super) fn appended(expected: &Digest, hasher: &Hasher, len: u64) -> Option<Verified> {
    compare(expected, hasher.clone().finish(), len).ok()
}

/// Compares the hash of bytes that were taken in, which are `len` bytes, with their expected digest.
pub(super) fn hashed(expected: &Digest, hasher: Hasher, len: u64) -> Result<Verified> {
    compare(expected, hasher.finish(), len)
}

/// Compares a sealed upload with its expected digest. `hashed` has seen the first `at` bytes, with the digest's
/// algorithm; the rest is read.
pub(super) async fn sealed(expected: &Digest, blob: &Blob, hashed: Hasher, at: u64) -> Result<Verified> {
    let hasher = catch_up(blob, hashed, at).await?;
    compare(expected, hasher.finish(), blob.len())
}

/// Feeds the bytes from `at` on to a hasher that has seen those before.
pub(super) async fn catch_up(blob: &Blob, mut hasher: Hasher, mut at: u64) -> Result<Hasher> {
    while at < blob.len() {
        let len = STEP.min(blob.len() - at);
        let bytes = blob.read(Span { start: at, len }).await?;
        let hashing = move || {
            hasher.update(&bytes);
            Ok(hasher)
        };
        hasher = storage::blocking(hashing).await?;
        at += len;
    }
    Ok(hasher)
}

fn compare(expected: &Digest, actual: Digest, len: u64) -> Result<Verified> {
    if actual != *expected {
        return Err(RegistryError::DigestMismatch { expected: expected.clone(), actual });
    }
    Ok(Verified::vouch(actual, len))
}
