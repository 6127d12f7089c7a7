//! The daemon's own keys, kept with the data so that backups include them.

use super::{Fs, Sys};
use crate::storage::StorageError;
use bytes::Bytes;
use std::io;

impl<S: Sys> Fs<S> {
    /// Writes a key at a path below the root unless there is one; two daemons that start at once agree on it. Returns
    /// whether the key is new. If a durable key exists nothing is written, so a read-only store is enough.
    ///
    /// # Errors
    /// [`StorageError::Io`], [`StorageError::Full`].
    pub async fn ensure_signing_key(&self, path: &'static str, key: Bytes) -> Result<bool, StorageError> {
        self.run(move |inner| {
            // Whoever wrote it may not have synced its name, and tokens are about to be signed with it.
            let there = || inner.files.settle(path, "the name of a signing key that was there").map(|()| false);
            let put = || -> io::Result<bool> {
                match inner.sys().meta(path) {
                    Ok(_) => return there(),
                    Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                    Err(e) => return Err(e),
                }
                let staged = inner.files.stage(&key, Some("the bytes of the signing key"), true)?;
                match inner.files.place_new(&staged, path) {
                    Ok(()) => inner.files.sync_parent(path, "the name of the signing key").map(|()| true),
                    Err(e) => {
                        inner.files.discard(staged);
                        if e.kind() == io::ErrorKind::AlreadyExists { there() } else { Err(e) }
                    }
                }
            };
            put().map_err(|e| StorageError::io("make a signing key", path, e))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{SIGNING_KEY, fs::Init};
    use std::os::unix::fs::PermissionsExt;

    #[tokio::test]
    async fn the_first_key_is_kept_and_only_the_owner_can_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let (fs, _) = Fs::open(dir.path(), Init::EmptyDirectory).unwrap();
        assert!(fs.ensure_signing_key(SIGNING_KEY, Bytes::from("one")).await.unwrap());
        assert!(!fs.ensure_signing_key(SIGNING_KEY, Bytes::from("two")).await.unwrap());
        let path = dir.path().join(SIGNING_KEY);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
