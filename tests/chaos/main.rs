//! The chaos campaign: many clients push, delete and pull images and artifacts while the daemon and an aggressive garbage collection are
//! killed and stopped at random. At the end everything that was acknowledged must exist.
//!
//! As a test it is short. The long form is one command:
//!
//! ```sh
//! CHAOS_KILLS=1000 CHAOS_MINUTES=40 CHAOS_MISSING=children \
//!     cargo test --release --test chaos -- --nocapture campaign
//! ```
//!
//! `CHAOS_MISSING` is `children` or `refuse`, like the setting `missing_references` (if unset, both run side by side).
//! `CHAOS_SEED` repeats the choices of an earlier campaign. `CHAOS_DIR` is where the store is created.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper fails the test it is called by")]
#![allow(unreachable_pub, dead_code, reason = "a test program is not a library")]

mod artifacts;
mod blobs;
mod collector;
mod content;
mod dice;
mod killer;
mod ledger;
mod push;
mod read;
mod tags;
mod tally;
mod world;

use artifacts::ArtifactWriter;
use collector::{Collector, Running};
use dice::Dice;
use killer::{Killer, Logs, SLOWEST_START};
use push::{Deleter, Pusher};
use read::Reader;
use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};
use testing::session::Client;
use tokio::{
    sync::watch,
    task::{JoinError, JoinSet},
};
use world::World;

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_wharfinger");

const PUSHERS: usize = 16;
const DELETERS: usize = 3;
const READERS: usize = 3;
const ARTIFACT_WRITERS: usize = 4;

/// The longest time from the start of the program until it is ready.
const SLOWEST: Duration = Duration::from_secs(2);

/// Every timer is zero, and only the campaign runs collections.
const SETTINGS: &str = "
[collection]
enabled = false
lease_hours = 0
settle_seconds = 0
retention_hours = 0
files_per_second = 10000000
most_percent = 100
[management]
max_writes_per_minute = 0
[storage]
reserve_bytes = 0
reserve_inodes = 0
[manifests]
missing_references = ";

/// The length and the choices of a campaign.
struct Options {
    missing: &'static str,
    seed: u64,
    kills: u64,
    time: Duration,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_loses_nothing_where_children_may_be_missing() {
    campaign("children").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_loses_nothing_where_nothing_may_be_missing() {
    campaign("refuse").await;
}

/// Runs a campaign, unless `CHAOS_MISSING` selects the other one.
async fn campaign(missing: &'static str) {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect(name));
    if let Ok(asked) = std::env::var("CHAOS_MISSING") {
        assert!(["children", "refuse"].contains(&asked.as_str()), "CHAOS_MISSING is {asked:?}");
        if asked != missing {
            return;
        }
    }
    let seed = number("CHAOS_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    let time = number("CHAOS_MINUTES").map_or(Duration::from_secs(10), |minutes| Duration::from_secs(minutes * 60));
    let options = Options { missing, seed, kills: number("CHAOS_KILLS").unwrap_or(6), time };
    let dir = match std::env::var("CHAOS_DIR") {
        Ok(dir) => tempfile::tempdir_in(dir),
        Err(_) => tempfile::tempdir(),
    };
    let dir = dir.expect("a directory");
    let logs = Logs::default();
    let (door, open) = watch::channel(None);
    let world = Arc::new(World::new(missing == "refuse", open));
    let began = Instant::now();
    let run = tokio::spawn(run(options, world.clone(), dir.path().to_owned(), door, logs.clone()));
    let ended = run.await;
    println!(
        "chaos: missing_references = {missing:?}, seed {seed}, {:.0} s, {} manifests at the end\n{}",
        began.elapsed().as_secs_f64(),
        world.ledger.live(),
        world.tally
    );
    if let Err(e) = ended {
        println!("the log of the daemon:\n{}\nits store: {}", logs.tails(), dir.keep().display());
        std::panic::resume_unwind(e.into_panic());
    }
    for what in [
        "manifests acknowledged",
        "manifests verified",
        "blobs verified",
        "artifacts acknowledged",
        "artifacts verified",
        "kills of the daemon",
        "collections",
    ] {
        assert!(world.tally.count(what) > 0, "{what}: none, so the campaign proves nothing");
    }
    let slowest = Duration::from_millis(world.tally.peak(SLOWEST_START));
    // The short form shares its processors with other tests.
    if std::env::var_os("CHAOS_MINUTES").is_some() {
        assert!(slowest < SLOWEST, "a start took {slowest:?}");
    }
}

async fn run(options: Options, world: Arc<World>, dir: PathBuf, door: watch::Sender<Option<Client>>, logs: Logs) {
    let (root, settings) = (dir.join("store"), dir.join("settings.toml"));
    std::fs::create_dir(&root).unwrap();
    std::fs::write(&settings, format!("{SETTINGS}{:?}\n", options.missing)).unwrap();
    let running = Arc::new(Running::default());
    let dice = |actor| Dice::new(options.seed, actor);
    let mut killer = Killer {
        world: world.clone(),
        dice: dice(1),
        root: root.clone(),
        settings: settings.clone(),
        collection: running.clone(),
        door,
        logs,
        daemon: None,
    };
    let collector = Collector { world: world.clone(), dice: dice(2), running, root, settings };
    killer.start().await;
    world.create_artifacts().await;

    let (mut kills, mut collections, mut others) = (JoinSet::new(), JoinSet::new(), JoinSet::new());
    kills.spawn(killer.run(options.kills, options.time));
    collections.spawn(collector.run());
    for number in 0..PUSHERS {
        others.spawn(Pusher { world: world.clone(), dice: dice(100 + number as u64), number }.run());
    }
    for number in 0..DELETERS {
        others.spawn(Deleter { world: world.clone(), dice: dice(200 + number as u64) }.run());
    }
    for number in 0..READERS {
        others.spawn(Reader { world: world.clone(), dice: dice(300 + number as u64) }.run());
    }
    for number in 0..ARTIFACT_WRITERS {
        others.spawn(ArtifactWriter { world: world.clone(), dice: dice(400 + number as u64), number }.run());
    }
    // An actor that finds something wrong ends the campaign.
    let mut killer = tokio::select! {
        killer = kills.join_next() => join(killer),
        Some(other) = others.join_next() => return join(Some(other)),
        collector = collections.join_next() => return drop(join(collector)),
    };
    world.end();
    while let Some(other) = others.join_next().await {
        join(Some(other));
    }
    let mut collector = join(collections.join_next().await);
    killer.kill().await;
    collector.collect().await;
    world.verify().await;
    world.verify_artifacts().await;
    world.delete_what_is_not_whole().await;
    collector.collect().await;
    collector.check();
}

/// The result of a task. A panic of the task continues here.
fn join<T>(ended: Option<Result<T, JoinError>>) -> T {
    ended.expect("a task").unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()))
}
