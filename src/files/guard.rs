//! [`Guarded`]: system calls that watch the disk's health and keep track of what is durable.
//!
//! It is below everything that writes, so that no caller can forget it: it refuses writes when [`super::health`] says
//! so, shares directory syncs ([`super::commit`]), and decides how much is synced at all.

use super::{
    commit::Directories,
    health::DiskHealth,
    path::parent,
    sys::{FileKind, Meta, Space, Stamp, Sys, Unsuitable},
    world,
};
use bytes::Bytes;
use std::{
    collections::BTreeSet,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    time::SystemTime,
};

/// What a completed write promises. Except in the last mode, a name never has incomplete bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Syncing {
    /// What was answered survives a power failure.
    #[default]
    Strict,
    /// Bytes are synced before they get a name, and names about a second after the answer: a power failure may undo
    /// what was answered last.
    Relaxed,
    /// Nothing is synced: after a power failure the store may be unusable.
    None,
}

impl Syncing {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Strict, Self::Relaxed, Self::None];

    /// The name in settings and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Relaxed => "relaxed",
            Self::None => "none",
        }
    }
}

/// Syncs since startup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Syncs {
    /// Of files.
    pub data: u64,
    /// Of directories.
    pub directory: u64,
    /// Directory syncs that another caller's sync covered.
    pub shared: u64,
}

/// System calls, watched.
pub struct Guarded<S> {
    sys: S,
    health: DiskHealth,
    directories: Directories,
    /// Index into [`Syncing::ALL`].
    syncing: AtomicU8,
    /// Directories whose sync is postponed.
    put_off: Mutex<BTreeSet<String>>,
    data: AtomicU64,
    directory: AtomicU64,
}

impl<S: Sys> Guarded<S> {
    pub(super) fn new(sys: S) -> Self {
        Self {
            sys,
            health: DiskHealth::default(),
            directories: Directories::default(),
            syncing: AtomicU8::default(),
            put_off: Mutex::default(),
            data: AtomicU64::default(),
            directory: AtomicU64::default(),
        }
    }

    /// The system calls, not watched.
    pub fn inner(&self) -> &S {
        &self.sys
    }

    /// Refuses writes from now on while this file does not exist.
    pub fn require(&self, mark: &'static str) {
        self.health.require(mark);
    }

    /// Why writing has stopped, if it has.
    pub fn trouble(&self) -> Option<String> {
        self.health.why()
    }

    /// How much is synced.
    pub fn syncing(&self) -> Syncing {
        Syncing::ALL[usize::from(self.syncing.load(Ordering::Acquire))]
    }

    /// Changes how much is synced, at once. If more is promised from now on, everything written before is made durable
    /// first.
    ///
    /// # Errors
    /// An error of the operating system; the change takes effect even so.
    pub fn set_syncing(&self, syncing: Syncing) -> io::Result<()> {
        let before = Syncing::ALL[usize::from(self.syncing.swap(syncing as u8, Ordering::AcqRel))];
        match before {
            Syncing::None if syncing != Syncing::None => {
                self.directories.forget();
                self.sys.sync_all()
            }
            _ if syncing != Syncing::Relaxed => self.flush(),
            _ => Ok(()),
        }
    }

    /// Whether a sync is postponed.
    pub fn has_put_off(&self) -> bool {
        !self.put_off().is_empty()
    }

    /// Does the postponed syncs.
    ///
    /// # Errors
    /// An error of the operating system; the store accepts no more writes then.
    pub fn flush(&self) -> io::Result<()> {
        let put_off: Vec<String> = std::mem::take(&mut *self.put_off()).into_iter().collect();
        world::each(put_off, |dir| self.sync_nearest_now(&dir)).into_iter().collect()
    }

    /// Makes the changes in `dir` durable, even the removal of `dir` itself.
    ///
    /// # Errors
    /// The operating system's.
    pub(super) fn sync_nearest(&self, dir: &str) -> io::Result<()> {
        match self.syncing() {
            Syncing::Strict => self.sync_nearest_now(dir),
            Syncing::Relaxed | Syncing::None => self.sync_dir(dir),
        }
    }

    fn sync_nearest_now(&self, dir: &str) -> io::Result<()> {
        match self.sync_now(dir) {
            // Its last name was removed, and then the directory itself: make its removal durable.
            Err(e) if e.kind() == io::ErrorKind::NotFound && dir != "." => self.sync_nearest_now(parent(dir)),
            synced => synced,
        }
    }

    /// Makes the names in `dir` durable, whoever wrote them; no work if they are known to be.
    ///
    /// # Errors
    /// The operating system's.
    pub(super) fn settle(&self, dir: &str) -> io::Result<()> {
        if self.directories.are_durable(dir) { Ok(()) } else { self.sync_dir(dir) }
    }

    /// Syncs so far.
    pub fn syncs(&self) -> Syncs {
        Syncs {
            data: self.data.load(Ordering::Relaxed),
            directory: self.directory.load(Ordering::Relaxed),
            shared: self.directories.shared(),
        }
    }

