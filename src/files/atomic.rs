//! Writing so that a file is there whole or not at all, before and after a crash.
//!
//! The recipe: a uniquely named temporary file is written and made durable, then renamed to its
//! name, then the directory is made durable. What is durable beneath a directory that a crash
//! forgets is lost too, so directories are made durable in their parents before anything is put
//! into them.

use super::{guard::Guarded, path::parent, sys::Sys, world};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, HashSet},
    io,
    sync::{Mutex, PoisonError, RwLock},
};

/// Where temporary files stand until they are renamed; on the file system of everything else.
pub const TEMPORARY: &str = "state/tmp";

/// How many directories are remembered as durable before the memory starts afresh.
const MOST_KNOWN: usize = 65_536;

/// Files below one root.
pub struct Files<S> {
    sys: Guarded<S>,
    /// Directories whose own names are known to be durable, all the way up. Another writer may
    /// have made a directory and not yet synced its parent, so seeing it is not enough.
    durable: Mutex<HashSet<String>>,
    /// Shared while a name is put into a directory, exclusive while one is removed: otherwise a
    /// directory removed and made again in between would pass for durable.
    removal: RwLock<()>,
}

/// A temporary file, written and not yet named. [`Files::discard`] it or place it.
#[derive(Debug)]
#[must_use]
pub struct Staged(String);

impl Staged {
    /// Where it stands for now.
    pub fn path(&self) -> &str {
        &self.0
    }
}

impl<S: Sys> Files<S> {
    /// Files below the root of `sys`.
    pub fn new(sys: S) -> Self {
        Self { sys: Guarded::new(sys), durable: Mutex::default(), removal: RwLock::default() }
    }

    /// The calls below, for reading and for what needs no recipe.
    pub fn sys(&self) -> &Guarded<S> {
        &self.sys
    }

    /// Writes a temporary file; its bytes are durable at return if a name for that sync is given.
    ///
    /// # Errors
    /// The operating system's; nothing stays behind.
    pub fn stage(&self, bytes: &Bytes, sync: Option<&'static str>, secret: bool) -> io::Result<Staged> {
        let staged = Staged(self.temporary());
        let file = match self.sys.create(&staged.0, secret) {
            // A restored copy may lack it, or somebody removed it by hand.
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

    /// Makes the bytes of a file without a lasting name durable; `what` names this sync among all
    /// others.
    ///
    /// # Errors
    /// The operating system's; the file is gone then. A second sync would prove nothing: the system
    /// may have dropped the bytes, and calls the next one fine.
    pub fn sync_data(&self, file: &S::File, path: &str, what: &'static str) -> io::Result<()> {
        if !world::syncs(what) {
            return Ok(());
        }
        self.sys.sync_data(file).inspect_err(|_| self.remove_temporary(path))
    }

    /// A name among the temporary files that nothing has.
    pub fn temporary(&self) -> String {
        format!("{TEMPORARY}/{}", world::uuid())
    }

    /// Removes a temporary file that is not wanted any more. One that cannot be removed is left
    /// to the sweep of old temporary files.
    pub fn discard(&self, staged: Staged) {
        self.remove_temporary(&staged.0);
    }

    /// Also where nothing else may be written any more: what could not be synced must not be taken
    /// up again.
    fn remove_temporary(&self, path: &str) {
        if let Err(error) = self.sys.inner().unlink(path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path, %error, "a temporary file could not be removed");
        }
    }

    /// Gives a staged file its name, over whatever was there. Not durable before
    /// [`Files::sync_parent`].
    ///
    /// # Errors
    /// The operating system's; the temporary file is gone then.
    pub fn place(&self, staged: Staged, path: &str) -> io::Result<()> {
        self.named(path, || self.sys.rename(&staged.0, path)).inspect_err(|_| self.discard(Staged(staged.0.clone())))
    }

    /// Moves what is at `from` to `to`, making the directories to it; over whatever was there.
    ///
    /// # Errors
    /// The operating system's.
    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.named(to, || self.sys.rename(from, to))
    }

    /// Moves what is at `from` to `to` unless something is there (`AlreadyExists`).
    ///
    /// # Errors
    /// The operating system's.
    pub fn rename_new(&self, from: &str, to: &str) -> io::Result<()> {
        self.named(to, || self.sys.rename_new(from, to))
    }

    /// Gives what is at `from` the name `to` as well, unless something is there (`AlreadyExists`).
    ///
    /// # Errors
    /// The operating system's.
    pub fn link(&self, from: &str, to: &str) -> io::Result<()> {
        self.named(to, || self.sys.link(from, to))
    }

    /// Like [`Files::rename_new`] for a staged file, which stays staged on error.
    ///
    /// # Errors
    /// The operating system's.
    pub fn place_new(&self, staged: &Staged, path: &str) -> io::Result<()> {
        self.rename_new(&staged.0, path)
    }

