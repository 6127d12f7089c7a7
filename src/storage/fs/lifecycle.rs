//! The life cycle of items as renames between the live tree and the graveyard.

use super::{Fs, FsInner, root::MARK, skeleton, spare};
use crate::{
    files::{FileKind, Meta, Sys, absent, atomic, path::parent, world},
    storage::{
        Aged, Capabilities, Condemnation, Condemned, Examined, Exclusive, Fact, Grave, InstanceId, Item, ItemKind,
        Lifecycle, ListingPage, Presence, Result, RunId, StorageError, StoreHealth, Why, key,
    },
};
use async_trait::async_trait;
use bytes::Bytes;
use oci::Digest;
use std::{
    collections::BTreeMap,
    io,
    sync::atomic::Ordering,
    time::{Duration, SystemTime},
};

#[async_trait]
impl<S: Sys> Lifecycle for Fs<S> {
    async fn probe(&self) -> Result<Capabilities> {
        self.run(|inner| {
            // The root by name: an unmounted or replaced volume has no such file.
            if absent(inner.sys().meta(MARK)).map_err(|e| StorageError::io("look at", MARK, e))?.is_none() {
                return Err(StorageError::ReadOnly { why: format!("{MARK} is missing: is the volume mounted?") });
            }
            let space = inner.sys().space().map_err(|e| StorageError::io("measure", "the file system", e))?;
            Ok(Capabilities { space: Some(space), read_condemned: inner.read_condemned.load(Ordering::Relaxed) })
        })
        .await
    }

    fn health(&self) -> StoreHealth {
        let sys = self.inner.sys();
        StoreHealth { syncing: sys.syncing(), syncs: sys.syncs(), trouble: sys.trouble(), cache: None }
    }

    async fn now(&self) -> Result<SystemTime> {
        self.run(|inner| inner.clock().map_err(|e| StorageError::io("tell the time of", "the file system", e))).await
    }

    async fn settle(&self) -> Result<()> {
        self.run(|inner| {
            let settled = inner.files.settle_all("the removal of what a mark did not find");
            settled.map_err(|e| StorageError::io("sync", "the file system", e))
        })
        .await
    }

    async fn try_write(&self) -> Result<()> {
        self.run(|inner| {
            if let Some(why) = skeleton::fault(inner.sys(), true) {
                return Err(StorageError::ReadOnly { why });
            }
            // With contents: an empty file can be written even to a full disk.
            let staged = inner.files.stage(&Bytes::from_static(b"now\n"), None, false);
            staged
                .map(|staged| inner.files.discard(staged))
                .map_err(|e| StorageError::io("write to", "the file system", e))
        })
        .await
    }

    async fn items(&self, kind: &ItemKind, after: Option<&Item>, most: usize) -> Result<ListingPage<Aged>> {
        let (kind, after) = (kind.clone(), after.map(Item::path));
        self.run(move |inner| {
            let mut page = ListingPage { entries: Vec::new(), more: false };
            for of in kind.dirs() {
                let dir = &of.path;
                let from = match &after {
                    Some(after) if parent(after) == dir => after.rsplit('/').next(),
                    Some(after) if dir.as_str() < parent(after) => continue,
                    _ => None,
                };
                let room = most - page.entries.len();
                let (names, more) = inner.names(dir, from, room, |name, _| of.item(name).is_some())?;
                let names: Vec<_> = names.iter().map(|(name, _)| name.as_str()).collect();
                let metas = inner.sys().metas(dir, &names).map_err(|e| StorageError::io("look into", dir, e))?;
                for (name, meta) in names.into_iter().zip(metas) {
                    let (Some(meta), Some(item)) = (meta, of.item(name)) else { continue };
                    let path = format!("{dir}/{name}");
                    let (renewed, len) =
                        inner.age_of(&path, &meta).map_err(|e| StorageError::io("look at", &path, e))?;
                    page.entries.push(Aged { item, renewed, len });
                }
                if more {
                    page.more = true;
                    break;
                }
            }
            Ok(page)
        })
        .await
    }

    async fn renew(&self, item: &Item, if_older: Duration) -> Result<bool> {
        let path = item.path();
        self.run(move |inner| {
            let failed = |e| StorageError::io("renew", &path, e);
            let Some(meta) = absent(inner.sys().meta(&path)).map_err(failed)? else { return Ok(false) };
            if if_older.is_zero() || older_than(meta.modified, if_older) {
                return Ok(absent(inner.sys().touch(&path)).map_err(failed)?.is_some());
            }
            Ok(true)
        })
        .await
    }

    async fn ensure(&self, items: &[Item]) -> Result<Vec<Presence>> {
        let items = items.to_vec();
        self.run(move |inner| {
            let found: Vec<_> = items.iter().map(|item| inner.ensure(item)).collect::<Result<_>>()?;
            let there = items.iter().zip(&found).filter(|(_, presence)| **presence != Presence::Missing);
            inner.make_durable(there.map(|(item, _)| item))?;
            Ok(found)
        })
        .await
    }

    async fn condemn(&self, item: &Item, run: RunId, why: Why, idle: Duration) -> Result<Condemnation> {
        let entry = Condemned { run, item: item.clone(), why };
        self.run(move |inner| inner.condemn(&entry, idle)).await
    }