    fn put_off(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.put_off.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sync_now(&self, dir: &str) -> io::Result<()> {
        self.health.permit(&self.sys)?;
        self.directories.sync(dir, || {
            self.directory.fetch_add(1, Ordering::Relaxed);
            self.health.synced(dir, self.sys.sync_dir(dir))
        })
    }

    fn write<T>(&self, write: impl FnOnce(&S) -> io::Result<T>) -> io::Result<T> {
        self.health.permit(&self.sys)?;
        self.health.record_write(write(&self.sys))
    }

    /// A write that puts a name into the directory of `path`.
    fn name(&self, path: &str, write: impl FnOnce(&S) -> io::Result<()>) -> io::Result<()> {
        self.write(|sys| self.directories.naming(parent(path), || write(sys)))
    }
}

impl<S: Sys> Sys for Guarded<S> {
    type File = S::File;

    fn open(&self, path: &str) -> io::Result<Self::File> {
        self.sys.open(path)
    }

    fn open_rw(&self, path: &str) -> io::Result<Self::File> {
        self.sys.open_rw(path)
    }

    fn create(&self, path: &str, secret: bool) -> io::Result<Self::File> {
        self.write(|sys| sys.create(path, secret))
    }

    fn write_at(&self, file: &Self::File, parts: &[Bytes], offset: u64) -> io::Result<()> {
        self.write(|sys| sys.write_at(file, parts, offset))
    }

    fn read_at(&self, file: &Self::File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.sys.read_at(file, buffer, offset)
    }

    fn read_uncached(&self, file: &Self::File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.sys.read_uncached(file, buffer, offset)
    }

    fn open_now(&self, path: &str) -> Option<(Self::File, Meta, Stamp)> {
        self.sys.open_now(path)
    }

    fn stamp(&self, path: &str) -> Option<Stamp> {
        self.sys.stamp(path)
    }

    fn stamp_of(&self, file: &Self::File) -> Option<Stamp> {
        self.sys.stamp_of(file)
    }

    fn detects_moves(&self, stamp: &Stamp) -> bool {
        self.sys.detects_moves(stamp)
    }

    fn unsuitable(&self, path: &str, to_write: bool) -> Option<Unsuitable> {
        self.sys.unsuitable(path, to_write)
    }

    fn read_now(&self, file: &Self::File, buffer: &mut [u8]) -> usize {
        self.sys.read_now(file, buffer)
    }

    fn truncate(&self, file: &Self::File, len: u64) -> io::Result<()> {
        self.write(|sys| sys.truncate(file, len))
    }

    fn sync_data(&self, file: &Self::File) -> io::Result<()> {
        if self.syncing() == Syncing::None {
            return Ok(());
        }
        self.data.fetch_add(1, Ordering::Relaxed);
        self.write(|sys| sys.sync_data(file))
    }

    fn file_meta(&self, file: &Self::File) -> io::Result<Meta> {
        self.sys.file_meta(file)
    }

    fn meta(&self, path: &str) -> io::Result<Meta> {
        self.sys.meta(path)
    }

    fn metas(&self, dir: &str, names: &[&str]) -> io::Result<Vec<Option<Meta>>> {
        self.sys.metas(dir, names)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.directories.removing(parent(from), || self.name(to, |sys| sys.rename(from, to)))
    }

    fn rename_new(&self, from: &str, to: &str) -> io::Result<()> {
        self.directories.removing(parent(from), || self.name(to, |sys| sys.rename_new(from, to)))
    }

    fn link(&self, from: &str, to: &str) -> io::Result<()> {
        self.name(to, |sys| sys.link(from, to))
    }

    fn clone_file(&self, from: &std::fs::File, to: &Self::File) -> io::Result<bool> {
        self.write(|sys| sys.clone_file(from, to))
    }

    fn link_file(&self, from: &std::fs::File, to: &str) -> io::Result<bool> {
        self.write(|sys| self.directories.naming(parent(to), || sys.link_file(from, to)))
    }

    fn unlink(&self, path: &str) -> io::Result<()> {
        self.directories.removing(parent(path), || self.write(|sys| sys.unlink(path)))
    }

    fn mkdir(&self, path: &str) -> io::Result<()> {
        self.write(|sys| sys.mkdir(path))
    }

    fn rmdir(&self, path: &str) -> io::Result<()> {
        self.write(|sys| sys.rmdir(path))
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        match self.syncing() {
            Syncing::Strict => self.sync_now(path),
            Syncing::Relaxed => {
                self.put_off().insert(path.to_owned());
                Ok(())
            }
            Syncing::None => Ok(()),
        }
    }

    fn sync_all(&self) -> io::Result<()> {
        if self.syncing() == Syncing::None { Ok(()) } else { self.sys.sync_all() }
    }

    fn read_dir(&self, path: &str, each: &mut dyn FnMut(&str, FileKind) -> bool) -> io::Result<()> {
        self.sys.read_dir(path, each)
    }

    fn touch(&self, path: &str) -> io::Result<()> {
        self.write(|sys| sys.touch(path))
    }

    fn set_modified(&self, path: &str, at: SystemTime) -> io::Result<()> {
        self.write(|sys| sys.set_modified(path, at))
    }

    fn try_lock(&self, path: &str) -> io::Result<Option<Box<dyn Send + Sync>>> {
        self.sys.try_lock(path)
    }

    fn space(&self) -> io::Result<Space> {
        self.sys.space()
    }

    fn share(&self, file: Self::File) -> Result<Arc<std::fs::File>, Self::File> {
        self.sys.share(file)
    }
}

#[cfg(test)]
mod tests;
