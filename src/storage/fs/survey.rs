//! A store looked at as it lies there: names, bytes and modes, without the mercy of the reading
//! side, and the ways to take aside what is wrong.
//!
//! Every call blocks. Another process may be serving the store: what is taken aside is looked at
//! once more where it lies then, and put back if it turns out to be right after all.

use super::{Fs, Inner};
use crate::{
    files::{Kind, Meta, Real, Sys, absent, world},
    oci::{Algorithm, Digest, Hasher},
    storage::{
        Condemned, Durability, Error, Examined, Expect, Item, Key, Outcome, Presence, Put, Result, RunId, Why, key,
    },
};
use bytes::Bytes;
use std::{io, sync::Arc};

/// The tree of a store.
pub struct Survey<S: Sys = Real> {
    inner: Arc<Inner<S>>,
}

impl<S: Sys> Fs<S> {
    /// The tree as it lies there.
    pub fn survey(&self) -> Survey<S> {
        Survey { inner: self.inner.clone() }
    }
}

impl<S: Sys> Survey<S> {
    /// Every name in a directory, in order; none if it is not there.
    ///
    /// # Errors
    /// As the operating system gives them.
    pub fn list(&self, dir: &str) -> Result<Vec<(String, Kind)>> {
        Ok(self.inner.names(dir, None, usize::MAX, |_, _| true)?.0)
    }

    /// What is known of a path; `None` if nothing is there.
    ///
    /// # Errors
    /// As the operating system gives them.
    pub fn look(&self, path: &str) -> Result<Option<Meta>> {
        absent(self.inner.sys().meta(path)).map_err(|e| Error::io("look at", path, e))
    }

    /// What is known of these names of a directory, in their order; `None` of one that is not there.
    ///
    /// # Errors
    /// As the operating system gives them, for one of them.
    pub fn looks(&self, dir: &str, names: &[&str]) -> Result<Vec<Option<Meta>>> {
        self.inner.sys().metas(dir, names).map_err(|e| Error::io("look into", dir, e))
    }

    /// A small file's bytes; `None` if it is not there.
    ///
    /// # Errors
    /// [`Error::Damaged`] if it is longer than `most`; as the operating system gives them.
    pub fn read(&self, path: &str, most: u64) -> Result<Option<Bytes>> {
        Ok(self.inner.fact_within(path, most)?.map(|fact| fact.bytes))
    }

    /// The digest of a file's bytes; `None` if it is not there. `each` is told how many bytes were
    /// read, from time to time.
    ///
    /// # Errors
    /// As the operating system gives them.
    pub fn digest(&self, path: &str, algorithm: Algorithm, each: &mut dyn FnMut(u64)) -> Result<Option<Digest>> {
        self.inner.digest(path, algorithm, each).map_err(|e| Error::io("read", path, e))
    }

    /// What `read` finds at the first path where an item stands: its own, or one in the graveyard
    /// from where it can come back, the newest first.
    ///
    /// # Errors
    /// As the operating system gives them, and those of `read`.
    pub fn find<T>(&self, item: &Item, read: impl Fn(&str) -> Result<Option<T>>) -> Result<Option<T>> {
        self.inner.find(item, read)
    }

    /// Whether an item stands in its own place or can come back to it.
    ///
    /// # Errors
    /// As the operating system gives them.
    pub fn is_there(&self, item: &Item) -> Result<bool> {
        Ok(self.find(item, |path| self.look(path))?.is_some())
    }

    /// Whether it is known that somebody deleted an item: it lies in the graveyard, or a record was kept when it
    /// was purged from there.
    ///
    /// # Errors
    /// As the operating system gives them.
    pub fn was_deleted(&self, item: &Item) -> Result<bool> {
        for (run, _) in self.list(key::GRAVEYARD)? {
            let Ok(run) = run.parse() else { continue };
            let entry = Condemned { run: RunId(run), item: item.clone(), why: Why::Deleted };
            if self.look(&entry.path())?.is_some() {
                return Ok(true);
            }
        }
        // After the graves: the record is written before one of them is purged.
        match item {
            Item::Link(name, digest) | Item::Revision(name, digest) => {
                Ok(self.look(&Key::Deleted(name.clone(), digest.clone()).path())?.is_some())
            }
            Item::Blob(_) | Item::Upload(_) => Ok(false),
        }
    }

