//! The graveyard: how an item goes there, is found there, comes back, and goes for good.

use super::{Inner, lifecycle::older_than};
use crate::{
    files::{Kind, Sys, absent, world},
    storage::{Condemned, Error, Grave, Item, Result, RunId, Verdict, Why, key},
};
use std::{collections::BTreeSet, io, sync::atomic::Ordering, time::Duration};

/// The sync after which what was deleted is gone from its place.
const DELETED: &str = "the removal of what is deleted";

/// File systems without hard links, or a file that has as many as it may.
fn cannot_link(error: &io::Error) -> bool {
    use io::ErrorKind as K;
    matches!(error.kind(), K::Unsupported | K::PermissionDenied | K::TooManyLinks)
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl<S: Sys> Inner<S> {
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

    pub(super) fn condemn(&self, entry: &Condemned, idle: Duration) -> Result<Verdict> {
        let (live, dead) = (entry.item.path(), entry.path());
        let failed = |e| Error::io("condemn", &live, e);
        let _lock = match &entry.item {
            Item::Upload(id) => self.lock(id),
            other => self.lock(other),
        };
        let before = absent(self.age(&live)).map_err(failed)?.map(|(before, _)| before);
        if !idle.is_zero() && before.is_some_and(|before| !older_than(before, idle)) {
            return Ok(Verdict::Renewed);
        }
        if entry.why == Why::Deleted {
            return self.remove_for_good(entry);
        }
        let Some(before) = before else { return Ok(Verdict::Gone) };
        let bury = || self.files.rename_new(&live, &dead);
        let moved = match bury() {
            Err(e) if is_full(&e) && matches!((entry.why, &entry.item), (Why::Unreferenced, Item::Blob(_))) => {
                if self.use_spare(entry.run).map_err(failed)? { bury() } else { Err(e) }
            }
            moved => moved,
        };
        match absent(moved) {
            Ok(Some(())) => {}
            Ok(None) => return Ok(Verdict::Gone),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Ok(Verdict::Renewed),
            Err(e) => return Err(failed(e)),
        }
        // Renewed between the look and the move: it is wanted after all.
        let (after, _) = self.age(&dead).map_err(failed)?;
        if !idle.is_zero() && after != before && self.restore(entry)? {
            return Ok(Verdict::Renewed);
        }
        if !matches!(entry.item, Item::Upload(_)) {
            self.date(&dead).map_err(failed)?;
        }
        // That it left its place need not last: it is condemned again then. A deletion makes sure of that for
        // itself, and a purge of everything (`Lifecycle::settle`).
        self.files.sync_parent(&dead, "the name of a grave").map_err(failed)?;
        if let Item::Link(..) | Item::Revision(..) = entry.item {
            self.prune(&live);
        }
        Ok(Verdict::Condemned)
    }

    /// From now on the time of what is condemned says since when it lies here.
    fn date(&self, dead: &str) -> io::Result<()> {
        absent(self.sys().touch(dead)).map(drop)
    }

    /// Takes an item away for good, with its copies that could come back.
    fn remove_for_good(&self, entry: &Condemned) -> Result<Verdict> {
        let (live, dead) = (entry.item.path(), entry.path());
        let failed = |e| Error::io("delete", &live, e);
        let mut graves = BTreeSet::from([format!("{}/runs", key::GRAVEYARD)]);
        let (mut removal, mut emptied) = (None, Vec::new());
        // Until nothing is left: a collection or a push may be bringing it back from where it lies.
        loop {
            let mut found = self.bury(&live, &dead).map_err(failed)?;
            for grave in self.graves(&entry.item)? {
                let path = grave.path();
                if absent(self.sys().unlink(&path)).map_err(failed)?.is_some() {
                    // Whoever moved it here may not have synced yet that it left its place.
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
        // Also what a collection purged must not come back by a crash, and purging does not sync: so all
        // places where it may have been, or what is left of the way to them.
        let synced = world::each(graves.into_iter().collect(), |path: String| {
            self.files.sync_parent(&path, "the removal of a buried copy").map_err(|e| Error::io("sync", path, e))
        });
        synced.into_iter().collect::<Result<()>>()?;
        emptied.iter().for_each(|path| self.files.prune(path, key::GRAVEYARD));
        if let Item::Link(..) | Item::Revision(..) = entry.item {
            self.prune(&live);
        }
        Ok(if removal.is_some() { Verdict::Condemned } else { Verdict::Gone })
    }

    /// Moves what somebody deleted to its grave, from where nobody brings it back; which sync that asks
    /// for, if anything was there.
    fn bury(&self, live: &str, dead: &str) -> io::Result<Option<&'static str>> {
        if absent(self.sys().meta(live))?.is_none() {
            return Ok(None);
        }
        // An earlier one makes place. A move onto another name of the same file would be none.
        absent(self.sys().unlink(dead))?;
        match absent(self.files.rename(live, dead)) {
            Ok(None) => Ok(None),
            Ok(Some(())) => {
                self.date(dead)?;
                Ok(Some(DELETED))
            }
            // What somebody deletes to make room must go all the same; only the chance to look at it
            // later is lost.
            Err(e) if is_full(&e) => {
                Ok(absent(self.sys().unlink(live))?.map(|()| "the removal of what finds no grave"))
            }
            Err(e) => Err(e),
        }
    }

    pub(super) fn restore(&self, entry: &Condemned) -> Result<bool> {
        let (live, dead) = (entry.item.path(), entry.path());
        let failed = |e| Error::io("restore", &live, e);
        // Most are asked for where they never were, and nothing is to be made for those.
        if absent(self.sys().meta(&dead)).map_err(failed)?.is_none() {
            return Ok(false);
        }
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

    pub(super) fn purge(&self, entry: &Condemned) -> Result<u64> {
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
    pub(super) fn walk(&self, dir: &str, after: Option<&str>, most: usize, found: &mut Vec<Grave>) -> Result<()> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        files::sim::{Chance, Sim, block_on, run},
        oci::{Algorithm, Hasher},
        storage::{Durability, Facts, Key, Lifecycle, Presence, Put, fs::Fs},
    };
    use std::sync::Arc;

    #[test]
    fn a_deletion_stands_whoever_brings_back_what_lies_in_the_graveyard_meanwhile() {
        let (name, digest) = ("app".parse().unwrap(), Hasher::digest(Algorithm::Sha256, b"a layer"));
        let (key, link) = (Key::Layer(name, digest.clone()), Item::Link("app".parse().unwrap(), digest));
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
                    assert_eq!(verdict, Verdict::Condemned);
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
