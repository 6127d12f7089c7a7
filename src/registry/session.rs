//! An upload session as a request finds it: where it stands, whose turn it is, and what its client was told.
//!
//! A request that comes back to a place its client was told of takes the session over there. What an interrupted
//! request brought beyond that place, and nobody was told of, is cut off, so a repeated request has the effect of one.

use super::{
    Chunk, Error, Registry, Result,
    note::Note,
    upload::{Upload, Writer},
    verify,
};
use crate::{
    oci::{RepositoryName, UploadId},
    storage::{TakenOver, Turn},
    who::Subject,
};
use bytes::Bytes;

/// A session that has not ended.
pub(super) struct OpenSession {
    note: Note,
    /// The note as it is stored: whoever replaces it has to have seen it.
    facts: Bytes,
    turn: Turn,
    /// Bytes on disk.
    len: u64,
}

impl OpenSession {
    /// The bytes its client knows of. A power failure may have taken some of them.
    fn told(&self) -> u64 {
        self.note.told.min(self.len)
    }
}

impl Registry {
    /// Where a session stands.
    ///
    /// # Errors
    /// [`Error::UploadUnknown`].
    pub async fn upload(&self, repository: &RepositoryName, subject: &Subject, id: &UploadId) -> Result<Upload> {
        self.session(repository, subject, id).await?;
        Ok(Upload { id: *id, len: self.tell(id).await? })
    }

    /// The session of that id, if it is this repository's and this caller's.
    pub(super) async fn session(
        &self,
        repository: &RepositoryName,
        subject: &Subject,
        id: &UploadId,
    ) -> Result<OpenSession> {
        let session = self.look_at(id).await?;
        match session.note.belongs_to(repository, subject) {
            true => Ok(session),
            false => Err(Error::UploadUnknown(*id)),
        }
    }

    async fn look_at(&self, id: &UploadId) -> Result<OpenSession> {
        loop {
            // First: what is seen belongs to this turn, or the turn is over.
            let turn = self.core.ledger.turn(id);
            let unknown = Error::UploadUnknown(*id);
            let Some(progress) = self.core.store.progress(id).await? else { return Err(unknown) };
            let Some(note) = Note::read(&progress.facts) else { return Err(unknown) };
            match turn {
                Some(turn) => return Ok(OpenSession { note, facts: progress.facts, turn, len: progress.len }),
                None => self.core.ledger.meet(*id, &note.owner, progress.len),
            }
        }
    }

    /// Where a session stands; its client is told so.
    async fn tell(&self, id: &UploadId) -> Result<u64> {
        loop {
            let session = self.look_at(id).await?;
            if session.note.told == session.len {
                return Ok(session.len);
            }
            let mut note = session.note;
            note.tell(session.len);
            match self.core.store.note(id, &session.turn, &session.facts, note.bytes()).await {
                Ok(false) => {}
                Ok(true) => return Ok(session.len),
                // A full disk does not keep a client from going on elsewhere: that does no harm, it may only have to
                // bring these bytes again.
                Err(error) => {
                    tracing::warn!(upload = %id, %error, "cannot note what the client of an upload knows");
                    return Ok(session.len);
                }
            }
        }
    }

    /// The answer to a request that does not go on where the session stands.
    pub(super) async fn out_of_order(&self, repository: &RepositoryName, id: &UploadId) -> Error {
        match self.tell(id).await {
            Ok(len) => Error::OutOfOrder { repository: repository.clone(), id: *id, len },
            Err(error) => error,
        }
    }

    /// The answer to a request whose turn is over. It names the last place its client was told of, and nothing beyond:
    /// what is there now is another request's, which may have to be repeated.
    pub(super) async fn superseded(&self, repository: &RepositoryName, id: &UploadId) -> Error {
        match self.look_at(id).await {
            Ok(session) => Error::OutOfOrder { repository: repository.clone(), id: *id, len: session.told() },
            Err(error) => error,
        }
    }

    /// Takes up a session for a request, its hash in step with its bytes.
    pub(super) async fn resume(
        &self,
        repository: &RepositoryName,
        subject: &Subject,
        id: &UploadId,
        chunk: Chunk,
    ) -> Result<Writer> {
        let session = match chunk {
            Chunk { range: None, offset: Some(_), .. } => self.come_back(repository, subject, id, chunk).await?,
            _ => self.session(repository, subject, id).await?,
        };
        let OpenSession { note, facts, turn, len } = session;
        let start = match chunk {
            Chunk { range: Some(range), .. } => Some(range.start),
            Chunk { offset, .. } => offset.map(|_| len),
        };
        let is_in_order = |len| start.is_none_or(|start| start == len);
        if !is_in_order(len) {
            return Err(self.out_of_order(repository, id).await);
        }
        self.core.ledger.holds(id, len);
        let (mut hasher, mut at) = note.hasher(len);
        if at < len {
            let blob = self.core.store.read_upload(id).await?.ok_or(Error::UploadUnknown(*id))?;
            hasher = match verify::catch_up(&blob, hasher, at).await {
                // They were cut off while they were read.
                Err(_) if turn.is_over() => return Err(self.superseded(repository, id).await),
                caught_up => caught_up?,
            };
            at = blob.len();
            // Another writer may have added to it since.
            if !is_in_order(at) {
                return Err(self.out_of_order(repository, id).await);
            }
        }
        Ok(Writer { id: *id, turn, note, facts, hasher, len: at, noted: at })
    }

    /// Takes a session over where the client was told that it stands.
    async fn come_back(
        &self,
        repository: &RepositoryName,
        subject: &Subject,
        id: &UploadId,
        chunk: Chunk,
    ) -> Result<OpenSession> {
        loop {
            let session = self.session(repository, subject, id).await?;
            let place = match (chunk.offset.unwrap_or(session.len), chunk.length) {
                // It brings nothing that could be out of place: clients close a session by a `Location` of before.
                (offset, Some(0)) => offset.max(session.told()),
                (offset, _) => offset,
            };
            if place < session.told() || place > session.len {
                return Err(self.out_of_order(repository, id).await);
            }
            let mut note = session.note.clone();
            note.cut(place);
            let facts = note.bytes();
            match self.core.store.take_over(id, &session.turn, place, &session.facts, facts.clone()).await? {
                TakenOver::Yes(turn) => {
                    let facts = if place < session.len { facts } else { session.facts };
                    return Ok(OpenSession { note, facts, turn, len: place });
                }
                TakenOver::At(_) | TakenOver::Changed => {}
                TakenOver::Gone => return Err(Error::UploadUnknown(*id)),
            }
        }
    }

    /// Notes the hash of what a session has, and that its client is told of it if so.
    pub(super) async fn note(&self, repository: &RepositoryName, writer: &mut Writer, is_told: bool) -> Result<()> {
        loop {
            writer.note.mark(writer.len, &writer.hasher);
            if is_told {
                writer.note.tell(writer.len);
            }
            let facts = writer.note.bytes();
            if self.core.store.note(&writer.id, &writer.turn, &writer.facts, facts.clone()).await? {
                (writer.facts, writer.noted) = (facts, writer.len);
                return Ok(());
            }
            if writer.turn.is_over() {
                return Err(self.superseded(repository, &writer.id).await);
            }
            // Somebody else noted something.
            let session = self.look_at(&writer.id).await?;
            (writer.note, writer.facts) = (session.note, session.facts);
        }
    }
}
