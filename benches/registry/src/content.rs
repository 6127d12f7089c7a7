//! Random bytes to push: every blob differs from all others, and is hashed without being built.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{SystemTime, UNIX_EPOCH};

use sha2::{Digest as _, Sha256};

use crate::Result;

/// `sha256:…` of these bytes.
pub fn digest(bytes: &[u8]) -> String {
    named(Sha256::new_with_prefix(bytes))
}

/// `sha256:…` of the bytes that were hashed.
pub fn named(hash: Sha256) -> String {
    let mut text = String::from("sha256:");
    for byte in hash.finalize() {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// splitmix64: fast, and random enough that nothing compresses or repeats.
pub struct Random(u64);

impl Random {
    /// A generator that returns the same numbers for the same seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`, which is not 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// `len` random bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len + 8);
        while bytes.len() < len {
            bytes.extend_from_slice(&self.next().to_le_bytes());
        }
        bytes.truncate(len);
        bytes
    }
}

/// A number that no other call returns, in this process or, most likely, in another.
pub fn unique() -> u64 {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    static START: LazyLock<u64> = LazyLock::new(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Random::new(now.as_nanos() as u64 ^ u64::from(std::process::id()) << 32).next()
    });
    START.wrapping_add(COUNT.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// Every blob ends with this many unique bytes.
const STAMP: usize = 32;
const FILL: usize = 32 << 20;

/// 32 MiB of random bytes, from which all blobs are filled.
static RANDOM: LazyLock<Arc<[u8]>> = LazyLock::new(|| Random::new(unique()).bytes(FILL).into());
static ZEROS: LazyLock<Arc<[u8]>> = LazyLock::new(|| vec![0; FILL].into());

/// A blob that is never in memory as a whole: a beginning, a repeated filling, and an end.
#[derive(Clone)]
pub struct BenchBlob {
    begin: Arc<[u8]>,
    fill: Arc<[u8]>,
    end: Vec<u8>,
    /// Length in bytes.
    pub size: u64,
    /// `sha256:…`
    pub digest: String,
}

impl BenchBlob {
    /// A blob whose bytes are all in memory, such as a config.
    pub fn of(bytes: Vec<u8>) -> Self {
        let (size, digest) = (bytes.len() as u64, digest(&bytes));
        Self { begin: [].into(), fill: [].into(), end: bytes, size, digest }
    }

    /// Calls `with` for the pieces between two offsets.
    pub fn each(&self, from: u64, to: u64, mut with: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let tail = self.size - self.end.len() as u64;
        let mut at = from;
        while at < to {
            let rest = if at < self.begin.len() as u64 {
                &self.begin[usize::try_from(at)?..]
            } else if at < tail {
                let inside = usize::try_from((at - self.begin.len() as u64) % self.fill.len() as u64)?;
                let most = usize::try_from((tail - at).min((self.fill.len() - inside) as u64))?;
                &self.fill[inside..inside + most]
            } else {
                &self.end[usize::try_from(at - tail)?..]
            };
            let piece = &rest[..rest.len().min(usize::try_from((to - at).min(256 * 1024))?)];
            with(piece)?;
            at += piece.len() as u64;
        }
        Ok(())
    }

    /// All bytes of a blob that is small or written to a file.
    pub fn bytes(&self) -> Vec<u8> {
        self.range(0, self.size)
    }

    /// The bytes between two offsets.
    pub fn range(&self, from: u64, to: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        // Neither the offsets nor a Vec can fail.
        let _ = self.each(from, to, |piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        });
        bytes
    }
}

/// Makes different blobs of one size. All but their last bytes are hashed only once.
pub struct Maker {
    begin: Arc<[u8]>,
    fill: Arc<[u8]>,
    size: u64,
    so_far: Sha256,
    stamped: bool,
}

impl Maker {
    /// Random blobs of this size, which is at least 32.
    pub fn random(size: u64) -> Result<Self> {
        Self::new([].into(), RANDOM.clone(), size, true)
    }

    /// What zot's `zb` pushes: 4 KiB of random bytes, then zeros; always the same blob.
    pub fn of_zb(size: u64) -> Result<Self> {
        Self::new(RANDOM[..4096].into(), ZEROS.clone(), size, false)
    }

    fn new(begin: Arc<[u8]>, fill: Arc<[u8]>, size: u64, stamped: bool) -> Result<Self> {
        let end = if stamped { STAMP as u64 } else { 0 };
        let whole = BenchBlob { begin, fill, end: vec![0; end as usize], size, digest: String::new() };
        let mut so_far = Sha256::new();
        whole.each(0, size - end, |piece| {
            so_far.update(piece);
            Ok(())
        })?;
        Ok(Self { begin: whole.begin, fill: whole.fill, size, so_far, stamped })
    }

    /// The next one.
    pub fn make(&self) -> BenchBlob {
        let end = if self.stamped { Random::new(unique()).bytes(STAMP) } else { Vec::new() };
        let digest = named(self.so_far.clone().chain_update(&end));
        BenchBlob { begin: self.begin.clone(), fill: self.fill.clone(), end, size: self.size, digest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_has_its_digest_and_no_other_blob_has_it() {
        let maker = Maker::random(100_000).unwrap();
        let (one, other) = (maker.make(), maker.make());
        assert_eq!(one.bytes().len(), 100_000);
        assert_eq!(digest(&one.bytes()), one.digest);
        assert_ne!(one.digest, other.digest);
    }

    #[test]
    fn parts_put_together_are_the_blob() {
        for blob in
            [Maker::random(70_000).unwrap().make(), Maker::of_zb(70_000).unwrap().make(), BenchBlob::of(vec![7; 9])]
        {
            let mut all = Vec::new();
            for from in (0..blob.size).step_by(3_000) {
                let keep = |piece: &[u8]| {
                    all.extend_from_slice(piece);
                    Ok(())
                };
                blob.each(from, (from + 3_000).min(blob.size), keep).unwrap();
            }
            assert!(all == blob.bytes() && digest(&all) == blob.digest);
        }
    }

    #[test]
    fn the_blob_of_zb_is_a_random_page_and_zeros() {
        let bytes = Maker::of_zb(1 << 20).unwrap().make().bytes();
        assert!(bytes[..4096].iter().any(|byte| *byte != 0));
        assert!(bytes[4096..].iter().all(|byte| *byte == 0));
    }
}
