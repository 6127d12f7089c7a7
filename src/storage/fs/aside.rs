//! Taking a tag away beside the daemon that may be pushing it.
//!
//! No lock of one process holds up the other, and no system call removes a name only as long as it
//! is that of a certain file. So a tag is moved aside, looked at there, and put back if it is not the
//! one that was meant. What a process that ends in between leaves there is put back by whoever next
//! holds the lock of collections, without which nothing is moved there.

use super::Inner;
use crate::{
    files::{Kind, Sys, absent, path::parent},
    storage::{
        Error, Fact, Key, Result,
        key::{self, Place},
    },
};
use std::io;

impl<S: Sys> Inner<S> {
    /// Where the value of a key is moved before it goes, if another process may be putting it. Nobody but
    /// the daemon puts tags, and its own locks are enough for itself.
    pub(super) fn aside(&self, key: &Key) -> Option<String> {
        match key {
            Key::Tag(name, tag) if self.is_beside => Some(key::aside(name, tag)),
            _ => None,
        }
    }

    /// Removes the tag that was found at a path, unless there is another by now.
    pub(super) fn take_away(&self, path: &str, aside: &str, found: &Fact) -> Result<bool> {
        if absent(self.files.rename(path, aside)).map_err(|e| Error::io("delete", path, e))?.is_none() {
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

    /// Puts back what processes that have ended had moved aside. The caller holds the lock of
    /// collections.
    pub(super) fn put_back_all(&self) -> Result<()> {
        for (dir, _) in self.asides()? {
            let dir = format!("{}/{dir}", key::ASIDE);
            let (tags, _) = self.names(&dir, None, usize::MAX, |_, kind| kind == Kind::File)?;
            for aside in tags.iter().map(|(tag, _)| format!("{dir}/{tag}")) {
                if let Some(Place::Aside(tag)) = Place::of(&aside, Kind::File) {
                    tracing::warn!(path = tag.path(), "restored a tag that a killed garbage collection had moved away");
                    self.put_back(&aside, &tag.path())?;
                }
            }
            self.files.prune(&format!("{dir}/."), parent(key::ASIDE));
        }
        Ok(())
    }

    /// The directories of what is aside.
    pub(super) fn asides(&self) -> Result<Vec<(String, Kind)>> {
        Ok(self.names(key::ASIDE, None, usize::MAX, |_, kind| kind == Kind::Directory)?.0)
    }

    /// What stands there by now is newer.
    fn put_back(&self, aside: &str, path: &str) -> Result<()> {
        let failed = |e| Error::io("put back", path, e);
        match self.files.link(aside, path) {
            Ok(()) => self.files.sync_parent(path, "the name of what is put back").map_err(failed)?,
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(failed(e)),
        }
        self.forget(aside)
    }

    /// Durably: what is deleted later must not be put back.
    fn forget(&self, aside: &str) -> Result<()> {
        let failed = |e| Error::io("remove", aside, e);
        absent(self.sys().unlink(aside)).map_err(failed)?;
        self.files.sync_parent(aside, "the removal of what was moved aside").map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        files::sim::{Chance, Disk, Plan, Sim, block_on, run},
        storage::{Durability, Expect, Fact, Facts, Key, Lifecycle, Put, Version, fs::Fs},
    };
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    type Daemon = Fs<Sim>;

    fn tag() -> Key {
        Key::Tag("org/app".parse().unwrap(), "v1".parse().unwrap())
    }

    /// The disk of a store that has just been made.
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

    /// Whatever was moved aside stands in its place again.
    fn settle(sim: &Sim, store: &Daemon) {
        block_on(store.tidy(std::time::SystemTime::UNIX_EPOCH)).unwrap();
        assert_eq!(sim.files("state/aside"), []);
    }

    #[test]
    fn a_push_that_was_answered_stands_however_early_a_collection_beside_it_is_killed() {
        let (disk, mut saved) = (fresh(), 0);
        for seed in 0..500 {
            let (sim, mut chance) = (Sim::new(seed, Some(disk.clone())), Chance::new(seed));
            let _entered = sim.enter();
            let daemon = Arc::new(mount(&sim));
            push(&daemon, "old");
            sim.plan(Plan { crash_at: Some(1 + chance.below(60)), ..Plan::default() });
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

    /// Seeds, and calls to which the collection came, where the tag is lost to a power failure; or, if it
    /// came to its end and the tag was deleted since, is back after it.
    fn lost(without: Option<&'static str>) -> usize {
        let disk = fresh();
        let is_lost = |(seed, crash_at): &(u64, usize)| {
            let sim = Sim::new(*seed, Some(disk.clone()));
            let _entered = sim.enter();
            let daemon = mount(&sim);
            push(&daemon, "old");
            let old = found(&daemon).unwrap();
            push(&daemon, "new");
            sim.plan(Plan { crash_at: Some(*crash_at), without, ..Plan::default() });
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
    fn a_power_failure_takes_nothing_that_was_moved_aside_and_brings_nothing_back_that_was_deleted() {
        assert_eq!(lost(None), 0);
        assert!(lost(Some("the name of what is put back")) > 0);
        assert!(lost(Some("the removal of what was moved aside")) > 0);
    }

    #[test]
    fn what_is_aside_waits_while_a_collection_runs() {
        let sim = Sim::new(0, None);
        let _entered = sim.enter();
        let daemon = mount(&sim);
        push(&daemon, "old");
        daemon.inner.files.rename(&tag().path(), "state/aside/org+app/v1").unwrap();
        let alone = block_on(Fs::beside(sim.clone()).begin_collection()).unwrap().unwrap();
        assert_eq!(value(&daemon).as_deref(), Some("old"), "whoever begins a collection puts it back");
        daemon.inner.files.rename(&tag().path(), "state/aside/org+app/v1").unwrap();
        block_on(daemon.tidy(std::time::SystemTime::UNIX_EPOCH)).unwrap();
        assert_eq!(value(&daemon), None);
        drop(alone);
        settle(&sim, &daemon);
        assert_eq!(value(&daemon).as_deref(), Some("old"));
    }
}
