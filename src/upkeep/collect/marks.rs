//! The set of everything that is needed, eight bytes per item.
//!
//! A digest or a name is represented by 64 bits. If two collide, both are kept as long as one is needed: a collision
//! can keep garbage, but never lose anything.

use oci::{Digest, RepositoryName};

/// A set of keys that takes at most twice their size: a list that is sorted from time to time.
#[derive(Default)]
pub(super) struct Keys {
    keys: Vec<u64>,
    /// The number of entries at the front that are sorted and unique.
    settled: usize,
}

impl Keys {
    pub(super) fn add(&mut self, key: u64) {
        self.keys.push(key);
        if self.keys.len() >= 1024 && self.keys.len() / 2 >= self.settled {
            self.settle();
        }
    }

    /// Sorts everything. Lookups find nothing before this.
    pub(super) fn settle(&mut self) {
        self.keys.sort_unstable();
        self.keys.dedup();
        self.settled = self.keys.len();
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u64> {
        self.keys.iter().copied()
    }

    pub(super) fn has(&self, key: u64) -> bool {
        debug_assert_eq!(self.settled, self.keys.len(), "settled before it is asked");
        self.keys.binary_search(&key).is_ok()
    }
}

/// All marks of one pass.
#[derive(Default)]
pub(super) struct Marks {
    /// Blobs that are needed.
    pub(super) blobs: Keys,
    /// Of these, those that a tag reaches.
    pub(super) tagged: Keys,
    /// Membership links that are needed.
    pub(super) links: Keys,
    /// Manifests that a tag, an active push or another manifest needs.
    pub(super) revisions: Keys,
}

impl Marks {
    /// Restores the sets from keys in the order of [`Marks::sets`].
    pub(super) fn of(sets: [Vec<u64>; 4]) -> Self {
        let [blobs, tagged, links, revisions] = sets.map(|keys| Keys { keys, settled: 0 });
        Self { blobs, tagged, links, revisions }
    }

    pub(super) fn sets(&self) -> [&Keys; 4] {
        [&self.blobs, &self.tagged, &self.links, &self.revisions]
    }

    pub(super) fn settle(&mut self) {
        for keys in [&mut self.blobs, &mut self.tagged, &mut self.links, &mut self.revisions] {
            keys.settle();
        }
    }
}

/// The key of a blob: the first 64 bits of its digest.
pub(super) fn blob(digest: &Digest) -> u64 {
    u64::from_str_radix(&digest.hex()[..16], 16).unwrap_or_default()
}

/// The key of an item of a repository whose digest has the key `blob`.
///
/// The same in every build, because a saved mark outlives the program: FNV-1a, 64 bits, of the name, mixed with the
/// key of the blob, which is as good as random.
pub(super) fn within(repository: &RepositoryName, blob: u64) -> u64 {
    let name = repository.as_str().bytes();
    name.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)) ^ blob
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_added_is_found_and_nothing_else() {
        let mut keys = Keys::default();
        (0..10_000u64).for_each(|i| keys.add(i * 7 % 5000 * 3));
        keys.settle();
        assert!((0..5000).all(|i| keys.has(i * 3)));
        assert!(!keys.has(1) && !keys.has(15_000));
        assert_eq!(keys.keys.len(), 5000, "what was added twice is kept once");
    }

    #[test]
    fn a_key_within_a_repository_is_the_same_in_every_build() {
        let name = |name: &str| name.parse::<RepositoryName>().unwrap();
        assert_eq!(within(&name("a"), 0), 0xaf63_dc4c_8601_ec8c, "as FNV-1a is published");
        assert_eq!(within(&name("a"), 1), 0xaf63_dc4c_8601_ec8d);
        assert_ne!(within(&name("b"), 1), within(&name("a"), 1));
    }

    #[test]
    fn a_digest_of_either_algorithm_has_a_key() {
        for digest in [format!("sha256:{}", "0a".repeat(32)), format!("sha512:{}", "0a".repeat(64))] {
            assert_eq!(blob(&digest.parse().unwrap()), 0x0a0a_0a0a_0a0a_0a0a);
        }
    }
}
