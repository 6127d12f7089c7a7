//! Upload sessions: bytes on their way to becoming a blob.
//!
//! A session outlives its connections and the process. Its truth is on disk: the length of what
//! arrived, and a note of whose it is, of what its client was told and of the hash so far. Of two writers at one offset
//! one wins; the other is told where the session stands.

use super::{
    Error, Registry, Result,
    batch::{Batch, Incoming},
    ledger::Owner,
    note::{Note, owner},
    verify,
};
use crate::{
    files::world,
    oci::{Algorithm, ChunkRange, Digest, Hasher, RepositoryName, UploadId},
    storage::{Appended, Item, Presence, Published, Turn, Verdict},
    who::Subject,
};
use bytes::Bytes;
use futures_util::future::{Either, select};
use std::{pin::pin, time::Duration};

/// The hash so far is noted this often, so that a kill costs no more re-reading than this.
const NOTE_EVERY: u64 = 64 << 20;

/// A session as its client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Its id.
    pub id: UploadId,
    /// Bytes received and on disk.
    pub len: u64,
}

/// What a request says of the bytes it brings, before they are read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Chunk {
    /// Where they belong, if it says so.
    pub range: Option<ChunkRange>,
    /// How many they are, if it says so.
    pub length: Option<u64>,
    /// Where its client was told that the session stands, if it says so.
    pub offset: Option<u64>,
}

/// What becomes of a session when a request has brought its bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    /// More may come.
    Open,
    /// It becomes a blob at once.
    Closed,
}

/// A session being written by this request.
pub(super) struct Writer {
    pub(super) id: UploadId,
    pub(super) turn: Turn,
    pub(super) note: Note,
    /// The note as it is stored.
    pub(super) facts: Bytes,
    pub(super) hasher: Hasher,
    pub(super) len: u64,
    pub(super) noted: u64,
}

impl Registry {
    /// Opens a session.
    ///
    /// # Errors
    /// [`Error::TooManyUploads`], [`Error::UploadBytesExceeded`], or no room.
    pub async fn begin_upload(
        &self,
        repository: &RepositoryName,
        subject: &Subject,
        algorithm: Algorithm,
    ) -> Result<Upload> {
        self.begin(repository, subject, algorithm).await.map(|writer| Upload { id: writer.id, len: 0 })
    }

    async fn begin(&self, repository: &RepositoryName, subject: &Subject, algorithm: Algorithm) -> Result<Writer> {
        self.admit(0).await?;
        let (id, owner) = (UploadId::from(world::uuid()), owner(subject));
        self.within_bytes(&owner, 0)?;
        let settings = &self.settings;
        let allows = |all: usize, own: super::ledger::Total| {
            all <= settings.open_uploads && own.sessions <= settings.open_uploads_per_user
        };
        if !self.core.ledger.open(id, &owner, allows) {
            return Err(Error::TooManyUploads);
        }
        let turn = self.core.ledger.turn(&id).unwrap_or_default();
        let note = Note::new(repository, subject, algorithm);
        let facts = note.bytes();
        if let Err(e) = self.core.store.begin(&id, facts.clone()).await {
            self.core.ledger.close(&id);
            return Err(e.into());
        }
        Ok(Writer { id, turn, note, facts, hasher: Hasher::new(algorithm), len: 0, noted: 0 })
    }

    /// Ends a session and drops its bytes.
    ///
    /// # Errors
    /// [`Error::UploadUnknown`].
    pub async fn cancel_upload(&self, repository: &RepositoryName, subject: &Subject, id: &UploadId) -> Result<()> {
        self.session(repository, subject, id).await?;
        // Whoever is writing to it has no say.
        self.discard(id, &Turn::default()).await
    }

    /// Adds bytes to a session. Whatever arrived before an early end stays until the request is repeated.
    ///
    /// # Errors
    /// [`Error::UploadUnknown`]; [`Error::OutOfOrder`] and the session is as it was;
    /// [`Error::ChunkLength`], [`Error::BlobTooLarge`], [`Error::Interrupted`], or no room.
    pub async fn append_upload(
        &self,
        repository: &RepositoryName,
        subject: &Subject,
        id: &UploadId,
        chunk: Chunk,
        bytes: impl Incoming,
    ) -> Result<Upload> {
        let mut writer = self.resume(repository, subject, id, chunk).await?;
        self.take_in(repository, &mut writer, chunk, bytes, Then::Open).await?;
        Ok(Upload { id: *id, len: writer.len })
    }

