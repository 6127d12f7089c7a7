//! Removing a tag from another process while the daemon may be writing it.
//!
//! The locks of one process do not stop another, and no system call removes a name only while it names a certain file.
//! So the tag is moved away, checked there, and moved back if it is not the expected one. If a process ends in between,
//! the next one that holds the collection lock moves the tag back; nothing is moved there without this lock.

use super::FsInner;
use crate::{
    files::{FileKind, Sys, absent, path::parent},
    storage::{
        Fact, FactKey, Result, StorageError,
        key::{self, StorePlace},
    },
};
use std::io;

impl<S: Sys> FsInner<S> {
    /// Where a value is moved before it is removed, if another process may be writing it. Only the daemon writes tags,
    /// and for itself its own locks are enough.
    pub(super) fn aside(&self, key: &FactKey) -> Option<String> {
        match key {
            FactKey::Tag(name, tag) if self.is_beside => Some(key::aside(name, tag)),
            _ => None,
        }
    }

    /// Removes the tag that was found at a path, unless it has been replaced since.
    pub(super) fn take_away(&self, path: &str, aside: &str, found: &Fact) -> Result<bool> {
        if absent(self.files.rename(path, aside)).map_err(|e| StorageError::io("delete", path, e))?.is_none() {
            return Ok(false);
        }
        let is_meant = self.fact(aside)?.is_some_and(|fact| fact == *found);
        if is_meant {
            self.forget(aside)?;
        } else {
            self.put_back(aside, path)?;
        }
        Ok(is_meant)
    }

    /// Moves back what ended processes had moved away. The caller holds the collection lock.
    pub(super) fn put_back_all(&self) -> Result<()> {
        for (dir, _) in self.asides()? {
            let dir = format!("{}/{dir}", key::ASIDE);
            let (tags, _) = self.names(&dir, None, usize::MAX, |_, kind| kind == FileKind::File)?;
            for aside in tags.iter().map(|(tag, _)| format!("{dir}/{tag}")) {
                if let Some(StorePlace::Aside(tag)) = StorePlace::of(&aside, FileKind::File) {
                    tracing::warn!(path = tag.path(), "restored a tag that a killed garbage collection had moved away");
                    self.put_back(&aside, &tag.path())?;
                }
            }
            self.files.prune(&format!("{dir}/."), parent(key::ASIDE));
        }
        Ok(())
    }

    /// The directories of tags that were moved away.
    pub(super) fn asides(&self) -> Result<Vec<(String, FileKind)>> {
        Ok(self.names(key::ASIDE, None, usize::MAX, |_, kind| kind == FileKind::Directory)?.0)
    }

    /// Moves a tag back, unless a newer one is in its place.
    fn put_back(&self, aside: &str, path: &str) -> Result<()> {
        let failed = |e| StorageError::io("put back", path, e);
        match self.files.link(aside, path) {
            Ok(()) => self.files.sync_parent(path, "the name of what is put back").map_err(failed)?,
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(failed(e)),
        }
        self.forget(aside)
    }

    /// Removes a moved tag durably: a tag that is deleted later must not be moved back.
    fn forget(&self, aside: &str) -> Result<()> {
        let failed = |e| StorageError::io("remove", aside, e);
        absent(self.sys().unlink(aside)).map_err(failed)?;
        self.files.sync_parent(aside, "the removal of what was moved aside").map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        files::sim::{Chance, Disk, Sim, SimPlan, block_on, run},
        storage::{Durability, Expect, Fact, FactKey, Facts, Lifecycle, Put, Version, fs::Fs},
    };
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    type Daemon = Fs<Sim>;

    fn tag() -> FactKey {
        FactKey::Tag("org/app".parse().unwrap(), "v1".parse().unwrap())
    }

    /// The disk of a new store.
    fn fresh() -> Disk {
        let sim = Sim::new(0, None);
        let _entered = sim.enter();
        mount(&sim);
        sim.image()
    }

    fn mount(sim: &Sim) -> Daemon {
        Fs::mount(sim.clone(), "a simulation").unwrap().0
    }

    fn push(store: &Daemon, value: &'static str) {
        block_on(store.put(vec![Put::any(tag(), value)], Durability::Durable)).unwrap();
    }

    fn found(store: &Daemon) -> Option<Fact> {
        block_on(store.get(&tag())).unwrap()
    }

    fn value(store: &Daemon) -> Option<String> {
        found(store).map(|fact| String::from_utf8(fact.bytes.to_vec()).unwrap())
    }

