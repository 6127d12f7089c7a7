//! Facts as files.

use super::{Fs, FsInner, listing::kind_in};
use crate::{
    files::{Staged, Sys, absent, path::parent, world},
    storage::{
        Dir, Durability, Expect, Fact, FactKey, Facts, ListingPage, OutlineStamp, Put, PutOutcome, RepositoryOutline,
        Result, StorageError, key,
    },
};
use async_trait::async_trait;
use oci::RepositoryName;
use std::collections::BTreeMap;

#[async_trait]
impl<S: Sys> Facts for Fs<S> {
    async fn get(&self, key: &FactKey) -> Result<Option<Fact>> {
        if let Some(small) = self.inner.fact_now(&key.path()) {
            return Ok(Some(Fact { bytes: small.bytes.clone(), written: small.modified }));
        }
        let key = key.clone();
        self.run(move |inner| {
            match inner.small_kept(&key.path()).filter(|small| small.bytes.len() as u64 <= key.longest()) {
                Some(small) => Ok(Some(Fact { bytes: small.bytes.clone(), written: small.modified })),
                None => inner.value(&key),
            }
        })
        .await
    }

    // None of them is kept in memory: they are many, and would displace what is read often.
    async fn get_all(&self, keys: Vec<FactKey>) -> Result<Vec<Result<Option<Fact>>>> {
        self.run(move |inner| Ok(keys.iter().map(|key| inner.value(key)).collect())).await
    }

    async fn put(&self, puts: Vec<Put>, durability: Durability) -> Result<PutOutcome> {
        self.run(move |inner| inner.put(puts, durability)).await
    }

    async fn delete(&self, key: &FactKey, expect: Expect) -> Result<bool> {
        let key = key.clone();
        self.run(move |inner| inner.delete(&key, &expect)).await
    }

    async fn discard(&self, key: &FactKey) -> Result<()> {
        let (path, is_of_a_push) = (key.path(), matches!(key, FactKey::Intent(..) | FactKey::ExpiredIntent(..)));
        self.run(move |inner| {
            absent(inner.sys().unlink(&path)).map_err(|e| StorageError::io("discard", &path, e))?;
            if key::is_of_artifacts(&path) {
                inner.prune(&path);
            } else if is_of_a_push {
                inner.prune_pushes(&path);
            }
            Ok(())
        })
        .await
    }

    async fn rename(&self, from: &FactKey, to: &FactKey) -> Result<bool> {
        let (from, to) = (from.path(), to.path());
        self.run(move |inner| {
            let renamed = absent(inner.sys().rename(&from, &to)).map_err(|e| StorageError::io("rename", &from, e))?;
            Ok(renamed.is_some())
        })
        .await
    }

    async fn children(&self, dir: &Dir, after: Option<&str>, most: usize) -> Result<ListingPage<String>> {
        let (dir, after) = (dir.clone(), after.map(str::to_owned));
        self.run(move |inner| inner.children(&dir, after.as_deref(), most)).await
    }

    async fn listing(&self, dir: &Dir, after: Option<&str>, most: usize) -> Result<ListingPage<String>> {
        let (dir, after) = (dir.clone(), after.map(str::to_owned));
        self.run(move |inner| inner.listing(&dir, after.as_deref(), most)).await
    }

    async fn outlines(
        &self,
        asked: Vec<(RepositoryName, Option<OutlineStamp>)>,
    ) -> Result<Vec<Option<RepositoryOutline>>> {
        self.run(move |inner| asked.iter().map(|(name, known)| inner.outline(name, known.as_ref())).collect()).await
    }

    async fn hold_any(&self, dirs: Vec<Dir>) -> Result<Vec<bool>> {
        self.run(move |inner| dirs.iter().map(|dir| inner.holds_any(dir)).collect()).await
    }
}

impl<S: Sys> FsInner<S> {
    fn value(&self, key: &FactKey) -> Result<Option<Fact>> {
        match key.item() {
            Some(item) => self.find(&item, |path| self.fact(path)),
            None => self.fact_within(&key.path(), key.longest()),
        }
    }

    pub(super) fn children(&self, dir: &Dir, after: Option<&str>, most: usize) -> Result<ListingPage<String>> {
        let wanted = kind_in(dir);
        let (names, more) = self.names(&dir.path(), after, most, |name, kind| kind == wanted && dir.lists(name))?;
        Ok(ListingPage { entries: names.into_iter().map(|(name, _)| name).collect(), more })
    }

    pub(super) fn fact(&self, path: &str) -> Result<Option<Fact>> {
        self.fact_within(path, key::LONGEST)
    }

