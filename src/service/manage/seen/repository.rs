//! One repository as lists know it. Callers who see the same one share it.

use crate::{
    access::RepositoryFacts,
    registry::{Repository, Shows, Visible, view::ManifestKind},
    storage::RepositoryOutline,
};
use oci::RepositoryName;
use std::sync::{Arc, OnceLock};

/// A repository as lists know it.
pub(in super::super) struct SeenRepository {
    pub(in super::super) name: RepositoryName,
    pub(in super::super) outline: Arc<RepositoryOutline>,
    pub(in super::super) facts: RepositoryFacts,
    kinds: OnceLock<KindSet>,
}

/// Kinds of manifests, a bit for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct KindSet(u8);

impl KindSet {
    pub(in super::super) fn contains(self, kind: ManifestKind) -> bool {
        self.0 & Self::bit(kind) != 0
    }

    fn bit(kind: ManifestKind) -> u8 {
        1 << ManifestKind::ALL.iter().position(|known| *known == kind).unwrap_or_default()
    }
}

impl FromIterator<ManifestKind> for KindSet {
    fn from_iter<T: IntoIterator<Item = ManifestKind>>(kinds: T) -> Self {
        Self(kinds.into_iter().fold(0, |set, kind| set | Self::bit(kind)))
    }
}

impl SeenRepository {
    /// The repository with this outline and these facts: the known one, if it is the same.
    pub(super) fn of(
        name: &RepositoryName,
        outline: &Arc<RepositoryOutline>,
        facts: RepositoryFacts,
        known: Option<&Arc<Self>>,
    ) -> Arc<Self> {
        // Without a stamp, the next change might leave an equal outline.
        let is_same = |known: &&Arc<Self>| {
            (Arc::ptr_eq(&known.outline, outline) || known.outline == *outline)
                && outline.stamp.is_some()
                && known.facts == facts
        };
        match known.filter(is_same) {
            Some(known) => known.clone(),
            None => Arc::new(Self { name: name.clone(), outline: outline.clone(), facts, kinds: OnceLock::new() }),
        }
    }

    /// Whether somebody may see it.
    pub(super) fn is_shown_by(&self, visible: &impl Visible) -> bool {
        match visible.shows(&self.name) {
            Shows::Yes => true,
            Shows::No => false,
            Shows::ByFacts(undecided) => undecided.with(&self.facts).allowed,
        }
    }

    /// The first component of its name, if it has several.
    pub(in super::super) fn namespace(&self) -> Option<&str> {
        self.name.as_str().split_once('/').map(|(namespace, _)| namespace)
    }

    /// The first component of its name.
    pub(in super::super) fn first_component(&self) -> &str {
        self.namespace().unwrap_or(self.name.as_str())
    }

    /// The kinds of manifests that its tags point to, if they were read.
    pub(in super::super) fn known_kinds(&self) -> Option<KindSet> {
        self.kinds.get().copied()
    }

    /// The same; they are read if they were not.
    ///
    /// # Errors
    /// Only the store's.
    pub(in super::super) async fn kinds(&self, repository: &Repository) -> crate::registry::Result<KindSet> {
        if let Some(known) = self.known_kinds() {
            return Ok(known);
        }
        let read = repository.kinds().await?.into_iter().collect();
        Ok(*self.kinds.get_or_init(|| read))
    }
}
