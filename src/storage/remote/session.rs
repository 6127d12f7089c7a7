//! The record of an upload: one object, changed by compare and swap.
//!
//! Its bytes are in *segments*, objects in a directory of their own with names that are never used again. So of two
//! writers neither can overwrite bytes of the other; whose record is stored last in a row of swaps has the upload, and
//! the other notices when it stores its own. Bytes that no record lists are not part of the upload.

use super::{
    ObjectStorage,
    names::{DataId, Generation},
};
use crate::{
    files::world,
    storage::{
        InstanceId, Item, Result, StorageError, UploadTurn,
        objects::{ObjectError, ObjectResult, ObjectTag, PART_LEN, PutWhen},
    },
};
use bytes::Bytes;
use oci::{Digest, UploadId, json};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::SystemTime,
};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use tokio_util::task::AbortOnDropHandle;

/// Longest record.
const LONGEST: u64 = 16 << 20;

/// LiveSessions whose state is kept in memory, beyond those with bytes that are not stored yet.
const MOST_IDLE: usize = 2048;

/// What is stored of an upload, besides its note.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SessionRecord {
    /// The directory of its bytes.
    pub(super) data: DataId,
    /// Counts the changes of its writer.
    pub(super) epoch: u64,
    /// The process that writes to it.
    pub(super) by: InstanceId,
    /// Makes each record differ from all others.
    swap: DataId,
    #[serde(default, skip_serializing_if = "SessionState::is_open")]
    pub(super) state: SessionState,
    /// Objects in the directory, and how many of their first bytes belong to the upload.
    pub(super) segments: Vec<(DataId, u64)>,
    /// Another directory, to which the bytes are being copied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) copying: Option<DataId>,
    /// An object that is being written in parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) parts: Option<OpenParts>,
}

/// Whether more bytes can come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum SessionState {
    #[default]
    #[serde(rename = "open")]
    Open,
    #[serde(rename = "sealed")]
    Sealed,
    /// It becomes this generation of a blob: from now on its bytes may belong to that.
    #[serde(rename = "publishing")]
    Publishing { digest: Digest, generation: String },
    /// It was ended, and its objects are about to be removed.
    #[serde(rename = "ended")]
    Ended,
}

impl SessionState {
    fn is_open(&self) -> bool {
        *self == Self::Open
    }
}

/// An object that is being written in parts, all of full length.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OpenParts {
    pub(super) segment: DataId,
    /// The server's id.
    pub(super) id: String,
    /// What the server answered for each part.
    pub(super) parts: Vec<String>,
}

impl OpenParts {
    pub(super) fn len(&self) -> u64 {
        self.parts.len() as u64 * PART_LEN as u64
    }
}

impl SessionRecord {
    pub(super) fn new(data: DataId, by: InstanceId) -> Self {
        let (state, segments) = (SessionState::Open, Vec::new());
        Self { data, epoch: 0, by, swap: DataId::fresh(), state, segments, copying: None, parts: None }
    }

    /// Bytes that are stored.
    pub(super) fn len(&self) -> u64 {
        self.segments.iter().map(|(_, len)| len).sum::<u64>() + self.parts.as_ref().map_or(0, OpenParts::len)
    }

    /// As it is stored: a line of JSON, then the note.
    pub(super) fn write(&self, note: &[u8]) -> Bytes {
        let mut bytes = serde_json::to_vec(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes.extend_from_slice(note);
        bytes.into()
    }

    pub(super) fn read(bytes: &Bytes) -> Option<(Self, Bytes)> {
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let record = json::from_slice(bytes.get(..end)?).ok()?;
        Some((record, bytes.slice(end + 1..)))
    }
}

/// The state of an upload in memory.
#[derive(Debug)]
pub(super) struct LiveSession {
    /// What the next record will be.
    pub(super) record: SessionRecord,
    /// The note, which may be newer than the stored one.
    pub(super) note: Bytes,
    /// The note as it was stored.
    stored_note: Bytes,
    /// The writer as stored.
    stored_writer: (u64, InstanceId),
    tag: Option<ObjectTag>,
    pub(super) touched: SystemTime,
    /// Bytes that are in memory alone.
    pub(super) tail: Vec<Bytes>,
    pub(super) tail_len: u64,
    /// The write of the first part of the tail, which goes on while more bytes come. They stay in the tail until it has
    /// ended. Aborted when it is dropped, as a write is whose caller has gone.
    pub(super) ahead: Option<AbortOnDropHandle<ObjectResult<String>>>,
    /// The turn of the last request.
    pub(super) turn: Option<UploadTurn>,
}

impl LiveSession {
    /// All bytes.
    pub(super) fn len(&self) -> u64 {
        self.record.len() + self.tail_len
    }

    /// Whether bytes may be added.
    pub(super) fn is_open(&self) -> bool {
        self.record.state == SessionState::Open
    }
}

/// The uploads that this process knows, each with a lock.
#[derive(Default)]
pub(super) struct LiveSessions(Mutex<HashMap<UploadId, Arc<AsyncMutex<Option<LiveSession>>>>>);

/// An upload that is locked by a call; `None` until it is read, and after what is stored became unknown.
pub(super) type Held = OwnedMutexGuard<Option<LiveSession>>;

impl LiveSessions {
    pub(super) async fn hold(&self, id: &UploadId) -> Held {
        let slot = {
            let mut sessions = world::lock(&self.0);
            if sessions.len() > MOST_IDLE {
                let has_tail = |slot: &Arc<AsyncMutex<Option<LiveSession>>>| match slot.try_lock() {
                    Ok(live) => live.as_ref().is_some_and(|live| live.tail_len > 0),
                    Err(_) => true,
                };
                sessions.retain(|_, slot| Arc::strong_count(slot) > 1 || has_tail(slot));
            }
            sessions.entry(*id).or_default().clone()
        };
        slot.lock_owned().await
    }