    async fn condemned(&self, after: Option<&Condemned>, most: usize) -> Result<ListingPage<Grave>> {
        let after = after.map(Condemned::path);
        self.run(move |inner| {
            let mut found = Vec::new();
            inner.walk(key::GRAVEYARD, after.as_deref(), most + 1, &mut found)?;
            let more = found.len() > most;
            found.truncate(most);
            Ok(ListingPage { entries: found, more })
        })
        .await
    }

    async fn restore(&self, entry: &Condemned) -> Result<bool> {
        let entry = entry.clone();
        self.run(move |inner| inner.restore(&entry)).await
    }

    async fn condemned_value(&self, entry: &Condemned) -> Result<Option<Fact>> {
        let path = entry.path();
        self.run(move |inner| inner.fact(&path)).await
    }

    async fn purge(&self, entry: &Condemned) -> Result<u64> {
        let entry = entry.clone();
        self.run(move |inner| inner.purge(&entry)).await
    }

    async fn examine(&self, digest: &Digest, run: RunId) -> Result<Examined> {
        let digest = digest.clone();
        self.run(move |inner| inner.examine(&digest, run)).await
    }

    fn instance(&self) -> InstanceId {
        self.inner.instance
    }

    async fn lives(&self, instance: InstanceId) -> Result<bool> {
        self.run(move |inner| inner.lives(instance)).await
    }

    async fn begin_collection(&self) -> Result<Option<Exclusive>> {
        self.run(|inner| {
            let lock = inner.lock_collection().map_err(|e| StorageError::io("lock", spare::LOCK, e))?;
            if lock.is_some() {
                inner.put_back_all()?;
            }
            Ok(lock.map(Exclusive::new))
        })
        .await
    }

    async fn tidy(&self, before: SystemTime) -> Result<u64> {
        self.run(move |inner| {
            let mut removed = 0;
            let (names, _) = inner.names(atomic::TEMPORARY, None, 10_000, |_, kind| kind == FileKind::File)?;
            for (name, _) in names {
                let path = format!("{}/{name}", atomic::TEMPORARY);
                let failed = |e| StorageError::io("tidy", &path, e);
                let meta = absent(inner.sys().meta(&path)).map_err(failed)?;
                // Not if the clock was set back in the meantime: then new files look old.
                if meta.is_some_and(|meta| meta.modified <= before) && before <= world::now() {
                    removed += u64::from(absent(inner.sys().unlink(&path)).map_err(failed)?.is_some());
                }
            }
            if !inner.asides()?.is_empty()
                && let Some(_alone) = inner.lock_collection().map_err(|e| StorageError::io("lock", spare::LOCK, e))?
            {
                inner.put_back_all()?;
            }
            inner.stay_announced()?;
            inner.forget_instances()?;
            Ok(removed)
        })
        .await
    }
}

/// Whether a time is longer ago than `idle`. A time in the future is not, whatever happened to the clock.
pub(super) fn older_than(time: SystemTime, idle: Duration) -> bool {
    world::now().duration_since(time).is_ok_and(|age| age >= idle)
}

impl<S: Sys> FsInner<S> {
    /// When an item was last renewed, and its length. The age of an upload counts from its last byte.
    pub(super) fn age(&self, path: &str) -> io::Result<(SystemTime, u64)> {
        self.age_of(path, &self.sys().meta(path)?)
    }

    /// The same, for an item whose metadata is known.
    pub(super) fn age_of(&self, path: &str, meta: &Meta) -> io::Result<(SystemTime, u64)> {
        if meta.kind != FileKind::Directory {
            return Ok((meta.modified, meta.len));
        }
        for name in ["data", "sealed"] {
            if let Some(data) = absent(self.sys().meta(&format!("{path}/{name}")))? {
                return Ok((data.modified, data.len));
            }
        }
        Ok((meta.modified, 0))
    }

    pub(super) fn ensure(&self, item: &Item) -> Result<Presence> {
        let failed = |e| StorageError::io("look for", item.path(), e);
        if absent(self.sys().meta(&item.path())).map_err(failed)?.is_some() {
            return Ok(Presence::Live);
        }
        for entry in self.graves(item)? {
            if self.restore(&entry)? {
                return Ok(Presence::Restored);
            }
        }
        // Somebody else may have restored it in the meantime.
        Ok(match absent(self.sys().meta(&item.path())).map_err(failed)? {
            Some(_) => Presence::Live,
            None => Presence::Missing,
        })
    }

    /// Makes the names of existing items durable: their writers may not have synced them yet, or may have died before,
    /// and others are about to rely on them.
    fn make_durable<'a>(&self, items: impl Iterator<Item = &'a Item>) -> Result<()> {
        let named = items.filter(|item| !matches!(item, Item::Upload(_)));
        let dirs: BTreeMap<String, String> =
            named.map(Item::path).map(|path| (parent(&path).to_owned(), path)).collect();
        let settled = world::each(dirs.into_values().collect(), |path: String| {
            // If it is deleted now, with its directory, it did exist when it was looked up.
            let settled = absent(self.files.settle(&path, "the name of what is relied on"));
            settled.map(drop).map_err(|e| StorageError::io("sync", path, e))
        });
        settled.into_iter().collect()
    }
}
