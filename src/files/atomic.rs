//! Atomic writes: a file is there whole or not at all, before and after a crash.
//!
//! A uniquely named temporary file is written and made durable, then renamed to its name, then the directory is made
//! durable. A crash that loses a directory also loses what is durable in it, so directories are made durable in their
//! parents before anything is put into them.

use super::{guard::Guarded, path::parent, sys::Sys, world};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, HashSet},
    io,
    sync::{Mutex, PoisonError, RwLock},
};

/// The directory of temporary files until they are renamed; it must be on the same file system as everything else.
pub const TEMPORARY: &str = "state/tmp";

/// How many directories are remembered as durable before the memory is cleared.
const MOST_KNOWN: usize = 65_536;

/// Files below one root.
pub struct AtomicFiles<S> {
    sys: Guarded<S>,
    /// Directories whose own names are known to be durable, all the way up. It is not enough to see a directory: its
    /// creator may not have synced its parent yet.
    durable: Mutex<HashSet<String>>,
    /// Shared while a name is put into a directory, exclusive while one is removed: otherwise a directory that was
    /// removed and recreated in between would count as durable.
    removal: RwLock<()>,
}

/// A temporary file, written and not yet named. [`AtomicFiles::discard`] it or place it.
#[derive(Debug)]
#[must_use]
pub struct Staged(String);

impl Staged {
    /// A temporary file that exists already.
    pub(super) fn at(path: String) -> Self {
        Self(path)
    }

    /// Its temporary path.
    pub fn path(&self) -> &str {
        &self.0
    }
}

impl<S: Sys> AtomicFiles<S> {
    /// Files below the root of `sys`.
    pub fn new(sys: S) -> Self {
        Self { sys: Guarded::new(sys), durable: Mutex::default(), removal: RwLock::default() }
    }

    /// The system calls, for reading and for writes that need not be atomic.
    pub fn sys(&self) -> &Guarded<S> {
        &self.sys
    }

