//! An upload session as a request finds it: its length, the current turn, and the length reported to its client.
//!
//! A request that returns to an offset that was reported to its client takes the session over there. Bytes that an
//! interrupted request sent beyond it, and that were never reported, are truncated, so a repeated request has the
//! same effect as a single one.

use super::{
    Chunk, Registry, RegistryError, Result,
    note::SessionNote,
    upload::{OpenUpload, Writer},
    upload_home::UploadSessions,
    verify,
};
use crate::storage::{TakenOver, UploadTurn};
use bytes::Bytes;
use oci::UploadId;

/// A session that has not ended.
pub(super) struct OpenSession {
    note: SessionNote,
    /// The note as stored: only a request that has read it may replace it.
    facts: Bytes,
    turn: UploadTurn,
    /// Bytes on disk.
    len: u64,
}

impl OpenSession {
    /// The bytes reported to its client. A power failure may have taken some of them.
    fn reported(&self) -> u64 {
        self.note.acknowledged.min(self.len)
    }
}

impl UploadSessions {
    /// The length of a session.
    ///
    /// # Errors
    /// [`RegistryError::UploadUnknown`].
    pub(super) async fn upload(&self, id: &UploadId) -> Result<OpenUpload> {
        self.session(id).await?;
        Ok(OpenUpload { id: *id, len: self.registry.report_len(id).await? })
    }

    /// The session with this id, if it belongs to this repository and this caller.
    pub(super) async fn session(&self, id: &UploadId) -> Result<OpenSession> {
        let session = self.registry.read_session(id).await?;
        match session.note.belongs_to(self) {
            true => Ok(session),
            false => Err(RegistryError::UploadUnknown(*id)),
        }
    }

    /// The error for a request that does not continue at the end of the session.
    pub(super) async fn out_of_order(&self, id: &UploadId) -> RegistryError {
        match self.registry.report_len(id).await {
            Ok(len) => RegistryError::OutOfOrder { home: self.home.clone(), id: *id, len },
            Err(error) => error,
        }
    }

    /// The error for a request whose turn is over. It names the last offset reported to its client, and nothing
    /// beyond: later bytes belong to another request, which may have to be repeated.
    pub(super) async fn superseded(&self, id: &UploadId) -> RegistryError {
        match self.registry.read_session(id).await {
            Ok(session) => RegistryError::OutOfOrder { home: self.home.clone(), id: *id, len: session.reported() },
            Err(error) => error,
        }
    }

    /// Opens a session for a request, with its hash in step with its bytes.
    pub(super) async fn resume(&self, id: &UploadId, chunk: Chunk) -> Result<Writer> {
        let comes_back = match chunk {
            Chunk { range, offset: Some(offset), .. } => range.is_none_or(|range| range.start == offset),
            Chunk { offset: None, .. } => false,
        };
        let session = match comes_back {
            true => self.take_over_at(id, chunk).await?,
            false => self.session(id).await?,
        };
        let OpenSession { note, facts, turn, len } = session;
        let start = match chunk {
            Chunk { range: Some(range), .. } => Some(range.start),
            Chunk { offset, .. } => offset.map(|_| len),
        };
        let is_in_order = |len| start.is_none_or(|start| start == len);
        if !is_in_order(len) {
            return Err(self.out_of_order(id).await);
        }
        self.registry.core.ledger.holds(id, len);
        let (mut hasher, mut at) = note.hasher(len, &self.store().boot());
        if at < len {
            let blob = self.store().read_upload(id).await?.ok_or(RegistryError::UploadUnknown(*id))?;
            hasher = match verify::catch_up(&blob, hasher, at).await {
                // They were truncated while they were read.
                Err(_) if turn.is_over() => return Err(self.superseded(id).await),
                caught_up => caught_up?,
            };
            at = blob.len();
            // Another writer may have appended to it since.
            if !is_in_order(at) {
                return Err(self.out_of_order(id).await);
            }
        }
        Ok(Writer { id: *id, turn, note, facts, hasher, len: at, noted: at })
    }

    /// Takes a session over at an offset that was reported to the client.
    async fn take_over_at(&self, id: &UploadId, chunk: Chunk) -> Result<OpenSession> {
        loop {
            let session = self.session(id).await?;
            let place = match (chunk.offset.unwrap_or(session.len), chunk.length) {
                // It sends no bytes that could be out of place: clients may close a session with an earlier
                // `Location`.
                (offset, Some(0)) => offset.max(session.reported()),
                (offset, _) => offset,
            };
            if place < session.reported() || place > session.len {
                return Err(self.out_of_order(id).await);
            }
            let mut note = session.note.clone();
            note.cut(place);
            let facts = note.bytes();
            match self.store().take_over(id, &session.turn, place, &session.facts, facts.clone()).await? {
                TakenOver::Yes(turn) => {
                    let facts = if place < session.len { facts } else { session.facts };
                    return Ok(OpenSession { note, facts, turn, len: place });
                }
                TakenOver::At(_) | TakenOver::Changed => {}
                TakenOver::Gone => return Err(RegistryError::UploadUnknown(*id)),
            }
        }
    }

    /// Records the hash of a session's bytes, and that they were reported to its client, if they were.
    pub(super) async fn note(&self, writer: &mut Writer, is_told: bool) -> Result<()> {
        if is_told {
            self.store().keep(&writer.id, &writer.turn).await?;
        }
        loop {
            writer.note.mark(writer.len, &writer.hasher, self.store().boot());
            if is_told {
                writer.note.report(writer.len);
            }
            let facts = writer.note.bytes();
            if self.store().note(&writer.id, &writer.turn, &writer.facts, facts.clone()).await? {
                (writer.facts, writer.noted) = (facts, writer.len);
                return Ok(());
            }
            if writer.turn.is_over() {
                return Err(self.superseded(&writer.id).await);
            }
            // Another request has replaced the note.
            let session = self.registry.read_session(&writer.id).await?;
            (writer.note, writer.facts) = (session.note, session.facts);
        }
    }
}

impl Registry {
    async fn read_session(&self, id: &UploadId) -> Result<OpenSession> {
        loop {
            // First: what is read from here on belongs to this turn, or the turn is over.
            let turn = self.core.ledger.turn(id);
            let unknown = RegistryError::UploadUnknown(*id);
            let Some(progress) = self.core.store.progress(id).await? else { return Err(unknown) };
            let Some(note) = SessionNote::read(&progress.facts) else { return Err(unknown) };
            match turn {
                Some(turn) => return Ok(OpenSession { note, facts: progress.facts, turn, len: progress.len }),
                None => self.core.ledger.register(*id, &note.owner, progress.len),
            }
        }
    }

    /// The length of a session, which is reported to its client.
    async fn report_len(&self, id: &UploadId) -> Result<u64> {
        loop {
            let session = self.read_session(id).await?;
            if session.note.acknowledged == session.len {
                return Ok(session.len);
            }
            self.core.store.keep(id, &session.turn).await?;
            let mut note = session.note;
            note.report(session.len);
            match self.core.store.note(id, &session.turn, &session.facts, note.bytes()).await {
                Ok(false) => {}
                Ok(true) => return Ok(session.len),
                // A full disk does not keep a client from continuing: that is harmless, it may only have to send
                // these bytes again.
                Err(error) => {
                    tracing::warn!(upload = %id, %error, "cannot note what the client of an upload knows");
                    return Ok(session.len);
                }
            }
        }
    }
}
