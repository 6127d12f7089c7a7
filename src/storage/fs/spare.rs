//! What a collection needs on a full disk, prepared while there is free space: a file to lock and to read the clock by,
//! and directories for the first graves.
//!
//! On a full disk, unneeded blobs must be moved before any can be removed, and a move needs a target directory. The
//! first such moves free the space for all others.

use super::FsInner;
use crate::{
    files::{Sys, absent},
    storage::{RunId, key},
};
use bytes::Bytes;
use oci::Algorithm;
use std::{io, time::SystemTime};

/// Locked by the one collection that runs; touched to read the store's clock.
pub(super) const LOCK: &str = "state/collection.lock";

/// Renamed to the directory of a run that has no space to create one.
const SPARE: &str = "state/spare";

/// The subdirectories of the spare directory.
fn below() -> impl Iterator<Item = String> {
    std::iter::once("/blobs".to_owned()).chain(Algorithm::ALL.map(|algorithm| format!("/blobs/{algorithm}")))
}

impl<S: Sys> FsInner<S> {
    /// Locks the store against other collections; `None` if one is running.
    pub(super) fn lock_collection(&self) -> io::Result<Option<Box<dyn Send + Sync>>> {
        if absent(self.sys().meta(LOCK))?.is_none() {
            self.make_lock()?;
        }
        let lock = self.sys().try_lock(LOCK)?;
        if lock.is_some() {
            self.keep_room();
        }
        Ok(lock)
    }

    /// Prepares what must exist when the disk is full, as far as possible now.
    pub(super) fn keep_room(&self) {
        let made = absent(self.sys().meta(LOCK)).and_then(|there| there.map_or_else(|| self.make_lock(), |_| Ok(())));
        if let Err(error) = made.and_then(|()| self.keep_spare()) {
            tracing::debug!(%error, "nothing can be kept for a full disk");
        }
    }

    /// The file system's clock. Needs no free space.
    pub(super) fn clock(&self) -> io::Result<SystemTime> {
        if absent(self.sys().touch(LOCK))?.is_none() {
            self.make_lock()?;
            self.sys().touch(LOCK)?;
        }
        Ok(self.sys().meta(LOCK)?.modified)
    }

    fn make_lock(&self) -> io::Result<()> {
        // A copy of a store may lack the directory, too.
        let staged = self.files.stage(&Bytes::new(), None, false)?;
        match self.files.place_new(&staged, LOCK) {
            Ok(()) => Ok(()),
            Err(e) => {
                self.files.discard(staged);
                if e.kind() == io::ErrorKind::AlreadyExists { Ok(()) } else { Err(e) }
            }
        }
    }

    /// Creates the spare directory if it does not exist. It need not survive a crash of the machine.
    fn keep_spare(&self) -> io::Result<()> {
        if absent(self.sys().meta(&format!("{SPARE}/blobs/{}", Algorithm::ALL[0])))?.is_some() {
            return Ok(());
        }
        for path in std::iter::once(String::new()).chain(below()).map(|below| format!("{SPARE}{below}")) {
            match self.sys().mkdir(&path) {
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Makes the spare directory, or parts of it, the directory of a run; `false` if there is none. The run may have
    /// created some of its directories before the disk was full.
    pub(super) fn use_spare(&self, run: RunId) -> io::Result<bool> {
        let mut used = false;
        for below in std::iter::once(String::new()).chain(below()) {
            let dir = format!("{}/{}{below}", key::GRAVEYARD, run.0);
            let spare = format!("{SPARE}{below}");
            match self.sys().rename(&spare, &dir) {
                // A directory has one name: after a crash of the machine the old name must not be the surviving one,
                // with all that was moved into the new one.
                Ok(()) => {
                    self.files.sync_parent(&spare, "the removal of the spare directory")?;
                    used = true;
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                // It has contents; its subdirectories may still be usable.
                Err(e) if e.kind() == io::ErrorKind::DirectoryNotEmpty => {}
                Err(e) => return Err(e),
            }
        }
        Ok(used)
    }
}