    /// Adds the last bytes, if any, and makes a session the blob `digest`. Asked again after the
    /// answer was lost it says so again.
    ///
    /// # Errors
    /// Those of [`Registry::append_upload`]; [`Error::DigestMismatch`], and the session and its
    /// bytes are gone.
    pub async fn finish_upload(
        &self,
        repository: &RepositoryName,
        subject: &Subject,
        id: &UploadId,
        digest: &Digest,
        chunk: Chunk,
        bytes: impl Incoming,
    ) -> Result<()> {
        let finish = async {
            let mut writer = self.resume(repository, subject, id, chunk).await?;
            self.take_in(repository, &mut writer, chunk, bytes, Then::Closed).await?;
            self.publish(repository, writer, digest).await
        };
        match finish.await {
            Err(e @ Error::UploadUnknown(_)) => {
                // Finished before, perhaps; whoever did so may not have come to the durable end of it.
                self.core.locks.finished(id).await;
                let link = Item::Link(repository.clone(), digest.clone());
                let known = self.linked(repository, digest).await?.is_some();
                match known && self.core.store.ensure(&[link]).await? != [Presence::Missing] {
                    true => Ok(()),
                    false => Err(e),
                }
            }
            finished => finished,
        }
    }

    /// Makes the blob `digest` of bytes that come in one go.
    ///
    /// # Errors
    /// Those of [`Registry::finish_upload`]; nothing of it stays.
    pub async fn push_blob(
        &self,
        repository: &RepositoryName,
        subject: &Subject,
        digest: &Digest,
        chunk: Chunk,
        bytes: impl Incoming,
    ) -> Result<()> {
        let mut writer = self.begin(repository, subject, digest.algorithm()).await?;
        let id = writer.id;
        if let Err(e) = self.take_in(repository, &mut writer, chunk, bytes, Then::Closed).await {
            // Nobody was told of this session.
            self.discard(&id, &writer.turn).await?;
            return Err(e);
        }
        self.publish(repository, writer, digest).await
    }