    pub(super) fn forget(&self, id: &UploadId) {
        world::lock(&self.0).remove(id);
    }
}

/// The key of an upload's record.
pub(super) fn key(id: &UploadId) -> String {
    Item::Upload(*id).path()
}

impl ObjectStorage {
    /// Writes the record of a new upload.
    pub(super) async fn create_session(
        &self,
        id: &UploadId,
        record: SessionRecord,
        note: Bytes,
    ) -> Result<LiveSession> {
        let when = if self.objects.abilities().put_absent { PutWhen::Absent } else { PutWhen::Any };
        let (key, bytes) = (key(id), record.write(&note));
        let tag = match self.objects.put(&key, vec![bytes.clone()], when).await {
            Ok(tag) => tag,
            // The answer to a first attempt may have been lost.
            Err(ObjectError::Changed) => match self.whole(&key, LONGEST).await? {
                Some((meta, found)) if found == bytes => meta.tag,
                _ => return Err(StorageError::damaged(key, "there is an upload of this id already")),
            },
            Err(error) => return Err(error.during("write", &key)),
        };
        Ok(LiveSession {
            stored_writer: (record.epoch, record.by),
            record,
            stored_note: note.clone(),
            note,
            tag,
            touched: self.clock(),
            tail: Vec::new(),
            tail_len: 0,
            ahead: None,
            turn: None,
        })
    }

    /// The upload as it is stored; what this process has of it in memory stays if nobody else has written to it. `None`
    /// if there is none.
    pub(super) async fn refresh<'h>(&self, id: &UploadId, held: &'h mut Held) -> Result<Option<&'h mut LiveSession>> {
        let key = key(id);
        let Some((meta, bytes)) = self.whole(&key, LONGEST).await? else {
            if let Some(turn) = held.take().and_then(|live| live.turn) {
                turn.next();
            }
            self.sessions.forget(id);
            return Ok(None);
        };
        let Some((record, note)) = SessionRecord::read(&bytes) else {
            return Err(StorageError::damaged(key, "it is not the record of an upload"));
        };
        let writer = (record.epoch, record.by);
        if let Some(live) = held.as_mut() {
            if meta.tag.is_some() && live.tag == meta.tag {
                return Ok(held.as_mut());
            }
            if live.stored_writer == writer && live.record.state == record.state {
                // Only its note was replaced, or this process wrote it and did not see the answer.
                if live.stored_note != note {
                    (live.note, live.stored_note) = (note.clone(), note);
                }
                live.tag = meta.tag;
                return Ok(held.as_mut());
            }
            if let Some(turn) = &live.turn {
                turn.next();
            }
        }
        **held = Some(LiveSession {
            record,
            stored_note: note.clone(),
            note,
            stored_writer: writer,
            tag: meta.tag,
            touched: meta.modified,
            tail: Vec::new(),
            tail_len: 0,
            ahead: None,
            turn: None,
        });
        Ok(held.as_mut())
    }

    /// The upload, from memory if it is there.
    pub(super) async fn session<'h>(&self, id: &UploadId, held: &'h mut Held) -> Result<Option<&'h mut LiveSession>> {
        if held.is_none() {
            return self.refresh(id, held).await;
        }
        Ok(held.as_mut())
    }

    /// Stores the record with its changes; `false` if another process has written to the upload meanwhile. Then, and
    /// after an error, nothing of it stays in memory.
    pub(super) async fn save(&self, id: &UploadId, held: &mut Held, becomes_writer: bool) -> Result<bool> {
        let Some(live) = held.as_mut() else { return Ok(false) };
        if becomes_writer && live.record.by != self.instance {
            live.record.by = self.instance;
            live.record.epoch += 1;
        }
        live.record.swap = DataId::fresh();
        // A note may speak of bytes that are not stored yet: without them, others must not see it.
        let note = if live.tail_len == 0 { live.note.clone() } else { live.stored_note.clone() };
        let (key, bytes) = (key(id), live.record.write(&note));
        let when = match &live.tag {
            Some(tag) if self.objects.abilities().put_match => PutWhen::Is(tag.clone()),
            _ => PutWhen::Any,
        };
        let stored = match self.objects.put(&key, vec![bytes.clone()], when).await {
            Ok(tag) => Ok(Some(tag)),
            Err(ObjectError::Changed) => match self.whole(&key, LONGEST).await {
                Ok(Some((meta, found))) if found == bytes => Ok(Some(meta.tag)),
                Ok(_) => Ok(None),
                Err(error) => Err(error),
            },
            Err(error) => Err(error.during("write", &key)),
        };
        match (stored, held.as_mut()) {
            (Ok(Some(tag)), Some(live)) => {
                live.tag = tag;
                live.stored_note = note;
                live.stored_writer = (live.record.epoch, live.record.by);
                Ok(true)
            }
            (Ok(_), _) => {
                if let Some(turn) = held.take().and_then(|live| live.turn) {
                    turn.next();
                }
                Ok(false)
            }
            (Err(error), _) => {
                **held = None;
                Err(error)
            }
        }
    }

    /// Writes the record of a copy of a blob, by which it is found if it is interrupted; its key.
    pub(super) async fn begin_copy(&self, digest: &Digest, generation: &Generation) -> Result<String> {
        let id = UploadId::from(world::uuid());
        let mut record = SessionRecord::new(generation.directory().unwrap_or_else(DataId::fresh), self.instance);
        record.state = SessionState::Publishing { digest: digest.clone(), generation: generation.to_string() };
        self.create_session(&id, record, Bytes::new()).await?;
        self.sessions.forget(&id);
        Ok(key(&id))
    }
}
