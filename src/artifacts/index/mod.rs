//! The artifacts of one repository in memory, to search and to sort them.
//!
//! An index has what a search asks about and no more: the rest of a result is read where it is stored. Texts are kept
//! once; properties whose keys are indexed lead to their rows, and others are looked for within what is left.

mod browse;
mod chains;
mod found;
mod pairs;
mod rows;
mod search;
mod sorted;
#[cfg(test)]
mod tests;
mod texts;

pub use browse::{ArtifactDirectory, DirectoryTotals, PropertyCounts, VersionTotals};
pub use found::{FoundArtifact, FoundArtifacts, merged};

use super::{Artifact, ArtifactId, ArtifactVersion, PropertyKey};
use chains::Chains;
use hashbrown::HashTable;
use jiff::Timestamp;
use pairs::{PairNumber, PropertyPairs};
use rows::{NewRow, RowNumber, Rows};
use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    sync::OnceLock,
};
use texts::{TextNumber, Texts};

/// Rows that are removed before it is worth making an index anew.
const MOST_REMOVED: usize = 4096;

/// The artifacts of one repository.
pub struct ArtifactIndex {
    keys: Vec<PropertyKey>,
    texts: Texts,
    pairs: PropertyPairs,
    rows: Rows,
    chains: Chains,
    by_id: HashTable<RowNumber>,
    hasher: RandomState,
    /// Artifacts that others replace, and until when they did.
    replaced: HashMap<ArtifactId, i64>,
    /// How many rows have each version.
    versions: HashMap<TextNumber, usize>,
    /// The place of each version in the order of versions, by its text; made when it is needed.
    ranks: OnceLock<Vec<u32>>,
    live: usize,
    size: u64,
}

/// What a repository holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArtifactTotals {
    pub artifacts: usize,
    pub versions: usize,
    /// In bytes; what several artifacts share counts in each.
    pub size: u64,
}

/// Nanoseconds since 1970, until the year 2262.
fn nanoseconds(time: Timestamp) -> i64 {
    i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX)
}

impl ArtifactIndex {
    /// An empty index, in which these keys lead to their rows.
    pub fn new(keys: &[PropertyKey]) -> Self {
        let mut texts = Texts::default();
        let chains = Chains::of(keys.iter().map(|key| texts.add(key.as_str())));
        Self {
            keys: keys.to_vec(),
            texts,
            pairs: PropertyPairs::default(),
            rows: Rows::default(),
            chains,
            by_id: HashTable::new(),
            hasher: RandomState::new(),
            replaced: HashMap::new(),
            versions: HashMap::new(),
            ranks: OnceLock::new(),
            live: 0,
            size: 0,
        }
    }

    /// The keys that lead to their rows.
    pub fn keys(&self) -> &[PropertyKey] {
        &self.keys
    }

    /// What it holds.
    pub fn totals(&self) -> ArtifactTotals {
        ArtifactTotals { artifacts: self.live, versions: self.versions.len(), size: self.size }
    }

    /// Bytes of memory, except for some that do not depend on the number of artifacts.
    pub fn bytes(&self) -> usize {
        let replaced = self.replaced.capacity() * (size_of::<ArtifactId>() + 16);
        let versions = self.versions.capacity() * 24;
        let ranks = self.ranks.get().map_or(0, |ranks| ranks.capacity() * 4);
        self.texts.bytes()
            + self.pairs.bytes()
            + self.rows.bytes()
            + self.chains.bytes()
            + self.by_id.allocation_size()
            + replaced
            + versions
            + ranks
    }

    /// Adds an artifact, in the place of the one with its id and of the one that it replaces.
    pub fn put(&mut self, artifact: &Artifact) {
        let updated = nanoseconds(artifact.updated);
        if self.replaced.get(&artifact.id).is_some_and(|until| updated <= *until) {
            return;
        }
        self.remove(&artifact.id);
        if let Some(old) = artifact.replaces.filter(|old| *old != artifact.id) {
            self.replaced.insert(old, updated);
            if self.row_of(&old).is_some_and(|row| self.rows.updated[row as usize] <= updated) {
                self.remove(&old);
            }
        }
        self.add(artifact, updated);
    }