    /// Writes a temporary file. If `sync` names a sync, its bytes are durable at return.
    ///
    /// # Errors
    /// An error of the operating system; nothing is left then.
    pub fn stage(&self, bytes: &Bytes, sync: Option<&'static str>, secret: bool) -> io::Result<Staged> {
        let staged = Staged(self.temporary());
        let file = match self.sys.create(&staged.0, secret) {
            // A restored copy may lack the directory, or somebody removed it by hand.
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                self.forget_dir(TEMPORARY);
                self.ensure_dir(TEMPORARY)?;
                self.sys.create(&staged.0, secret)?
            }
            created => created?,
        };
        let written = || {
            if bytes.is_empty() {
                // An empty file has no data; its name is made durable with its directory.
                return Ok(());
            }
            self.sys.write_at(&file, std::slice::from_ref(bytes), 0)?;
            sync.map_or(Ok(()), |what| self.sync_data(&file, &staged.0, what))
        };
        match written() {
            Ok(()) => Ok(staged),
            Err(e) => {
                self.discard(staged);
                Err(e)
            }
        }
    }

    /// Makes the bytes of a file without a lasting name durable; `what` names this sync.
    ///
    /// # Errors
    /// An error of the operating system; the file is removed then. A second sync would prove nothing: the system may
    /// have dropped the bytes, and reports success the next time. may have dropped the bytes, and calls the next one
    /// fine.
    pub fn sync_data(&self, file: &S::File, path: &str, what: &'static str) -> io::Result<()> {
        if !world::syncs(what) {
            return Ok(());
        }
        self.sys.sync_data(file).inspect_err(|_| self.remove_temporary(path))
    }

    /// A new name for a temporary file.
    pub fn temporary(&self) -> String {
        format!("{TEMPORARY}/{}", world::uuid())
    }

    /// Removes a temporary file that is not needed any more. One that cannot be removed is left to the sweep of old
    /// temporary files.
    pub fn discard(&self, staged: Staged) {
        self.remove_temporary(&staged.0);
    }

    /// Allowed even when writing has stopped: a file that could not be synced must not be used later.
    fn remove_temporary(&self, path: &str) {
        if let Err(error) = self.sys.inner().unlink(path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path, %error, "a temporary file could not be removed");
        }
    }

    /// Gives a staged file its name, over whatever was there. Not durable before
    /// [`AtomicFiles::sync_parent`].
    ///
    /// # Errors
    /// The operating system's; the temporary file is gone then.
    pub fn place(&self, staged: Staged, path: &str) -> io::Result<()> {
        self.named(path, || self.sys.rename(&staged.0, path)).inspect_err(|_| self.discard(Staged(staged.0.clone())))
    }

    /// Moves `from` to `to`, over whatever was there, and creates the directories above `to`.
    ///
    /// # Errors
    /// The operating system's.
    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.named(to, || self.sys.rename(from, to))
    }

    /// Moves `from` to `to` unless something is there (`AlreadyExists`).
    ///
    /// # Errors
    /// The operating system's.
    pub fn rename_new(&self, from: &str, to: &str) -> io::Result<()> {
        self.named(to, || self.sys.rename_new(from, to))
    }

    /// Gives `from` the second name `to` unless something is there (`AlreadyExists`).
    ///
    /// # Errors
    /// The operating system's.
    pub fn link(&self, from: &str, to: &str) -> io::Result<()> {
        self.named(to, || self.sys.link(from, to))
    }

    /// Like [`AtomicFiles::rename_new`] for a staged file, which stays staged on error.
    ///
    /// # Errors
    /// The operating system's.
    pub fn place_new(&self, staged: &Staged, path: &str) -> io::Result<()> {
        self.rename_new(&staged.0, path)
    }

    /// Runs `naming`, which puts a name into the directory of `path`, after making that directory durable.
    fn named(&self, path: &str, naming: impl Fn() -> io::Result<()>) -> io::Result<()> {
        let parent = parent(path);
        let _present = world::read(&self.removal);
        self.make_durable_dir(parent)?;
        match naming() {
            // Somebody removed the directory by hand since it was last seen: create it again.
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                self.forget_dir(parent);
                self.make_durable_dir(parent)?;
                naming()
            }
            done => done,
        }
    }

    /// Makes a change of the name `path` durable, be it new, moved or removed; `what` names this sync.
    ///
    /// # Errors
    /// An error of the operating system: then nothing may be reported as durable.
    pub fn sync_parent(&self, path: &str, what: &'static str) -> io::Result<()> {
        if world::syncs(what) { self.sys.sync_nearest(parent(path)) } else { Ok(()) }
    }

    /// Makes the existing name `path` durable: its writer may not have synced it yet, or may have ended before. No work
    /// if it is known to be durable.
    ///
    /// # Errors
    /// An error of the operating system: then nothing may be reported as durable.
    pub fn settle(&self, path: &str, what: &'static str) -> io::Result<()> {
        if world::syncs(what) { self.sys.settle(parent(path)) } else { Ok(()) }
    }

    /// Makes durable everything that exists below the root, and the absence of everything else.
    ///
    /// # Errors
    /// An error of the operating system: then nothing may be reported as durable.
    pub fn settle_all(&self, what: &'static str) -> io::Result<()> {
        if world::syncs(what) { self.sys.sync_all() } else { Ok(()) }
    }

    /// Creates a directory and those above it, each durable in its parent.
    ///
    /// # Errors
    /// The operating system's.
    pub fn ensure_dir(&self, path: &str) -> io::Result<()> {
        let _present = world::read(&self.removal);
        self.make_durable_dir(path)
    }

    /// The same, while nothing is being removed: a directory that is durable now stays so until all are.
    fn make_durable_dir(&self, path: &str) -> io::Result<()> {
        let mut unknown = Vec::new();
        let mut dir = path;
        while dir != "." && !self.known().contains(dir) {
            unknown.push(dir);
            dir = parent(dir);
        }
        for dir in unknown.iter().rev() {
            match self.sys.mkdir(dir) {
                Err(e) if e.kind() == io::ErrorKind::NotFound && parent(dir) != "." => {
                    self.forget_dir(parent(dir));
                    return self.make_durable_dir(path);
                }
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
                Ok(()) | Err(_) => {}
            }
        }
        // In any order: nothing relies on one of them before all are durable.
        let synced = world::each(unknown.clone(), |dir| self.sync_parent(dir, "the name of a directory"));
        synced.into_iter().collect::<io::Result<()>>()?;
        let mut known = self.known();
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        known.extend(unknown.into_iter().map(str::to_owned));
        Ok(())
    }

    /// Creates many directories, parents before children, each durable in its parent.
    ///
    /// # Errors
    /// The operating system's.
    pub fn ensure_dirs(&self, paths: impl Iterator<Item = String>) -> io::Result<()> {
        let mut children = BTreeMap::new();
        for path in paths {
            match self.sys.mkdir(&path) {
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
                Ok(()) | Err(_) => children.insert(parent(&path).to_owned(), path),
            };
        }
        // The sync for one child covers its whole directory.
        let children = children.into_values().collect();
        let synced = world::each(children, |child: String| self.sync_parent(&child, "the directories of a new store"));
        synced.into_iter().collect()
    }

    /// Creates a new directory, for content that need not survive a crash of the machine.
    ///
    /// # Errors
    /// The operating system's.
    pub fn make_dir(&self, path: &str) -> io::Result<()> {
        self.named(path, || self.sys.mkdir(path))
    }

    /// Creates a file that may grow in place, under a name that nobody reads until they are given it.
    ///
    /// # Errors
    /// The operating system's.
    pub fn make_growing(&self, path: &str, bytes: &Bytes) -> io::Result<()> {
        let file = self.sys.create(path, false)?;
        match bytes.is_empty() {
            true => Ok(()),
            false => self.sys.write_at(&file, std::slice::from_ref(bytes), 0),
        }
    }

    /// Remembers that these directories were made durable when the root was created.
    pub fn assume_durable(&self, paths: impl IntoIterator<Item = String>) {
        self.known().extend(paths);
    }

    /// Removes the directory of `path` and those above it that are empty, up to but not including `top`. A directory
    /// that is not empty, or cannot be removed, stays.
    pub fn prune(&self, path: &str, top: &str) {
        let _absent = world::write(&self.removal);
        let mut dir = parent(path);
        while is_below(dir, top) && self.sys.rmdir(dir).is_ok() {
            self.forget_dir(dir);
            dir = parent(dir);
        }
    }

    /// Forgets a directory that was removed, or found missing.
    fn forget_dir(&self, path: &str) {
        self.known().retain(|known| known != path && !is_below(known, path));
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_below(path: &str, ancestor: &str) -> bool {
    path.strip_prefix(ancestor).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Real;

    fn files() -> (tempfile::TempDir, AtomicFiles<Real>) {
        let dir = tempfile::tempdir().unwrap();
        let files = AtomicFiles::new(Real::open_root(dir.path()).unwrap());
        (dir, files)
    }

    #[test]
    fn a_file_appears_whole_with_its_directories() {
        let (dir, files) = files();
        let staged = files.stage(&Bytes::from("one"), Some("test"), false).unwrap();
        files.place(staged, "a/b/c").unwrap();
        files.sync_parent("a/b/c", "test").unwrap();
        assert_eq!(std::fs::read(dir.path().join("a/b/c")).unwrap(), b"one");
        assert_eq!(std::fs::read_dir(dir.path().join(TEMPORARY)).unwrap().count(), 0);
    }

    #[test]
    fn a_directory_that_was_removed_meanwhile_is_created_again() {
        let (dir, files) = files();
        files.ensure_dir("a/b").unwrap();
        std::fs::remove_dir_all(dir.path().join("a")).unwrap();
        let staged = files.stage(&Bytes::from("two"), None, false).unwrap();
        files.place(staged, "a/b/c").unwrap();
        assert_eq!(std::fs::read(dir.path().join("a/b/c")).unwrap(), b"two");
    }

    #[test]
    fn a_copy_without_empty_directories_works_like_the_original() {
        let (dir, files) = files();
        files.assume_durable(["state", "state/tmp", "uploads"].map(str::to_owned));
        files.make_dir("uploads/one").unwrap();
        let staged = files.stage(&Bytes::from("x"), Some("test"), false).unwrap();
        files.place(staged, "uploads/one/x").unwrap();
        assert_eq!(std::fs::read(dir.path().join("uploads/one/x")).unwrap(), b"x");
    }

    #[test]
    fn a_file_that_cannot_be_placed_leaves_nothing_behind() {
        let (dir, files) = files();
        std::fs::create_dir_all(dir.path().join("taken/inside")).unwrap();
        let staged = files.stage(&Bytes::from("x"), None, false).unwrap();
        assert!(files.place(staged, "taken").is_err());
        assert_eq!(std::fs::read_dir(dir.path().join(TEMPORARY)).unwrap().count(), 0);
    }

    #[test]
    fn only_the_owner_can_read_secrets() {
        use std::os::unix::fs::PermissionsExt;
        let (dir, files) = files();
        for (name, secret) in [("s", true), ("p", false)] {
            let staged = files.stage(&Bytes::from("x"), None, secret).unwrap();
            files.place(staged, name).unwrap();
        }
        let mode = |name| std::fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode("s"), 0o600);
        assert_eq!(mode("p") & 0o137, 0, "{:o}", mode("p"));
    }
}