    /// Reads a request's bytes into a session: a batch is written and hashed while the next one
    /// arrives, which is the longer the longer that takes.
    async fn take_in(
        &self,
        repository: &RepositoryName,
        writer: &mut Writer,
        chunk: Chunk,
        mut bytes: impl Incoming,
        then: Then,
    ) -> Result<()> {
        let announced = chunk.range.map(|range| range.len).or(chunk.length);
        if let (Some(range), Some(length)) = (chunk.range, chunk.length)
            && range.len != length
        {
            return Err(Error::ChunkLength);
        }
        self.check_room(writer, announced.unwrap_or(0)).await?;
        let receiver = self.core.receivers.enter();
        let mut batch = Batch::default();
        batch.fill(&mut bytes, receiver.least()).await;
        let start = writer.len;
        while !batch.parts.is_empty() {
            let end = writer.len + batch.len;
            if chunk.range.is_some_and(|range| end - start > range.len) {
                return Err(Error::ChunkLength);
            }
            // Bytes that were not announced are counted as they come, and others write meanwhile.
            self.check_room(writer, batch.len).await?;
            if end - writer.noted >= NOTE_EVERY {
                self.note(repository, writer, false).await?;
            }
            let hasher = writer.hasher.clone();
            let append = self.core.store.append(&writer.id, &writer.turn, writer.len, batch.parts, hasher);
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
                    self.spent(len - writer.len);
                    (writer.len, writer.hasher) = (len, hasher);
                    self.core.ledger.holds(&writer.id, len);
                }
                // Another writer came in between, and won.
                Appended::At(_) => return Err(self.out_of_order(repository, &writer.id).await),
                Appended::Gone if writer.turn.is_over() => return Err(self.superseded(repository, &writer.id).await),
                Appended::Gone => return Err(Error::UploadUnknown(writer.id)),
            }
            next.fill(&mut bytes, receiver.least()).await;
            batch = next;
        }
        let taken = match batch.ended {
            Some(Err(interruption)) => Err(Error::Interrupted(interruption)),
            _ if chunk.range.is_some_and(|range| range.len != writer.len - start) => Err(Error::ChunkLength),
            _ => Ok(()),
        };
        // What is a blob in a moment needs no note; if that fails, the bytes are read again.
        let is_told = then == Then::Open && taken.is_ok();
        let is_noted = match is_told {
            true => writer.note.told == writer.len && writer.noted == writer.len,
            false => writer.noted == writer.len || taken.is_ok(),
        };
        if !is_noted {
            self.note(repository, writer, is_told).await?;
        }
        taken
    }

    /// Whether a session may take `more` bytes.
    async fn check_room(&self, writer: &Writer, more: u64) -> Result<()> {
        if writer.len.saturating_add(more) > self.settings.blob_bytes {
            return Err(Error::BlobTooLarge(self.settings.blob_bytes));
        }
        self.within_bytes(&writer.note.owner, more)?;
        self.admit(more).await
    }

    fn within_bytes(&self, owner: &Owner, more: u64) -> Result<()> {
        if self.core.ledger.of(owner).bytes.saturating_add(more) > self.settings.upload_bytes_per_user {
            return Err(Error::UploadBytesExceeded(self.settings.upload_bytes_per_user));
        }
        Ok(())
    }

    /// Verifies, publishes and links, to the end.
    async fn publish(&self, repository: &RepositoryName, writer: Writer, digest: &Digest) -> Result<()> {
        let (registry, repository, digest) = (self.clone(), repository.clone(), digest.clone());
        self.shielded(async move {
            let (id, turn) = (writer.id, writer.turn.clone());
            let _finishing = registry.core.locks.finishing(&id).await;
            let published = match verify::appended(&digest, &writer.hasher, writer.len) {
                Some(verified) => registry.core.store.publish(&id, &turn, &verified).await?,
                None => Published::Differs,
            };
            let published = match published {
                Published::Differs => match registry.publish_sealed(writer, &digest).await {
                    // What was read was not this request's any more.
                    Err(_) if turn.is_over() => Published::Gone,
                    published => published?,
                },
                published => published,
            };
            // Another closing request published the same bytes in between, perhaps not to the durable end of
            // it; or somebody cancelled.
            let blob = Item::Blob(digest.clone());
            if published == Published::Gone && registry.ensure(&[blob]).await? == [Presence::Missing] {
                return match turn.is_over() {
                    true => Err(registry.superseded(&repository, &id).await),
                    false => Err(Error::UploadUnknown(id)),
                };
            }
            registry.link(&repository, &digest).await?;
            if !turn.is_over() {
                registry.core.ledger.close(&id);
            }
            Ok(())
        })
        .await
    }

    /// Publishes a session that was hashed by another algorithm, or has other bytes than its writer hashed: they are
    /// read (again).
    async fn publish_sealed(&self, writer: Writer, digest: &Digest) -> Result<Published> {
        let (store, id) = (&self.core.store, writer.id);
        let sealed = store.seal(&id, &writer.turn).await?.ok_or(Error::UploadUnknown(id))?;
        let (hasher, at) = match writer.hasher.algorithm() == digest.algorithm() && writer.len <= sealed.len() {
            true => (writer.hasher, writer.len),
            false => (Hasher::new(digest.algorithm()), 0),
        };
        match verify::sealed(digest, &sealed, hasher, at).await {
            Ok(verified) => Ok(store.publish(&id, &writer.turn, &verified).await?),
            Err(error) => {
                if matches!(error, Error::DigestMismatch { .. }) {
                    self.discard(&id, &writer.turn).await?;
                }
                Err(error)
            }
        }
    }

    /// Ends a session and removes its bytes, unless another request has taken it over.
    async fn discard(&self, id: &UploadId, turn: &Turn) -> Result<()> {
        if self.core.store.abandon(id, turn, Duration::ZERO).await? != Verdict::Renewed {
            self.core.ledger.close(id);
        }
        Ok(())
    }

    /// Enters a session of an earlier process into the ledger.
    pub(super) async fn meet(&self, id: &UploadId, len: u64) -> Result<()> {
        if let Some(progress) = self.core.store.progress(id).await?
            && let Some(note) = Note::read(&progress.facts)
        {
            self.core.ledger.meet(*id, &note.owner, len);
        }
        Ok(())
    }
}