    /// Runs `naming`, which puts a name into the directory of `path`; that directory is durable
    /// by then.
    fn named(&self, path: &str, naming: impl Fn() -> io::Result<()>) -> io::Result<()> {
        let parent = parent(path);
        let _present = world::read(&self.removal);
        self.make_durable_dir(parent)?;
        match naming() {
            // Somebody removed the directory by hand since it was last seen: make it again.
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                self.forget_dir(parent);
                self.make_durable_dir(parent)?;
                naming()
            }
            done => done,
        }
    }

    /// Makes the name of `path` durable, be it new, moved away or gone; `what` names this sync among
    /// all others.
    ///
    /// # Errors
    /// The operating system's: then nothing may be said to be durable.
    pub fn sync_parent(&self, path: &str, what: &'static str) -> io::Result<()> {
        if world::syncs(what) { self.sys.sync_nearest(parent(path)) } else { Ok(()) }
    }

    /// Makes sure of a name that is seen at `path`: whoever put it there may not have got so far
    /// yet, or have ended before. No work where it is known to be durable.
    ///
    /// # Errors
    /// The operating system's: then nothing may be said to be durable.
    pub fn settle(&self, path: &str, what: &'static str) -> io::Result<()> {
        if world::syncs(what) { self.sys.settle(parent(path)) } else { Ok(()) }
    }

    /// Makes sure of everything that is seen below the root, and of everything that is not seen there.
    ///
    /// # Errors
    /// The operating system's: then nothing may be said to be durable.
    pub fn settle_all(&self, what: &'static str) -> io::Result<()> {
        if world::syncs(what) { self.sys.sync_all() } else { Ok(()) }
    }

    /// Makes a directory and those above it, each durable in its parent.
    ///
    /// # Errors
    /// The operating system's.
    pub fn ensure_dir(&self, path: &str) -> io::Result<()> {
        let _present = world::read(&self.removal);
        self.make_durable_dir(path)
    }

    /// The same where nothing is being removed: what is known to be durable now stays so until all is.
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
        // In no order: none of them is relied on before all are durable.
        let synced = world::each(unknown.clone(), |dir| self.sync_parent(dir, "the name of a directory"));
        synced.into_iter().collect::<io::Result<()>>()?;
        let mut known = self.known();
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        known.extend(unknown.into_iter().map(str::to_owned));
        Ok(())
    }

    /// Makes many directories, parents before what lies in them, each durable in its parent.
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
        // One child stands for all of its directory.
        let children = children.into_values().collect();
        let synced = world::each(children, |child: String| self.sync_parent(&child, "the directories of a new store"));
        synced.into_iter().collect()
    }

    /// Makes a directory that was not there, for content that need not outlive the machine.
    ///
    /// # Errors
    /// The operating system's.
    pub fn make_dir(&self, path: &str) -> io::Result<()> {
        self.named(path, || self.sys.mkdir(path))
    }

    /// Creates a file that may grow in place, under a name nobody reads by until it is told.
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

    /// These directories were made durable when the root was made.
    pub fn assume_durable(&self, paths: impl IntoIterator<Item = String>) {
        self.known().extend(paths);
    }

    /// Removes the directory of `path` and those above it that are empty, up to but without
    /// `top`. What is not empty, or cannot be removed, stays.
    pub fn prune(&self, path: &str, top: &str) {
        let _absent = world::write(&self.removal);
        let mut dir = parent(path);
        while is_below(dir, top) && self.sys.rmdir(dir).is_ok() {
            self.forget_dir(dir);
            dir = parent(dir);
        }
    }

    /// A directory was removed, or found gone.
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

    fn files() -> (tempfile::TempDir, Files<Real>) {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::new(Real::open_root(dir.path()).unwrap());
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
    fn a_directory_removed_meanwhile_is_made_again() {
        let (dir, files) = files();
        files.ensure_dir("a/b").unwrap();
        std::fs::remove_dir_all(dir.path().join("a")).unwrap();
        let staged = files.stage(&Bytes::from("two"), None, false).unwrap();
        files.place(staged, "a/b/c").unwrap();
        assert_eq!(std::fs::read(dir.path().join("a/b/c")).unwrap(), b"two");
    }

    #[test]
    fn a_copy_without_its_empty_directories_is_as_good_as_the_whole() {
        let (dir, files) = files();
        files.assume_durable(["state", "state/tmp", "uploads"].map(str::to_owned));
        files.make_dir("uploads/one").unwrap();
        let staged = files.stage(&Bytes::from("x"), Some("test"), false).unwrap();
        files.place(staged, "uploads/one/x").unwrap();
        assert_eq!(std::fs::read(dir.path().join("uploads/one/x")).unwrap(), b"x");
    }

    #[test]
    fn what_cannot_be_placed_leaves_nothing_behind() {
        let (dir, files) = files();
        std::fs::create_dir_all(dir.path().join("taken/inside")).unwrap();
        let staged = files.stage(&Bytes::from("x"), None, false).unwrap();
        assert!(files.place(staged, "taken").is_err());
        assert_eq!(std::fs::read_dir(dir.path().join(TEMPORARY)).unwrap().count(), 0);
    }

    #[test]
    fn secrets_are_for_the_owner_alone() {
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