    /// Checks that whatever was moved away is in its place again.
    fn settle(sim: &Sim, store: &Daemon) {
        block_on(store.tidy(std::time::SystemTime::UNIX_EPOCH)).unwrap();
        assert_eq!(sim.files("state/aside"), []);
    }

    #[test]
    fn an_acknowledged_push_survives_a_killed_collection() {
        let (disk, mut saved) = (fresh(), 0);
        for seed in 0..500 {
            let (sim, mut chance) = (Sim::new(seed, Some(disk.clone())), Chance::new(seed));
            let _entered = sim.enter();
            let daemon = Arc::new(mount(&sim));
            push(&daemon, "old");
            sim.plan(SimPlan { crash_at: Some(1 + chance.below(60)), ..SimPlan::default() });
            let answered = Arc::new(AtomicBool::new(false));
            let (pusher, is_answered, beside) = (daemon.clone(), answered.clone(), Fs::beside(sim.clone()));
            run(
                &sim,
                vec![
                    Box::new(move || {
                        let put = block_on(pusher.put(vec![Put::any(tag(), "new")], Durability::Durable));
                        is_answered.store(put.is_ok(), Ordering::Relaxed);
                    }),
                    Box::new(move || drop(block_on(beside.delete(&tag(), Expect::Is(Version::of(b"old")))))),
                ],
                &mut chance,
            );
            sim.restart(false);
            let is_aside = sim.files("state/aside").iter().any(|(_, value)| value == b"new");
            let daemon = mount(&sim);
            settle(&sim, &daemon);
            if answered.load(Ordering::Relaxed) {
                assert_eq!(value(&daemon).as_deref(), Some("new"), "seed {seed}");
                saved += usize::from(is_aside);
            }
        }
        assert!(saved > 0, "none of these was killed between");
    }

    /// Seeds, and the number of calls the collection made, for which the tag is lost in a power failure, or is back
    /// although the collection completed and the tag was deleted afterwards.
    fn lost(without: Option<&'static str>) -> usize {
        let disk = fresh();
        let is_lost = |(seed, crash_at): &(u64, usize)| {
            let sim = Sim::new(*seed, Some(disk.clone()));
            let _entered = sim.enter();
            let daemon = mount(&sim);
            push(&daemon, "old");
            let old = found(&daemon).unwrap();
            push(&daemon, "new");
            sim.plan(SimPlan { crash_at: Some(*crash_at), without, ..SimPlan::default() });
            let (path, beside) = (tag().path(), Fs::beside(sim.clone()));
            let is_done = beside.inner.take_away(&path, "state/aside/org+app/v1", &old).is_ok();
            sim.restart(false);
            let mut wanted = Some("new");
            if is_done {
                assert_eq!(value(&daemon).as_deref(), wanted);
                block_on(daemon.delete(&tag(), Expect::Any)).unwrap();
                wanted = None;
            }
            drop(daemon);
            sim.restart(true);
            let daemon = mount(&sim);
            settle(&sim, &daemon);
            sim.restart(true);
            value(&mount(&sim)).as_deref() != wanted
        };
        (0..30).flat_map(|seed| (1..30).map(move |at| (seed, at))).filter(is_lost).count()
    }

    #[test]
    fn a_power_failure_loses_nothing_condemned_and_restores_nothing_deleted() {
        assert_eq!(lost(None), 0);
        assert!(lost(Some("the name of what is put back")) > 0);
        assert!(lost(Some("the removal of what was moved aside")) > 0);
    }

    #[test]
    fn entries_in_the_spare_directory_wait_while_a_collection_runs() {
        let sim = Sim::new(0, None);
        let _entered = sim.enter();
        let daemon = mount(&sim);
        push(&daemon, "old");
        daemon.inner.files.rename(&tag().path(), "state/aside/org+app/v1").unwrap();
        let alone = block_on(Fs::beside(sim.clone()).begin_collection()).unwrap().unwrap();
        assert_eq!(value(&daemon).as_deref(), Some("old"), "the next collection puts it back");
        daemon.inner.files.rename(&tag().path(), "state/aside/org+app/v1").unwrap();
        block_on(daemon.tidy(std::time::SystemTime::UNIX_EPOCH)).unwrap();
        assert_eq!(value(&daemon), None);
        drop(alone);
        settle(&sim, &daemon);
        assert_eq!(value(&daemon).as_deref(), Some("old"));
    }
}
