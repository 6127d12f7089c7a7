//! The journal: one file for each write that is not uploaded yet, in a directory of this machine.
//!
//! A file has the bytes of the object first, then what is to be done with them as JSON, and the length of that. So it
//! has its name only when all of it is durable, and one sync of the directory makes the write durable.

use crate::{
    files::{AtomicFiles, FileKind, Real, Sys, absent, world},
    storage::objects::{ObjectError, ObjectResult},
};
use bytes::{BufMut as _, Bytes, BytesMut};
use oci::{Algorithm, Hasher, json};
use serde::{Deserialize, Serialize};
use std::{
    io,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

/// Writes that wait, by their numbers.
const ENTRIES: &str = "entries";
/// Objects that are written in parts, and not complete.
const GROWING: &str = "growing";
/// How far the uploads of large objects are, by the numbers of their entries.
const PROGRESS: &str = "progress";
/// The file that a process locks as long as it uses the journal.
const LOCK: &str = "lock";
/// The end of a file of the journal: the length of the record, and this.
const MAGIC: [u8; 4] = *b"WHFJ";
const END: u64 = 8;
/// The longest record.
const LONGEST_RECORD: u64 = 8 << 20;

/// What is to be done.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum JournalRecord {
    /// Write an object.
    Put {
        key: String,
        len: u64,
        /// Of each part of it, in hex.
        sha256: Vec<String>,
        /// Milliseconds since 1970.
        modified: u64,
        /// Everything up to this number must be uploaded first.
        after: u64,
    },
    /// Remove objects.
    Delete { keys: Vec<String>, after: u64 },
}

impl JournalRecord {
    pub(super) fn after(&self) -> u64 {
        match self {
            Self::Put { after, .. } | Self::Delete { after, .. } => *after,
        }
    }

    pub(super) fn keys(&self) -> &[String] {
        match self {
            Self::Put { key, .. } => std::slice::from_ref(key),
            Self::Delete { keys, .. } => keys,
        }
    }

    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Put { len, .. } => *len,
            Self::Delete { .. } => 0,
        }
    }
}

/// How far the upload of a large object is.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct UploadedParts {
    /// What the server calls it.
    pub(super) id: String,
    /// What the server needs of each part that it has.
    pub(super) parts: Vec<String>,
}

/// The files of the journal.
pub(super) struct Journal {
    files: AtomicFiles<Real>,
    _lock: Box<dyn Send + Sync>,
}

