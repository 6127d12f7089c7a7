//! Manifests that were removed from repositories, as far as the graveyard still records them. What is attached to
//! one, by name or by `subject`, is removed after it. Mere absence of a subject means nothing: signatures may be kept
//! in a separate repository, and may be pushed before what they sign.

use crate::{
    registry::{Registry, Result},
    storage::{Condemned, Grave, Item},
};
use oci::{Digest, RepositoryName};
use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

/// Graveyard entries per page.
const PAGE: usize = 4096;

/// Manifests that were removed from repositories, and when.
#[derive(Clone, Debug, Default)]
pub struct RemovedManifests {
    by_repository: HashMap<RepositoryName, HashMap<Digest, SystemTime>>,
    /// How long items attached to one of them stay.
    pub(super) grace: Duration,
}

impl RemovedManifests {
    /// Empty. Items attached to a removed manifest stay for `grace`: it may have been deleted by mistake, and come
    /// back.
    pub(in crate::upkeep) fn new(grace: Duration) -> Self {
        Self { by_repository: HashMap::new(), grace }
    }

    /// Records an entry of the graveyard, if it is a manifest.
    pub(in crate::upkeep) fn note(&mut self, grave: &Grave) {
        if let Item::Revision(repository, digest) = &grave.entry.item {
            let of_repository = self.by_repository.entry(repository.clone()).or_default();
            let since = of_repository.entry(digest.clone()).or_insert(grave.since);
            *since = grave.since.max(*since);
        }
    }

    /// Whether anything was removed from a repository.
    pub(in crate::upkeep) fn are_of(&self, repository: &RepositoryName) -> bool {
        self.by_repository.contains_key(repository)
    }

    /// What was removed from a repository, and when it was last removed.
    pub(super) fn of(&self, repository: &RepositoryName) -> HashMap<Digest, SystemTime> {
        self.by_repository.get(repository).cloned().unwrap_or_default()
    }
}

impl Registry {
    /// The manifests in the graveyard; items attached to them stay for the lease in the settings.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn removed_manifests(&self) -> Result<RemovedManifests> {
        let mut removed = RemovedManifests::new(self.settings().collection.lease);
        let mut after: Option<Condemned> = None;
        loop {
            let page = self.store().condemned(after.as_ref(), PAGE).await?;
            page.entries.iter().for_each(|grave| removed.note(grave));
            after = page.entries.into_iter().next_back().map(|grave| grave.entry);
            if !page.more {
                return Ok(removed);
            }
        }
    }
}
