//! Blobs that come in as whole files, many at a time. Their bytes are synced together before any of them gets its name,
//! and their names are synced together: two syncs for all of them instead of two for each.

use super::FsInner;
use crate::{
    files::{IntakeMode, Sys},
    storage::{Published, Result, StorageError, TakenIn, Verified, content::TakenInBytes, key},
};
use oci::Hasher;
use std::{fs::File, io};

impl<S: Sys> FsInner<S> {
    pub(super) fn take_in(&self, from: &File, mode: IntakeMode, mut hasher: Hasher) -> Result<(TakenIn, Hasher)> {
        let taken = self.files.take_in(from, mode, &mut |bytes| hasher.update(bytes));
        let (staged, len, way) = taken.map_err(|e| StorageError::io("take in", "a file from outside", e))?;
        Ok((TakenIn { len, way, bytes: TakenInBytes::File(staged) }, hasher))
    }

    pub(super) fn publish_taken_in(&self, blobs: Vec<(TakenIn, Verified)>) -> Result<Vec<Published>> {
        let settle = |what| self.files.settle_all(what).map_err(|e| StorageError::io("sync", "the file system", e));
        let mut blobs = blobs.into_iter();
        if let Err(error) = settle("the bytes of blobs that were taken in") {
            blobs.for_each(|(taken, _)| self.drop_taken_in(taken));
            return Err(error);
        }
        let mut published = Vec::with_capacity(blobs.len());
        while let Some((taken, verified)) = blobs.next() {
            match self.publish_one(taken, &verified) {
                Ok(done) => published.push(done),
                Err(error) => {
                    blobs.for_each(|(taken, _)| self.drop_taken_in(taken));
                    return Err(error);
                }
            }
        }
        settle("the names of blobs that were taken in")?;
        Ok(published)
    }

    fn publish_one(&self, taken: TakenIn, verified: &Verified) -> Result<Published> {
        let path = key::blob(verified.digest());
        let TakenInBytes::File(staged) = taken.bytes else {
            return Err(StorageError::io("publish", &path, io::ErrorKind::InvalidInput.into()));
        };
        let placed = match self.files.place_new(&staged, &path) {
            Ok(()) => return Ok(Published::New),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => self.existing(&path, verified),
            Err(e) => Err(StorageError::io("publish", &path, e)),
        };
        match placed {
            // Something of another length has the name.
            Ok(None) => self
                .files
                .place(staged, &path)
                .map(|()| Published::Healed)
                .map_err(|e| StorageError::io("publish", &path, e)),
            Ok(Some(published)) => {
                self.files.discard(staged);
                Ok(published)
            }
            Err(error) => {
                self.files.discard(staged);
                Err(error)
            }
        }
    }

    pub(super) fn drop_taken_in(&self, taken: TakenIn) {
        if let TakenInBytes::File(staged) = taken.bytes {
            self.files.discard(staged);
        }
    }
}