impl Journal {
    /// Opens the journal in a directory, which is created if need be, and locks it.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        Real::make_root(dir)?;
        let files = AtomicFiles::new(Real::open_root(dir)?);
        files.ensure_dirs([ENTRIES, GROWING, PROGRESS, "state", "state/tmp"].map(str::to_owned).into_iter())?;
        if absent(files.sys().meta(LOCK))?.is_none() {
            files.make_growing(LOCK, &Bytes::new())?;
        }
        let lock = files.sys().try_lock(LOCK)?;
        let lock = lock.ok_or_else(|| io::Error::new(io::ErrorKind::WouldBlock, "another process uses the journal"))?;
        let journal = Self { files, _lock: lock };
        for name in journal.names("state/tmp")? {
            absent(journal.files.sys().unlink(&format!("state/tmp/{name}")))?;
        }
        Ok(journal)
    }

    fn names(&self, dir: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        self.files.sys().read_dir(dir, &mut |name, kind| {
            names.extend((kind == FileKind::File).then(|| name.to_owned()));
            true
        })?;
        Ok(names)
    }

    fn read_file(&self, path: &str) -> io::Result<Bytes> {
        let file = self.files.sys().open(path)?;
        let len = self.files.sys().file_meta(&file)?.len;
        self.read_span(&file, 0, len)
    }

    fn read_span(&self, file: &<Real as Sys>::File, at: u64, len: u64) -> io::Result<Bytes> {
        let mut buffer = vec![0; len as usize];
        match self.files.sys().read_at(file, &mut buffer, at)? == buffer.len() {
            true => Ok(buffer.into()),
            false => Err(io::Error::new(io::ErrorKind::InvalidData, "a file of the journal is too short")),
        }
    }

    /// What waits, by number. A file that cannot be read is an error: the operator decides about acknowledged writes.
    pub(super) fn load(&self) -> io::Result<Vec<(u64, JournalRecord)>> {
        let mut found = Vec::new();
        for name in self.names(ENTRIES)? {
            let path = format!("{ENTRIES}/{name}");
            let damaged = |why: &str| io::Error::new(io::ErrorKind::InvalidData, format!("{path} is damaged: {why}"));
            let number = name.parse::<u64>().map_err(|_| damaged("its name is not a number"))?;
            let file = self.files.sys().open(&path)?;
            let len = self.files.sys().file_meta(&file)?.len;
            let end = self.read_span(&file, len.saturating_sub(END), END.min(len))?;
            let Some((record_len, magic)) = end.split_first_chunk::<4>() else { return Err(damaged("it has no end")) };
            let record_len = u64::from(u32::from_be_bytes(*record_len));
            if *magic != MAGIC || record_len > LONGEST_RECORD || record_len + END > len {
                return Err(damaged("it has no end"));
            }
            let record = self.read_span(&file, len - END - record_len, record_len)?;
            let record: JournalRecord = json::from_slice(&record).map_err(|error| damaged(&error.to_string()))?;
            if record.len() + record_len + END != len {
                return Err(damaged("its length is another one"));
            }
            found.push((number, record));
        }
        found.sort_unstable_by_key(|(number, _)| *number);
        Ok(found)
    }

    /// Bytes of objects that are not complete.
    pub(super) fn growing(&self) -> io::Result<u64> {
        let mut total = 0;
        for name in self.names(GROWING)? {
            total += absent(self.files.sys().meta(&growing(&name)))?.map_or(0, |meta| meta.len);
        }
        Ok(total)
    }

    /// Removes objects that are not complete and did not grow for a long time.
    pub(super) fn forget_growing(&self, idle: Duration) -> io::Result<()> {
        for name in self.names(GROWING)? {
            let path = growing(&name);
            let Some(meta) = absent(self.files.sys().meta(&path))? else { continue };
            if world::now().duration_since(meta.modified).is_ok_and(|age| age > idle) {
                absent(self.files.sys().unlink(&path))?;
            }
        }
        Ok(())
    }

    /// Makes a write durable under this number.
    pub(super) fn append(&self, number: u64, pieces: &[Bytes], record: &JournalRecord) -> io::Result<()> {
        let end = end_of(record)?;
        let mut bytes = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum::<usize>() + end.len());
        pieces.iter().for_each(|piece| bytes.extend_from_slice(piece));
        bytes.extend_from_slice(&end);
        let path = entry(number);
        let staged = self.files.stage(&bytes.freeze(), Some("a write"), false)?;
        self.files.place(staged, &path)?;
        self.files.sync_parent(&path, "a write")
    }

    /// Begins an object that is written in parts.
    pub(super) fn begin(&self, id: &str) -> io::Result<()> {
        let path = growing(id);
        self.files.make_growing(&path, &Bytes::new())?;
        self.files.sync_parent(&path, "an object in parts")
    }

    /// Writes a part at a place, durably. [`io::ErrorKind::NotFound`] if there is no such object.
    pub(super) fn write_part(&self, id: &str, at: u64, pieces: &[Bytes]) -> io::Result<()> {
        let sys = self.files.sys();
        let file = sys.open_rw(&growing(id))?;
        sys.write_at(&file, pieces, at)?;
        sys.sync_data(&file)
    }

    /// Makes the write of an object in parts durable under this number.
    pub(super) fn complete(&self, id: &str, number: u64, record: &JournalRecord) -> io::Result<()> {
        let (sys, from, path) = (self.files.sys(), growing(id), entry(number));
        let file = sys.open_rw(&from)?;
        if sys.file_meta(&file)?.len < record.len() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "parts are missing"));
        }
        sys.truncate(&file, record.len())?;
        sys.write_at(&file, &[end_of(record)?], record.len())?;
        sys.sync_data(&file)?;
        drop(file);
        self.files.rename(&from, &path)?;
        self.files.sync_parent(&path, "a write")?;
        self.files.sync_parent(&from, "a write")
    }

    /// Drops an object that was not completed. Returns how long it was.
    pub(super) fn abort(&self, id: &str) -> io::Result<u64> {
        let path = growing(id);
        let len = absent(self.files.sys().meta(&path))?.map_or(0, |meta| meta.len);
        absent(self.files.sys().unlink(&path))?;
        Ok(len)
    }

    /// The bytes of a write, to be read.
    pub(super) fn open_entry(&self, number: u64) -> io::Result<Option<Arc<std::fs::File>>> {
        let Some(file) = absent(self.files.sys().open(&entry(number)))? else { return Ok(None) };
        match self.files.sys().share(file) {
            Ok(file) => Ok(Some(file)),
            Err(_) => Err(io::Error::other("files of the journal cannot be shared")),
        }
    }

    /// Forgets a write that was uploaded; durable, or it could be uploaded again over a later one.
    pub(super) fn remove(&self, number: u64) -> io::Result<()> {
        absent(self.files.sys().unlink(&entry(number)))?;
        self.files.sync_parent(&entry(number), "an upload")?;
        absent(self.files.sys().unlink(&format!("{PROGRESS}/{number:020}"))).map(drop)
    }

    /// How far the upload of a large object is.
    pub(super) fn progress(&self, number: u64) -> io::Result<UploadedParts> {
        match absent(self.read_file(&format!("{PROGRESS}/{number:020}")))? {
            Some(bytes) => Ok(json::from_slice(&bytes).unwrap_or_default()),
            None => Ok(UploadedParts::default()),
        }
    }

    /// Notes how far the upload of a large object is. Not synced: an older note costs an upload, nothing else.
    pub(super) fn note_progress(&self, number: u64, progress: &UploadedParts) -> io::Result<()> {
        let bytes = serde_json::to_vec(progress).map_err(io::Error::other)?;
        let staged = self.files.stage(&bytes.into(), Some("the progress of an upload"), false)?;
        self.files.place(staged, &format!("{PROGRESS}/{number:020}"))
    }
}

