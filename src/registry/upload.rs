//! Upload sessions: bytes that are to become a blob.
//!
//! A session outlives its connections and the process. Its state is on disk: the bytes received, and a note with its
//! owner, the length that was reported to the client, and the hash so far. If two writers write at one offset, one
//! wins; the other gets the current offset.

use super::{
    Registry, RegistryError, Repository, Result, batch::IncomingBytes, ledger::Owner, note::SessionNote, quota::Growth,
    verify,
};
use crate::storage::{Aged, Condemnation, Item, ItemKind, Presence, Published, UploadTurn};
use bytes::Bytes;
use oci::{Algorithm, ChunkRange, Digest, Hasher, UploadId};
use std::time::{Duration, SystemTime};

/// A session as its client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenUpload {
    pub id: UploadId,
    /// Bytes received and on disk.
    pub len: u64,
}

/// What a request states about its bytes, before they are read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Chunk {
    /// Their offset, if stated.
    pub range: Option<ChunkRange>,
    /// Their number, if stated.
    pub length: Option<u64>,
    /// The offset that was reported to its client, if stated.
    pub offset: Option<u64>,
}

impl Chunk {
    /// The number of bytes, if it is stated.
    pub(super) fn announced(self) -> Option<u64> {
        self.range.map(|range| range.len).or(self.length)
    }
}

/// What happens to a session after a request has sent its bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// More may follow.
    Open,
    /// It becomes a blob immediately.
    Closed,
}

/// A session that this request writes to.
pub(super) struct Writer {
    pub(super) id: UploadId,
    pub(super) turn: UploadTurn,
    pub(super) note: SessionNote,
    /// The note as it is stored.
    pub(super) facts: Bytes,
    pub(super) hasher: Hasher,
    pub(super) len: u64,
    pub(super) noted: u64,
}

impl Repository {
    /// Opens a session.
    ///
    /// # Errors
    /// [`RegistryError::TooManyUploads`], [`RegistryError::UploadBytesExceeded`], or no room.
    pub async fn begin_upload(&self, algorithm: Algorithm) -> Result<OpenUpload> {
        self.may_be_pushed_to().await?;
        self.sessions().begin(algorithm).await.map(|writer| OpenUpload { id: writer.id, len: 0 })
    }

    /// Ends a session and deletes its bytes.
    ///
    /// # Errors
    /// [`RegistryError::UploadUnknown`].
    pub async fn cancel_upload(&self, id: &UploadId) -> Result<()> {
        self.sessions().cancel(id).await
    }

    /// The length of a session.
    ///
    /// # Errors
    /// [`RegistryError::UploadUnknown`].
    pub async fn upload(&self, id: &UploadId) -> Result<OpenUpload> {
        self.sessions().upload(id).await
    }

    /// Appends bytes to a session. Bytes that arrived before an early end stay until the request is repeated.
    ///
    /// # Errors
    /// [`RegistryError::UploadUnknown`]; [`RegistryError::OutOfOrder`], which leaves the session unchanged; [`RegistryError::ChunkLength`],
    /// [`RegistryError::BlobTooLarge`], [`RegistryError::Interrupted`], or no room.
    pub async fn append_upload(&self, id: &UploadId, chunk: Chunk, bytes: impl IncomingBytes) -> Result<OpenUpload> {
        let sessions = self.sessions();
        let mut writer = sessions.resume(id, chunk).await?;
        self.check_blob_quota(None, writer.len, chunk).await?;
        sessions.receive(&mut writer, chunk, bytes, Then::Open).await?;
        Ok(OpenUpload { id: *id, len: writer.len })
    }

    /// Appends the last bytes, if any, and turns a session into the blob `digest`.
    ///
    /// # Errors
    /// Those of [`Repository::append_upload`]; [`RegistryError::DigestMismatch`], after which the session and its
    /// bytes are gone.
    pub async fn finish_upload(
        &self,
        id: &UploadId,
        digest: &Digest,
        chunk: Chunk,
        bytes: impl IncomingBytes,
    ) -> Result<()> {
        let sessions = self.sessions();
        let mut writer = sessions.resume(id, chunk).await?;
        self.check_blob_quota(Some(digest), writer.len, chunk).await?;
        sessions.receive(&mut writer, chunk, bytes, Then::Closed).await?;
        self.publish(writer, digest).await
    }

    /// Checks the quotas before bytes of a blob are taken. A blob that the repository has already adds nothing.
    async fn check_blob_quota(&self, digest: Option<&Digest>, received: u64, chunk: Chunk) -> Result<()> {
        if !self.has_quotas() {
            return Ok(());
        }
        if let Some(digest) = digest
            && self.linked(digest).await?.is_some()
        {
            return Ok(());
        }
        let bytes = received.saturating_add(chunk.announced().unwrap_or(0));
        self.check_quotas(Growth { bytes, ..Growth::default() }).await
    }

