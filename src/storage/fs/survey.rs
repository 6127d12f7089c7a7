//! A raw view of a store: names, bytes and modes as they are on disk, without the tolerance of normal reads; and ways
//! to quarantine what is wrong.
//!
//! Every call blocks. Another process may be serving the store: what is quarantined is checked once more in its new
//! place, and moved back if it is right after all.

use super::{Fs, FsInner};
use crate::{
    files::{FileKind, Meta, Real, Sys, absent},
    storage::{
        Condemned, Durability, Examined, Expect, FactKey, Item, Presence, Put, PutOutcome, Result, RunId, StorageError,
        StoreSurvey, Why, key,
    },
};
use bytes::Bytes;
use oci::{Algorithm, Digest, Hasher};
use std::{io, sync::Arc};

/// The files of a store.
pub struct Survey<S: Sys = Real> {
    inner: Arc<FsInner<S>>,
}

impl<S: Sys> Fs<S> {
    /// A raw view of the files.
    pub fn survey(&self) -> Survey<S> {
        Survey { inner: self.inner.clone() }
    }
}

impl<S: Sys> StoreSurvey for Survey<S> {
    fn list(&self, dir: &str) -> Result<Vec<(String, FileKind)>> {
        Ok(self.inner.names(dir, None, usize::MAX, |_, _| true)?.0)
    }

    fn meta(&self, path: &str) -> Result<Option<Meta>> {
        absent(self.inner.sys().meta(path)).map_err(|e| StorageError::io("look at", path, e))
    }

    fn metas(&self, dir: &str, names: &[&str]) -> Result<Vec<Option<Meta>>> {
        self.inner.sys().metas(dir, names).map_err(|e| StorageError::io("look into", dir, e))
    }

    fn read(&self, path: &str, most: u64) -> Result<Option<Bytes>> {
        Ok(self.inner.fact_within(path, most)?.map(|fact| fact.bytes))
    }

    fn digest(&self, path: &str, algorithm: Algorithm, each: &mut dyn FnMut(u64)) -> Result<Option<Digest>> {
        self.inner.digest(path, algorithm, each).map_err(|e| StorageError::io("read", path, e))
    }

    fn find<T>(&self, item: &Item, read: impl Fn(&str) -> Result<Option<T>>) -> Result<Option<T>> {
        self.inner.find(item, read)
    }

    fn was_deleted(&self, item: &Item) -> Result<bool> {
        for (run, _) in self.list(key::GRAVEYARD)? {
            let Ok(run) = run.parse() else { continue };
            let entry = Condemned { run: RunId(run), item: item.clone(), why: Why::Deleted };
            if self.meta(&entry.path())?.is_some() {
                return Ok(true);
            }
        }
        // After the graves, because the record is written before one of them is purged.
        match item {
            Item::Link(name, digest) | Item::Revision(name, digest) => {
                Ok(self.meta(&FactKey::Deleted(name.clone(), digest.clone()).path())?.is_some())
            }
            Item::Blob(_) | Item::Upload(_) => Ok(false),
        }
    }

    fn quarantine(
        &self,
        run: RunId,
        path: &str,
        is_wrong: impl FnOnce(&str) -> Result<bool>,
    ) -> Result<Option<String>> {
        let to = format!("{}/{}/{path}", key::QUARANTINE, run.0);
        self.inner.move_if_wrong(path, &to, || is_wrong(&to)).map(|moved| moved.then_some(to))
    }

    fn examine(&self, digest: &Digest, run: RunId) -> Result<Examined> {
        self.inner.examine(digest, run)
    }

    fn add(&self, key: FactKey, bytes: impl Into<Bytes>) -> Result<bool> {
        let put = Put::when(key, bytes, Expect::Absent);
        Ok(self.inner.put(vec![put], Durability::Durable)? == PutOutcome::Done)
    }
}

