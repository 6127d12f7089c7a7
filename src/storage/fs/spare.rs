//! What a collection needs although a disk may have no room left, made while there is some: a file to
//! lock and to tell the time by, and directories for the first graves.
//!
//! Where a disk is full, blobs that nobody needs have to be moved before any can be removed, and a
//! move needs a directory to go to. The first such moves free the room for all others.

use super::Inner;
use crate::{
    files::{Sys, absent},
    oci::Algorithm,
    storage::{RunId, key},
};
use bytes::Bytes;
use std::{io, time::SystemTime};

/// Locked by the one collection that runs; its time is set where the store's clock is asked for.
pub(super) const LOCK: &str = "state/collection.lock";

/// Becomes the directory of a run that finds no room to make one.
const SPARE: &str = "state/spare";

/// The directories of the spare one, below it.
fn below() -> impl Iterator<Item = String> {
    std::iter::once("/blobs".to_owned()).chain(Algorithm::ALL.map(|algorithm| format!("/blobs/{algorithm}")))
}

impl<S: Sys> Inner<S> {
    /// Locks the store against other collections; `None` if one runs.
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

    /// Makes what is to be there when the disk is full, as far as it can be made now.
    pub(super) fn keep_room(&self) {
        let made = absent(self.sys().meta(LOCK)).and_then(|there| there.map_or_else(|| self.make_lock(), |_| Ok(())));
        if let Err(error) = made.and_then(|()| self.keep_spare()) {
            tracing::debug!(%error, "nothing can be kept for a full disk");
        }
    }

    /// What the file system's clock says. Needs no room.
    pub(super) fn clock(&self) -> io::Result<SystemTime> {
        if absent(self.sys().touch(LOCK))?.is_none() {
            self.make_lock()?;
            self.sys().touch(LOCK)?;
        }
        Ok(self.sys().meta(LOCK)?.modified)
    }

    fn make_lock(&self) -> io::Result<()> {
        // A copy may lack its directory too.
        let staged = self.files.stage(&Bytes::new(), None, false)?;
        match self.files.place_new(&staged, LOCK) {
            Ok(()) => Ok(()),
            Err(e) => {
                self.files.discard(staged);
                if e.kind() == io::ErrorKind::AlreadyExists { Ok(()) } else { Err(e) }
            }
        }
    }

    /// Makes the spare directory if there is none. It need not outlive the machine.
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

    /// Makes the spare directory that of a run, or part of it; `false` if it is not there. The run
    /// may have got some of its directories before the room ended.
    pub(super) fn use_spare(&self, run: RunId) -> io::Result<bool> {
        let mut used = false;
        for below in std::iter::once(String::new()).chain(below()) {
            let dir = format!("{}/{}{below}", key::GRAVEYARD, run.0);
            let spare = format!("{SPARE}{below}");
            match self.sys().rename(&spare, &dir) {
                // A directory has one name: after a failure of the machine the old one must not be
                // the one that is kept, with all that was moved into the new one.
                Ok(()) => {
                    self.files.sync_parent(&spare, "the removal of the spare directory")?;
                    used = true;
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                // It has something in it: what lies below may do.
                Err(e) if e.kind() == io::ErrorKind::DirectoryNotEmpty => {}
                Err(e) => return Err(e),
            }
        }
        Ok(used)
    }
}
