//! Each sync of the code is needed: with any one of them left out a seed fails.

use super::run_seed;
use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

/// Each sync by its name, and a seed that fails without it. `find_a_seed_for_each_sync` writes this
/// table; a change of the code may ask for other seeds.
const MISSED: &[(&str, u64)] = &[
    ("the bytes of ROOT.json", 48),
    ("the bytes of a fact", 0),
    ("the bytes of a small blob", 0),
    ("the bytes of an upload", 0),
    ("the bytes of the signing key", 2),
    ("the directories of a new store", 48),
    ("the name of ROOT.json", 377),
    ("the name of a ROOT.json that was there", 4263),
    ("the name of a blob", 2),
    ("the name of a blob that was there", 1556),
    ("the name of a directory", 0),
    ("the name of a grave", 14),
    ("the name of a healed blob", 207),
    ("the name of a hint", 1),
    ("the name of a link", 6),
    ("the name of a referrer", 1),
    ("the name of a revision", 0),
    ("the name of a tag", 0),
    ("the name of the signing key", 6),
    ("the name of what is relied on", 140),
    ("the name of what is restored", 55),
    ("the removal of a buried copy", 3273),
    ("the removal of a referrer", 1884),
    ("the removal of a tag", 10),
    ("the removal of what finds no grave", 1065),
    ("the removal of what is condemned", 20),
];

/// Seeds that are tried where the one of the table has become another run.
const MOST: u64 = 30_000;

/// The first of these seeds that fails without `what`, found by all processors.
fn find(what: &'static str) -> Option<(u64, String)> {
    let (next, found) = (AtomicU64::new(0), AtomicBool::new(false));
    let search = || {
        while !found.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= MOST {
                return None;
            }
            if let Err(why) = run_seed(seed, Some(what)) {
                found.store(true, Ordering::Relaxed);
                return Some((seed, why.lines().next().unwrap_or_default().to_owned()));
            }
        }
        None
    };
    thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let searching: Vec<_> = (0..threads).map(|_| scope.spawn(search)).collect();
        searching.into_iter().filter_map(|thread| thread.join().unwrap()).min()
    })
}

#[test]
fn each_sync_is_missed_by_a_seed_when_it_is_left_out() {
    let (mut met, mut never) = (BTreeSet::new(), Vec::new());
    for (what, seed) in MISSED {
        met.extend(run_seed(*seed, None).unwrap().met);
        if run_seed(*seed, Some(what)).is_err() {
            continue;
        }
        match find(what) {
            Some((seed, _)) => {
                eprintln!("{what:?} is missed by seed {seed} now");
                met.extend(run_seed(seed, None).unwrap().met);
            }
            None => never.push(what),
        }
    }
    assert!(never.is_empty(), "left out, and nobody misses them: {never:?}");
    assert_eq!(met, MISSED.iter().map(|(what, _)| *what).collect(), "the syncs of the code are those of the table");
}

#[test]
#[ignore = "writes the table above"]
fn find_a_seed_for_each_sync() {
    let all = 0..MOST;
    let met: BTreeSet<&str> =
        all.clone().filter_map(|seed| run_seed(seed, None).ok()).flat_map(|seen| seen.met).collect();
    for what in met {
        match find(what) {
            Some((seed, why)) => eprintln!("    ({what:?}, {seed}), // {why}"),
            None => eprintln!("    ({what:?}, ...), // none of {} seeds", all.end),
        }
    }
}
