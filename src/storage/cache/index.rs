//! What is in the cache, and what is removed next.

use oci::Digest;
use std::collections::{BTreeMap, HashMap};

/// Uses of a blob between two notes of it on the disk.
const NOTED_EVERY: u32 = 16;

/// The blobs of a cache in the order of their last use.
pub(super) struct CacheIndex {
    most_bytes: u64,
    blobs: HashMap<Digest, CachedBlob>,
    by_use: BTreeMap<u64, Digest>,
    uses: u64,
    /// Bytes of blobs.
    pub(super) bytes: u64,
    /// Bytes of files that are being written.
    reserved: u64,
}

struct CachedBlob {
    len: u64,
    used: u64,
    since_noted: u32,
}

impl CacheIndex {
    pub(super) fn new(most_bytes: u64) -> Self {
        Self { most_bytes, blobs: HashMap::new(), by_use: BTreeMap::new(), uses: 0, bytes: 0, reserved: 0 }
    }

    pub(super) fn count(&self) -> usize {
        self.blobs.len()
    }

    pub(super) fn has(&self, digest: &Digest) -> bool {
        self.blobs.contains_key(digest)
    }

    /// Counts a use of a blob: its length, and whether the use is to be noted on the disk.
    pub(super) fn used(&mut self, digest: &Digest) -> Option<(u64, bool)> {
        let blob = self.blobs.get_mut(digest)?;
        self.uses += 1;
        self.by_use.remove(&blob.used);
        self.by_use.insert(self.uses, digest.clone());
        blob.used = self.uses;
        blob.since_noted = (blob.since_noted + 1) % NOTED_EVERY;
        Some((blob.len, blob.since_noted == 1))
    }

    pub(super) fn insert(&mut self, digest: &Digest, len: u64) {
        self.remove(digest);
        self.uses += 1;
        self.by_use.insert(self.uses, digest.clone());
        self.blobs.insert(digest.clone(), CachedBlob { len, used: self.uses, since_noted: 0 });
        self.bytes += len;
    }

    /// Forgets a blob, and returns its length.
    pub(super) fn remove(&mut self, digest: &Digest) -> Option<u64> {
        let blob = self.blobs.remove(digest)?;
        self.by_use.remove(&blob.used);
        self.bytes -= blob.len;
        Some(blob.len)
    }

    /// Makes room for so many bytes that will be written, and returns what is to be removed for them; `None` if there
    /// cannot be enough.
    pub(super) fn reserve(&mut self, len: u64) -> Option<Vec<(Digest, u64)>> {
        if self.reserved.checked_add(len)? > self.most_bytes {
            return None;
        }
        self.reserved += len;
        Some(self.shrink())
    }

    /// Gives back what was reserved.
    pub(super) fn release(&mut self, len: u64) {
        self.reserved -= len;
    }

    /// Forgets what was used least recently until everything fits.
    pub(super) fn shrink(&mut self) -> Vec<(Digest, u64)> {
        let mut removed = Vec::new();
        while self.bytes + self.reserved > self.most_bytes
            && let Some(digest) = self.by_use.first_key_value().map(|(_, digest)| digest.clone())
        {
            removed.extend(self.remove(&digest).map(|len| (digest, len)));
        }
        removed
    }
}
