//! Publishes artifacts: from an upload session, or from the bytes of one request.
//!
//! The order is that of a push: the intent names the blob; the blob gets its name; it is there, or restored; the record
//! appears, unless there is one; the intent is still there. A crash leaves garbage, never a record without its bytes.

use super::{ArtifactRepository, now};
use crate::{
    artifacts::{
        Artifact, ArtifactFileName, ArtifactId, ArtifactMediaType, ArtifactMetadata, ArtifactPath, ArtifactVersion,
        Properties,
    },
    registry::{
        Chunk, IncomingBytes, OpenUpload, RegistryError, Result,
        upload::{Then, Writer},
    },
    storage::{ArtifactKey, ArtifactLogKind, Durability, Expect, Fact, FactKey, Item, Presence, Put, PutOutcome},
};
use oci::{Algorithm, Digest, UploadId};
use std::time::Instant;

/// How often a publication retries because a collection overtook it, or others changed the same record.
const ATTEMPTS: usize = 10;

/// What is said about an artifact that is published.
#[derive(Clone, Debug)]
pub struct NewArtifact {
    pub version: ArtifactVersion,
    pub path: ArtifactPath,
    /// The last component of the path if unset.
    pub name: Option<ArtifactFileName>,
    pub media_type: ArtifactMediaType,
    pub properties: Properties,
    pub metadata: ArtifactMetadata,
    /// Whether it may replace one with other content.
    pub overwrite: bool,
    /// The digest that the bytes must have.
    pub digest: Option<Digest>,
}

/// What a publication did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publication {
    /// There was none.
    Created,
    /// There was one with the same content, and it stays as it was.
    Unchanged,
    /// There was one with other content, which is in the trash now.
    Replaced,
}

/// A published artifact.
#[derive(Clone, Debug)]
pub struct PublishedArtifact {
    pub artifact: Artifact,
    pub publication: Publication,
}

impl ArtifactRepository {
    /// Opens an upload session; `size` is what the client means to send.
    ///
    /// # Errors
    /// [`RegistryError::ArtifactRepositoryUnknown`], [`RegistryError::ArtifactTooLarge`], or those of
    /// [`crate::registry::Repository::begin_upload`].
    pub async fn begin_upload(&self, size: Option<u64>, algorithm: Algorithm) -> Result<OpenUpload> {
        self.must_exist().await?;
        self.check_size(size.unwrap_or(0))?;
        self.sessions().begin(algorithm).await.map(|writer| OpenUpload { id: writer.id, len: 0 })
    }

    /// The length of a session.
    ///
    /// # Errors
    /// [`RegistryError::UploadUnknown`].
    pub async fn upload(&self, id: &UploadId) -> Result<OpenUpload> {
        self.sessions().upload(id).await
    }

    /// Ends a session and deletes its bytes.
    ///
    /// # Errors
    /// [`RegistryError::UploadUnknown`].
    pub async fn cancel_upload(&self, id: &UploadId) -> Result<()> {
        self.sessions().cancel(id).await
    }

    /// Appends bytes to a session.
    ///
    /// # Errors
    /// Those of [`crate::registry::Repository::append_upload`], and [`RegistryError::ArtifactTooLarge`].
    pub async fn append_upload(&self, id: &UploadId, chunk: Chunk, bytes: impl IncomingBytes) -> Result<OpenUpload> {
        let sessions = self.sessions();
        let mut writer = sessions.resume(id, chunk).await?;
        self.check_size(writer.len.saturating_add(chunk.announced().unwrap_or(0)))?;
        sessions.receive(&mut writer, chunk, bytes, Then::Open).await?;
        self.check_size(writer.len)?;
        Ok(OpenUpload { id: *id, len: writer.len })
    }

    /// Turns a session into an artifact.
    ///
    /// # Errors
    /// [`RegistryError::UploadUnknown`], and those of [`Self::put`]. After [`RegistryError::ArtifactExists`] the session
    /// stays, so that the client can give another version.
    pub async fn finish_upload(&self, id: &UploadId, new: NewArtifact) -> Result<PublishedArtifact> {
        self.accepts(&new)?;
        let writer = self.sessions().resume(id, Chunk::default()).await?;
        self.publish(writer, new).await
    }