impl<S: Sys> Survey<S> {
    /// Restores an item from the graveyard; `false` if it was not there.
    ///
    /// # Errors
    /// An error of the operating system.
    pub fn restore(&self, item: &Item) -> Result<bool> {
        for entry in self.inner.graves(item)? {
            if self.inner.restore(&entry)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Length of a read while hashing.
const STEP: usize = 1 << 20;

impl<S: Sys> FsInner<S> {
    fn digest(&self, path: &str, algorithm: Algorithm, each: &mut dyn FnMut(u64)) -> io::Result<Option<Digest>> {
        let Some(file) = absent(self.sys().open(path))? else { return Ok(None) };
        let len = self.sys().file_meta(&file)?.len;
        let mut hasher = Hasher::new(algorithm);
        let mut buffer = vec![0; STEP.min(usize::try_from(len).unwrap_or(STEP)).max(1)];
        let mut at = 0;
        loop {
            let read = self.sys().read_uncached(&file, &mut buffer, at)?;
            if read == 0 {
                return Ok(Some(hasher.finish()));
            }
            hasher.update(&buffer[..read]);
            at += read as u64;
            each(read as u64);
        }
    }

    /// Moves `path` to `to`, and back unless it `is_wrong`. Returns whether it stays there. Durable.
    fn move_if_wrong(&self, path: &str, to: &str, is_wrong: impl FnOnce() -> Result<bool>) -> Result<bool> {
        let failed = |e| StorageError::io("move", path, e);
        if absent(self.files.rename_new(path, to)).map_err(failed)?.is_none() {
            return Ok(false);
        }
        let is_wrong = is_wrong();
        if !matches!(is_wrong, Ok(true)) {
            match self.files.rename_new(to, path) {
                // Something newer is in its place, and supersedes what was moved.
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(failed(e)),
                Ok(()) | Err(_) => {}
            }
        }
        self.files.sync_parent(to, "the name of what was taken aside").map_err(failed)?;
        self.files.sync_parent(path, "the removal of what is taken aside").map_err(failed)?;
        is_wrong
    }

    /// See [`crate::storage::Lifecycle::examine`].
    pub(super) fn examine(&self, digest: &Digest, run: RunId) -> Result<Examined> {
        let item = Item::Blob(digest.clone());
        let wrong = |path: &str| {
            let found =
                self.digest(path, digest.algorithm(), &mut |_| {}).map_err(|e| StorageError::io("read", path, e));
            Ok(found?.map(|found| found != *digest))
        };
        let mut quarantined = Vec::new();
        let damaged = Condemned { run, item: item.clone(), why: Why::Damaged }.path();
        let graves = self.graves(&item)?.map(|entry| entry.path());
        let graves = graves.map(|path| (format!("{}/{}/{path}", key::QUARANTINE, run.0), path));
        for (to, path) in std::iter::once((damaged, item.path())).chain(graves) {
            // A client may push it again between the check and the move.
            if wrong(&path)? == Some(true) && self.move_if_wrong(&path, &to, || Ok(wrong(&to)?.unwrap_or(true)))? {
                quarantined.push(to);
            }
        }
        let is_there =
            self.find(&item, |path| absent(self.sys().meta(path)).map_err(|e| StorageError::io("look at", path, e)))?;
        Ok(match (quarantined.is_empty(), is_there.is_some()) {
            (true, false) => Examined::Gone,
            (true, true) => Examined::Sound,
            // The copies in the graveyard were found right just now.
            (false, true) => Examined::Damaged { quarantined, replaced: self.ensure(&item)? != Presence::Missing },
            (false, false) => Examined::Damaged { quarantined, replaced: false },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{Content, Verified, fs::Init};
    use std::path::Path;

    fn store() -> (tempfile::TempDir, Fs) {
        let dir = tempfile::tempdir().unwrap();
        let store = Fs::open(dir.path(), Init::EmptyDirectory).unwrap().0;
        (dir, store)
    }

    fn text(dir: &Path, path: &str) -> Option<String> {
        std::fs::read_to_string(dir.join(path)).ok()
    }

    #[test]
    fn a_quarantined_file_that_is_correct_is_put_back_unless_a_newer_one_exists() {
        let (dir, store) = store();
        let (survey, run) = (store.survey(), RunId::fresh());
        let path = "repositories/app/_manifests/tags/v1";
        std::fs::create_dir_all(dir.path().join(path).parent().unwrap()).unwrap();
        let write = |text| std::fs::write(dir.path().join(path), text).unwrap();

        write("right");
        assert_eq!(survey.quarantine(run, path, |_| Ok(false)).unwrap(), None);
        assert_eq!(text(dir.path(), path).as_deref(), Some("right"));
        assert!(survey.quarantine(run, path, |_| Err(StorageError::damaged("it", "cannot be judged"))).is_err());
        assert_eq!(text(dir.path(), path).as_deref(), Some("right"));

        // A push comes between the move and the check.
        let superseded = |quarantined: &str| {
            assert_eq!(text(dir.path(), quarantined).as_deref(), Some("right"));
            write("newer");
            Ok(false)
        };
        assert_eq!(survey.quarantine(run, path, superseded).unwrap(), None);
        assert_eq!(text(dir.path(), path).as_deref(), Some("newer"));

        let run = RunId::fresh();
        let quarantined = survey.quarantine(run, path, |_| Ok(true)).unwrap().unwrap();
        assert_eq!(quarantined, format!("quarantine/{}/{path}", run.0));
        assert_eq!((text(dir.path(), path), text(dir.path(), &quarantined).as_deref()), (None, Some("newer")));
        assert_eq!(survey.quarantine(run, path, |_| Ok(true)).unwrap(), None, "it is gone");
    }

    #[tokio::test]
    async fn a_damaged_file_with_two_names_is_quarantined_under_both() {
        let (dir, store) = store();
        let digest = Hasher::digest(Algorithm::Sha256, b"right");
        store.put_blob(&Verified::vouch(digest.clone(), 5), Bytes::from_static(b"wrong")).await.unwrap();
        let item = Item::Blob(digest.clone());
        let grave = Condemned { run: RunId::fresh(), item: item.clone(), why: Why::Unreferenced }.path();
        std::fs::create_dir_all(dir.path().join(&grave).parent().unwrap()).unwrap();
        std::fs::hard_link(dir.path().join(item.path()), dir.path().join(&grave)).unwrap();
        let survey = store.survey();
        let Examined::Damaged { quarantined, replaced: false } = survey.examine(&digest, RunId::fresh()).unwrap()
        else {
            panic!("both are damaged")
        };
        assert_eq!(quarantined.len(), 2);
        assert!(quarantined.iter().all(|quarantined| text(dir.path(), quarantined).as_deref() == Some("wrong")));
        assert!(!survey.is_there(&item).unwrap());
        assert!(store.open(&digest).await.unwrap().is_none());
    }
}
