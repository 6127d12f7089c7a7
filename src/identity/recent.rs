//! A bounded map that keeps the most recently written keys.
//!
//! `quick_cache` promises something else: when many keys are written again and again in turn, it keeps older ones and
//! forgets these. Then guesses from 10,000 addresses would each count as the first, although there is room for 65,536.

use std::collections::HashMap;

/// Values of the most recently written keys.
pub(super) struct RecentMap<V> {
    young: HashMap<u64, V>,
    old: HashMap<u64, V>,
    most: usize,
}

impl<V: Copy> RecentMap<V> {
    /// Keeps at least the last `most` keys, and never more than twice as many.
    pub(super) fn new(most: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), most }
    }

    pub(super) fn get(&self, key: u64) -> Option<V> {
        self.young.get(&key).or_else(|| self.old.get(&key)).copied()
    }

    pub(super) fn put(&mut self, key: u64, value: V) {
        if self.young.len() >= self.most && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_recent_keys_are_kept() {
        let mut recent = RecentMap::new(10);
        for key in 0..1000 {
            recent.put(key, key * 2);
            recent.put(7777, 0);
            let kept = (0..=key).rev().take_while(|&key| recent.get(key) == Some(key * 2)).count() as u64;
            assert!(kept >= (key + 1).min(9), "{key}: {kept}");
            assert!(recent.young.len() + recent.old.len() <= 20);
            assert_eq!(recent.get(7777), Some(0), "it is written all the time");
        }
        assert_eq!(recent.get(0), None);
    }
}
