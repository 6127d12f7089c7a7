//! Upload sessions: bytes that are to become a blob.
//!
//! A session outlives its connections and the process. Its state is on disk: the bytes received, and a note with its
//! owner, the length that was reported to the client, and the hash so far. If two writers write at one offset, one
//! wins; the other gets the current offset.

use super::{
    Registry, RegistryError, Repository, Result,
    batch::{Batch, IncomingBytes},
    ledger::Owner,
    note::{SessionNote, owner},
    quota::Growth,
    verify,
};
use crate::{
    files::world,
    storage::{Aged, Appended, Condemnation, Item, ItemKind, Presence, Published, UploadTurn},
};
use bytes::Bytes;
use futures_util::future::{Either, select};
use oci::{Algorithm, ChunkRange, Digest, Hasher, UploadId};
use std::{
    pin::pin,
    time::{Duration, SystemTime},
};

/// The hash is saved at this interval of bytes, so that after a kill no more than this has to be read again.
const NOTE_EVERY: u64 = 64 << 20;

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
    fn announced(self) -> Option<u64> {
        self.range.map(|range| range.len).or(self.length)
    }
}

/// What happens to a session after a request has sent its bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
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
        self.begin(algorithm).await.map(|writer| OpenUpload { id: writer.id, len: 0 })
    }

    async fn begin(&self, algorithm: Algorithm) -> Result<Writer> {
        self.may_be_pushed_to().await?;
        self.registry.admit(0).await?;
        let (id, owner) = (UploadId::from(world::uuid()), owner(&self.registry.caller));
        self.registry.within_bytes(&owner, 0)?;
        let settings = self.settings();
        let allows = |all: usize, own: super::ledger::Total| {
            all <= settings.open_uploads && own.sessions <= settings.open_uploads_per_user
        };
        if !self.registry.core.ledger.open(id, &owner, allows) {
            return Err(RegistryError::TooManyUploads);
        }
        let turn = self.registry.core.ledger.turn(&id).unwrap_or_default();
        let note = SessionNote::new(self, algorithm);
        let facts = note.bytes();
        if let Err(e) = self.store().begin(&id, facts.clone()).await {
            self.registry.core.ledger.close(&id);
            return Err(e.into());
        }
        Ok(Writer { id, turn, note, facts, hasher: Hasher::new(algorithm), len: 0, noted: 0 })
    }

    /// Ends a session and deletes its bytes.
    ///
    /// # Errors
    /// [`RegistryError::UploadUnknown`].
    pub async fn cancel_upload(&self, id: &UploadId) -> Result<()> {
        self.session(id).await?;
        // Even if another request is writing to it.
        self.registry.discard(id, &UploadTurn::default()).await
    }

    /// Appends bytes to a session. Bytes that arrived before an early end stay until the request is repeated.
    ///
    /// # Errors
    /// [`RegistryError::UploadUnknown`]; [`RegistryError::OutOfOrder`], which leaves the session unchanged; [`RegistryError::ChunkLength`],
    /// [`RegistryError::BlobTooLarge`], [`RegistryError::Interrupted`], or no room.
    pub async fn append_upload(&self, id: &UploadId, chunk: Chunk, bytes: impl IncomingBytes) -> Result<OpenUpload> {
        let mut writer = self.resume(id, chunk).await?;
        self.check_blob_quota(None, writer.len, chunk).await?;
        self.receive(&mut writer, chunk, bytes, Then::Open).await?;
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
        let mut writer = self.resume(id, chunk).await?;
        self.check_blob_quota(Some(digest), writer.len, chunk).await?;
        self.receive(&mut writer, chunk, bytes, Then::Closed).await?;
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
        let mut writer = self.begin(digest.algorithm()).await?;
        let id = writer.id;
        if let Err(e) = self.receive(&mut writer, chunk, bytes, Then::Closed).await {
            // No client knows of this session.
            self.registry.discard(&id, &writer.turn).await?;
            return Err(e);
        }
        self.publish(writer, digest).await
    }

    /// Reads a request's bytes into a session. A batch is written and hashed while the next one arrives; the longer
    /// the write takes, the larger the next batch.
    async fn receive(
        &self,
        writer: &mut Writer,
        chunk: Chunk,
        mut bytes: impl IncomingBytes,
        then: Then,
    ) -> Result<()> {
        let announced = chunk.announced();
        if let (Some(range), Some(length)) = (chunk.range, chunk.length)
            && range.len != length
        {
            return Err(RegistryError::ChunkLength);
        }
        self.registry.check_room(writer, announced.unwrap_or(0)).await?;
        let receiver = self.registry.core.receivers.enter();
        let mut batch = Batch::default();
        batch.fill(&mut bytes, receiver.least()).await;
        let start = writer.len;
        while !batch.parts.is_empty() {
            let end = writer.len + batch.len;
            if chunk.range.is_some_and(|range| end - start > range.len) {
                return Err(RegistryError::ChunkLength);
            }
            // Bytes of unknown length are counted as they arrive, while other requests write too.
            self.registry.check_room(writer, batch.len).await?;
            if end - writer.noted >= NOTE_EVERY {
                self.note(writer, false).await?;
            }
            let hasher = writer.hasher.clone();
            let append = self.store().append(&writer.id, &writer.turn, writer.len, batch.parts, hasher);
            let mut next = Batch { ended: batch.ended, ..Batch::default() };
            let appended = {
                let (append, gather) = (pin!(append), pin!(next.fill(&mut bytes, receiver.most())));
                match select(append, gather).await {
                    Either::Left((appended, _)) => appended,
                    Either::Right(((), append)) => append.await,
                }
            };
            let (appended, hasher) = appended?;
            match appended {
                Appended::To(len) => {
                    self.registry.add_written(len - writer.len);
                    (writer.len, writer.hasher) = (len, hasher);
                    self.registry.core.ledger.holds(&writer.id, len);
                }
                // Another writer came first and won.
                Appended::At(_) => return Err(self.out_of_order(&writer.id).await),
                Appended::Gone if writer.turn.is_over() => return Err(self.superseded(&writer.id).await),
                Appended::Gone => return Err(RegistryError::UploadUnknown(writer.id)),
            }
            next.fill(&mut bytes, receiver.least()).await;
            batch = next;
        }
        let taken = match batch.ended {
            Some(Err(interruption)) => Err(RegistryError::Interrupted(interruption)),
            _ if chunk.range.is_some_and(|range| range.len != writer.len - start) => Err(RegistryError::ChunkLength),
            _ => Ok(()),
        };
        // A session that is about to become a blob needs no note; if that fails, the bytes are read again.
        let is_told = then == Then::Open && taken.is_ok();
        let is_noted = match is_told {
            true => writer.note.acknowledged == writer.len && writer.noted == writer.len,
            false => writer.noted == writer.len || taken.is_ok(),
        };
        if !is_noted {
            self.note(writer, is_told).await?;
        }
        taken
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
                let published = match verify::appended(&digest, &writer.hasher, writer.len) {
                    Some(verified) => repository.store().publish(&id, &turn, &verified).await?,
                    None => Published::Differs,
                };
                let published = match published {
                    Published::Differs => match repository.registry.publish_sealed(writer, &digest).await {
                        // What was read no longer belonged to this request, so it is unknown what it sent.
                        Err(_) if turn.is_over() => return Err(repository.superseded(&id).await),
                        published => published?,
                    },
                    published => published,
                };
                // The request sent the bytes of this digest. Another closing request published the same bytes in
                // between, perhaps not durably yet; or the session was cancelled.
                let blob = Item::Blob(digest.clone());
                if published == Published::Gone && repository.registry.ensure(&[blob]).await? == [Presence::Missing] {
                    return match turn.is_over() {
                        true => Err(repository.superseded(&id).await),
                        false => Err(RegistryError::UploadUnknown(id)),
                    };
                }
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
    async fn check_room(&self, writer: &Writer, more: u64) -> Result<()> {
        if writer.len.saturating_add(more) > self.settings.blob_bytes {
            return Err(RegistryError::BlobTooLarge(self.settings.blob_bytes));
        }
        self.within_bytes(&writer.note.owner, more)?;
        self.admit(more).await
    }

    fn within_bytes(&self, owner: &Owner, more: u64) -> Result<()> {
        if self.core.ledger.of(owner).bytes.saturating_add(more) > self.settings.upload_bytes_per_user {
            return Err(RegistryError::UploadBytesExceeded(self.settings.upload_bytes_per_user));
        }
        Ok(())
    }

    /// Publishes a session that was hashed by another algorithm, or has other bytes than its writer hashed: they are
    /// read (again).
    async fn publish_sealed(&self, writer: Writer, digest: &Digest) -> Result<Published> {
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
    async fn discard(&self, id: &UploadId, turn: &UploadTurn) -> Result<()> {
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
