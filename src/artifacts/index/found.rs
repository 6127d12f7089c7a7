//! What a search finds.

use crate::artifacts::{ArtifactId, ArtifactOrder, ArtifactVersion};
use oci::order::by_version;
use std::cmp::Ordering;

/// What a search finds in one repository: how many artifacts, and the first of them in the order that was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundArtifacts {
    pub total: usize,
    pub first: Vec<FoundArtifact>,
}

/// One artifact that was found. Its id and its version say where it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundArtifact {
    pub id: ArtifactId,
    pub version: ArtifactVersion,
    /// What it is sorted by.
    pub(super) value: SortValue,
}

/// What an artifact is sorted by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SortValue {
    Number(i128),
    Text(Box<str>),
    Version(Box<str>),
}

impl SortValue {
    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.cmp(b),
            (Self::Version(a), Self::Version(b)) => by_version(a, b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            // Results of one search are sorted by one thing.
            _ => Ordering::Equal,
        }
    }
}

/// Joins what was found in several repositories: the total, and in order those that are wanted. `most` of each
/// repository must be there: as many as are left out and wanted together.
pub fn merged<R: Clone + Ord>(
    found: impl IntoIterator<Item = (R, FoundArtifacts)>,
    order: ArtifactOrder,
    offset: usize,
    limit: usize,
) -> (usize, Vec<(R, FoundArtifact)>) {
    let (mut total, mut all) = (0, Vec::new());
    for (repository, found) in found {
        total += found.total;
        all.extend(found.first.into_iter().map(|artifact| (repository.clone(), artifact)));
    }
    all.sort_by(|(a_in, a), (b_in, b)| {
        let by_value = a.value.compare(&b.value);
        let by_value = if order.descending { by_value.reverse() } else { by_value };
        by_value.then_with(|| a.id.cmp(&b.id)).then_with(|| a_in.cmp(b_in))
    });
    (total, all.into_iter().skip(offset).take(limit).collect())
}