    /// Moves what stands at a path to `quarantine/<run>/<path>`; its path there. It is moved back,
    /// and the answer is `None`, unless `is_wrong` says of the path it has by then that it is wrong
    /// there too: somebody may have put something better in its place since it was looked at.
    ///
    /// # Errors
    /// As the operating system gives them.
    pub fn set_aside(
        &self,
        run: RunId,
        path: &str,
        is_wrong: impl FnOnce(&str) -> Result<bool>,
    ) -> Result<Option<String>> {
        let aside = format!("{}/{}/{path}", key::QUARANTINE, run.0);
        self.inner.set_aside(path, &aside, || is_wrong(&aside)).map(|moved| moved.then_some(aside))
    }

    /// Reads a blob, and quarantines every copy of it whose bytes have another digest.
    ///
    /// # Errors
    /// As the operating system gives them.
    pub fn examine(&self, digest: &Digest, run: RunId) -> Result<Examined> {
        self.inner.examine(digest, run)
    }

    /// Writes a fact unless there is one; durable. Whether it was written.
    ///
    /// # Errors
    /// As the operating system gives them.
    pub fn add(&self, key: Key, bytes: impl Into<Bytes>) -> Result<bool> {
        let put = Put { key, bytes: bytes.into(), expect: Expect::Absent };
        Ok(self.inner.put(vec![put], Durability::Durable)? == Outcome::Done)
    }

