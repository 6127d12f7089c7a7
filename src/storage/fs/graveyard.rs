//! The graveyard: how an item is condemned, found, restored and purged.

use super::{FsInner, lifecycle::older_than};
use crate::{
    files::{FileKind, Sys, absent, world},
    storage::{Condemnation, Condemned, Grave, Item, Result, RunId, StorageError, Why, key},
};
use std::{collections::BTreeSet, io, sync::atomic::Ordering, time::Duration};

/// Names the sync that makes a deletion durable.
const DELETED: &str = "the removal of what is deleted";

/// The file system has no hard links, or the file has the maximum number of them.
fn cannot_link(error: &io::Error) -> bool {
    use io::ErrorKind as K;
    matches!(error.kind(), K::Unsupported | K::PermissionDenied | K::TooManyLinks)
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}

impl<S: Sys> FsInner<S> {
    /// Where an item may be in the graveyard and can be restored from, the newest run first.
    pub(super) fn graves(&self, item: &Item) -> Result<impl Iterator<Item = Condemned> + use<S>> {
        let (runs, _) = self.names(key::GRAVEYARD, None, usize::MAX, |_, kind| kind == FileKind::Directory)?;
        let item = item.clone();
        let runs = runs.into_iter().rev().filter_map(|(run, _)| run.parse().ok());
        Ok(runs.map(move |run| Condemned { run: RunId(run), item: item.clone(), why: Why::Unreferenced }))
    }

