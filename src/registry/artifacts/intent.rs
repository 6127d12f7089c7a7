//! Intents of publications: see `registry::intent`. What one names is a blob.

use super::{ArtifactRepository, PAGE};
use crate::{
    registry::Result,
    storage::{ArtifactKey, DirOf, Durability, Fact, FactKey, InstanceId, PushId, Put},
};
use oci::{Digest, json};
use serde::{Deserialize, Serialize};

/// The record of an artifact that is being published or restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ArtifactIntent {
    /// Its bytes.
    pub(crate) digest: Digest,
    /// The run of the program that publishes it. While that lives, the intent does not expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) instance: Option<InstanceId>,
}

impl ArtifactIntent {
    /// `None` if a power failure left only a part.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        json::from_slice(bytes).ok()
    }
}

impl ArtifactRepository {
    fn intent(&self, push: PushId) -> FactKey {
        FactKey::Artifact(ArtifactKey::Intent(self.name.clone(), push))
    }

    fn expired(&self, push: PushId) -> FactKey {
        FactKey::Artifact(ArtifactKey::ExpiredIntent(self.name.clone(), push))
    }

    /// Makes the blob of a publication visible to collection.
    pub(super) async fn declare(&self, digest: &Digest) -> Result<PushId> {
        let push = PushId::fresh();
        let intent = ArtifactIntent { digest: digest.clone(), instance: Some(self.store().instance()) };
        let json = serde_json::to_vec(&intent).unwrap_or_default();
        self.store().put(vec![Put::any(self.intent(push), json)], Durability::Process).await?;
        Ok(push)
    }

    /// Whether a publication may still rely on its intent.
    pub(super) async fn is_declared(&self, push: PushId) -> Result<bool> {
        Ok(self.store().get(&self.intent(push)).await?.is_some())
    }

    /// The publication failed.
    pub(super) async fn withdraw(&self, push: PushId) {
        if let Err(error) = self.store().discard(&self.intent(push)).await {
            tracing::debug!(repository = %self.name, %error, "cannot delete the intent of an upload; the next garbage collection does it");
        }
    }

    /// The publication is about to be acknowledged. The expired intent stays for readers that may not see the record
    /// yet.
    pub(super) async fn complete(&self, push: PushId) {
        match self.store().rename(&self.intent(push), &self.expired(push)).await {
            Ok(_) => self.registry.core.finished.add(self.expired(push)),
            Err(error) => {
                tracing::debug!(repository = %self.name, %error, "cannot delete the intent of an upload; the next garbage collection does it")
            }
        }
    }

    /// The intents that are active, or those that have expired.
    pub(crate) async fn intent_facts(&self, expired: bool) -> Result<Vec<(PushId, Fact)>> {
        let mut names = self.store().names(DirOf::artifact_intents(&self.name), PAGE);
        let mut facts = Vec::new();
        while let Some((push, is_expired)) = names.next().await? {
            if is_expired != expired {
                continue;
            }
            let key = if expired { self.expired(push) } else { self.intent(push) };
            if let Some(fact) = self.store().get(&key).await? {
                facts.push((push, fact));
            }
        }
        Ok(facts)
    }

    /// Lets an intent expire: it stays a root, but its publication can no longer succeed.
    pub(crate) async fn expire_intent(&self, push: PushId) -> Result<()> {
        self.store().rename(&self.intent(push), &self.expired(push)).await?;
        Ok(())
    }

    pub(crate) async fn forget_intent(&self, push: PushId) -> Result<()> {
        Ok(self.store().discard(&self.expired(push)).await?)
    }
}
