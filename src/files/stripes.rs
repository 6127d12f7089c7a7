//! Striped locks: one lock for many keys, so that no table of locks has to grow and shrink.

use std::hash::{DefaultHasher, Hash, Hasher};

/// A fixed number of locks, each for all keys with the same hash. A lock that is held during a system call is taken
/// with [`world::lock`](super::world::lock).
pub struct Stripes<L>(Box<[L]>);

impl<L: Default> Stripes<L> {
    /// As many locks as given; with enough of them, unrelated keys seldom share one.
    pub fn new(count: usize) -> Self {
        Self((0..count).map(|_| L::default()).collect())
    }
}

impl<L> Stripes<L> {
    fn index(&self, key: &impl Hash) -> usize {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        (hasher.finish() % self.0.len() as u64) as usize
    }

    /// The lock of a key.
    pub fn of(&self, key: &impl Hash) -> &L {
        &self.0[self.index(key)]
    }

    /// The locks of several keys, each once and in the same order for every caller: callers that take them in this
    /// order never wait for one another, nor anyone for a lock that they hold themselves.
    pub fn of_each<K: Hash>(&self, keys: impl IntoIterator<Item = K>) -> impl Iterator<Item = &L> {
        let mut indices: Vec<_> = keys.into_iter().map(|key| self.index(&key)).collect();
        indices.sort_unstable();
        indices.dedup();
        indices.into_iter().map(|i| &self.0[i])
    }

    /// All locks.
    pub fn iter(&self) -> impl Iterator<Item = &L> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn equal_keys_have_one_lock_and_several_keys_have_theirs_once_and_in_one_order() {
        let stripes = Stripes::<Mutex<u8>>::new(8);
        assert!(std::ptr::eq(stripes.of(&"a"), stripes.of(&"a".to_owned())));
        let there: Vec<_> = stripes.of_each(0..100).map(std::ptr::from_ref).collect();
        let back: Vec<_> = stripes.of_each((0..100).rev()).map(std::ptr::from_ref).collect();
        assert_eq!((there.len(), &there), (8, &back));
        assert!(stripes.iter().map(std::ptr::from_ref).eq(there));
    }
}
