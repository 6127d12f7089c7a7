//! Texts that are kept once, and named by numbers.

use hashbrown::{HashTable, hash_table::Entry};
use std::hash::{BuildHasher as _, RandomState};

/// The number of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct TextNumber(u32);

/// Every text that rows of an index have, one after the other in one piece of memory. A text stays until the index is
/// made anew.
#[derive(Default)]
pub(super) struct Texts {
    all: String,
    /// Where each text ends; the next one begins there.
    ends: Vec<usize>,
    numbers: HashTable<u32>,
    /// Keyed: strangers choose the texts.
    hasher: RandomState,
}

impl TextNumber {
    /// The number of no text.
    pub(super) const NONE: Self = Self(u32::MAX);

    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// More than four billion of anything do not fit into memory.
pub(super) fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// The text with this number.
fn text_at<'t>(all: &'t str, ends: &[usize], index: usize) -> &'t str {
    let start = index.checked_sub(1).map_or(0, |before| ends[before]);
    &all[start..ends[index]]
}

impl Texts {
    /// The number of a text, which is added if it is new.
    pub(super) fn add(&mut self, text: &str) -> TextNumber {
        let Self { all, ends, numbers, hasher } = self;
        let found = numbers.entry(
            hasher.hash_one(text),
            |index| text_at(all, ends, *index as usize) == text,
            |index| hasher.hash_one(text_at(all, ends, *index as usize)),
        );
        let entry = match found {
            Entry::Occupied(entry) => return TextNumber(*entry.get()),
            Entry::Vacant(entry) => entry,
        };
        let new = number(ends.len());
        entry.insert(new);
        if all.capacity() - all.len() < text.len() {
            all.reserve_exact(slack(all.len()).max(text.len()));
        }
        all.push_str(text);
        push(ends, all.len());
        TextNumber(new)
    }

    /// The number of a text; `None` if no row has it.
    pub(super) fn find(&self, text: &str) -> Option<TextNumber> {
        let is_it = |index: &u32| text_at(&self.all, &self.ends, *index as usize) == text;
        self.numbers.find(self.hasher.hash_one(text), is_it).copied().map(TextNumber)
    }

    pub(super) fn get(&self, text: TextNumber) -> &str {
        text_at(&self.all, &self.ends, text.index())
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        self.all.capacity() + self.ends.capacity() * size_of::<usize>() + self.numbers.allocation_size()
    }

    pub(super) fn shrink(&mut self) {
        self.all.shrink_to_fit();
        self.ends.shrink_to_fit();
    }
}

/// Adds to the end of a list that grows by an eighth: doubling would leave half of the memory unused.
pub(super) fn push<T>(list: &mut Vec<T>, item: T) {
    if list.len() == list.capacity() {
        list.reserve_exact(slack(list.len()));
    }
    list.push(item);
}

fn slack(len: usize) -> usize {
    (len / 8).max(16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_one_number() {
        let mut texts = Texts::default();
        let numbers: Vec<_> = (0..1000).map(|i| texts.add(&format!("text {i}"))).collect();
        for (i, number) in numbers.iter().enumerate() {
            let text = format!("text {i}");
            assert_eq!((texts.get(*number), texts.find(&text)), (text.as_str(), Some(*number)));
            assert_eq!(texts.add(&text), *number);
        }
        let none = texts.add("");
        assert_eq!((texts.get(none), texts.find("text 1000"), texts.len()), ("", None, 1001));
    }
}
