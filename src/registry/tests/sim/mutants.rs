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
    ("the bytes of a small blob", 1),
    ("the bytes of an upload", 1),
    ("the bytes of the signing key", 1),
    ("the directories of a new store", 48),
    ("the name of ROOT.json", 120),
    ("the name of a blob", 2),
    ("the name of a blob that was there", 1088),
    ("the name of a deleted artifact", 4),
    ("the name of a directory", 0),
    ("the name of a fact of an artifact repository", 4),
    ("the name of a grave", 60),
    ("the name of a healed blob", 2161),
    ("the name of a hint", 1),
    ("the name of a link", 12),
    ("the name of a referrer", 8),
    ("the name of a revision", 1),
    ("the name of a tag", 1),
    ("the name of an artifact", 4),
    ("the name of the signing key", 15),
    ("the name of what is relied on", 920),
    ("the name of what is restored", 14),
    ("the removal of a buried copy", 2540),
    ("the removal of a referrer", 289),
    ("the removal of a tag", 22),
    ("the removal of an artifact", 4),
    ("the removal of what finds no grave", 166),
    ("the removal of what is deleted", 43),
];

/// Syncs of the code whose absence no seed, or hardly any, detects, and why. Those that matter have their own tests
/// ([`super::scenarios`], `storage::fs::aside`).
const NOT_SIMULATED: &[(&str, &str)] = &[
    ("the name of a healed small blob", "no run damages the bytes of a manifest"),
    ("the removal of the spare directory", "one run in millions comes to it"),
    ("the removal of what a mark did not find", "one run in millions comes to it"),
    ("the name of a ROOT.json that was there", "one run in thousands comes to it"),
    ("the name of a signing key that was there", "one run in thousands comes to it"),
    ("the removal of one of two names", "one run in millions comes to it"),
    ("the name of a fact", "ROOT.json, which is made in another way"),
    ("the name of an intent", "a push that ends with the machine was not answered"),
    ("the name of an artifact's intent", "a publication that ends with the machine was not answered"),
    ("the name of a note about an artifact", "an index that is kept in memory needs it, which no run has"),
    ("the removal of a deleted artifact", "the trash may have more than it need"),
    ("the removal of a fact of an artifact repository", "no run deletes one"),
    ("the name of a deletion record", "no run checks what it is for"),
    ("the name of a recorded fact", "no run checks who may see a repository"),
    ("the name of a hint at recorded facts", "no run checks who may see a repository"),
    ("the removal of a recorded fact", "no run deletes a repository"),
    ("the name of a session, an API key or a user's record", "no run has accounts"),
    ("the removal of a session, an API key or a user's record", "no run has accounts"),
    ("the name of a file of the audit log", "no run writes the audit log"),
    ("the name of a migration", "no run copies from another registry"),
    ("the bytes of blobs that were taken in", "no run imports a directory"),
    ("the name of a report", "it may be lost"),
    ("the name of pull times", "they may be lost"),
    ("the removal of a fact", "nothing removes one of these"),
    ("the name of what is put back", "no run has retention rules"),
    ("the removal of what was moved aside", "no run has retention rules"),
    ("the name of what was taken aside", "no run repairs"),
    ("the removal of what is taken aside", "no run repairs"),
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
fn leaving_out_any_sync_makes_a_seed_fail() {
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
    assert!(never.is_empty(), "no seed fails without these: {never:?}");
    met.retain(|met| NOT_SIMULATED.iter().all(|(what, _)| what != met));
    assert_eq!(met, MISSED.iter().map(|(what, _)| *what).collect(), "the syncs of these seeds are those of the table");
}

#[test]
fn every_sync_is_in_the_table_once_or_cannot_be_missed() {
    let src = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut named = Vec::new();
    for dir in ["files", "storage", "storage/fs", "storage/key"] {
        for file in std::fs::read_dir(src.join(dir)).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            let of = |line: &str| Some(line.split_once("\"the ")?.1.split_once('"')?.0.to_owned());
            let is_a_sync = |what: &String| {
                ["bytes of ", "name of ", "directories of ", "removal of "].iter().any(|word| what.starts_with(word))
            };
            named.extend(text.lines().filter_map(of).filter(is_a_sync).map(|what| format!("the {what}")));
        }
    }
    named.sort_unstable();
    let known: BTreeSet<&str> =
        MISSED.iter().map(|(what, _)| *what).chain(NOT_SIMULATED.iter().map(|(what, _)| *what)).collect();
    assert_eq!(named, known.into_iter().collect::<Vec<_>>());
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