    /// Gives an item that lies in the graveyard its own place again; whether one was there.
    ///
    /// # Errors
    /// As the operating system gives them.
    pub fn bring_back(&self, item: &Item) -> Result<bool> {
        for entry in self.inner.graves(item)? {
            if self.inner.restore(&entry)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Age of a file by its last change; zero if that lies in the future.
    pub fn age(meta: &Meta) -> std::time::Duration {
        world::now().duration_since(meta.modified).unwrap_or_default()
    }
}

/// Read at once while hashing.
const STEP: usize = 1 << 20;

impl<S: Sys> Inner<S> {
    fn digest(&self, path: &str, algorithm: Algorithm, each: &mut dyn FnMut(u64)) -> io::Result<Option<Digest>> {
        let Some(file) = absent(self.sys().open(path))? else { return Ok(None) };
        let len = self.sys().file_meta(&file)?.len;
        let mut hasher = Hasher::new(algorithm);
        let mut buffer = vec![0; STEP.min(usize::try_from(len).unwrap_or(STEP)).max(1)];
        let mut at = 0;
        loop {
            let read = self.sys().read_aside(&file, &mut buffer, at)?;
            if read == 0 {
                return Ok(Some(hasher.finish()));
            }
            hasher.update(&buffer[..read]);
            at += read as u64;
            each(read as u64);
        }
    }

    /// Moves `path` to `aside`, and back unless it `is_wrong`; whether it lies aside. Durable.
    fn set_aside(&self, path: &str, aside: &str, is_wrong: impl FnOnce() -> Result<bool>) -> Result<bool> {
        let failed = |e| Error::io("take aside", path, e);
        if absent(self.files.rename_new(path, aside)).map_err(failed)?.is_none() {
            return Ok(false);
        }
        let is_wrong = is_wrong();
        if !matches!(is_wrong, Ok(true)) {
            match self.files.rename_new(aside, path) {
                // Something newer stands there: what was taken is superseded.
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(failed(e)),
                Ok(()) | Err(_) => {}
            }
        }
        self.files.sync_parent(aside, "the name of what was taken aside").map_err(failed)?;
        self.files.sync_parent(path, "the removal of what is taken aside").map_err(failed)?;
        is_wrong
    }

    /// See [`crate::storage::Lifecycle::examine`].
    pub(super) fn examine(&self, digest: &Digest, run: RunId) -> Result<Examined> {
        let item = Item::Blob(digest.clone());
        let wrong = |path: &str| {
            let found = self.digest(path, digest.algorithm(), &mut |_| {}).map_err(|e| Error::io("read", path, e));
            Ok(found?.map(|found| found != *digest))
        };
        let mut aside = Vec::new();
        let damaged = Condemned { run, item: item.clone(), why: Why::Damaged }.path();
        let graves = self.graves(&item)?.map(|entry| entry.path());
        let graves = graves.map(|path| (format!("{}/{}/{path}", key::QUARANTINE, run.0), path));
        for (to, path) in std::iter::once((damaged, item.path())).chain(graves) {
            // A client may bring it anew between the look and the move.
            if wrong(&path)? == Some(true) && self.set_aside(&path, &to, || Ok(wrong(&to)?.unwrap_or(true)))? {
                aside.push(to);
            }
        }
        let is_there =
            self.find(&item, |path| absent(self.sys().meta(path)).map_err(|e| Error::io("look at", path, e)))?;
        Ok(match (aside.is_empty(), is_there.is_some()) {
            (true, false) => Examined::Gone,
            (true, true) => Examined::Sound,
            // What lies in the graveyard was found right just now.
            (false, true) => Examined::Damaged { aside, replaced: self.ensure(&item)? != Presence::Missing },
            (false, false) => Examined::Damaged { aside, replaced: false },
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
    fn what_turns_out_to_be_right_is_put_back_unless_something_newer_stands_there() {
        let (dir, store) = store();
        let (survey, run) = (store.survey(), RunId::fresh());
        let path = "repositories/app/_manifests/tags/v1";
        std::fs::create_dir_all(dir.path().join(path).parent().unwrap()).unwrap();
        let write = |text| std::fs::write(dir.path().join(path), text).unwrap();

        write("right");
        assert_eq!(survey.set_aside(run, path, |_| Ok(false)).unwrap(), None);
        assert_eq!(text(dir.path(), path).as_deref(), Some("right"));
        assert!(survey.set_aside(run, path, |_| Err(Error::damaged("it", "cannot be judged"))).is_err());
        assert_eq!(text(dir.path(), path).as_deref(), Some("right"));

        // A push comes between the move and the judgement.
        let superseded = |aside: &str| {
            assert_eq!(text(dir.path(), aside).as_deref(), Some("right"));
            write("newer");
            Ok(false)
        };
        assert_eq!(survey.set_aside(run, path, superseded).unwrap(), None);
        assert_eq!(text(dir.path(), path).as_deref(), Some("newer"));

        let run = RunId::fresh();
        let aside = survey.set_aside(run, path, |_| Ok(true)).unwrap().unwrap();
        assert_eq!(aside, format!("quarantine/{}/{path}", run.0));
        assert_eq!((text(dir.path(), path), text(dir.path(), &aside).as_deref()), (None, Some("newer")));
        assert_eq!(survey.set_aside(run, path, |_| Ok(true)).unwrap(), None, "it is gone");
    }

    #[tokio::test]
    async fn one_damaged_file_under_two_names_is_taken_from_both() {
        let (dir, store) = store();
        let digest = Hasher::digest(Algorithm::Sha256, b"right");
        store.put_blob(&Verified::vouch(digest.clone(), 5), Bytes::from_static(b"wrong")).await.unwrap();
        let item = Item::Blob(digest.clone());
        let grave = Condemned { run: RunId::fresh(), item: item.clone(), why: Why::Unreferenced }.path();
        std::fs::create_dir_all(dir.path().join(&grave).parent().unwrap()).unwrap();
        std::fs::hard_link(dir.path().join(item.path()), dir.path().join(&grave)).unwrap();
        let survey = store.survey();
        let Examined::Damaged { aside, replaced: false } = survey.examine(&digest, RunId::fresh()).unwrap() else {
            panic!("both are damaged")
        };
        assert_eq!(aside.len(), 2);
        assert!(aside.iter().all(|aside| text(dir.path(), aside).as_deref() == Some("wrong")));
        assert!(!survey.is_there(&item).unwrap());
        assert!(store.open(&digest).await.unwrap().is_none());
    }
}
