//! Facts as files.

use super::{Fs, Inner};
use crate::{
    files::{Kind, Staged, Sys, atomic},
    storage::{Child, Dir, Durability, Error, Expect, Fact, Facts, Key, Outcome, Page, Put, Result, error::absent},
};
use async_trait::async_trait;
use bytes::Bytes;
use std::io;

/// No fact is longer: a referrer's descriptor copies the annotations of one manifest.
const LONGEST: u64 = 16 << 20;

#[async_trait]
impl<S: Sys> Facts for Fs<S> {
    async fn get(&self, key: &Key) -> Result<Option<Fact>> {
        let key = key.clone();
        self.run(move |inner| match key.item() {
            Some(item) => inner.find(&item, |path| inner.fact(path)),
            None => inner.fact(&key.path()),
        })
        .await
    }

    async fn put(&self, puts: Vec<Put>, durability: Durability) -> Result<Outcome> {
        self.run(move |inner| inner.put(puts, durability)).await
    }

    async fn delete(&self, key: &Key, expect: Expect) -> Result<bool> {
        let key = key.clone();
        self.run(move |inner| inner.delete(&key, &expect)).await
    }

    async fn discard(&self, key: &Key) -> Result<()> {
        let path = key.path();
        self.run(move |inner| absent(inner.sys().unlink(&path)).map(drop).map_err(|e| Error::io("discard", &path, e)))
            .await
    }

    async fn children(&self, dir: &Dir, after: Option<&str>, most: usize) -> Result<Page<Child>> {
        let (dir, after) = (dir.clone(), after.map(str::to_owned));
        self.run(move |inner| {
            let wanted = match dir {
                Dir::Names(_) => Kind::Directory,
                _ => Kind::File,
            };
            let (names, more) =
                inner.names(&dir.path(), after.as_deref(), most, |name, kind| kind == wanted && dir.lists(name))?;
            let entries = names.into_iter().map(|(name, kind)| Child { name, is_dir: kind == Kind::Directory });
            Ok(Page { entries: entries.collect(), more })
        })
        .await
    }
}

impl<S: Sys> Inner<S> {
    fn fact(&self, path: &str) -> Result<Option<Fact>> {
        self.fact_within(path, LONGEST)
    }

    /// The value at a path, which has at most so many bytes.
    pub(super) fn fact_within(&self, path: &str, most: u64) -> Result<Option<Fact>> {
        let failed = |e| Error::io("read", path, e);
        let Some(file) = absent(self.sys().open(path)).map_err(failed)? else { return Ok(None) };
        let meta = self.sys().file_meta(&file).map_err(failed)?;
        if meta.len > most {
            return Err(Error::damaged(path, "it is far longer than what is kept there"));
        }
        let mut bytes = vec![0; meta.len as usize];
        let read = self.sys().read_at(&file, &mut bytes, 0).map_err(failed)?;
        bytes.truncate(read);
        Ok(Some(Fact { bytes: bytes.into(), written: meta.modified }))
    }

    pub(super) fn put(&self, puts: Vec<Put>, durability: Durability) -> Result<Outcome> {
        let durable = durability == Durability::Durable;
        let mut staged = Vec::with_capacity(puts.len());
        for put in &puts {
            match self.files.stage(&put.bytes, durable, false) {
                Ok(file) => staged.push(file),
                Err(e) => {
                    staged.into_iter().for_each(|file| self.files.discard(file));
                    return Err(Error::io("write", put.key.path(), e));
                }
            }
        }
        let placed = self.place_all(&puts, &mut staged, durable);
        staged.into_iter().for_each(|file| self.files.discard(file));
        placed
    }

    /// Names the staged files in order, each directory durable before a name in another follows.
    fn place_all(&self, puts: &[Put], staged: &mut Vec<Staged>, durable: bool) -> Result<Outcome> {
        let paths: Vec<_> = puts.iter().map(|put| put.key.path()).collect();
        // No writer of these keys comes between the expectations and the names; readers do not wait.
        let locks = self.lock_all(puts.iter().map(|put| &put.key));
        for (i, (put, path)) in puts.iter().zip(&paths).enumerate() {
            if put.expect != Expect::Any {
                let found = self.fact(path)?;
                if !put.expect.holds(found.as_ref().map(|fact| fact.bytes.as_ref())) {
                    return Ok(Outcome::Conflict(i));
                }
            }
        }
        let mut unsynced: Option<&str> = None;
        for (path, file) in paths.iter().zip(staged.drain(..)) {
            if let Some(previous) = unsynced.filter(|p| durable && atomic::parent(p) != atomic::parent(path)) {
                self.files.sync_parent(previous).map_err(|e| Error::io("sync", previous, e))?;
            }
            self.files.place(file, path).map_err(|e| Error::io("write", path, e))?;
            unsynced = Some(path);
        }
        drop(locks);
        if let Some(last) = unsynced.filter(|_| durable) {
            self.files.sync_parent(last).map_err(|e| Error::io("sync", last, e))?;
        }
        Ok(Outcome::Done)
    }

    fn delete(&self, key: &Key, expect: &Expect) -> Result<bool> {
        let path = key.path();
        let failed = |e| Error::io("delete", &path, e);
        let lock = self.lock(key);
        if *expect != Expect::Any {
            let found: Option<Bytes> = self.fact(&path)?.map(|fact| fact.bytes);
            if !expect.holds(found.as_deref()) {
                return Ok(false);
            }
        }
        let gone = match expect {
            Expect::Is(_) => self.take_away(&path, expect)?,
            _ => absent(self.sys().unlink(&path)).map_err(failed)?.is_some(),
        };
        drop(lock);
        if gone {
            self.files.sync_parent(&path).map_err(failed)?;
            self.prune(&path);
        }
        Ok(gone)
    }

    /// Removes a value if it is the expected one. Another process, which no lock of ours holds up,
    /// may have put another since it was read: so it is taken aside first, looked at there, and put
    /// back unless something newer stands in its place by then.
    fn take_away(&self, path: &str, expect: &Expect) -> Result<bool> {
        let failed = |e| Error::io("delete", path, e);
        let aside = self.files.temporary();
        if absent(self.files.rename(path, &aside)).map_err(failed)?.is_none() {
            return Ok(false);
        }
        let found = self.fact(&aside)?.map(|fact| fact.bytes);
        let is_expected = expect.holds(found.as_deref());
        if !is_expected {
            match self.files.link(&aside, path) {
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(failed(e)),
                Ok(()) | Err(_) => {}
            }
        }
        absent(self.sys().unlink(&aside)).map_err(failed)?;
        Ok(is_expected)
    }
}
