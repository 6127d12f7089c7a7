//! What a repository holds, by version, directory and property.

use super::{ArtifactIndex, pairs::PairNumber, rows::RowNumber, texts::TextNumber};
use crate::artifacts::{ArtifactFilters, ArtifactId, ArtifactPath, ArtifactVersion};
use jiff::Timestamp;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
};

/// What one version holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionTotals {
    pub version: ArtifactVersion,
    pub artifacts: usize,
    /// In bytes.
    pub size: u64,
    /// When an artifact in it last changed.
    pub updated: Timestamp,
}

/// What is in one directory of a version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArtifactDirectory {
    /// The directories in it by name, with what they hold at any depth.
    pub directories: BTreeMap<Box<str>, DirectoryTotals>,
    /// The artifacts in it, by path and id.
    pub files: Vec<(ArtifactPath, ArtifactId)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DirectoryTotals {
    pub artifacts: usize,
    /// In bytes.
    pub size: u64,
    /// When an artifact in it last changed.
    pub updated: Timestamp,
}

/// How many artifacts have a property, and its most frequent values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PropertyCounts {
    pub key: Box<str>,
    pub artifacts: usize,
    /// The most frequent first; those that are equally frequent by text.
    pub values: Vec<(Box<str>, usize)>,
    /// How many values there are.
    pub distinct: usize,
}

fn time(nanoseconds: i64) -> Timestamp {
    Timestamp::from_nanosecond(nanoseconds.into()).unwrap_or_default()
}

impl DirectoryTotals {
    fn add(&mut self, size: u64, updated: i64) {
        self.artifacts += 1;
        self.size = self.size.saturating_add(size);
        self.updated = self.updated.max(time(updated));
    }
}

impl ArtifactIndex {
    /// When an artifact last changed; `None` if there is none.
    pub fn updated(&self) -> Option<Timestamp> {
        self.rows.live().map(|row| self.rows.updated[row as usize]).max().map(time)
    }

    /// All versions, newest first.
    pub fn version_totals(&self) -> Vec<VersionTotals> {
        let mut totals: HashMap<TextNumber, DirectoryTotals> = HashMap::new();
        for row in self.rows.live() {
            let at = row as usize;
            totals.entry(self.rows.versions[at]).or_default().add(self.rows.sizes[at], self.rows.updated[at]);
        }
        let ranks = self.ranks();
        let mut totals: Vec<_> = totals.into_iter().collect();
        totals.sort_unstable_by_key(|(version, _)| Reverse(ranks.get(version.index())));
        let one = |(version, totals): (TextNumber, DirectoryTotals)| {
            let DirectoryTotals { artifacts, size, updated } = totals;
            // It was a version when it was added.
            let version = self.texts.get(version).parse().ok()?;
            Some(VersionTotals { version, artifacts, size, updated })
        };
        totals.into_iter().filter_map(one).collect()
    }

    /// What is in a directory of a version. The path of the directory ends with a slash, unless it is the empty one of
    /// the version itself.
    pub fn directory(&self, version: &ArtifactVersion, path: &str) -> ArtifactDirectory {
        let mut found = ArtifactDirectory::default();
        for row in self.rows_of(version) {
            let at = row as usize;
            let whole = self.texts.get(self.rows.paths[at]);
            let Some(rest) = whole.strip_prefix(path) else { continue };
            match rest.split_once('/') {
                Some((name, _)) => {
                    let (size, updated) = (self.rows.sizes[at], self.rows.updated[at]);
                    match found.directories.get_mut(name) {
                        Some(totals) => totals.add(size, updated),
                        None => found.directories.entry(name.into()).or_default().add(size, updated),
                    }
                }
                None => found.files.extend(whole.parse().ok().map(|path| (path, self.rows.ids[at]))),
            }
        }
        found.files.sort_unstable();
        found
    }

    /// The artifacts with a version and path, newest first.
    pub fn variants(&self, version: &ArtifactVersion, path: &ArtifactPath) -> Vec<ArtifactId> {
        let Some(path) = self.texts.find(path.as_str()) else { return Vec::new() };
        let rows = self.rows_of(version).filter(|row| self.rows.paths[*row as usize] == path);
        let mut found: Vec<_> =
            rows.map(|row| (self.rows.created[row as usize], self.rows.ids[row as usize])).collect();
        found.sort_unstable_by_key(|one| Reverse(*one));
        found.into_iter().map(|(_, id)| id).collect()
    }

    fn rows_of(&self, version: &ArtifactVersion) -> impl Iterator<Item = RowNumber> {
        let version = self.texts.find(version.as_str()).filter(|version| self.versions.contains_key(version));
        let is_of_it = move |row: &RowNumber| Some(self.rows.versions[*row as usize]) == version;
        version.into_iter().flat_map(move |_| self.rows.live().filter(is_of_it))
    }

    /// The properties of the artifacts that match, the most frequent key first: only `key`, if it is given, and only
    /// values that contain `like`, in upper or lower case. `most` is the most values of each.
    pub fn property_counts(
        &self,
        filters: &ArtifactFilters,
        key: Option<&str>,
        like: &str,
        most: usize,
    ) -> Vec<PropertyCounts> {
        let mut pairs: HashMap<PairNumber, usize> = HashMap::new();
        for row in self.matching(filters) {
            for pair in self.rows.pairs(row) {
                *pairs.entry(*pair).or_default() += 1;
            }
        }
        // Values are copied last: there may be as many as artifacts.
        let (mut keys, like) = (BTreeMap::<&str, Vec<(&str, usize)>>::new(), like.to_lowercase());
        for (pair, count) in pairs {
            let (of, value) = self.pairs.get(pair);
            let (of, value) = (self.texts.get(of), self.texts.get(value));
            let is_like = like.is_empty() || value.to_lowercase().contains(&like);
            if is_like && key.is_none_or(|key| key == of) {
                keys.entry(of).or_default().push((value, count));
            }
        }
        let counts = |(key, mut values): (&str, Vec<(&str, usize)>)| {
            let (artifacts, distinct) = (values.iter().map(|(_, count)| count).sum(), values.len());
            values.sort_unstable_by_key(|(value, count)| (Reverse(*count), *value));
            let values = values.into_iter().take(most).map(|(value, count)| (value.into(), count)).collect();
            PropertyCounts { key: key.into(), artifacts, values, distinct }
        };
        let mut found: Vec<_> = keys.into_iter().map(counts).collect();
        found.sort_by_key(|counts| Reverse(counts.artifacts));
        found
    }
}

impl PropertyCounts {
    /// Keeps the most frequent values.
    pub fn keep_frequent(&mut self, most: usize) {
        self.values.sort_unstable_by(|(a, a_count), (b, b_count)| b_count.cmp(a_count).then_with(|| a.cmp(b)));
        self.values.truncate(most);
    }

    /// Adds what another repository has of the same key.
    pub fn add(&mut self, other: Self) {
        self.artifacts += other.artifacts;
        for (value, count) in other.values {
            match self.values.iter_mut().find(|(known, _)| *known == value) {
                Some((_, known)) => {
                    *known += count;
                    self.distinct = self.distinct.saturating_sub(1);
                }
                None => self.values.push((value, count)),
            }
        }
        self.distinct += other.distinct;
    }
}
