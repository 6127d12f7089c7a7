//! The note of an upload session: its owner, the length reported to its client, and the hash so far.

use super::{ledger::Owner, upload_home::UploadSessions};
use crate::{files::world, who::Subject};
use bytes::Bytes;
use oci::{Algorithm, Hasher, SavedHash, json};
use serde::{Deserialize, Serialize};
use std::time::SystemTime;

/// The note, as `session.json` has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SessionNote {
    repository: String,
    pub(super) owner: Owner,
    started: String,
    algorithm: String,
    /// The number of bytes that was reported to the client. Bytes after that may be truncated if the request that
    /// sent them is repeated.
    #[serde(default, rename = "told")]
    pub(super) acknowledged: u64,
    /// The hash of the first bytes, at most twice: at the greatest length that survives a repeated request, and at
    /// the full length.
    #[serde(default)]
    hashes: Vec<HashMark>,
}

/// The hash of the first `len` bytes of a session.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct HashMark {
    len: u64,
    /// The machine's boot in which it was taken. Bytes that were not yet durable may differ after a power failure, so
    /// they are read again after another boot.
    boot: String,
    state: SavedHash,
}

impl SessionNote {
    pub(super) fn new(sessions: &UploadSessions, algorithm: Algorithm) -> Self {
        Self {
            repository: sessions.home.to_string(),
            owner: owner(&sessions.registry.caller),
            started: timestamp(),
            algorithm: algorithm.to_string(),
            acknowledged: 0,
            hashes: Vec::new(),
        }
    }

    /// `None` for a truncated note, for example after a power failure: that only ends its session.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        json::from_slice(bytes).ok()
    }

    pub(super) fn bytes(&self) -> Bytes {
        serde_json::to_vec(self).unwrap_or_default().into()
    }

    /// Whether the session is this repository's and this caller's.
    pub(super) fn belongs_to(&self, sessions: &UploadSessions) -> bool {
        self.repository == sessions.home.to_string() && self.owner == owner(&sessions.registry.caller)
    }

    /// Records the hash of all `len` bytes, see [`Lifecycle::boot`](crate::storage::Lifecycle::boot).
    pub(super) fn mark(&mut self, len: u64, hasher: &Hasher, boot: String) {
        self.cut(self.acknowledged.min(len.saturating_sub(1)));
        self.hashes.push(HashMark { len, boot, state: hasher.save() });
    }

    /// Records that the first `len` bytes were reported to the client. From now on they are never truncated.
    pub(super) fn report(&mut self, len: u64) {
        self.acknowledged = len;
        if self.hashes.last().is_some_and(|mark| mark.len == len) {
            self.cut(len);
        }
    }

    /// Drops all hashes except that of the most bytes up to `len`: the others cover bytes that are, or may be,
    /// truncated.
    pub(super) fn cut(&mut self, len: u64) {
        self.hashes.retain(|mark| mark.len <= len);
        self.hashes.drain(..self.hashes.len().saturating_sub(1));
    }

    /// The hasher of the first of `len` bytes, and how many it has seen; a fresh one if the note cannot be relied on.
    pub(super) fn hasher(&self, len: u64, boot: &str) -> (Hasher, u64) {
        let mark = self.hashes.iter().rfind(|mark| mark.boot == boot && mark.len <= len);
        match mark.and_then(|mark| Some((Hasher::resume(&mark.state)?, mark.len))) {
            Some(resumed) => resumed,
            None => (Hasher::new(self.algorithm.parse().unwrap_or_default()), 0),
        }
    }
}

/// The name under which a subject's sessions are counted and stored.
pub(super) fn owner(subject: &Subject) -> Owner {
    match subject {
        Subject::Anonymous => None,
        Subject::User(name) => Some(name.to_string()),
    }
}

/// The time of day in the format of the note.
pub(super) fn timestamp() -> String {
    timestamp_of(world::now())
}

/// Another time in that format.
pub(super) fn timestamp_of(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time).unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::{super::Registry, *};
    use crate::storage::Mem;
    use std::sync::Arc;

    fn app() -> UploadSessions {
        Registry::new(Arc::new(Mem::default()), Arc::default()).repository(&"app".parse().unwrap()).sessions()
    }

    #[test]
    fn a_saved_hash_is_used_unless_the_machine_was_restarted() {
        let mut note = SessionNote::new(&app(), Algorithm::Sha512);
        let mut hasher = Hasher::new(Algorithm::Sha512);
        hasher.update(b"fifty gibibytes");
        note.mark(15, &hasher, world::boot());
        let read = SessionNote::read(&note.bytes()).unwrap();
        let (resumed, at) = read.hasher(15, &world::boot());
        assert_eq!((at, resumed.finish()), (15, hasher.finish()), "a new process continues from the saved hash");
        assert_eq!(read.hasher(14, &world::boot()).1, 0, "bytes are missing that were hashed");
        let text = String::from_utf8(note.bytes().to_vec()).unwrap().replace(&world::boot(), "another-boot");
        assert_eq!(
            SessionNote::read(text.as_bytes()).unwrap().hasher(15, &world::boot()).1,
            0,
            "what was not durable may differ"
        );
        assert!(SessionNote::read(b"{\"repository\":").is_none());
    }

    #[test]
    fn the_hash_up_to_the_acknowledged_offset_is_kept() {
        let mut note = SessionNote::new(&app(), Algorithm::Sha256);
        let hasher = Hasher::new(Algorithm::Sha256);
        let lengths = |note: &SessionNote| note.hashes.iter().map(|mark| mark.len).collect::<Vec<_>>();
        for (len, is_told, noted) in [
            (10, false, vec![10]),
            (20, true, vec![20]),
            (30, false, vec![20, 30]),
            (40, false, vec![20, 40]),
            (40, true, vec![40]),
            (50, true, vec![50]),
            (60, false, vec![50, 60]),
        ] {
            note.mark(len, &hasher, world::boot());
            if is_told {
                note.report(len);
            }
            assert_eq!(lengths(&note), noted, "{len}");
        }
        assert_eq!(
            (
                note.hasher(60, &world::boot()).1,
                note.hasher(59, &world::boot()).1,
                note.hasher(50, &world::boot()).1,
                note.hasher(49, &world::boot()).1
            ),
            (60, 50, 50, 0)
        );
        let mut reported = note.clone();
        reported.report(55);
        assert_eq!(
            (lengths(&reported), reported.hasher(58, &world::boot()).1),
            (vec![50, 60], 50),
            "there is no hash of what was reported"
        );
        note.cut(50);
        assert_eq!(
            (lengths(&note), note.hasher(60, &world::boot()).1),
            (vec![50], 50),
            "what comes after the cut is other bytes"
        );
        note.cut(49);
        assert_eq!(lengths(&note), [] as [u64; 0]);
    }

    #[test]
    fn a_session_with_an_older_note_continues() {
        let text =
            r#"{"repository":"app","owner":null,"started":"2026-11-29T12:00:00Z","algorithm":"sha256","hash":null}"#;
        let note = SessionNote::read(text.as_bytes()).unwrap();
        assert!(note.belongs_to(&app()));
        assert_eq!((note.acknowledged, note.hasher(9, &world::boot()).1), (0, 0));
    }
}
