//! Sorts rows.

use super::{
    ArtifactIndex,
    found::{FoundArtifact, FoundArtifacts, SortValue},
    rows::RowNumber,
    texts::number,
};
use crate::artifacts::{ArtifactOrder, ArtifactSort};
use oci::order::by_version;
use std::cmp::Ordering;

/// The last component of a path.
fn base(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, base)| base)
}

impl ArtifactIndex {
    /// How many rows there are, and the first of them in this order.
    pub(super) fn first_of(&self, mut rows: Vec<RowNumber>, order: ArtifactOrder, most: usize) -> FoundArtifacts {
        let total = rows.len();
        let compare = |a: &RowNumber, b: &RowNumber| {
            let by_value = self.compare(*a, *b, order.sort);
            let by_value = if order.descending { by_value.reverse() } else { by_value };
            by_value.then_with(|| self.rows.ids[*a as usize].cmp(&self.rows.ids[*b as usize]))
        };
        // Sorting all of a million rows to show a hundred would take most of the time of a search.
        if most < total {
            if let Some(last) = most.checked_sub(1) {
                rows.select_nth_unstable_by(last, compare);
            }
            rows.truncate(most);
        }
        rows.sort_unstable_by(compare);
        FoundArtifacts { total, first: rows.into_iter().filter_map(|row| self.found(row, order.sort)).collect() }
    }

    /// The name of a row.
    pub(super) fn name(&self, row: RowNumber) -> &str {
        match self.rows.name(row) {
            Some(name) => self.texts.get(name),
            None => base(self.texts.get(self.rows.paths[row as usize])),
        }
    }

    fn compare(&self, a_row: RowNumber, b_row: RowNumber, sort: ArtifactSort) -> Ordering {
        let (a, b, rows) = (a_row as usize, b_row as usize, &self.rows);
        match sort {
            ArtifactSort::Name => self.name(a_row).cmp(self.name(b_row)),
            ArtifactSort::Path => self.texts.get(rows.paths[a]).cmp(self.texts.get(rows.paths[b])),
            ArtifactSort::Version => {
                let ranks = self.ranks();
                ranks.get(rows.versions[a].index()).cmp(&ranks.get(rows.versions[b].index()))
            }
            ArtifactSort::Size => rows.sizes[a].cmp(&rows.sizes[b]),
            ArtifactSort::CreatedAt => rows.created[a].cmp(&rows.created[b]),
            ArtifactSort::UpdatedAt => rows.updated[a].cmp(&rows.updated[b]),
        }
    }

    /// The place of each version in the order of versions, by the number of its text.
    pub(super) fn ranks(&self) -> &[u32] {
        self.ranks.get_or_init(|| {
            let mut versions: Vec<_> = self.versions.keys().copied().collect();
            versions.sort_unstable_by(|a, b| by_version(self.texts.get(*a), self.texts.get(*b)));
            let last = versions.iter().map(|version| version.index()).max();
            let mut ranks = vec![0; last.map_or(0, |last| last + 1)];
            for (rank, version) in versions.iter().enumerate() {
                ranks[version.index()] = number(rank);
            }
            ranks
        })
    }

    fn found(&self, row: RowNumber, sort: ArtifactSort) -> Option<FoundArtifact> {
        let (at, rows) = (row as usize, &self.rows);
        let text = |text| Box::from(self.texts.get(text));
        let value = match sort {
            ArtifactSort::Name => SortValue::Text(self.name(row).into()),
            ArtifactSort::Path => SortValue::Text(text(rows.paths[at])),
            ArtifactSort::Version => SortValue::Version(text(rows.versions[at])),
            ArtifactSort::Size => SortValue::Number(rows.sizes[at].into()),
            ArtifactSort::CreatedAt => SortValue::Number(rows.created[at].into()),
            ArtifactSort::UpdatedAt => SortValue::Number(rows.updated[at].into()),
        };
        // It was a version when it was added.
        let version = self.texts.get(rows.versions[at]).parse().ok()?;
        Some(FoundArtifact { id: rows.ids[at], version, value })
    }
}
