//! The ways in which a client pushes a blob: at once, in chunks, again after an interruption, and to another client's
//! session.

use super::{
    client::{Client, once},
    content::content,
    history::Op,
};
use crate::{
    files::sim::block_on,
    registry::{Chunk, IncomingBytes, Interruption, RegistryError, Result, tests::finish},
};
use bytes::Bytes;
use oci::UploadId;

/// Bytes after which the connection is cut.
fn cut_off(bytes: Bytes) -> impl IncomingBytes {
    futures_util::stream::iter([Ok(bytes), Err(Interruption::Cut)])
}

/// A request that returns to an offset that was reported to its client.
fn at(place: usize) -> Chunk {
    Chunk { offset: Some(place as u64), ..Chunk::default() }
}

impl Client {
    pub(super) fn in_one_go(&self, repository: usize, blob: usize) -> Result<()> {
        let (c, content) = (content(), &content().blobs[blob]);
        let name = &c.repositories[repository];
        block_on(self.registry.repository(name).push_blob(
            &content.digest,
            Chunk::default(),
            once(content.bytes.clone()),
        ))
    }

    pub(super) fn in_chunks(&mut self, repository: usize, blob: usize) -> Result<()> {
        let (c, content) = (content(), &content().blobs[blob]);
        let name = &c.repositories[repository];
        let upload = block_on(self.registry.repository(name).begin_upload(content.digest.algorithm()))?;
        let cut = self.chance.below(content.bytes.len() + 1);
        let first = once(content.bytes.slice(..cut));
        block_on(self.registry.repository(name).append_upload(&upload.id, Chunk::default(), first))?;
        let rest = content.bytes.slice(cut..);
        block_on(self.registry.repository(name).append_upload(&upload.id, Chunk::default(), once(rest)))?;
        self.shared.sessions.lock().unwrap().push((repository, upload.id, blob));
        self.finish(repository, &upload.id, blob)
    }

    fn finish(&self, repository: usize, id: &UploadId, blob: usize) -> Result<()> {
        let (c, content) = (content(), &content().blobs[blob]);
        let name = &c.repositories[repository];
        let nothing = once(Bytes::new());
        block_on(finish(&self.registry, name, id, &content.digest, Chunk::default(), nothing))
    }

    /// Finishes a session again, as one does whose answer was lost; or one of before a crash.
    pub(super) fn finish_anothers(&mut self) {
        let Some((repository, id, blob)) = self.anothers() else { return };
        // Where it was finished before, no bytes are brought.
        let number = self.begin(Op::Mount(repository, blob));
        let finished = self.finish(repository, &id, blob);
        self.enter(number, finished);
    }

    /// Pushes a blob in up to three requests, each of which may be interrupted, and sends other bytes when it is
    /// repeated. What was acknowledged stays, and what was not is replaced.
    pub(super) fn again_and_again(&mut self, repository: usize, blob: usize) -> Result<()> {
        let (c, content) = (content(), &content().blobs[blob]);
        let name = &c.repositories[repository];
        let handle = self.registry.repository(name);
        let upload = block_on(handle.begin_upload(content.digest.algorithm()))?;
        // Others may come in between from now on, or not.
        let is_shared = self.chance.once_in(2);
        if is_shared {
            self.shared.sessions.lock().unwrap().push((repository, upload.id, blob));
        }
        let mut place = 0;
        for _ in 0..self.chance.below(3) {
            let end = place + self.chance.below(content.bytes.len() - place + 1);
            let piece = content.bytes.slice(place..end);
            while self.chance.once_in(2) {
                let other = self.mistaken(&piece);
                let cut = block_on(handle.append_upload(&upload.id, at(place), cut_off(other)));
                self.is_undisturbed(is_shared, "was cut", cut.map(drop))?;
            }
            let repeated = handle.append_upload(&upload.id, at(place), once(piece.clone()));
            let stands = block_on(repeated);
            if let Ok(stands) = &stands
                && stands.len != end as u64
            {
                self.shared.is_wrong(|| format!("a chunk up to {end} is acknowledged as {}", stands.len));
            }
            self.is_undisturbed(is_shared, "was sent again", stands.map(drop))?;
            if self.chance.once_in(4) && !piece.is_empty() {
                let late = handle.append_upload(&upload.id, at(place), once(piece));
                if block_on(late).is_ok() {
                    self.shared.is_wrong(|| format!("what was acknowledged after {place} is replaced"));
                }
            }
            place = end;
        }
        let piece = content.bytes.slice(place..);
        while self.chance.once_in(2) {
            let other = cut_off(self.mistaken(&piece));
            let cut = finish(&self.registry, name, &upload.id, &content.digest, at(place), other);
            let cut = block_on(cut);
            self.is_undisturbed(is_shared, "was cut", cut)?;
        }
        let end = finish(&self.registry, name, &upload.id, &content.digest, at(place), once(piece));
        let end = block_on(end);
        self.is_undisturbed(is_shared, "was sent again", end)
    }

    /// The beginning of a piece, or something else that is as long.
    fn mistaken(&mut self, piece: &Bytes) -> Bytes {
        let len = self.chance.below(piece.len() + 1);
        match self.chance.once_in(2) {
            true => piece.slice(..len),
            false => vec![b'?'; len].into(),
        }
    }

    /// Goes on after a request that was meant to be interrupted, and holds against the registry what nobody else can
    /// have brought about.
    fn is_undisturbed(&self, is_shared: bool, what: &str, result: Result<()>) -> Result<()> {
        match result {
            Ok(()) | Err(RegistryError::Interrupted(_)) => Ok(()),
            Err(error) => {
                let shared = &self.shared;
                if !is_shared && !shared.may_fail && !shared.sim.has_crashed() {
                    shared.is_wrong(|| format!("an upload that {what} is refused: {error}"));
                }
                Err(error)
            }
        }
    }

    /// Pushes a client's own blob to another client's session, from its start.
    pub(super) fn meddle(&mut self, blob: usize) {
        let Some((repository, id, _)) = self.anothers() else { return };
        let (c, content) = (content(), &content().blobs[blob]);
        let (name, bytes) = (&c.repositories[repository], once(content.bytes.clone()));
        // If the session was finished before, no bytes are brought.
        let number = self.begin(Op::Mount(repository, blob));
        let finished = finish(&self.registry, name, &id, &content.digest, at(0), bytes);
        let finished = block_on(finished);
        self.enter(number, finished);
    }

    fn anothers(&mut self) -> Option<(usize, UploadId, usize)> {
        let sessions = self.shared.sessions.lock().unwrap();
        (!sessions.is_empty()).then(|| *self.chance.one_of(&sessions))
    }
}
