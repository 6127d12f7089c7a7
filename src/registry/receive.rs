//! Receives the bytes of upload sessions, and makes blobs of them.

use super::{
    RegistryError, Result,
    batch::{Batch, IncomingBytes},
    note::{SessionNote, owner},
    upload::{Chunk, Then, Writer},
    upload_home::UploadSessions,
    verify,
};
use crate::{
    files::world,
    storage::{Appended, Item, Presence, Published, UploadTurn},
};
use futures_util::future::{Either, select};
use oci::{Algorithm, Digest, Hasher, UploadId};
use std::pin::pin;

/// The hash is saved at this interval of bytes, so that after a kill no more than this has to be read again.
const NOTE_EVERY: u64 = 64 << 20;

impl UploadSessions {
    /// Opens a session.
    pub(super) async fn begin(&self, algorithm: Algorithm) -> Result<Writer> {
        self.registry.admit(0).await?;
        let (id, owner) = (UploadId::from(world::uuid()), owner(&self.registry.caller));
        self.registry.within_bytes(&owner, 0)?;
        let settings = &self.registry.settings;
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
    pub(super) async fn cancel(&self, id: &UploadId) -> Result<()> {
        self.session(id).await?;
        // Even if another request is writing to it.
        self.registry.discard(id, &UploadTurn::default()).await
    }

    /// Receives all bytes in a session of their own, of which no client knows.
    pub(super) async fn receive_whole(
        &self,
        algorithm: Algorithm,
        chunk: Chunk,
        bytes: impl IncomingBytes,
    ) -> Result<Writer> {
        let mut writer = self.begin(algorithm).await?;
        if let Err(e) = self.receive(&mut writer, chunk, bytes, Then::Closed).await {
            self.registry.discard(&writer.id, &writer.turn).await?;
            return Err(e);
        }
        Ok(writer)
    }

    /// Reads a request's bytes into a session. A batch is written and hashed while the next one arrives; the longer
    /// the write takes, the larger the next batch.
    pub(super) async fn receive(
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

    /// Gives the bytes of a session the name of a blob.
    pub(super) async fn make_blob(&self, writer: Writer, digest: &Digest) -> Result<()> {
        let (id, turn) = (writer.id, writer.turn.clone());
        let published = match verify::appended(digest, &writer.hasher, writer.len) {
            Some(verified) => self.store().publish(&id, &turn, &verified).await?,
            None => Published::Differs,
        };
        let published = match published {
            Published::Differs => match self.registry.publish_sealed(writer, digest).await {
                // What was read no longer belonged to this request, so it is unknown what it sent.
                Err(_) if turn.is_over() => return Err(self.superseded(&id).await),
                published => published?,
            },
            published => published,
        };
        // The request sent the bytes of this digest. Another closing request published the same bytes in
        // between, perhaps not durably yet; or the session was cancelled.
        let blob = Item::Blob(digest.clone());
        if published == Published::Gone && self.registry.ensure(&[blob]).await? == [Presence::Missing] {
            return match turn.is_over() {
                true => Err(self.superseded(&id).await),
                false => Err(RegistryError::UploadUnknown(id)),
            };
        }
        Ok(())
    }
}