    fn add(&mut self, artifact: &Artifact, updated: i64) {
        let version = self.texts.add(artifact.version.as_str());
        let path = self.texts.add(artifact.path.as_str());
        let is_base = artifact.name.as_str() == artifact.path.base();
        let name = (!is_base).then(|| self.texts.add(artifact.name.as_str()));
        let pairs: Vec<PairNumber> = artifact
            .properties
            .iter()
            .map(|(key, value)| self.pairs.add(self.texts.add(key.as_str()), self.texts.add(value.as_str())))
            .collect();
        self.add_row(NewRow {
            id: artifact.id,
            version,
            path,
            name,
            size: artifact.size,
            created: nanoseconds(artifact.created),
            updated,
            pairs: &pairs,
        });
    }

    fn add_row(&mut self, new: NewRow<'_>) {
        let row = self.rows.add(new);
        for pair in new.pairs {
            self.chains.add(row, self.pairs.get(*pair).0, *pair);
        }
        let (ids, hasher) = (&self.rows.ids, &self.hasher);
        self.by_id.insert_unique(hasher.hash_one(new.id), row, |row| hasher.hash_one(ids[*row as usize]));
        self.live += 1;
        self.size = self.size.saturating_add(new.size);
        let count = self.versions.entry(new.version).or_default();
        if *count == 0 {
            self.ranks = OnceLock::new();
        }
        *count += 1;
    }

    fn row_of(&self, id: &ArtifactId) -> Option<RowNumber> {
        let is_it = |row: &RowNumber| self.rows.ids[*row as usize] == *id;
        self.by_id.find(self.hasher.hash_one(id), is_it).copied()
    }

    /// The version of an artifact; `None` if it is not there.
    pub fn version_of(&self, id: &ArtifactId) -> Option<ArtifactVersion> {
        let version = self.rows.versions[self.row_of(id)? as usize];
        self.texts.get(version).parse().ok()
    }

    /// Whether it has an artifact.
    pub fn has(&self, id: &ArtifactId) -> bool {
        self.row_of(id).is_some()
    }

    /// Removes an artifact; `false` if it is not there.
    pub fn remove(&mut self, id: &ArtifactId) -> bool {
        let ids = &self.rows.ids;
        let found = self.by_id.find_entry(self.hasher.hash_one(id), |row| ids[*row as usize] == *id);
        let Ok(entry) = found else { return false };
        let (row, _) = entry.remove();
        self.rows.remove(row);
        self.live -= 1;
        self.size = self.size.saturating_sub(self.rows.sizes[row as usize]);
        let version = self.rows.versions[row as usize];
        if let Some(count) = self.versions.get_mut(&version) {
            *count -= 1;
            if *count == 0 {
                self.versions.remove(&version);
            }
        }
        self.drop_removed();
        true
    }

    /// Makes the index anew when a third of its rows are removed ones.
    fn drop_removed(&mut self) {
        let removed = self.rows.len() - self.live;
        if removed < MOST_REMOVED || removed < self.live / 2 {
            return;
        }
        let mut new = Self::new(&self.keys);
        let mut pairs = Vec::new();
        for row in self.rows.live() {
            let text = |text: TextNumber| self.texts.get(text);
            let at = row as usize;
            pairs.clear();
            for pair in self.rows.pairs(row) {
                let (key, value) = self.pairs.get(*pair);
                pairs.push(new.pairs.add(new.texts.add(text(key)), new.texts.add(text(value))));
            }
            let mut moved = |number: TextNumber| new.texts.add(text(number));
            let (version, path) = (moved(self.rows.versions[at]), moved(self.rows.paths[at]));
            let name = self.rows.name(row).map(moved);
            new.add_row(NewRow {
                id: self.rows.ids[at],
                version,
                path,
                name,
                size: self.rows.sizes[at],
                created: self.rows.created[at],
                updated: self.rows.updated[at],
                pairs: &pairs,
            });
        }
        new.replaced = std::mem::take(&mut self.replaced);
        *self = new;
    }

    /// Gives back memory that was kept for rows to come.
    pub fn shrink(&mut self) {
        self.texts.shrink();
        self.pairs.shrink();
        self.rows.shrink();
        self.chains.shrink();
        self.by_id.shrink_to_fit(|row| self.hasher.hash_one(self.rows.ids[*row as usize]));
    }
}
