//! The system calls that everything below stands on, relative to one root directory. None of them
//! follows a symbolic link.
//!
//! The trait is small on purpose: a simulation that loses unsynced data and names, or fails at any
//! call, takes the place of the real system.
//!
//! `open_now` and `read_now` ask the kernel to answer from memory or not at all, so that a reactor
//! never waits for a disk. Only a hit counts. Everything else, including "not found", is asked again
//! on the blocking pool, which also looks into the graveyard.

use super::world;
use bytes::Bytes;
use std::{
    io,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// `None` for what is not there, the error for all else.
pub(crate) fn absent<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// What a name in a directory stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// Anything else: a link, a socket, a device. Nothing of ours.
    Other,
}

/// One name in a directory.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The name.
    pub name: String,
    /// What it stands for.
    pub kind: Kind,
}

/// What is known of a file without reading it.
#[derive(Clone, Copy, Debug)]
pub struct Meta {
    /// What it is.
    pub kind: Kind,
    /// Length in bytes.
    pub len: u64,
    /// Last change of its content, by the file system's clock.
    pub modified: SystemTime,
    /// Who may do what with it: the permission bits of `stat(2)`.
    pub mode: u32,
}

/// Which file it is, and when anything of it changed last: its content, its name, its times. As long as the file is
/// held open, whatever has the same stamp is that file, unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The file system's number.
    pub device: u64,
    /// The file's number there; another may have it when the file is gone and nobody holds it open.
    pub inode: u64,
    /// Names it has.
    pub links: u64,
    /// Length in bytes.
    pub len: u64,
    /// `st_ctime`, in seconds and nanoseconds. The clock goes in steps of some milliseconds.
    pub changed: (i64, i64),
}

impl Stamp {
    /// Whether the last change is so long ago, by the clock.
    pub fn is_older_than(&self, age: Duration) -> bool {
        let (seconds, nanos) = self.changed;
        let since = u64::try_from(seconds).ok().zip(u32::try_from(nanos).ok());
        let changed = since.and_then(|(seconds, nanos)| UNIX_EPOCH.checked_add(Duration::new(seconds, nanos)));
        changed.and_then(|changed| world::now().duration_since(changed).ok()).is_some_and(|past| past >= age)
    }
}

/// Why a directory cannot be used as one of the root's own.
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

/// Room left on the file system.
#[derive(Clone, Copy, Debug)]
pub struct Space {
    /// Bytes in all.
    pub total_bytes: u64,
    /// Bytes we may still write.
    pub free_bytes: u64,
    /// Inodes in all; zero where the file system does not count them.
    pub total_inodes: u64,
    /// Inodes we may still use.
    pub free_inodes: u64,
}

/// System calls below one root. Paths are relative, of plain components joined by `/`; no call
/// follows a symbolic link or leaves the root.
///
/// Errors are the operating system's own; in particular only a name that is not there gives
/// [`io::ErrorKind::NotFound`].
pub trait Sys: Send + Sync + 'static {
    /// An open file.
    type File: Send + Sync + 'static;

    /// Opens an existing regular file for reading.
    fn open(&self, path: &str) -> io::Result<Self::File>;
    /// Opens an existing regular file for reading and writing.
    fn open_rw(&self, path: &str) -> io::Result<Self::File>;
    /// Opens an existing regular file for reading if nothing has to be waited for: every name on the
    /// way is in memory. `None` says nothing about what is there.
    fn open_now(&self, _path: &str) -> Option<(Self::File, Meta, Stamp)> {
        None
    }
    /// The stamp of what a path stands for. Waits for nothing as long as what stands there is held open, which keeps
    /// every name on the way in memory. `None` says nothing about what is there.
    fn stamp(&self, _path: &str) -> Option<Stamp> {
        None
    }
    /// The stamp of an open file, which tells whether it was moved, replaced, removed or changed since. It does not
    /// tell whether a directory above it was moved. `None` says nothing.
    fn stamp_of(&self, _file: &Self::File) -> Option<Stamp> {
        None
    }
    /// Whether a file with this stamp gets another one when it is moved to another name, as it does on the common file
    /// systems of Linux.
    fn tells_moves(&self, _stamp: &Stamp) -> bool {
        false
    }
    /// Fills `buffer` from the beginning of a file if nothing has to be waited for; how many bytes
    /// of it are in memory. May always be zero.
    fn read_now(&self, _file: &Self::File, _buffer: &mut [u8]) -> usize {
        0
    }
    /// Creates a file that was not there, for reading and writing; mode 0640, or 0600 if secret.
    fn create(&self, path: &str, secret: bool) -> io::Result<Self::File>;
    /// Writes all of `parts` at `offset`.
    fn write_at(&self, file: &Self::File, parts: &[Bytes], offset: u64) -> io::Result<()>;
    /// Reads into `buffer` from `offset`; fewer bytes than asked only at the end.
    fn read_at(&self, file: &Self::File, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// The same for who reads everything once: what was not in memory before does not stay there,
    /// so that it takes the place of nothing that is read often.
    fn read_aside(&self, file: &Self::File, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Cuts or extends a file.
    fn truncate(&self, file: &Self::File, len: u64) -> io::Result<()>;
    /// Makes a file's content durable.
    fn sync_data(&self, file: &Self::File) -> io::Result<()>;
    /// What is known of an open file.
    fn file_meta(&self, file: &Self::File) -> io::Result<Meta>;
    /// What is known of a name.
    fn meta(&self, path: &str) -> io::Result<Meta>;
    /// What is known of these names of a directory, in their order; `None` of one that is not there.
    fn metas(&self, dir: &str, names: &[&str]) -> io::Result<Vec<Option<Meta>>> {
        names.iter().map(|name| absent(self.meta(&format!("{dir}/{name}")))).collect()
    }
    /// Renames over whatever is there.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Renames unless something is there ([`io::ErrorKind::AlreadyExists`]).
    fn rename_new(&self, from: &str, to: &str) -> io::Result<()>;
    /// Gives a file a second name unless something is there.
    fn link(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file's name.
    fn unlink(&self, path: &str) -> io::Result<()>;
    /// Makes a directory, mode 0750.
    fn mkdir(&self, path: &str) -> io::Result<()>;
    /// Removes an empty directory.
    fn rmdir(&self, path: &str) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, path: &str) -> io::Result<()>;
    /// Makes everything on this file system durable.
    fn sync_all(&self) -> io::Result<()>;
    /// Calls `each` for every name in a directory, in no order, until it returns `false`.
    fn read_dir(&self, path: &str, each: &mut dyn FnMut(&str, Kind) -> bool) -> io::Result<()>;
    /// Sets a file's time to now, by the file system's clock.
    fn touch(&self, path: &str) -> io::Result<()>;
    /// Locks an existing file for as long as what is returned lives; `None` if somebody else has
    /// it locked, in this process or another.
    fn try_lock(&self, path: &str) -> io::Result<Option<Box<dyn Send + Sync>>>;
    /// Why a directory cannot be used, to write if so asked; `None` also where it is not there, or where nothing is known.
    fn unsuitable(&self, _path: &str, _to_write: bool) -> Option<Unsuitable> {
        None
    }
    /// Room left.
    fn space(&self) -> io::Result<Space>;
    /// The file as the standard library's, for handing its pages to a socket; `None` where there
    /// is no such thing.
    fn share(&self, file: Self::File) -> Result<Arc<std::fs::File>, Self::File>;
}
