//! The only maker of [`Verified`]: a digest is vouched for after its bytes were hashed.

use super::{Error, Result};
use crate::{
    oci::{Algorithm, Digest, Hasher, Span},
    storage::{self, Blob, Verified},
};
use bytes::Bytes;

/// Read at once while hashing what is on disk.
const STEP: u64 = 1 << 20;

/// Holds bytes in memory against the digest they are said to have.
pub(super) fn bytes(expected: &Digest, content: &Bytes) -> Result<Verified> {
    held_against(expected, Hasher::digest(expected.algorithm(), content), content.len() as u64)
}

/// Names bytes in memory by their own digest.
pub(super) fn by_itself(content: &Bytes) -> Verified {
    Verified::vouch(Hasher::digest(Algorithm::Sha256, content), content.len() as u64)
}

/// What is known of an upload whose bytes were hashed as they were appended: `None` if they were hashed by another
/// algorithm, or are others: what is sealed then has the last word.
pub(super) fn appended(expected: &Digest, hasher: &Hasher, len: u64) -> Option<Verified> {
    held_against(expected, hasher.clone().finish(), len).ok()
}

/// Holds a sealed upload against the digest it is said to have. `hashed` has seen the first
/// `at` of its bytes, by the digest's algorithm; the rest is read.
pub(super) async fn sealed(expected: &Digest, blob: &Blob, hashed: Hasher, at: u64) -> Result<Verified> {
    let hasher = catch_up(blob, hashed, at).await?;
    held_against(expected, hasher.finish(), blob.len())
}

/// Lets a hasher that has seen the first `at` bytes see the others.
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

fn held_against(expected: &Digest, actual: Digest, len: u64) -> Result<Verified> {
    if actual != *expected {
        return Err(Error::DigestMismatch { expected: expected.clone(), actual });
    }
    Ok(Verified::vouch(actual, len))
}
