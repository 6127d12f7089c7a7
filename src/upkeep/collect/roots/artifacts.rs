//! Marks the artifact store: in each repository first what is being published, then the records, then the trash. Also
//! in repositories that were deleted and are not yet removed for good.
//!
//! An artifact is in the trash before its record goes, so a deletion is found here or there. What leaves the trash, or
//! moves to another version, is published like a new one: its intent is found, or it looks for its blob after the
//! graveyard was listed.

use super::{
    super::{CollectionError, CollectionStep, PAGE, Pass, Result, graveyard::Graveyard, marks, marks::Marks},
    RootSource,
};
use crate::{
    artifacts::{Artifact, ArtifactRepositoryName, TrashedArtifact},
    registry::{self, artifacts::ArtifactIntent},
    storage::{ArtifactKey, DirOf, FactKey},
};
use async_trait::async_trait;
use oci::Digest;

/// Artifacts, those in the trash, and those that are being published.
pub(super) struct Artifacts;

#[async_trait]
impl RootSource for Artifacts {
    async fn mark(&self, pass: &mut Pass<'_>, _: &Graveyard, marks: &mut Marks) -> Result<()> {
        for name in pass.registry.artifact_repository_names().await? {
            pass.mark_artifacts(&name, marks).await?;
        }
        Ok(())
    }
}

impl Pass<'_> {
    async fn mark_artifacts(&mut self, name: &ArtifactRepositoryName, marks: &mut Marks) -> Result<()> {
        let repository = self.registry.artifacts(name);
        // Active ones first: one that expires meanwhile is found among the expired.
        for expired in [false, true] {
            for (_, fact) in repository.intent_facts(expired).await? {
                // A power failure left only a part of it: its publication is dead.
                if let Some(intent) = ArtifactIntent::read(&fact.bytes) {
                    mark(&intent.digest, marks);
                }
            }
        }
        let store = self.registry.store();
        let mut versions = store.names(DirOf::artifact_versions(name), PAGE);
        while let Some(version) = versions.next().await? {
            let mut ids = store.names(DirOf::artifacts(name, &version), PAGE);
            while let Some(id) = ids.next().await? {
                let key = ArtifactKey::Record(name.clone(), version.clone(), id);
                self.mark_record(key, |bytes| Artifact::parse(bytes).map(|artifact| artifact.digest), marks).await?;
            }
        }
        let mut trash = store.names(DirOf::artifact_trash(name), PAGE);
        while let Some(entry) = trash.next().await? {
            let key = ArtifactKey::Trash(name.clone(), entry);
            let read = |bytes: &[u8]| TrashedArtifact::parse(bytes).map(|trashed| trashed.artifact.digest);
            self.mark_record(key, read, marks).await?;
        }
        Ok(())
    }

    /// Marks the bytes of one record. If it cannot be read, it is unknown what it needs.
    async fn mark_record(
        &mut self,
        key: ArtifactKey,
        digest: fn(&[u8]) -> Option<Digest>,
        marks: &mut Marks,
    ) -> Result<()> {
        let key = FactKey::Artifact(key);
        self.at(CollectionStep::Mark, self.report.manifests + self.report.artifacts).await;
        let Some(fact) = self.registry.store().get(&key).await? else { return Ok(()) };
        match digest(&fact.bytes) {
            Some(digest) => mark(&digest, marks),
            None => {
                let path = key.path();
                return Err(CollectionError::Unsafe(format!(
                    "{path} is damaged, so it is unknown which blob it needs; restore it from a backup, or delete it"
                )));
            }
        }
        self.report.artifacts += 1;
        Ok(())
    }

    /// As for the intents of pushes: a living process removes its own.
    pub(in super::super) async fn tidy_artifact_intents(&mut self) -> Result<()> {
        for name in self.registry.artifact_repository_names().await? {
            self.at(CollectionStep::Intents, self.report.intents).await;
            if let Err(error) = self.tidy_artifact_intents_of(&name).await {
                self.report.error(&error);
            }
        }
        Ok(())
    }

    async fn tidy_artifact_intents_of(&mut self, name: &ArtifactRepositoryName) -> registry::Result<()> {
        let repository = self.registry.artifacts(name);
        // The expired ones first: an intent that expires now must stay a root for at least one more pass.
        for (push, fact) in repository.intent_facts(true).await? {
            if self.is_older(fact.written, self.timing.settle * 2) {
                repository.forget_intent(push).await?;
                self.report.intents += 1;
            }
        }
        for (push, fact) in repository.intent_facts(false).await? {
            let instance = ArtifactIntent::read(&fact.bytes).and_then(|intent| intent.instance);
            let lives = match instance {
                Some(instance) => self.registry.store().lives(instance).await?,
                None => false,
            };
            if !lives && self.is_older(fact.written, self.timing.lease) {
                repository.expire_intent(push).await?;
                self.report.intents += 1;
            }
        }
        Ok(())
    }
}

fn mark(digest: &Digest, marks: &mut Marks) {
    let key = marks::blob(digest);
    marks.blobs.add(key);
    // No tag is needed to reach it.
    marks.tagged.add(key);
}