    /// The value at a path, which must be no longer than `most` bytes.
    pub(super) fn fact_within(&self, path: &str, most: u64) -> Result<Option<Fact>> {
        let failed = |e| StorageError::io("read", path, e);
        let Some(file) = absent(self.sys().open(path)).map_err(failed)? else { return Ok(None) };
        let meta = self.sys().file_meta(&file).map_err(failed)?;
        if meta.len > most {
            return Err(StorageError::damaged(path, "it is far longer than what is kept there"));
        }
        let mut bytes = vec![0; meta.len as usize];
        let read = self.sys().read_at(&file, &mut bytes, 0).map_err(failed)?;
        bytes.truncate(read);
        Ok(Some(Fact { bytes: bytes.into(), written: meta.modified }))
    }

    pub(super) fn put(&self, puts: Vec<Put>, durability: Durability) -> Result<PutOutcome> {
        let sync = (durability == Durability::Durable).then_some("the bytes of a fact");
        // None of them has a name yet, so all can be written at the same time.
        let staged = world::each(puts.iter().collect(), |put: &Put| {
            let path = put.key.path();
            let failed = |e| StorageError::io("write", &path, e);
            let staged = self.files.stage(&put.bytes, sync, put.key.is_private()).map_err(failed)?;
            // Before it has its name. After a power cut it may have the time of the write.
            if let Some(since) = put.since
                && let Err(error) = self.sys().set_modified(staged.path(), since)
            {
                self.files.discard(staged);
                return Err(failed(error));
            }
            match self.files.ensure_dir(parent(&path)) {
                Ok(()) => Ok(staged),
                Err(e) => {
                    self.files.discard(staged);
                    Err(failed(e))
                }
            }
        });
        let (mut files, mut failure) = (Vec::with_capacity(puts.len()), None);
        for staged in staged {
            match staged {
                Ok(file) => files.push(Some(file)),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        let placed = match failure {
            Some(error) => Err(error),
            None => self.place_all(&puts, &mut files, sync.is_some()),
        };
        files.into_iter().flatten().for_each(|file| self.files.discard(file));
        placed
    }

    /// Names the staged files step by step: what a value relies on is durable before it.
    fn place_all(&self, puts: &[Put], staged: &mut [Option<Staged>], durable: bool) -> Result<PutOutcome> {
        let paths: Vec<_> = puts.iter().map(|put| put.key.path()).collect();
        // No writer of these keys comes between the checks and the names; readers do not wait.
        let locks: Vec<_> = self.writers.of_each(puts.iter().map(|put| &put.key)).map(world::lock).collect();
        for (i, (put, path)) in puts.iter().zip(&paths).enumerate() {
            if put.expect != Expect::Any {
                let found = self.fact(path)?;
                if !put.expect.holds(found.as_ref()) {
                    return Ok(PutOutcome::Conflict(i));
                }
            }
        }
        // By directory: names that are not durable yet.
        let mut unsynced: BTreeMap<&str, (&str, &'static str)> = BTreeMap::new();
        for step in 0..key::STEPS {
            self.sync_all(&mut unsynced)?;
            for ((put, path), file) in puts.iter().zip(&paths).zip(&mut *staged) {
                if let Some(file) = file.take_if(|_| put.key.step() == step) {
                    self.files.place(file, path).map_err(|e| StorageError::io("write", path, e))?;
                    if durable {
                        unsynced.insert(parent(path), (path, put.key.naming()));
                    }
                }
            }
        }
        drop(locks);
        self.sync_all(&mut unsynced)?;
        Ok(PutOutcome::Done)
    }

    /// Makes these names durable, all directories at the same time.
    fn sync_all(&self, unsynced: &mut BTreeMap<&str, (&str, &'static str)>) -> Result<()> {
        let names = std::mem::take(unsynced).into_values().collect();
        let synced = world::each(names, |(path, what): (&str, &'static str)| {
            self.files.sync_parent(path, what).map_err(|e| StorageError::io("sync", path, e))
        });
        synced.into_iter().collect()
    }

    fn delete(&self, key: &FactKey, expect: &Expect) -> Result<bool> {
        let path = key.path();
        let failed = |e| StorageError::io("delete", &path, e);
        let lock = self.lock(key);
        let found = if *expect == Expect::Any { None } else { self.fact(&path)? };
        let gone = match (found, self.aside(key)) {
            (found, _) if !expect.holds(found.as_ref()) => false,
            (Some(found), Some(aside)) => self.take_away(&path, &aside, &found)?,
            _ => absent(self.sys().unlink(&path)).map_err(failed)?.is_some(),
        };
        drop(lock);
        match key.removal() {
            Some(what) if gone => self.files.sync_parent(&path, what).map_err(failed)?,
            // Whoever changed it may have failed before the change was durable. The old value must not come back: a
            // caller now removes what only the old value needed.
            Some(what) => drop(absent(self.files.settle(&path, what)).map_err(failed)?),
            None => {}
        }
        if gone {
            self.prune(&path);
        }
        Ok(gone)
    }
}