    /// Makes an artifact of the bytes of one request.
    ///
    /// # Errors
    /// [`RegistryError::ArtifactRepositoryUnknown`]; [`RegistryError::ArtifactExists`]; [`RegistryError::DigestMismatch`];
    /// [`RegistryError::PropertyMissing`], [`RegistryError::MediaTypeRefused`], [`RegistryError::ArtifactTooLarge`];
    /// those of uploads. Nothing stays then.
    pub async fn put(&self, new: NewArtifact, chunk: Chunk, bytes: impl IncomingBytes) -> Result<PublishedArtifact> {
        self.must_exist().await?;
        self.accepts(&new)?;
        self.check_size(chunk.announced().unwrap_or(0))?;
        let algorithm = new.digest.as_ref().map_or_else(Algorithm::default, Digest::algorithm);
        let writer = self.sessions().receive_whole(algorithm, chunk, bytes).await?;
        let (id, turn) = (writer.id, writer.turn.clone());
        let published = self.publish(writer, new).await;
        if published.is_err() {
            // No client knows of this session.
            self.registry.discard(&id, &turn).await?;
        }
        published
    }

    /// Checks an artifact against the settings.
    fn accepts(&self, new: &NewArtifact) -> Result<()> {
        let settings = &self.registry.settings.artifacts;
        let lacks = |key: &&crate::artifacts::PropertyKey| new.properties.get(key.as_str()).is_none();
        if let Some(missing) = settings.required_properties.iter().find(lacks) {
            return Err(RegistryError::PropertyMissing(missing.clone()));
        }
        let allowed = &settings.allowed_types;
        if !allowed.is_empty() && !allowed.iter().any(|pattern| oci::glob_matches(pattern, new.media_type.as_str())) {
            return Err(RegistryError::MediaTypeRefused(new.media_type.clone()));
        }
        Ok(())
    }

    fn check_size(&self, bytes: u64) -> Result<()> {
        let most = self.registry.settings.artifacts.file_bytes;
        if bytes > most { Err(RegistryError::ArtifactTooLarge(most)) } else { Ok(()) }
    }

    /// Publishes what was received; runs to completion.
    async fn publish(&self, writer: Writer, new: NewArtifact) -> Result<PublishedArtifact> {
        self.check_size(writer.len)?;
        let repository = self.clone();
        self.registry
            .shielded(async move {
                let (id, turn, size) = (writer.id, writer.turn.clone(), writer.len);
                let _finishing = repository.registry.core.locks.lock_for_finish(&id).await;
                let _staying = repository.staying().await?;
                let digest = new.digest.clone().unwrap_or_else(|| writer.hasher.clone().finish());
                // Bytes that would be refused get no name in the pool.
                repository.would_fit(&new, &digest).await?;
                let push = repository.declare(&digest).await?;
                let published = async {
                    repository.sessions().make_blob(writer, &digest).await?;
                    let artifact = repository.artifact_of(new.clone(), digest, size);
                    repository.appear(push, &artifact, new.overwrite).await
                };
                let published = published.await;
                match &published {
                    Ok(_) => {
                        repository.complete(push).await;
                        if !turn.is_over() {
                            repository.registry.core.ledger.close(&id);
                        }
                    }
                    Err(_) => repository.withdraw(push).await,
                }
                published
            })
            .await
    }

    /// Refuses what would replace other content without being asked to.
    async fn would_fit(&self, new: &NewArtifact, digest: &Digest) -> Result<()> {
        let id = ArtifactId::of(&new.version, &new.path, &new.properties);
        match self.stored(&new.version, &id).await? {
            Some(stored) if !new.overwrite && stored.artifact.digest != *digest => {
                Err(RegistryError::ArtifactExists(id))
            }
            _ => Ok(()),
        }
    }

