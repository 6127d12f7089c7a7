//! The life cycle of items as renames between the live tree and the graveyard.

use super::{Fs, Inner, root::MARK, spare};
use crate::{
    files::{Kind, Sys, atomic, world},
    oci::{Algorithm, Digest, RepositoryName, UploadId},
    storage::{
        Aged, Capabilities, Condemned, Dir, Error, Examined, Exclusive, Grave, Health, InstanceId, Item, ItemKind,
        Lifecycle, Page, Presence, Result, RunId, Verdict, Why, error::absent, key,
    },
};
use async_trait::async_trait;
use bytes::Bytes;
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
            // The root by name: an unmounted or replaced volume has none.
            if absent(inner.sys().meta(MARK)).map_err(|e| Error::io("look at", MARK, e))?.is_none() {
                return Err(Error::ReadOnly { why: format!("{MARK} is missing: is the volume mounted?") });
            }
            let space = inner.sys().space().map_err(|e| Error::io("measure", "the file system", e))?;
            Ok(Capabilities { space: Some(space), read_condemned: inner.read_condemned.load(Ordering::Relaxed) })
        })
        .await
    }

    fn health(&self) -> Health {
        let sys = self.inner.sys();
        Health { syncing: sys.syncing(), syncs: sys.syncs(), trouble: sys.trouble() }
    }

    async fn now(&self) -> Result<SystemTime> {
        self.run(|inner| inner.clock().map_err(|e| Error::io("tell the time of", "the file system", e))).await
    }

    async fn try_write(&self) -> Result<()> {
        self.run(|inner| {
            // Not empty: an empty file fits a full disk.
            let staged = inner.files.stage(&Bytes::from_static(b"now\n"), None, false);
            staged.map(|staged| inner.files.discard(staged)).map_err(|e| Error::io("write to", "the file system", e))
        })
        .await
    }

    async fn items(&self, kind: &ItemKind, after: Option<&Item>, most: usize) -> Result<Page<Aged>> {
        let (kind, after) = (kind.clone(), after.map(Item::path));
        self.run(move |inner| {
            let mut page = Page { entries: Vec::new(), more: false };
            for (dir, item) in places(&kind) {
                let from = match &after {
                    Some(after) if atomic::parent(after) == dir => after.rsplit('/').next(),
                    Some(after) if dir.as_str() < atomic::parent(after) => continue,
                    _ => None,
                };
                let room = most - page.entries.len();
                let (names, more) = inner.names(&dir, from, room, |name, _| item(name).is_some())?;
                for (name, _) in names {
                    let path = format!("{dir}/{name}");
                    let meta = absent(inner.age(&path)).map_err(|e| Error::io("look at", &path, e))?;
                    if let (Some((renewed, len)), Some(item)) = (meta, item(&name)) {
                        page.entries.push(Aged { item, renewed, len });
                    }
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
            let failed = |e| Error::io("renew", &path, e);
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

    async fn condemn(&self, item: &Item, run: RunId, why: Why, idle: Duration) -> Result<Verdict> {
        let entry = Condemned { run, item: item.clone(), why };
        self.run(move |inner| inner.condemn(&entry, idle)).await
    }

    async fn condemned(&self, after: Option<&Condemned>, most: usize) -> Result<Page<Grave>> {
        let after = after.map(Condemned::path);
        self.run(move |inner| {
            let mut found = Vec::new();
            inner.walk(key::GRAVEYARD, after.as_deref(), most + 1, &mut found)?;
            let more = found.len() > most;
            found.truncate(most);
            Ok(Page { entries: found, more })
        })
        .await
    }

    async fn restore(&self, entry: &Condemned) -> Result<bool> {
        let entry = entry.clone();
        self.run(move |inner| inner.restore(&entry)).await
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
        self.run(|inner| inner.lock_collection().map_err(|e| Error::io("lock", spare::LOCK, e)))
            .await
            .map(|lock| lock.map(Exclusive::new))
    }

    async fn tidy(&self, idle: Duration) -> Result<u64> {
        self.run(move |inner| {
            let mut removed = 0;
            let (names, _) = inner.names(atomic::TEMPORARY, None, 10_000, |_, kind| kind == Kind::File)?;
            for (name, _) in names {
                let path = format!("{}/{name}", atomic::TEMPORARY);
                let failed = |e| Error::io("tidy", &path, e);
                let meta = absent(inner.sys().meta(&path)).map_err(failed)?;
                if meta.is_some_and(|meta| older_than(meta.modified, idle)) {
                    removed += u64::from(absent(inner.sys().unlink(&path)).map_err(failed)?.is_some());
                }
            }
            inner.forget_instances()?;
            Ok(removed)
        })
        .await
    }
}

type Parse = Box<dyn Fn(&str) -> Option<Item>>;

/// The directories the items of a kind lie in, in order, and what a name in each stands for.
fn places(kind: &ItemKind) -> Vec<(String, Parse)> {
    let of_repository = |name: &RepositoryName, sub: &str, item: fn(RepositoryName, Digest) -> Item| {
        let place = |algorithm: Algorithm| {
            let dir = format!("{}/{sub}/{algorithm}", Dir::Names(Some(name.clone())).path());
            let name = name.clone();
            let parse = move |hex: &str| Some(item(name.clone(), format!("{algorithm}:{hex}").parse().ok()?));
            (dir, Box::new(parse) as Parse)
        };
        Algorithm::ALL.map(place).into_iter().collect()
    };
    match kind {
        ItemKind::Blobs => Algorithm::ALL
            .into_iter()
            .flat_map(|algorithm| {
                (0..=255u8).map(move |shard| {
                    let parse = move |hex: &str| Some(Item::Blob(format!("{algorithm}:{hex}").parse().ok()?));
                    (format!("{}/{algorithm}/{shard:02x}", key::BLOBS), Box::new(parse) as Parse)
                })
            })
            .collect(),
        ItemKind::Links(name) => of_repository(name, "_layers", Item::Link),
        ItemKind::Revisions(name) => of_repository(name, "_manifests/revisions", Item::Revision),
        ItemKind::Uploads => {
            let parse = |id: &str| id.parse::<UploadId>().ok().map(Item::Upload);
            vec![(key::UPLOADS.to_owned(), Box::new(parse) as Parse)]
        }
    }
}

/// File systems without hard links, or a file that has as many as it may.
fn cannot_link(error: &io::Error) -> bool {
    use io::ErrorKind as K;
    matches!(error.kind(), K::Unsupported | K::PermissionDenied | K::TooManyLinks)
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// A time in the future is not old, whatever the clock did.
pub(super) fn older_than(time: SystemTime, idle: Duration) -> bool {
    world::now().duration_since(time).is_ok_and(|age| age >= idle)
}

impl<S: Sys> Inner<S> {
    /// When an item was renewed, and its length. An upload is as old as its last byte.
    pub(super) fn age(&self, path: &str) -> io::Result<(SystemTime, u64)> {
        let meta = self.sys().meta(path)?;
        if meta.kind != Kind::Directory {
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
        let failed = |e| Error::io("look for", item.path(), e);
        if absent(self.sys().meta(&item.path())).map_err(failed)?.is_some() {
            return Ok(Presence::Live);
        }
        for entry in self.graves(item)? {
            if self.restore(&entry)? {
                return Ok(Presence::Restored);
            }
        }
        // Somebody else may have brought it back meanwhile.
        Ok(match absent(self.sys().meta(&item.path())).map_err(failed)? {
            Some(_) => Presence::Live,
            None => Presence::Missing,
        })
    }

    /// Makes the names of what is there durable: whoever made them may not have got so far yet, or
    /// have died before, and others are about to rely on them.
    fn make_durable<'a>(&self, items: impl Iterator<Item = &'a Item>) -> Result<()> {
        let named = items.filter(|item| !matches!(item, Item::Upload(_)));
        let dirs: BTreeMap<String, String> =
            named.map(Item::path).map(|path| (atomic::parent(&path).to_owned(), path)).collect();
        let settled = world::each(dirs.into_values().collect(), |path: String| {
            // What is deleted meanwhile, with its directory, was there when it was looked for.
            let settled = absent(self.files.settle(&path, "the name of what is relied on"));
            settled.map(drop).map_err(|e| Error::io("sync", path, e))
        });
        settled.into_iter().collect()
    }

    /// Where an item may lie in the graveyard from where it can come back, the newest run first.
    pub(super) fn graves(&self, item: &Item) -> Result<impl Iterator<Item = Condemned> + use<S>> {
        let (runs, _) = self.names(key::GRAVEYARD, None, usize::MAX, |_, kind| kind == Kind::Directory)?;
        let item = item.clone();
        let runs = runs.into_iter().rev().filter_map(|(run, _)| run.parse().ok());
        Ok(runs.map(move |run| Condemned { run: RunId(run), item: item.clone(), why: Why::Unreferenced }))
    }

    /// What `read` finds at an item's place: its own, or one in the graveyard from where it can
    /// come back. Nothing is written.
    pub(super) fn find<T>(&self, item: &Item, read: impl Fn(&str) -> Result<Option<T>>) -> Result<Option<T>> {
        let live = item.path();
        if let Some(found) = read(&live)? {
            return Ok(Some(found));
        }
        for entry in self.graves(item)? {
            if let Some(found) = read(&entry.path())? {
                self.read_condemned.fetch_add(1, Ordering::Relaxed);
                return Ok(Some(found));
            }
        }
        // It may have been brought back since the first look, and its grave be gone.
        read(&live)
    }

    fn condemn(&self, entry: &Condemned, idle: Duration) -> Result<Verdict> {
        let (live, dead) = (entry.item.path(), entry.path());
        let failed = |e| Error::io("condemn", &live, e);
        let deleted = entry.why == Why::Deleted;
        let _lock = match &entry.item {
            Item::Upload(id) => self.lock(id),
            other => self.lock(other),
        };
        let Some((before, _)) = absent(self.age(&live)).map_err(failed)? else {
            return Ok(if deleted && self.bury(&entry.item)? { Verdict::Condemned } else { Verdict::Gone });
        };
        if !idle.is_zero() && !older_than(before, idle) {
            return Ok(Verdict::Renewed);
        }
        // A deletion may take the place of an earlier one: nobody brings either back.
        let bury = || if deleted { self.files.rename(&live, &dead) } else { self.files.rename_new(&live, &dead) };
        let moved = match bury() {
            Err(e) if is_full(&e) && matches!((entry.why, &entry.item), (Why::Unreferenced, Item::Blob(_))) => {
                if self.use_spare(entry.run).map_err(failed)? { bury() } else { Err(e) }
            }
            moved => moved,
        };
        match absent(moved) {
            Ok(Some(())) => {}
            // A collection may have been quicker: then it lies in the graveyard, where it can be read.
            Ok(None) => return Ok(if deleted && self.bury(&entry.item)? { Verdict::Condemned } else { Verdict::Gone }),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Ok(Verdict::Renewed),
            // No room for a grave. What somebody deletes to make room must go all the same; only
            // the chance to look at it later is lost.
            Err(e) if is_full(&e) && deleted && !matches!(entry.item, Item::Upload(_)) => {
                let gone = absent(self.sys().unlink(&live)).map_err(failed)?;
                self.files.sync_parent(&live, "the removal of what finds no grave").map_err(failed)?;
                let buried = self.bury(&entry.item)?;
                return Ok(if gone.is_some() || buried { Verdict::Condemned } else { Verdict::Gone });
            }
            Err(e) => return Err(failed(e)),
        }
        // Renewed between the look and the move: it is wanted after all.
        let (after, _) = self.age(&dead).map_err(failed)?;
        if !idle.is_zero() && after != before && self.restore(entry)? {
            return Ok(Verdict::Renewed);
        }
        if !matches!(entry.item, Item::Upload(_)) {
            // From now on its time says since when it lies here.
            absent(self.sys().touch(&dead)).map_err(failed)?;
        }
        self.files.sync_parent(&dead, "the name of a grave").map_err(failed)?;
        self.files.sync_parent(&live, "the removal of what is condemned").map_err(failed)?;
        if deleted {
            self.bury(&entry.item)?;
        }
        if let Item::Link(..) | Item::Revision(..) = entry.item {
            self.prune(&live);
        }
        Ok(Verdict::Condemned)
    }

    /// Removes the copies of an item that could come back; whether there were any. Also one that a
    /// collection purged must not come back by a crash, and purging does not sync: so the places
    /// where one may have been are synced, or what is left of the way to them.
    fn bury(&self, item: &Item) -> Result<bool> {
        let paths: Vec<String> = self.graves(item)?.map(|entry| entry.path()).collect();
        let mut found = false;
        for path in &paths {
            let gone = absent(self.sys().unlink(path)).map_err(|e| Error::io("delete", path, e))?;
            found |= gone.is_some();
        }
        let runs = format!("{}/runs", key::GRAVEYARD);
        let synced = world::each(paths.iter().chain([&runs]).collect(), |path: &String| {
            let synced = self.files.sync_parent(path, "the removal of a buried copy");
            synced.map_err(|e| Error::io("sync", path, e))
        });
        synced.into_iter().collect::<Result<()>>()?;
        Ok(found)
    }

    pub(super) fn restore(&self, entry: &Condemned) -> Result<bool> {
        let (live, dead) = (entry.item.path(), entry.path());
        let failed = |e| Error::io("restore", &live, e);
        let restored = match &entry.item {
            Item::Upload(_) => self.files.rename_new(&dead, &live),
            _ => match self.files.link(&dead, &live) {
                // A second name may need room; a move does not.
                Err(e) if cannot_link(&e) || is_full(&e) => self.files.rename_new(&dead, &live),
                linked => linked,
            },
        };
        match restored {
            Ok(()) => {}
            // Something stands there, which is as good if it is durable.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(failed(e)),
        }
        self.files.sync_parent(&live, "the name of what is restored").map_err(failed)?;
        Ok(true)
    }

    fn purge(&self, entry: &Condemned) -> Result<u64> {
        let path = entry.path();
        let failed = |e| Error::io("purge", &path, e);
        let Some((_, len)) = absent(self.age(&path)).map_err(failed)? else { return Ok(0) };
        match &entry.item {
            Item::Upload(_) => {
                self.remove_session(&path);
                if absent(self.sys().meta(&path)).map_err(failed)?.is_some() {
                    return Err(failed(io::ErrorKind::DirectoryNotEmpty.into()));
                }
            }
            _ => {
                absent(self.sys().unlink(&path)).map_err(failed)?;
            }
        }
        self.files.prune(&path, key::GRAVEYARD);
        Ok(len)
    }

    /// Collects entries below `dir` whose paths follow `after`, in order, until there are `most`.
    fn walk(&self, dir: &str, after: Option<&str>, most: usize, found: &mut Vec<Grave>) -> Result<()> {
        // The component of `after` in this directory is visited again: more may follow below it.
        let mut from = after
            .and_then(|after| after.strip_prefix(dir)?.strip_prefix('/'))
            .map(|rest| rest.split('/').next().unwrap_or_default().to_owned());
        if let Some(first) = &from {
            self.visit(&format!("{dir}/{first}"), after, most, found)?;
        }
        loop {
            let (names, more) = self.names(dir, from.as_deref(), most, |_, _| true)?;
            for (name, _) in &names {
                if found.len() >= most {
                    return Ok(());
                }
                self.visit(&format!("{dir}/{name}"), None, most, found)?;
            }
            match names.into_iter().next_back() {
                Some((last, _)) if more && found.len() < most => from = Some(last),
                _ => return Ok(()),
            }
        }
    }

    fn visit(&self, path: &str, after: Option<&str>, most: usize, found: &mut Vec<Grave>) -> Result<()> {
        let failed = |e| Error::io("look at", path, e);
        if let Some(entry) = Condemned::parse(path) {
            if after != Some(path)
                && let Some((since, len)) = absent(self.age(path)).map_err(failed)?
            {
                found.push(Grave { entry, since, len });
            }
            return Ok(());
        }
        match absent(self.sys().meta(path)).map_err(failed)? {
            Some(meta) if meta.kind == Kind::Directory => self.walk(path, after, most, found),
            _ => Ok(()),
        }
    }
}
