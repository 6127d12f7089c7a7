//! What was removed from repositories, as far as the graveyard still knows it: what is attached to it, by its
//! name or by `subject`, is removed after it. That something is merely absent says nothing: signatures may be
//! kept in a repository of their own, and may be pushed before what they sign.

use crate::{
    oci::{Digest, RepositoryName},
    registry::{Registry, Result},
    storage::{Condemned, Grave, Item},
};
use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

/// Entries of the graveyard read at once.
const PAGE: usize = 4096;

/// Manifests that were removed from repositories, and when.
#[derive(Clone, Debug, Default)]
pub struct RemovedManifests {
    by_repository: HashMap<RepositoryName, HashMap<Digest, SystemTime>>,
    /// How long what is attached to one of them stays.
    pub(super) grace: Duration,
}

impl RemovedManifests {
    /// None so far. What is attached to one stays for `grace`: it may have been deleted by mistake, and come back.
    pub(in crate::registry) fn new(grace: Duration) -> Self {
        Self { by_repository: HashMap::new(), grace }
    }

    /// Notes an entry of the graveyard, if it is a manifest.
    pub(in crate::registry) fn note(&mut self, grave: &Grave) {
        if let Item::Revision(repository, digest) = &grave.entry.item {
            let of_repository = self.by_repository.entry(repository.clone()).or_default();
            let since = of_repository.entry(digest.clone()).or_insert(grave.since);
            *since = grave.since.max(*since);
        }
    }

    /// Whether anything was removed from a repository.
    pub(in crate::registry) fn are_of(&self, repository: &RepositoryName) -> bool {
        self.by_repository.contains_key(repository)
    }

    /// What was removed from a repository, and when last.
    pub(super) fn of(&self, repository: &RepositoryName) -> HashMap<Digest, SystemTime> {
        self.by_repository.get(repository).cloned().unwrap_or_default()
    }
}

impl Registry {
    /// The manifests that the graveyard holds; what is attached to them stays for the lease of the settings.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn removed_manifests(&self) -> Result<RemovedManifests> {
        let mut removed = RemovedManifests::new(self.settings.collection.lease);
        let mut after: Option<Condemned> = None;
        loop {
            let page = self.core.store.condemned(after.as_ref(), PAGE).await?;
            page.entries.iter().for_each(|grave| removed.note(grave));
            after = page.entries.into_iter().next_back().map(|grave| grave.entry);
            if !page.more {
                return Ok(removed);
            }
        }
    }
}