    fn artifact_of(&self, new: NewArtifact, digest: Digest, size: u64) -> Artifact {
        let NewArtifact { version, path, name, media_type, properties, metadata, .. } = new;
        let at = now();
        Artifact {
            id: ArtifactId::of(&version, &path, &properties),
            name: name.unwrap_or_else(|| ArtifactFileName::of(&path)),
            version,
            path,
            digest,
            size,
            media_type,
            properties,
            metadata,
            created: at,
            updated: at,
            created_by: self.caller(),
            replaces: None,
        }
    }

    /// Writes the record of an artifact whose intent is declared.
    async fn appear(
        &self,
        push: crate::storage::PushId,
        artifact: &Artifact,
        overwrite: bool,
    ) -> Result<PublishedArtifact> {
        let _changing = self.registry.core.locks.lock_artifacts(self.name.to_match()).await;
        for _ in 0..ATTEMPTS {
            self.must_have_blob(&artifact.digest).await?;
            let key = self.record_key(artifact);
            let (expect, publication) = match self.store().get(&key).await? {
                None => (Expect::Absent, Publication::Created),
                Some(found) => match Artifact::parse(&found.bytes) {
                    Some(there) if there.digest == artifact.digest => {
                        // Its writer may have failed before it was durable.
                        let put = Put::when(key, found.bytes.clone(), Expect::Unchanged(found));
                        if self.store().put(vec![put], Durability::Durable).await? != PutOutcome::Done {
                            continue;
                        }
                        return Ok(PublishedArtifact { artifact: there, publication: Publication::Unchanged });
                    }
                    Some(_) if !overwrite => return Err(RegistryError::ArtifactExists(artifact.id)),
                    Some(there) => {
                        self.finish_replacing(&there).await?;
                        self.keep_in_trash(&there, None).await?;
                        (Expect::Unchanged(found), Publication::Replaced)
                    }
                    // One that is damaged is replaced.
                    None => (Expect::Unchanged(found), Publication::Replaced),
                },
            };
            if !self.write(artifact, expect).await? {
                continue;
            }
            if !self.is_declared(push).await? {
                return Err(RegistryError::Overtaken);
            }
            self.log(ArtifactLogKind::Put, artifact).await;
            self.registry.core.published_artifacts.add(&self.name, Instant::now());
            return Ok(PublishedArtifact { artifact: artifact.clone(), publication });
        }
        Err(RegistryError::Overtaken)
    }

    /// The artifact that a publication would make, if it is there already with the stated digest.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn published(&self, new: &NewArtifact) -> Result<Option<Artifact>> {
        let id = ArtifactId::of(&new.version, &new.path, &new.properties);
        let there = self.stored(&new.version, &id).await?.map(|stored| stored.artifact);
        Ok(there.filter(|artifact| new.digest.as_ref() == Some(&artifact.digest)))
    }

    /// Writes a record if the condition holds; whether it did.
    pub(super) async fn write(&self, artifact: &Artifact, expect: Expect) -> Result<bool> {
        let put = Put::when(self.record_key(artifact), artifact.to_bytes(), expect);
        Ok(self.store().put(vec![put], Durability::Durable).await? == PutOutcome::Done)
    }

    /// Checks that the bytes are there; restores them if they were condemned.
    pub(super) async fn must_have_blob(&self, digest: &Digest) -> Result<()> {
        match self.registry.ensure(&[Item::Blob(digest.clone())]).await?.as_slice() {
            [Presence::Missing] => Err(RegistryError::BlobUnknown(digest.clone())),
            _ => Ok(()),
        }
    }

    pub(super) fn record_key(&self, artifact: &Artifact) -> FactKey {
        FactKey::Artifact(ArtifactKey::Record(self.name.clone(), artifact.version.clone(), artifact.id))
    }

    /// Removes a record that is still what was found.
    pub(super) async fn take(&self, artifact: &Artifact, found: Fact) -> Result<bool> {
        Ok(self.store().delete(&self.record_key(artifact), Expect::Unchanged(found)).await?)
    }
}
