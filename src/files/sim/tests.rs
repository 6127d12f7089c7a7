//! Tests that the simulated disk loses in a power failure what it may lose, and nothing else.

use super::*;
use crate::files::AtomicFiles;
use std::collections::BTreeMap;

/// What is left after a failure, over many seeds: each outcome and how often it occurred.
fn outcomes(make: impl Fn(&Sim), look: impl Fn(&Sim) -> String) -> BTreeMap<String, usize> {
    let mut outcomes = BTreeMap::new();
    for seed in 0..400 {
        let sim = Sim::new(seed, None);
        let _entered = sim.enter();
        make(&sim);
        sim.crash();
        assert!(sim.meta(".").is_err());
        sim.restart(true);
        *outcomes.entry(look(&sim)).or_default() += 1;
    }
    outcomes
}

fn write(sim: &Sim, path: &str, bytes: &'static [u8], sync: bool) {
    let file = sim.create(path, false).unwrap();
    sim.write_at(&file, &[Bytes::from_static(bytes)], 0).unwrap();
    if sync {
        sim.sync_data(&file).unwrap();
    }
}

fn read(sim: &Sim, path: &str) -> String {
    let file = sim.open(path).unwrap();
    String::from_utf8(sim.machine().disk.bytes(file).to_vec()).unwrap()
}

fn all(sim: &Sim) -> String {
    sim.files(".").into_iter().map(|(path, _)| path).collect::<Vec<_>>().join(" ")
}

#[test]
fn synced_content_survives_a_crash() {
    let synced = |sim: &Sim| {
        sim.mkdir("d").unwrap();
        sim.sync_dir(".").unwrap();
        write(sim, "d/f", b"bytes", true);
        sim.sync_dir("d").unwrap();
    };
    assert_eq!(outcomes(synced, |sim| read(sim, "d/f")), [("bytes".to_owned(), 400)].into());
}

/// A durable file is moved from one directory to another.
fn moved(sim: &Sim) {
    for dir in ["a", "b"] {
        sim.mkdir(dir).unwrap();
    }
    sim.sync_dir(".").unwrap();
    write(sim, "a/f", b"", true);
    sim.sync_dir("a").unwrap();
    sim.rename("a/f", "b/f").unwrap();
}

#[test]
fn a_rename_keeps_the_old_name_or_the_new_one_or_both() {
    let found = outcomes(moved, all);
    assert_eq!(found.keys().map(String::as_str).collect::<Vec<_>>(), ["a/f", "a/f b/f", "b/f"]);
    assert!(found.values().all(|times| *times > 50), "{found:?}");
}

#[test]
fn a_rename_loses_both_names_if_only_the_old_one_is_synced() {
    let synced = |sim: &Sim| {
        moved(sim);
        sim.sync_dir("a").unwrap();
    };
    let found = outcomes(synced, all);
    assert_eq!(found.keys().map(String::as_str).collect::<Vec<_>>(), ["", "b/f"]);
}

#[test]
fn a_rename_of_a_file_without_a_durable_name_keeps_either_name_or_none() {
    let renamed = |sim: &Sim| {
        write(sim, "f", b"", true);
        sim.rename("f", "g").unwrap();
        sim.rename("g", "h").unwrap();
    };
    let found = outcomes(renamed, all);
    assert!(["", "f", "f g", "f g h", "h"].iter().all(|outcome| found.contains_key(*outcome)), "{found:?}");
}

#[test]
fn a_file_that_was_moved_and_then_removed_may_be_gone() {
    let removed = |sim: &Sim| {
        moved(sim);
        sim.unlink("b/f").unwrap();
    };
    let found = outcomes(removed, all);
    assert_eq!(found.keys().map(String::as_str).collect::<Vec<_>>(), ["", "a/f", "a/f b/f", "b/f"]);
}

#[test]
fn a_file_without_a_durable_name_is_gone_after_a_crash() {
    let unnamed = |sim: &Sim| {
        sim.mkdir("d").unwrap();
        write(sim, "d/f", b"bytes", true);
        sim.sync_dir("d").unwrap();
    };
    assert_eq!(outcomes(unnamed, all).len(), 2);
}

#[test]
fn a_file_that_was_not_synced_is_old_or_new_or_torn() {
    let changed = |sim: &Sim| {
        write(sim, "f", b"old", true);
        sim.sync_dir(".").unwrap();
        let file = sim.open_rw("f").unwrap();
        sim.write_at(&file, &[Bytes::from_static(b"NEWER")], 0).unwrap();
    };
    let found = outcomes(changed, |sim| read(sim, "f"));
    for outcome in ["old", "NEWER", "", "NE", "NE\0\0\0"] {
        assert!(found.contains_key(outcome), "{found:?}");
    }
}

#[test]
fn a_replaced_file_is_the_old_one_or_the_new_one() {
    let replaced = |sim: &Sim| {
        write(sim, "f", b"", true);
        sim.sync_dir(".").unwrap();
        for i in 0..3 {
            write(sim, &format!("t{i}"), b"", true);
            sim.rename(&format!("t{i}"), "f").unwrap();
        }
    };
    let inode = |sim: &Sim| sim.find("f").to_string();
    assert_eq!(outcomes(replaced, inode).len(), 4, "any of the values it had since the sync");
}

impl Sim {
    fn find(&self, path: &str) -> Inode {
        self.machine().disk.find(path).unwrap()
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    let run_once = |seed: u64| {
        let sim = Sim::new(seed, None);
        let _entered = sim.enter();
        let files = Arc::new(AtomicFiles::new(sim.clone()));
        files.ensure_dir("state/tmp").unwrap();
        let clients = (0..4).map(|i| {
            let files = files.clone();
            let client = move || {
                for j in 0..5 {
                    let bytes = Bytes::from(format!("{i} {j}"));
                    let Ok(staged) = files.stage(&bytes, Some("test"), false) else { return };
                    let path = format!("d/{}", j % 2);
                    if files.place(staged, &path).and_then(|()| files.sync_parent(&path, "test")).is_err() {
                        return;
                    }
                }
            };
            Box::new(client) as Box<dyn FnOnce() + Send>
        });
        sim.plan(SimPlan { crash_at: Some(60), ..SimPlan::default() });
        run(&sim, clients.collect(), &mut Chance::new(seed));
        assert!(sim.has_crashed());
        sim.restart(true);
        (sim.calls(), sim.files("."))
    };
    let runs: BTreeSet<_> = (0..50).map(run_once).collect();
    assert!(runs.len() > 10, "seeds differ");
    assert_eq!((0..50).map(run_once).collect::<BTreeSet<_>>(), runs);
}
