//! Properties that are kept once, and named by numbers.

use super::texts::{TextNumber, number, push};
use hashbrown::{HashTable, hash_table::Entry};
use std::hash::{BuildHasher as _, RandomState};

/// The number of a key with a value.
pub(super) type PairNumber = u32;

/// Every pair of key and value that rows of an index have.
#[derive(Default)]
pub(super) struct PropertyPairs {
    pairs: Vec<(TextNumber, TextNumber)>,
    numbers: HashTable<PairNumber>,
    hasher: RandomState,
}

impl PropertyPairs {
    /// The number of a pair, which is added if it is new.
    pub(super) fn add(&mut self, key: TextNumber, value: TextNumber) -> PairNumber {
        let Self { pairs, numbers, hasher } = self;
        let pair = (key, value);
        let found = numbers.entry(
            hasher.hash_one(pair),
            |index| pairs[*index as usize] == pair,
            |index| hasher.hash_one(pairs[*index as usize]),
        );
        match found {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                let new = number(pairs.len());
                entry.insert(new);
                push(pairs, pair);
                new
            }
        }
    }

    /// The number of a pair; `None` if no row has it.
    pub(super) fn find(&self, key: TextNumber, value: TextNumber) -> Option<PairNumber> {
        let pair = (key, value);
        self.numbers.find(self.hasher.hash_one(pair), |index| self.pairs[*index as usize] == pair).copied()
    }

    pub(super) fn get(&self, pair: PairNumber) -> (TextNumber, TextNumber) {
        self.pairs[pair as usize]
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        self.pairs.capacity() * size_of::<(TextNumber, TextNumber)>() + self.numbers.allocation_size()
    }

    pub(super) fn shrink(&mut self) {
        self.pairs.shrink_to_fit();
    }
}
