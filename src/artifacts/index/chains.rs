//! Which rows have a property, for the keys that are indexed: each row names the one before it with the same value.
//! This takes four bytes per row and key, whatever the values are, and adding a row never moves another.

use super::{
    pairs::PairNumber,
    rows::RowNumber,
    texts::{TextNumber, push},
};
use std::iter;

/// No row.
const NONE: RowNumber = RowNumber::MAX;

#[derive(Default)]
pub(super) struct Chains {
    keys: Vec<KeyChain>,
    /// By the number of the pair.
    ends: Vec<ChainEnd>,
}

/// The chains of one key.
struct KeyChain {
    key: TextNumber,
    /// By row, up to the last one that has the key.
    before: Vec<RowNumber>,
}

/// Where a chain begins: at its last row.
#[derive(Clone, Copy)]
struct ChainEnd {
    last: RowNumber,
    len: u32,
}

impl Chains {
    /// Chains for these keys.
    pub(super) fn of(keys: impl IntoIterator<Item = TextNumber>) -> Self {
        let keys = keys.into_iter().map(|key| KeyChain { key, before: Vec::new() });
        Self { keys: keys.collect(), ends: Vec::new() }
    }

    /// Whether a key is indexed.
    pub(super) fn has(&self, key: TextNumber) -> bool {
        self.keys.iter().any(|chain| chain.key == key)
    }

    /// Adds a row, which comes after all others.
    pub(super) fn add(&mut self, row: RowNumber, key: TextNumber, pair: PairNumber) {
        let Some(chain) = self.keys.iter_mut().find(|chain| chain.key == key) else { return };
        while self.ends.len() <= pair as usize {
            push(&mut self.ends, ChainEnd { last: NONE, len: 0 });
        }
        let end = &mut self.ends[pair as usize];
        while chain.before.len() < row as usize {
            push(&mut chain.before, NONE);
        }
        push(&mut chain.before, end.last);
        *end = ChainEnd { last: row, len: end.len.saturating_add(1) };
    }

    /// How many rows have had a pair.
    pub(super) fn len(&self, pair: PairNumber) -> usize {
        self.ends.get(pair as usize).map_or(0, |end| end.len as usize)
    }

    /// The rows that have a pair, and those that had it and were removed; the last row first.
    pub(super) fn rows(&self, key: TextNumber, pair: PairNumber) -> impl Iterator<Item = RowNumber> {
        let chain = self.keys.iter().find(|chain| chain.key == key);
        let last = self.ends.get(pair as usize).map_or(NONE, |end| end.last);
        let before = move |row: &RowNumber| chain.and_then(|chain| chain.before.get(*row as usize)).copied();
        let existing = |row: &RowNumber| *row != NONE;
        iter::successors(Some(last).filter(existing), move |row| before(row).filter(existing))
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        let rows: usize = self.keys.iter().map(|chain| chain.before.capacity()).sum();
        rows * size_of::<RowNumber>() + self.ends.capacity() * size_of::<ChainEnd>()
    }

    pub(super) fn shrink(&mut self) {
        self.keys.iter_mut().for_each(|chain| chain.before.shrink_to_fit());
        self.ends.shrink_to_fit();
    }
}
