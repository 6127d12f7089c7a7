//! Keys of the daemon's own, kept beside the data so that a backup has them.

use super::{Fs, Sys};
use crate::storage::{Error, SIGNING_KEY};
use bytes::Bytes;
use std::io;

impl<S: Sys> Fs<S> {
    /// Puts a key at [`SIGNING_KEY`] unless there is one; two that start at once agree on it.
    /// Whether it was made now. Nothing is written where there is a durable one, so that a store that
    /// can only be read is enough.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Full`].
    pub async fn ensure_signing_key(&self, key: Bytes) -> Result<bool, Error> {
        self.run(move |inner| {
            // Whoever made it may not have made its name durable, and tokens are about to be signed with it.
            let there = || inner.files.settle(SIGNING_KEY, "the name of a signing key that was there").map(|()| false);
            let put = || -> io::Result<bool> {
                match inner.sys().meta(SIGNING_KEY) {
                    Ok(_) => return there(),
                    Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                    Err(e) => return Err(e),
                }
                let staged = inner.files.stage(&key, Some("the bytes of the signing key"), true)?;
                match inner.files.place_new(&staged, SIGNING_KEY) {
                    Ok(()) => inner.files.sync_parent(SIGNING_KEY, "the name of the signing key").map(|()| true),
                    Err(e) => {
                        inner.files.discard(staged);
                        if e.kind() == io::ErrorKind::AlreadyExists { there() } else { Err(e) }
                    }
                }
            };
            put().map_err(|e| Error::io("make a signing key", SIGNING_KEY, e))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::fs::Init;
    use std::os::unix::fs::PermissionsExt;

    #[tokio::test]
    async fn the_first_key_stays_and_is_for_the_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (fs, _) = Fs::open(dir.path(), Init::EmptyDirectory).unwrap();
        assert!(fs.ensure_signing_key(Bytes::from("one")).await.unwrap());
        assert!(!fs.ensure_signing_key(Bytes::from("two")).await.unwrap());
        let path = dir.path().join(SIGNING_KEY);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