    /// Whether a session that is now unknown may have become the blob `digest`: then a client that lost the response
    /// gets it again. Only for callers who may read the blob: others would learn from it what exists.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn was_finished(&self, id: &UploadId, digest: &Digest) -> Result<bool> {
        // The request that finished it may not have made it durable.
        self.registry.core.locks.wait_until_finished(id).await;
        let link = Item::Link(self.name.clone(), digest.clone());
        let is_known = self.linked(digest).await?.is_some();
        Ok(is_known && self.store().ensure(&[link]).await? != [Presence::Missing])
    }

    /// Makes the blob `digest` from the bytes of a single request.
    ///
    /// # Errors
    /// Those of [`Repository::finish_upload`]; nothing of the session stays.
    pub async fn push_blob(&self, digest: &Digest, chunk: Chunk, bytes: impl IncomingBytes) -> Result<()> {
        self.check_blob_quota(Some(digest), 0, chunk).await?;
        self.may_be_pushed_to().await?;
        let writer = self.sessions().receive_whole(digest.algorithm(), chunk, bytes).await?;
        self.publish(writer, digest).await
    }

    /// Verifies, publishes and links a blob; runs to completion.
    async fn publish(&self, writer: Writer, digest: &Digest) -> Result<()> {
        let (repository, digest) = (self.clone(), digest.clone());
        self.registry
            .shielded(async move {
                let (id, turn) = (writer.id, writer.turn.clone());
                let _finishing = repository.registry.core.locks.lock_for_finish(&id).await;
                if repository.has_quotas() && repository.linked(&digest).await?.is_none() {
                    repository.claim_quotas(Growth { bytes: writer.len, ..Growth::default() }).await?;
                }
                repository.sessions().make_blob(writer, &digest).await?;
                repository.link(&digest).await?;
                if !turn.is_over() {
                    repository.registry.core.ledger.close(&id);
                }
                Ok(())
            })
            .await
    }
}

impl Registry {
    /// Whether a session may receive `more` bytes.
    pub(super) async fn check_room(&self, writer: &Writer, more: u64) -> Result<()> {
        if writer.len.saturating_add(more) > self.settings.blob_bytes {
            return Err(RegistryError::BlobTooLarge(self.settings.blob_bytes));
        }
        self.within_bytes(&writer.note.owner, more)?;
        self.admit(more).await
    }

    pub(super) fn within_bytes(&self, owner: &Owner, more: u64) -> Result<()> {
        if self.core.ledger.of(owner).bytes.saturating_add(more) > self.settings.upload_bytes_per_user {
            return Err(RegistryError::UploadBytesExceeded(self.settings.upload_bytes_per_user));
        }
        Ok(())
    }

    /// Publishes a session that was hashed by another algorithm, or has other bytes than its writer hashed: they are
    /// read (again).
    pub(super) async fn publish_sealed(&self, writer: Writer, digest: &Digest) -> Result<Published> {
        let (store, id) = (&self.core.store, writer.id);
        let sealed = store.seal(&id, &writer.turn).await?.ok_or(RegistryError::UploadUnknown(id))?;
        let (hasher, at) = match writer.hasher.algorithm() == digest.algorithm() && writer.len <= sealed.len() {
            true => (writer.hasher, writer.len),
            false => (Hasher::new(digest.algorithm()), 0),
        };
        match verify::sealed(digest, &sealed, hasher, at).await {
            Ok(verified) => Ok(store.publish(&id, &writer.turn, &verified).await?),
            Err(error) => {
                if matches!(error, RegistryError::DigestMismatch { .. }) {
                    self.discard(&id, &writer.turn).await?;
                }
                Err(error)
            }
        }
    }

    /// Open sessions of all repositories, by id: each with its length and the time of its last byte.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn uploads(&self, after: Option<&UploadId>, most: usize) -> Result<Vec<(UploadId, u64, SystemTime)>> {
        let after = after.map(|id| Item::Upload(*id));
        let page = self.core.store.items(&ItemKind::Uploads, after.as_ref(), most).await?;
        let session = |aged: Aged| match aged.item {
            Item::Upload(id) => Some((id, aged.len, aged.renewed)),
            _ => None,
        };
        Ok(page.entries.into_iter().filter_map(session).collect())
    }

    /// Ends a session of any repository, even if a request is writing to it; `false` if it does not exist.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn abandon_upload(&self, id: &UploadId) -> Result<bool> {
        let ended = self.core.store.abandon(id, &UploadTurn::default(), Duration::ZERO).await?;
        self.core.ledger.close(id);
        Ok(ended == Condemnation::Condemned)
    }

    /// Ends a session and removes its bytes, unless another request has taken it over.
    pub(super) async fn discard(&self, id: &UploadId, turn: &UploadTurn) -> Result<()> {
        if self.core.store.abandon(id, turn, Duration::ZERO).await? != Condemnation::Renewed {
            self.core.ledger.close(id);
        }
        Ok(())
    }

    /// Adds a session of an earlier process to the ledger.
    pub(crate) async fn register_session(&self, id: &UploadId, len: u64) -> Result<()> {
        if let Some(progress) = self.core.store.progress(id).await?
            && let Some(note) = SessionNote::read(&progress.facts)
        {
            self.core.ledger.register(*id, &note.owner, len);
        }
        Ok(())
    }
}