fn entry(number: u64) -> String {
    format!("{ENTRIES}/{number:020}")
}

fn growing(id: &str) -> String {
    format!("{GROWING}/{id}")
}

fn end_of(record: &JournalRecord) -> io::Result<Bytes> {
    let json = serde_json::to_vec(record).map_err(io::Error::other)?;
    let mut end = BytesMut::with_capacity(json.len() + END as usize);
    end.extend_from_slice(&json);
    end.put_u32(json.len() as u32);
    end.extend_from_slice(&MAGIC);
    Ok(end.freeze())
}

/// The hash of these bytes, in hex.
pub(super) fn sha256_of(pieces: &[Bytes]) -> String {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    pieces.iter().for_each(|piece| hasher.update(piece));
    hasher.finish().hex().to_owned()
}

/// Milliseconds since 1970.
pub(super) fn millis(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

/// An error of the journal, for callers of the store.
pub(super) fn failed(error: &io::Error) -> ObjectError {
    let why = format!("journal: {error}");
    match error.kind() {
        io::ErrorKind::NotFound => ObjectError::Absent,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            ObjectError::Full { why }
        }
        io::ErrorKind::InvalidData => ObjectError::Damaged { why },
        _ => ObjectError::Other { why },
    }
}

/// Runs work on the journal off the reactor.
pub(super) async fn on_disk<T: Send + 'static>(
    journal: &Arc<Journal>,
    work: impl FnOnce(&Journal) -> io::Result<T> + Send + 'static,
) -> ObjectResult<T> {
    let journal = journal.clone();
    match tokio::task::spawn_blocking(move || work(&journal)).await {
        Ok(done) => done.map_err(|error| failed(&error)),
        Err(_) => Err(ObjectError::Other { why: "the daemon is stopping".into() }),
    }
}
