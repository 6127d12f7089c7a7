//! The local directory of a store on an SFTP server: which one it is, and that only one process uses it.

use crate::files::{AtomicFiles, Real, Sys, absent, world};
use bytes::Bytes;
use std::{io, path::Path};

/// The file that is locked; its text identifies the directory.
const HOME: &str = "home";
const DIRECTORIES: [&str; 2] = ["state", "state/tmp"];

/// A local directory that this process has for itself.
pub struct LocalHome {
    id: String,
    _lock: Box<dyn Send + Sync>,
}

impl LocalHome {
    /// Takes a directory, and creates it if need be.
    ///
    /// # Errors
    /// The operating system's; [`io::ErrorKind::WouldBlock`] if another process has it.
    pub fn take(dir: &Path) -> io::Result<Self> {
        Real::make_root(dir)?;
        let files = AtomicFiles::new(Real::open_root(dir)?);
        files.ensure_dirs(DIRECTORIES.map(str::to_owned).into_iter())?;
        if absent(files.sys().meta(HOME))?.is_none() {
            let staged = files.stage(&Bytes::from(world::uuid().to_string()), Some("the id of a directory"), false)?;
            match files.place_new(&staged, HOME) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => files.discard(staged),
                placed => placed?,
            }
            files.sync_parent(HOME, "the id of a directory")?;
        }
        let in_use = || io::Error::new(io::ErrorKind::WouldBlock, "another process uses it");
        let lock = files.sys().try_lock(HOME)?.ok_or_else(in_use)?;
        let mut id = [0; 64];
        let read = files.sys().read_at(&files.sys().open(HOME)?, &mut id, 0)?;
        let id = String::from_utf8_lossy(id.get(..read).unwrap_or_default()).into_owned();
        Ok(Self { id, _lock: lock })
    }

    /// Identifies the directory.
    pub fn id(&self) -> &str {
        &self.id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_belongs_to_one_process_and_keeps_its_id() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/sftp");
        let first = LocalHome::take(&path).unwrap();
        assert_eq!(LocalHome::take(&path).err().unwrap().kind(), io::ErrorKind::WouldBlock);
        let id = first.id().to_owned();
        drop(first);
        assert_eq!((LocalHome::take(&path).unwrap().id(), id.len()), (id.as_str(), 36));
    }
}
