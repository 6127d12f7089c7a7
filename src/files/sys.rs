//! The system calls that everything else builds on, relative to one root directory. None of them follows a symbolic
//! link.
//!
//! The trait is small on purpose: in tests it is replaced by a simulation that loses unsynced data and names, or fails
//! at any call.
//!
//! `open_now` and `read_now` only use what the kernel has in memory, so that a reactor never waits for a disk. Only a
//! hit counts. Everything else, including "not found", is tried again on the blocking pool, which also searches the
//! graveyard.

use super::world;
use bytes::Bytes;
use std::{
    io,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// `None` if something does not exist; all other errors stay errors.
pub(crate) fn absent<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// What a name in a directory refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    Directory,
    /// Anything else, such as a link, a socket or a device. Never one of our files.
    Other,
}

/// Metadata of a file.
#[derive(Clone, Copy, Debug)]
pub struct Meta {
    /// What it is.
    pub kind: FileKind,
    /// Length in bytes.
    pub len: u64,
    /// Last change of its content, by the file system's clock.
    pub modified: SystemTime,
    /// The permission bits of `stat(2)`.
    pub mode: u32,
    /// Number of names.
    pub links: u64,
}

/// Identifies a file and its last change of any kind: of its content, its names or its times. While the file is held
/// open, whatever has the same stamp is that file, unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The device number of the file system.
    pub device: u64,
    /// The inode number. It may be reused once the file is removed and nobody holds it open.
    pub inode: u64,
    /// Number of names.
    pub links: u64,
    /// Length in bytes.
    pub len: u64,
    /// `st_ctime`, in seconds and nanoseconds. Its clock has a resolution of some milliseconds.
    pub changed: (i64, i64),
}

impl Stamp {
    /// Whether the last change is longer ago than `age`.
    pub fn is_older_than(&self, age: Duration) -> bool {
        let (seconds, nanos) = self.changed;
        let since = u64::try_from(seconds).ok().zip(u32::try_from(nanos).ok());
        let changed = since.and_then(|(seconds, nanos)| UNIX_EPOCH.checked_add(Duration::new(seconds, nanos)));
        changed.and_then(|changed| world::now().duration_since(changed).ok()).is_some_and(|past| past >= age)
    }
}

/// Why a directory cannot be used below the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsuitable {
    /// It is a symbolic link, or something else.
    NotADirectory,
    /// It is on another file system than the root.
    Elsewhere,
    /// This user may not write to it.
    NotWritable(u32),
    /// Nobody may.
    ReadOnly,
}

/// The space of the file system.
#[derive(Clone, Copy, Debug)]
pub struct Space {
    /// Size in bytes.
    pub total_bytes: u64,
    /// Bytes that this user may still write.
    pub free_bytes: u64,
    /// Number of inodes; zero if the file system does not count them.
    pub total_inodes: u64,
    /// Inodes that this user may still use.
    pub free_inodes: u64,
}

