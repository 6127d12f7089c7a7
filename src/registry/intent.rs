//! Intents: what the push of a manifest refers to, made visible to collection before the push checks whether it
//! exists.
//!
//! A push first publishes its intent and then checks; a collection first lists the graveyard, then reads intents,
//! then manifests. So either the collection sees the intent and keeps what it names, or the push sees that something
//! was condemned and restores it. The argument needs neither clock nor lock (`models/` explores it).

use super::{Registry, Repository, Result};
use crate::{
    files::world,
    storage::{Durability, FactKey, InstanceId, PushId, Put},
};
use oci::{Digest, Manifest, ReferencedDigest, json};
use serde::{Deserialize, Serialize};
use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// The record of an active push.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Intent {
    /// The manifest pushed.
    pub(crate) manifest: Digest,
    /// What it refers to.
    pub(crate) refers: Vec<Digest>,
    /// The run of the program that pushes it. While that lives, the intent does not expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) instance: Option<InstanceId>,
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

    /// `None` if a power failure left only a part: it was not synced, and its push is dead.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        json::from_slice(bytes).ok()
    }
}

/// Acknowledged pushes whose intents still exist.
#[derive(Default)]
pub(super) struct Finished(Mutex<VecDeque<(Duration, FactKey)>>);

/// Beyond this many, intents are left to the next collection.
const MOST_FINISHED: usize = 100_000;

impl Finished {
    /// Adds an intent that has expired.
    pub(super) fn add(&self, expired: FactKey) {
        let mut finished = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if finished.len() < MOST_FINISHED {
            finished.push_back((world::uptime(), expired));
        }
    }

    fn older_than(&self, age: Duration) -> Option<FactKey> {
        let mut finished = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, ..) = finished.front()?;
        if world::uptime().saturating_sub(*at) < age {
            return None;
        }
        finished.pop_front().map(|(_, expired)| expired)
    }
}

impl Repository {
    /// Makes what a push refers to visible to collection. Not durable: a push that a power failure ends was not
    /// acknowledged.
    pub(crate) async fn declare(&self, intent: &Intent) -> Result<PushId> {
        let push = PushId::fresh();
        let json = serde_json::to_vec(intent).unwrap_or_default();
        let put = Put::any(FactKey::Intent(self.name.clone(), push), json);
        self.store().put(vec![put], Durability::Process).await?;
        Ok(push)
    }

    /// Whether a push may still rely on its intent.
    pub(super) async fn is_declared(&self, push: PushId) -> Result<bool> {
        Ok(self.store().get(&FactKey::Intent(self.name.clone(), push)).await?.is_some())
    }

    /// The push failed: nothing refers to what it named.
    pub(crate) async fn withdraw(&self, push: PushId) {
        if let Err(error) = self.store().discard(&FactKey::Intent(self.name.clone(), push)).await {
            tracing::debug!(repository = %self.name, %error, "cannot delete the intent of a push; the next garbage collection does it");
        }
    }

    /// The push is about to be acknowledged: from now on the manifest itself keeps what it refers to. The expired
    /// intent stays for readers that may not see the manifest yet.
    pub(super) async fn complete(&self, push: PushId) {
        let (active, expired) =
            (FactKey::Intent(self.name.clone(), push), FactKey::ExpiredIntent(self.name.clone(), push));
        match self.store().rename(&active, &expired).await {
            Ok(_) => self.registry.core.finished.add(expired),
            Err(error) => {
                tracing::debug!(repository = %self.name, %error, "cannot delete the intent of a push; the next garbage collection does it")
            }
        }
    }
}

impl Registry {
    /// Removes the intents of pushes that were acknowledged long enough ago for every reader to see what they
    /// published.
    pub(crate) async fn forget_fulfilled(&self) -> Result<()> {
        while let Some(expired) = self.core.finished.older_than(self.settings.collection.settle) {
            self.core.store.discard(&expired).await?;
        }
        Ok(())
    }
}
