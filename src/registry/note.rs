//! What is kept with an upload session: whose it is, how much of it its client knows of, and the hash so far.

use super::ledger::Owner;
use crate::{
    files::world,
    oci::{Algorithm, Hasher, RepositoryName, SavedHash},
    who::Subject,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The note, as `session.json` has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Note {
    repository: String,
    pub(super) owner: Owner,
    started: String,
    algorithm: String,
    /// So many bytes the client was told that the session has. Those after them may be cut off if the request that
    /// brought them is repeated.
    #[serde(default)]
    pub(super) told: u64,
    /// The hash of the first bytes, at most twice: at the last length that stays even if a request is repeated, and at
    /// the last length of all.
    #[serde(default)]
    hashes: Vec<HashMark>,
}

/// The hash of the first `len` bytes of a session.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct HashMark {
    len: u64,
    /// The run of the machine in which it was taken. Bytes that were not yet durable may differ
    /// after a power failure, so another run reads them again.
    boot: String,
    state: SavedHash,
}

impl Note {
    pub(super) fn new(repository: &RepositoryName, subject: &Subject, algorithm: Algorithm) -> Self {
        Self {
            repository: repository.to_string(),
            owner: owner(subject),
            started: timestamp(),
            algorithm: algorithm.to_string(),
            told: 0,
            hashes: Vec::new(),
        }
    }

    /// `None` for a note cut short, as by a power failure: that ends its session, no more.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    pub(super) fn bytes(&self) -> Bytes {
        serde_json::to_vec(self).unwrap_or_default().into()
    }

    /// Whether the session is this repository's and this caller's.
    pub(super) fn belongs_to(&self, repository: &RepositoryName, subject: &Subject) -> bool {
        self.repository == repository.as_str() && self.owner == owner(subject)
    }

    /// Notes the hash of the first `len` bytes, which is all there are.
    pub(super) fn mark(&mut self, len: u64, hasher: &Hasher) {
        self.cut(self.told.min(len.saturating_sub(1)));
        self.hashes.push(HashMark { len, boot: world::boot(), state: hasher.save() });
    }

    /// Notes that the client is told of the first `len` bytes. Nothing is cut off before them any more.
    pub(super) fn tell(&mut self, len: u64) {
        self.told = len;
        if self.hashes.last().is_some_and(|mark| mark.len == len) {
            self.cut(len);
        }
    }

    /// Forgets every hash but that of the most bytes up to `len`: the others are of bytes that are, or may be, cut off.
    pub(super) fn cut(&mut self, len: u64) {
        self.hashes.retain(|mark| mark.len <= len);
        self.hashes.drain(..self.hashes.len().saturating_sub(1));
    }

    /// The hasher of the first of `len` bytes, and how many it has seen; a fresh one if what is
    /// noted cannot be relied on.
    pub(super) fn hasher(&self, len: u64) -> (Hasher, u64) {
        let boot = world::boot();
        let mark = self.hashes.iter().rfind(|mark| mark.boot == boot && mark.len <= len);
        match mark.and_then(|mark| Some((Hasher::resume(&mark.state)?, mark.len))) {
            Some(resumed) => resumed,
            None => (Hasher::new(self.algorithm.parse().unwrap_or_default()), 0),
        }
    }
}

/// The name under which a subject's sessions are counted and kept.
pub(super) fn owner(subject: &Subject) -> Owner {
    match subject {
        Subject::Anonymous => None,
        Subject::User(name) => Some(name.to_string()),
    }
}

/// The time of day, as it is written down.
pub(super) fn timestamp() -> String {
    jiff::Timestamp::try_from(world::now()).unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_is_not_hashed_again_unless_the_machine_was_restarted() {
        let mut note = Note::new(&"app".parse().unwrap(), &Subject::Anonymous, Algorithm::Sha512);
        let mut hasher = Hasher::new(Algorithm::Sha512);
        hasher.update(b"fifty gibibytes");
        note.mark(15, &hasher);
        let read = Note::read(&note.bytes()).unwrap();
        let (resumed, at) = read.hasher(15);
        assert_eq!((at, resumed.finish()), (15, hasher.finish()), "a new process goes on where it stood");
        assert_eq!(read.hasher(14).1, 0, "bytes are missing that were hashed");
        let text = String::from_utf8(note.bytes().to_vec()).unwrap().replace(&world::boot(), "another-boot");
        assert_eq!(Note::read(text.as_bytes()).unwrap().hasher(15).1, 0, "what was not durable may differ");
        assert!(Note::read(b"{\"repository\":").is_none());
    }

    #[test]
    fn the_hash_of_what_the_client_knows_of_outlives_that_of_what_may_be_cut_off() {
        let mut note = Note::new(&"app".parse().unwrap(), &Subject::Anonymous, Algorithm::Sha256);
        let hasher = Hasher::new(Algorithm::Sha256);
        let lengths = |note: &Note| note.hashes.iter().map(|mark| mark.len).collect::<Vec<_>>();
        for (len, is_told, noted) in [
            (10, false, vec![10]),
            (20, true, vec![20]),
            (30, false, vec![20, 30]),
            (40, false, vec![20, 40]),
            (40, true, vec![40]),
            (50, true, vec![50]),
            (60, false, vec![50, 60]),
        ] {
            note.mark(len, &hasher);
            if is_told {
                note.tell(len);
            }
            assert_eq!(lengths(&note), noted, "{len}");
        }
        assert_eq!((note.hasher(60).1, note.hasher(59).1, note.hasher(50).1, note.hasher(49).1), (60, 50, 50, 0));
        let mut told = note.clone();
        told.tell(55);
        assert_eq!((lengths(&told), told.hasher(58).1), (vec![50, 60], 50), "nobody has the hash of what was told");
        note.cut(50);
        assert_eq!((lengths(&note), note.hasher(60).1), (vec![50], 50), "what comes after the cut is other bytes");
        note.cut(49);
        assert_eq!(lengths(&note), [] as [u64; 0]);
    }

    #[test]
    fn a_session_of_before_goes_on_without_what_its_note_lacks() {
        let text =
            r#"{"repository":"app","owner":null,"started":"2026-11-29T12:00:00Z","algorithm":"sha256","hash":null}"#;
        let note = Note::read(text.as_bytes()).unwrap();
        assert!(note.belongs_to(&"app".parse().unwrap(), &Subject::Anonymous));
        assert_eq!((note.told, note.hasher(9).1), (0, 0));
    }
}
