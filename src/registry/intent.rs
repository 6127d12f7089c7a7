//! Intents: what a push of a manifest refers to, visible to collection before the push looks
//! whether it is there.
//!
//! A push publishes its intent first and looks second; a collection lists what lies in the
//! graveyard first, then reads intents, then manifests. So either the collection sees the intent
//! and keeps what it names, or the push sees that something was taken and brings it back. No clock
//! and no lock is in the argument (`models/` explores it).

use super::{Registry, Result};
use crate::{
    files::world,
    oci::{Digest, Manifest, ReferencedDigest, RepositoryName},
    storage::{Durability, InstanceId, Key, PushId, Put},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// What is kept of a push under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Intent {
    /// The manifest pushed.
    pub(super) manifest: Digest,
    /// What it refers to.
    pub(super) refers: Vec<Digest>,
    /// The run of the program that pushes it. As long as that lives the intent does not expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) instance: Option<InstanceId>,
}

impl Intent {
    pub(super) fn of(digest: &Digest, manifest: &Manifest, instance: InstanceId) -> Self {
        let descriptors = manifest.config.iter().chain(&manifest.layers).chain(&manifest.children);
        let known = descriptors.filter_map(|descriptor| match &descriptor.digest {
            ReferencedDigest::Known(digest) => Some(digest.clone()),
            ReferencedDigest::Foreign(_) => None,
        });
        let mut refers: Vec<_> = known.collect();
        refers.sort_unstable();
        refers.dedup();
        Self { manifest: digest.clone(), refers, instance: Some(instance) }
    }

    /// `None` for what a power failure left of one: it was not synced, and its push is dead.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

/// Pushes that were answered and whose intents still lie there.
#[derive(Default)]
pub(super) struct Finished(Mutex<VecDeque<(Duration, RepositoryName, PushId)>>);

/// Beyond this many, intents are left to the next collection.
const MOST_FINISHED: usize = 100_000;

impl Finished {
    fn add(&self, repository: &RepositoryName, push: PushId) {
        let mut finished = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if finished.len() < MOST_FINISHED {
            finished.push_back((world::uptime(), repository.clone(), push));
        }
    }

    fn older_than(&self, age: Duration) -> Option<(RepositoryName, PushId)> {
        let mut finished = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, ..) = finished.front()?;
        if world::uptime().saturating_sub(*at) < age {
            return None;
        }
        finished.pop_front().map(|(_, repository, push)| (repository, push))
    }
}

impl Registry {
    /// Makes what a push refers to visible to collection. Not durable: a push that a power
    /// failure ends was not answered.
    pub(super) async fn declare(&self, repository: &RepositoryName, intent: &Intent) -> Result<PushId> {
        let push = PushId::fresh();
        let json = serde_json::to_vec(intent).unwrap_or_default();
        let put = Put::any(Key::Intent(repository.clone(), push), json);
        self.core.store.put(vec![put], Durability::Process).await?;
        Ok(push)
    }

    /// Whether a push may still rely on its intent.
    pub(super) async fn is_declared(&self, repository: &RepositoryName, push: PushId) -> Result<bool> {
        Ok(self.core.store.get(&Key::Intent(repository.clone(), push)).await?.is_some())
    }

    /// The push failed: nothing refers to what it named.
    pub(super) async fn withdraw(&self, repository: &RepositoryName, push: PushId) {
        if let Err(error) = self.core.store.discard(&Key::Intent(repository.clone(), push)).await {
            tracing::debug!(%repository, %error, "cannot delete the intent of a push; the next garbage collection does it");
        }
    }

    /// The push is about to be answered: the manifest itself speaks for what it refers to. The
    /// intent stays, expired, for readers that may not see the manifest yet.
    pub(super) async fn fulfilled(&self, repository: &RepositoryName, push: PushId) {
        let (active, expired) = (Key::Intent(repository.clone(), push), Key::ExpiredIntent(repository.clone(), push));
        match self.core.store.rename(&active, &expired).await {
            Ok(_) => self.core.finished.add(repository, push),
            Err(error) => {
                tracing::debug!(%repository, %error, "cannot delete the intent of a push; the next garbage collection does it")
            }
        }
    }

    /// Removes the intents of pushes that were answered long enough ago for every reader to see
    /// what they published.
    pub(super) async fn forget_fulfilled(&self) -> Result<()> {
        while let Some((repository, push)) = self.core.finished.older_than(self.settings.collection.settle) {
            self.core.store.discard(&Key::ExpiredIntent(repository, push)).await?;
        }
        Ok(())
    }
}
