//! The rows of an index, by column. A row is never changed or moved: one that is removed is marked, and its place is
//! gained when the index is made anew.

use super::{
    pairs::PairNumber,
    texts::{TextNumber, number, push},
};
use crate::artifacts::ArtifactId;

/// The number of a row.
pub(super) type RowNumber = u32;

/// What one row has.
#[derive(Clone, Copy)]
pub(super) struct NewRow<'a> {
    pub(super) id: ArtifactId,
    pub(super) version: TextNumber,
    pub(super) path: TextNumber,
    /// `None` if it is the last component of the path, as nearly always.
    pub(super) name: Option<TextNumber>,
    pub(super) size: u64,
    /// In nanoseconds since 1970.
    pub(super) created: i64,
    pub(super) updated: i64,
    pub(super) pairs: &'a [PairNumber],
}

#[derive(Default)]
pub(super) struct Rows {
    pub(super) ids: Vec<ArtifactId>,
    pub(super) versions: Vec<TextNumber>,
    pub(super) paths: Vec<TextNumber>,
    /// Where a name is that of the path, it is none of a text.
    names: Vec<TextNumber>,
    pub(super) sizes: Vec<u64>,
    pub(super) created: Vec<i64>,
    pub(super) updated: Vec<i64>,
    removed: Vec<bool>,
    pairs: Vec<PairNumber>,
    /// Where the pairs of each row end; those of the next one begin there.
    ends: Vec<u32>,
}

impl Rows {
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(super) fn add(&mut self, row: NewRow<'_>) -> RowNumber {
        let new = number(self.len());
        push(&mut self.ids, row.id);
        push(&mut self.versions, row.version);
        push(&mut self.paths, row.path);
        push(&mut self.names, row.name.unwrap_or(TextNumber::NONE));
        push(&mut self.sizes, row.size);
        push(&mut self.created, row.created);
        push(&mut self.updated, row.updated);
        push(&mut self.removed, false);
        row.pairs.iter().for_each(|pair| push(&mut self.pairs, *pair));
        push(&mut self.ends, number(self.pairs.len()));
        new
    }

    pub(super) fn remove(&mut self, row: RowNumber) {
        self.removed[row as usize] = true;
    }

    pub(super) fn is_live(&self, row: RowNumber) -> bool {
        !self.removed[row as usize]
    }

    /// The name of a row, unless it is the last component of its path.
    pub(super) fn name(&self, row: RowNumber) -> Option<TextNumber> {
        Some(self.names[row as usize]).filter(|name| *name != TextNumber::NONE)
    }

    /// The rows that were not removed.
    pub(super) fn live(&self) -> impl Iterator<Item = RowNumber> {
        (0..).zip(&self.removed).filter(|(_, removed)| !**removed).map(|(row, _)| row)
    }

    /// The properties of a row, by key.
    pub(super) fn pairs(&self, row: RowNumber) -> &[PairNumber] {
        let row = row as usize;
        let start = row.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.pairs[start as usize..self.ends[row] as usize]
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        let numbers = self.versions.capacity() + self.paths.capacity() + self.names.capacity();
        self.ids.capacity() * size_of::<ArtifactId>()
            + (numbers + self.pairs.capacity() + self.ends.capacity()) * 4
            + (self.sizes.capacity() + self.created.capacity() + self.updated.capacity()) * 8
            + self.removed.capacity()
    }

    pub(super) fn shrink(&mut self) {
        self.ids.shrink_to_fit();
        self.versions.shrink_to_fit();
        self.paths.shrink_to_fit();
        self.names.shrink_to_fit();
        self.sizes.shrink_to_fit();
        self.created.shrink_to_fit();
        self.updated.shrink_to_fit();
        self.removed.shrink_to_fit();
        self.pairs.shrink_to_fit();
        self.ends.shrink_to_fit();
    }
}
