//! What is kept with an upload session: whose it is, and the hash so far.

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
    /// The hash of the first bytes.
    hash: Option<HashMark>,
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
            hash: None,
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

    /// Notes the hash of the first `len` bytes.
    pub(super) fn mark(&mut self, len: u64, hasher: &Hasher) {
        self.hash = Some(HashMark { len, boot: world::boot(), state: hasher.save() });
    }

    /// The hasher of the first of `len` bytes, and how many it has seen; a fresh one if what is
    /// noted cannot be relied on.
    pub(super) fn hasher(&self, len: u64) -> (Hasher, u64) {
        let mark = self.hash.as_ref().filter(|mark| mark.boot == world::boot() && mark.len <= len);
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
}
