//! What is remembered of the store: only what cannot change. Values of generations, places and contents of blobs by
//! their digests. Whether something is there is remembered only for pulls while the store is away.

use crate::{
    files::world,
    storage::{Fact, FactKey},
};
use bytes::Bytes;
use oci::Digest;
use std::{collections::HashMap, hash::Hash, sync::Mutex, time::Duration};
use ulid::Ulid;

/// The most bytes of values, and of contents, that are remembered.
const MOST_BYTES: usize = 32 << 20;

/// The longest content that is remembered: one manifest.
const LONGEST: usize = 4 << 20;

/// The most places of blobs that are remembered.
const MOST_PLACES: usize = 50_000;

/// What was seen this long ago is not shown any more, even while the store is away.
const SEEN_FOR: Duration = Duration::from_secs(3600);

/// What an entry costs besides its content.
const OVERHEAD: usize = 200;

/// The memory of one process.
#[derive(Default)]
pub(super) struct ObjectMemory {
    values: Mutex<RecentlyUsed<Ulid, Bytes>>,
    contents: Mutex<RecentlyUsed<Digest, Bytes>>,
    places: Mutex<RecentlyUsed<Digest, Vec<(String, u64)>>>,
    lengths: Mutex<RecentlyUsed<Digest, u64>>,
    /// What pulls have read, and at which uptime.
    seen: Mutex<RecentlyUsed<FactKey, (Fact, Duration)>>,
}

/// Entries in two halves: when the younger one is full, it becomes the older one, whose entries are forgotten unless
/// they were used since.
struct RecentlyUsed<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    size: usize,
}

impl<K, V> Default for RecentlyUsed<K, V> {
    fn default() -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), size: 0 }
    }
}

impl<K: Eq + Hash + Clone, V: Clone> RecentlyUsed<K, V> {
    fn get(&mut self, key: &K, size: impl Fn(&V) -> usize, most: usize) -> Option<V> {
        if let Some(value) = self.young.get(key) {
            return Some(value.clone());
        }
        let value = self.old.remove(key)?;
        self.put(key.clone(), value.clone(), size(&value), most);
        Some(value)
    }

    fn put(&mut self, key: K, value: V, size: usize, most: usize) {
        if self.size + size > most / 2 {
            self.old = std::mem::take(&mut self.young);
            self.size = 0;
        }
        if self.young.insert(key, value).is_none() {
            self.size += size;
        }
    }

    fn forget(&mut self, key: &K) -> bool {
        let young = self.young.remove(key).is_some();
        self.old.remove(key).is_some() || young
    }
}

fn size(bytes: &Bytes) -> usize {
    bytes.len() + OVERHEAD
}

impl ObjectMemory {
    pub(super) fn value(&self, generation: &Ulid) -> Option<Bytes> {
        world::lock(&self.values).get(generation, size, MOST_BYTES)
    }

    pub(super) fn keep_value(&self, generation: Ulid, value: &Bytes) {
        if value.len() <= LONGEST {
            world::lock(&self.values).put(generation, value.clone(), size(value), MOST_BYTES);
        }
    }

    pub(super) fn content(&self, digest: &Digest) -> Option<Bytes> {
        world::lock(&self.contents).get(digest, size, MOST_BYTES)
    }

    pub(super) fn keep_content(&self, digest: &Digest, bytes: &Bytes) {
        if bytes.len() <= LONGEST {
            world::lock(&self.contents).put(digest.clone(), bytes.clone(), size(bytes), MOST_BYTES);
        }
    }

    /// The objects that hold a blob's bytes, if they are still there.
    pub(super) fn blob(&self, digest: &Digest) -> Option<Vec<(String, u64)>> {
        world::lock(&self.places).get(digest, |_| 1, MOST_PLACES)
    }

    pub(super) fn keep_blob(&self, digest: &Digest, segments: &[(String, u64)]) {
        if segments.len() <= 64 {
            world::lock(&self.places).put(digest.clone(), segments.to_vec(), 1, MOST_PLACES);
        }
    }

    /// Whether anything was remembered of a blob, of which nothing is remembered now.
    pub(super) fn forget_blob(&self, digest: &Digest) -> bool {
        let place = world::lock(&self.places).forget(digest);
        world::lock(&self.contents).forget(digest) || place
    }

    /// Remembers the value at a key, or forgets it if there is none.
    pub(super) fn see(&self, key: &FactKey, fact: Option<&Fact>) {
        let mut seen = world::lock(&self.seen);
        match fact {
            Some(fact) => seen.put(key.clone(), (fact.clone(), world::uptime()), 1, MOST_PLACES),
            None => {
                seen.forget(key);
            }
        }
    }

    /// The value last seen at a key.
    pub(super) fn seen(&self, key: &FactKey) -> Option<Fact> {
        let (fact, at) = world::lock(&self.seen).get(key, |_| 1, MOST_PLACES)?;
        (world::uptime().saturating_sub(at) < SEEN_FOR).then_some(fact)
    }

    /// The length of a blob.
    pub(super) fn length(&self, digest: &Digest) -> Option<u64> {
        world::lock(&self.lengths).get(digest, |_| 1, MOST_PLACES)
    }

    pub(super) fn keep_length(&self, digest: &Digest, len: u64) {
        world::lock(&self.lengths).put(digest.clone(), len, 1, MOST_PLACES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_rest_is_forgotten() {
        let mut remembered = RecentlyUsed::default();
        for n in 0..100 {
            remembered.put(n, n, 1, 20);
            assert_eq!(remembered.get(&0, |_| 1, 20), Some(0), "{n}");
        }
        assert!(remembered.young.len() + remembered.old.len() <= 22);
        assert_eq!(remembered.get(&50, |_| 1, 20), None);
        assert!(remembered.forget(&0) && !remembered.forget(&0));
        assert_eq!(remembered.get(&0, |_| 1, 20), None);
    }
}
