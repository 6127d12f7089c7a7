//! One repository as lists know it. Callers who see the same one share it.

use crate::{
    access::{RepositoryFacts, Visibility},
    registry::{Repository, view::ManifestKind},
    storage::RepositoryOutline,
};
use oci::RepositoryName;
use std::sync::{Arc, OnceLock};

/// Repositories that are kept in memory: 150 bytes each, besides their outlines.
const MOST_KNOWN: usize = 131_072;

/// A repository as lists know it.
pub(in super::super) struct SeenRepository {
    pub(in super::super) name: RepositoryName,
    pub(in super::super) outline: Arc<RepositoryOutline>,
    pub(in super::super) visibility: Visibility,
    pub(in super::super) owner: Option<Box<str>>,
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

/// What callers who see the same repository share.
pub(super) struct KnownRepositories(quick_cache::sync::Cache<RepositoryName, Arc<SeenRepository>>);

impl Default for KnownRepositories {
    fn default() -> Self {
        Self(quick_cache::sync::Cache::new(MOST_KNOWN))
    }
}

impl KnownRepositories {
    /// The repository with this outline and these facts.
    pub(super) fn get(
        &self,
        name: &RepositoryName,
        outline: &Arc<RepositoryOutline>,
        facts: &RepositoryFacts,
    ) -> Arc<SeenRepository> {
        // Without a stamp, the next change might leave an equal outline.
        let is_same = |known: &Arc<SeenRepository>| {
            (Arc::ptr_eq(&known.outline, outline) || known.outline == *outline)
                && outline.stamp.is_some()
                && (known.visibility, known.owner.as_deref()) == (facts.visibility, facts.owner.as_deref())
        };
        if let Some(known) = self.0.get(name).filter(is_same) {
            return known;
        }
        let seen = Arc::new(SeenRepository {
            name: name.clone(),
            outline: outline.clone(),
            visibility: facts.visibility,
            owner: facts.owner.as_deref().map(Into::into),
            kinds: OnceLock::new(),
        });
        self.0.insert(name.clone(), seen.clone());
        seen
    }
}