    /// What `read` returns for the live item, or for one in the graveyard that can be restored. Writes nothing.
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
        // It may have been restored since the first look, and its grave purged.
        read(&live)
    }

    pub(super) fn condemn(&self, entry: &Condemned, idle: Duration) -> Result<Condemnation> {
        let (live, dead) = (entry.item.path(), entry.path());
        let failed = |e| StorageError::io("condemn", &live, e);
        let _lock = match &entry.item {
            Item::Upload(id) => self.lock(id),
            other => self.lock(other),
        };
        let before = absent(self.age(&live)).map_err(failed)?.map(|(before, _)| before);
        if !idle.is_zero() && before.is_some_and(|before| !older_than(before, idle)) {
            return Ok(Condemnation::Renewed);
        }
        if entry.why == Why::Deleted {
            return self.remove_for_good(entry);
        }
        let Some(before) = before else { return Ok(Condemnation::Gone) };
        let bury = || self.files.rename_new(&live, &dead);
        let moved = match bury() {
            Err(e) if is_full(&e) && matches!((entry.why, &entry.item), (Why::Unreferenced, Item::Blob(_))) => {
                if self.use_spare(entry.run).map_err(failed)? { bury() } else { Err(e) }
            }
            moved => moved,
        };
        match absent(moved) {
            Ok(Some(())) => {}
            Ok(None) => return Ok(Condemnation::Gone),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Ok(Condemnation::Renewed),
            Err(e) => return Err(failed(e)),
        }
        // Renewed between the look and the move: it is needed after all.
        let (after, _) = self.age(&dead).map_err(failed)?;
        if !idle.is_zero() && after != before && self.restore(entry)? {
            return Ok(Condemnation::Renewed);
        }
        if !matches!(entry.item, Item::Upload(_)) {
            self.date(&dead).map_err(failed)?;
        }
        // The removal of the live name need not be durable: after a crash the item is condemned again. A deletion syncs
        // it itself, and so does a collection before it purges (`Lifecycle::settle`).
        self.files.sync_parent(&dead, "the name of a grave").map_err(failed)?;
        if let Item::Link(..) | Item::Revision(..) = entry.item {
            self.prune(&live);
        }
        Ok(Condemnation::Condemned)
    }

    /// Sets the file's time to now: in the graveyard it says when the item was condemned.
    fn date(&self, dead: &str) -> io::Result<()> {
        absent(self.sys().touch(dead)).map(drop)
    }

    /// Removes an item for good, with its copies that could be restored.
    fn remove_for_good(&self, entry: &Condemned) -> Result<Condemnation> {
        let (live, dead) = (entry.item.path(), entry.path());
        let failed = |e| StorageError::io("delete", &live, e);
        let mut graves = BTreeSet::from([format!("{}/runs", key::GRAVEYARD)]);
        let (mut removal, mut emptied) = (None, Vec::new());
        // Until no copy is left: a collection or a push may be restoring one at the same time.
        loop {
            let mut found = self.bury(&live, &dead).map_err(failed)?;
            for grave in self.graves(&entry.item)? {
                let path = grave.path();
                if absent(self.sys().unlink(&path)).map_err(failed)?.is_some() {
                    // Whoever condemned it may not have synced the removal of its live name.
                    found = found.or(Some(DELETED));
                    emptied.push(path.clone());
                }
                graves.insert(path);
            }
            if found.is_none() {
                break;
            }
            removal = found;
        }
        if let Some(removal) = removal {
            self.files.sync_parent(&live, removal).map_err(failed)?;
        }
        // What a collection purged must not come back after a crash either, and purging does not sync. So this syncs
        // all directories where it may have been, or the closest ones that still exist.
        let synced = world::each(graves.into_iter().collect(), |path: String| {
            self.files.sync_parent(&path, "the removal of a buried copy").map_err(|e| StorageError::io("sync", path, e))
        });
        synced.into_iter().collect::<Result<()>>()?;
        emptied.iter().for_each(|path| self.files.prune(path, key::GRAVEYARD));
        if let Item::Link(..) | Item::Revision(..) = entry.item {
            self.prune(&live);
        }
        Ok(if removal.is_some() { Condemnation::Condemned } else { Condemnation::Gone })
    }

    /// Moves a deleted item to its grave, from where nothing restores it. Returns which sync that needs, if anything
    /// was moved.
    fn bury(&self, live: &str, dead: &str) -> io::Result<Option<&'static str>> {
        if absent(self.sys().meta(live))?.is_none() {
            return Ok(None);
        }
        // Removes an earlier one first: a rename onto another name of the same file does nothing.
        absent(self.sys().unlink(dead))?;
        match absent(self.files.rename(live, dead)) {
            Ok(None) => Ok(None),
            Ok(Some(())) => {
                self.date(dead)?;
                Ok(Some(DELETED))
            }
            // Items that are deleted to free space must be removed even so; they just cannot be inspected later.
            Err(e) if is_full(&e) => {
                Ok(absent(self.sys().unlink(live))?.map(|()| "the removal of what finds no grave"))
            }
            Err(e) => Err(e),
        }
    }

    pub(super) fn restore(&self, entry: &Condemned) -> Result<bool> {
        let (live, dead) = (entry.item.path(), entry.path());
        let failed = |e| StorageError::io("restore", &live, e);
        // Most items were never condemned, and nothing should be created for those.
        if absent(self.sys().meta(&dead)).map_err(failed)?.is_none() {
            return Ok(false);
        }
        let restored = match &entry.item {
            Item::Upload(_) => self.files.rename_new(&dead, &live),
            _ => match self.files.link(&dead, &live) {
                // A second name may need free space; a move does not.
                Err(e) if cannot_link(&e) || is_full(&e) => self.files.rename_new(&dead, &live),
                linked => linked,
            },
        };
        match restored {
            Ok(()) => {}
            // Something is already there, which is as good if it is durable.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(failed(e)),
        }
        self.files.sync_parent(&live, "the name of what is restored").map_err(failed)?;
        Ok(true)
    }

    pub(super) fn purge(&self, entry: &Condemned) -> Result<u64> {
        let path = entry.path();
        let failed = |e| StorageError::io("purge", &path, e);
        let Some(meta) = absent(self.sys().meta(&path)).map_err(failed)? else { return Ok(0) };
        let (_, len) = self.age_of(&path, &meta).map_err(failed)?;
        match &entry.item {
            Item::Upload(_) => {
                self.remove_session(&path);
                if absent(self.sys().meta(&path)).map_err(failed)?.is_some() {
                    return Err(failed(io::ErrorKind::DirectoryNotEmpty.into()));
                }
            }
            item => {
                absent(self.sys().unlink(&path)).map_err(failed)?;
                // The other name may be an upload session (`FsInner::ends_published`), and to have one name left lets
                // it be written to. Then this one must not come back after a crash.
                if meta.links > 1 && matches!(item, Item::Blob(_)) {
                    self.files.sync_parent(&path, "the removal of one of two names").map_err(failed)?;
                }
            }
        }
        self.files.prune(&path, key::GRAVEYARD);
        Ok(len)
    }

    /// Collects up to `most` entries below `dir` whose paths follow `after`, in order.
    pub(super) fn walk(&self, dir: &str, after: Option<&str>, most: usize, found: &mut Vec<Grave>) -> Result<()> {
        // The component of `after` in this directory is visited again: more entries may follow below it.
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
        let failed = |e| StorageError::io("look at", path, e);
        if let Some(entry) = Condemned::parse(path) {
            if after != Some(path)
                && let Some((since, len)) = absent(self.age(path)).map_err(failed)?
            {
                found.push(Grave { entry, since, len });
            }
            return Ok(());
        }
        match absent(self.sys().meta(path)).map_err(failed)? {
            Some(meta) if meta.kind == FileKind::Directory => self.walk(path, after, most, found),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        files::sim::{Chance, Sim, block_on, run},
        storage::{Durability, FactKey, Facts, Lifecycle, Presence, Put, fs::Fs},
    };
    use oci::{Algorithm, Hasher};
    use std::sync::Arc;

    #[test]
    fn a_deletion_stands_even_if_the_graveyard_is_restored_meanwhile() {
        let (name, digest) = ("app".parse().unwrap(), Hasher::digest(Algorithm::Sha256, b"a layer"));
        let (key, link) = (FactKey::Layer(name, digest.clone()), Item::Link("app".parse().unwrap(), digest));
        for seed in 0..300 {
            let sim = Sim::new(seed, None);
            let _entered = sim.enter();
            let store = Arc::new(Fs::mount(sim.clone(), "a simulation").unwrap().0);
            block_on(store.put(vec![Put::any(key.clone(), "{}")], Durability::Durable)).unwrap();
            let grave = Condemned { run: RunId::fresh(), item: link.clone(), why: Why::Unreferenced };
            let zero = Duration::ZERO;
            block_on(store.condemn(&link, grave.run, grave.why, zero)).unwrap();
            block_on(store.restore(&grave)).unwrap();

            let (deleter, collector) = (store.clone(), store.clone());
            let (item, entry) = (link.clone(), grave.clone());
            let clients: Vec<Box<dyn FnOnce() + Send>> = vec![
                Box::new(move || {
                    let verdict = block_on(deleter.condemn(&item, RunId::fresh(), Why::Deleted, zero)).unwrap();
                    assert_eq!(verdict, Condemnation::Condemned);
                }),
                Box::new(move || {
                    block_on(collector.restore(&entry)).unwrap();
                    block_on(collector.purge(&entry)).unwrap();
                }),
            ];
            run(&sim, clients, &mut Chance::new(seed));
            assert_eq!(
                block_on(store.ensure(std::slice::from_ref(&link))).unwrap(),
                [Presence::Missing],
                "seed {seed}"
            );
        }
    }
}