/// System calls below one root. Paths are relative and consist of plain components joined by `/`; no call follows a
/// symbolic link or leaves the root.
///
/// Errors are those of the operating system; only a name that does not exist gives [`io::ErrorKind::NotFound`].
pub trait Sys: Send + Sync + 'static {
    /// An open file.
    type File: Send + Sync + 'static;

    /// Opens an existing regular file for reading.
    fn open(&self, path: &str) -> io::Result<Self::File>;
    /// Opens an existing regular file for reading and writing.
    fn open_rw(&self, path: &str) -> io::Result<Self::File>;
    /// Opens an existing regular file for reading if that does not have to wait: every name on the path is in memory.
    /// `None` does not mean that nothing is there.
    fn open_now(&self, _path: &str) -> Option<(Self::File, Meta, Stamp)> {
        None
    }
    /// The stamp of a path. Does not wait while the file is held open, which keeps every name on the path in memory.
    /// `None` does not mean that nothing is there.
    fn stamp(&self, _path: &str) -> Option<Stamp> {
        None
    }
    /// The stamp of an open file, which shows whether it was moved, replaced, removed or changed since. It does not
    /// show whether a directory above it was moved. `None` if the system cannot tell.
    fn stamp_of(&self, _file: &Self::File) -> Option<Stamp> {
        None
    }
    /// Whether the stamp of a file changes when the file is renamed, as on the common file systems of Linux.
    fn detects_moves(&self, _stamp: &Stamp) -> bool {
        false
    }
    /// Fills `buffer` from the start of a file, as far as that does not have to wait. Returns the number of bytes,
    /// which may always be zero.
    fn read_now(&self, _file: &Self::File, _buffer: &mut [u8]) -> usize {
        0
    }
    /// Creates a new file, for reading and writing; mode 0640, or 0600 if secret.
    fn create(&self, path: &str, secret: bool) -> io::Result<Self::File>;
    /// Writes all of `parts` at `offset`.
    fn write_at(&self, file: &Self::File, parts: &[Bytes], offset: u64) -> io::Result<()>;
    /// Reads into `buffer` from `offset`; returns fewer bytes only at the end of the file.
    fn read_at(&self, file: &Self::File, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Like [`Sys::read_at`], for callers that read everything once: pages that were not in memory before do not stay
    /// there, so they displace nothing that is read often.
    fn read_uncached(&self, file: &Self::File, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Cuts or extends a file.
    fn truncate(&self, file: &Self::File, len: u64) -> io::Result<()>;
    /// Makes a file's content durable.
    fn sync_data(&self, file: &Self::File) -> io::Result<()>;
    /// The metadata of an open file.
    fn file_meta(&self, file: &Self::File) -> io::Result<Meta>;
    /// The metadata of a path.
    fn meta(&self, path: &str) -> io::Result<Meta>;
    /// The metadata of these names of a directory, in their order; `None` for a name that does not exist.
    fn metas(&self, dir: &str, names: &[&str]) -> io::Result<Vec<Option<Meta>>> {
        names.iter().map(|name| absent(self.meta(&format!("{dir}/{name}")))).collect()
    }
    /// Renames over whatever is there.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Renames unless something is there ([`io::ErrorKind::AlreadyExists`]).
    fn rename_new(&self, from: &str, to: &str) -> io::Result<()>;
    /// Gives a file a second name unless something is there.
    fn link(&self, from: &str, to: &str) -> io::Result<()>;
    /// Lets a new, empty file share the blocks of a file from outside the root; `false` if these file systems cannot.
    fn clone_file(&self, _from: &std::fs::File, _to: &Self::File) -> io::Result<bool> {
        Ok(false)
    }
    /// Gives a file from outside the root another name unless something is there; `false` if these file systems
    /// cannot, or this user may not.
    fn link_file(&self, _from: &std::fs::File, _to: &str) -> io::Result<bool> {
        Ok(false)
    }
    /// Removes a file's name.
    fn unlink(&self, path: &str) -> io::Result<()>;
    /// Creates a directory, mode 0750.
    fn mkdir(&self, path: &str) -> io::Result<()>;
    /// Removes an empty directory.
    fn rmdir(&self, path: &str) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, path: &str) -> io::Result<()>;
    /// Makes everything on this file system durable.
    fn sync_all(&self) -> io::Result<()>;
    /// Calls `each` for every name in a directory, in any order, until it returns `false`.
    fn read_dir(&self, path: &str, each: &mut dyn FnMut(&str, FileKind) -> bool) -> io::Result<()>;
    /// Sets a file's time to now, by the file system's clock.
    fn touch(&self, path: &str) -> io::Result<()>;
    /// Sets a file's time.
    fn set_modified(&self, path: &str, at: SystemTime) -> io::Result<()>;
    /// Locks an existing file until the result is dropped; `None` if this or another process has locked it.
    fn try_lock(&self, path: &str) -> io::Result<Option<Box<dyn Send + Sync>>>;
    /// Why a directory cannot be used, to read or, if asked, also to write. `None` if it can, does not exist, or the
    /// system cannot tell.
    fn unsuitable(&self, _path: &str, _to_write: bool) -> Option<Unsuitable> {
        None
    }
    /// The space of the file system.
    fn space(&self) -> io::Result<Space>;
    /// The file as a standard file, to send its pages to a socket; `None` if there is no such file.
    fn share(&self, file: Self::File) -> Result<Arc<std::fs::File>, Self::File>;
}
