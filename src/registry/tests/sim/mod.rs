//! The registry on a simulated machine: clients, collections, crashes, power failures and failing
//! calls by seed, the real code above [`Sim`] unchanged.
//!
//! One seed is one run, the same each time. `SEEDS=1000000 cargo test --release --lib sim -- --ignored` runs many;
//! failing seeds are reported, and kept in [`KEPT`].

mod artifacts;
mod check;
mod client;
mod content;
mod history;
mod mutants;
mod scenarios;
mod uploads;

use super::super::{Collection, MissingReferences, Registry, Settings};
use crate::{
    files::sim::{Chance, Disk, Sim, SimPlan, block_on, run},
    storage::{SIGNING_KEY, fs::Fs},
};
use client::{Client, Habits, Shared};
use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock},
    time::Duration,
};

/// How a round ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// All clients complete.
    Quiet,
    /// The process is killed.
    Kill,
    /// The machine loses its power.
    Power,
}

/// What a seed stands for.
#[derive(Debug)]
struct Scenario {
    clients: usize,
    habits: Habits,
    /// How each round ends, and in the midst of it or not.
    rounds: Vec<(End, bool)>,
    /// It begins with an empty directory.
    is_new: bool,
    settings: Arc<Settings>,
    faults: bool,
    is_full: bool,
    jumps: bool,
}

impl Scenario {
    fn of(chance: &mut Chance) -> Self {
        let is_new = chance.once_in(40);
        let collects = chance.once_in(2);
        let deletes = chance.once_in(2);
        let rounds = (0..1 + chance.below(3)).map(|_| {
            let end = *chance.one_of(&[End::Quiet, End::Kill, End::Power, End::Power]);
            (end, chance.once_in(2))
        });
        let rounds = rounds.collect();
        // With every timer at zero nothing but the order of steps protects anything.
        let timers = match chance.below(4) {
            0 => (3600, 600, 86_400),
            _ => (0, 0, 0),
        };
        let settings = Settings {
            missing_references: MissingReferences::Refuse,
            collection: Collection {
                lease: Duration::from_secs(timers.0),
                settle: Duration::from_secs(timers.1),
                retention: Duration::from_secs(timers.2),
                files_per_second: u64::MAX,
                most_percent: 100,
                ..Collection::default()
            },
            ..Settings::default()
        };
        Self {
            clients: 1 + chance.below(4),
            habits: Habits {
                deletes,
                collects,
                damages: chance.once_in(6),
                artifacts: false,
                operations: 1 + chance.below(5),
            },
            rounds,
            is_new,
            settings: Arc::new(settings),
            faults: chance.once_in(5),
            is_full: chance.once_in(8),
            jumps: chance.once_in(8),
        }
    }
}

/// What was seen in a run.
#[derive(Debug, Default)]
struct Seen {
    calls: usize,
    met: BTreeSet<&'static str>,
}

/// A disk with an empty store on it, and how many system calls made it.
fn empty_store() -> &'static (Disk, usize) {
    static STORE: OnceLock<(Disk, usize)> = OnceLock::new();
    STORE.get_or_init(|| {
        let sim = Sim::new(0, None);
        let _entered = sim.enter();
        Fs::mount(sim.clone(), "a simulation").unwrap();
        (sim.image(), sim.calls())
    })
}

/// Runs a seed, one sync left out or none; what is wrong if something is.
fn run_seed(seed: u64, without: Option<&'static str>) -> Result<Seen, String> {
    let (disk, _) = empty_store();
    let mut chance = Chance::new(seed);
    let mut scenario = Scenario::of(&mut chance);
    scenario.habits.artifacts = seed % 7 == 4;
    let sim = Sim::new(seed, (!scenario.is_new).then(|| disk.clone()));
    let _entered = sim.enter();
    let shared = Arc::new(Shared {
        sim: sim.clone(),
        history: Default::default(),
        sessions: Default::default(),
        wrong: Default::default(),
        // A clock that is set by a day at the very call that begins a session makes it look idle.
        may_fail: scenario.faults || scenario.is_full || scenario.habits.damages || scenario.jumps,
    });
    shared.history.lock().unwrap().has_jumps = scenario.jumps;
    let mut seen = Seen::default();
    let outcome = rounds(&scenario, &shared, &mut chance, without, &mut seen);
    seen.met = sim.requested_syncs();
    outcome.map(|()| seen).map_err(|why| {
        let history = shared.history.lock().unwrap().tell();
        format!("seed {seed}: {why}\n{scenario:?}\n{history}")
    })
}

fn rounds(
    scenario: &Scenario,
    shared: &Arc<Shared>,
    chance: &mut Chance,
    without: Option<&'static str>,
    seen: &mut Seen,
) -> Result<(), String> {
    let sim = &shared.sim;
    let whole = SimPlan { without, ..SimPlan::default() };
    let making = empty_store().1;
    for (i, (end, is_early)) in scenario.rounds.iter().enumerate() {
        let is_last = i + 1 == scenario.rounds.len();
        let expected = scenario.clients * scenario.habits.operations * 60;
        let mut plan = whole.clone();
        if *is_early && *end != End::Quiet {
            plan.crash_at = Some(match scenario.is_new && i == 0 {
                // The end of its making is where it becomes a store.
                true if chance.once_in(2) => making - chance.below(8),
                true => 1 + chance.below(making + expected),
                false => 1 + chance.below(expected),
            });
        }
        if scenario.faults {
            plan.faults =
                (0..1 + chance.below(3)).map(|_| (1 + chance.below(expected), *chance.one_of(&[5, 28]))).collect();
        }
        if scenario.is_full {
            let from = chance.below(expected);
            plan.full = Some((from, from + chance.below(expected)));
        }
        if scenario.jumps {
            plan.jump = Some((1 + chance.below(expected), *chance.one_of(&[-86_400, 86_400])));
        }
        sim.plan(plan);
        round(scenario, shared, chance)?;
        seen.calls += sim.calls();
        shared.history.lock().unwrap().round_is_over();
        sim.plan(whole.clone());
        let power_failed = is_last || *end == End::Power;
        sim.crash();
        sim.restart(power_failed);
        if power_failed || chance.once_in(4) {
            checked(scenario, shared, is_last)?;
        }
    }
    Ok(())
}

/// Runs the clients of a round until they end.
fn round(scenario: &Scenario, shared: &Arc<Shared>, chance: &mut Chance) -> Result<(), String> {
    let sim = &shared.sim;
    let mounted = Fs::mount(sim.clone(), "a simulation");
    let store = match mounted {
        Ok((store, _)) => Arc::new(store),
        // Killed, or failed, before it was made.
        Err(_) if sim.has_crashed() || scenario.faults || scenario.is_full => return Ok(()),
        Err(error) => return Err(format!("the store cannot be opened: {error}")),
    };
    let registry = Registry::new(store.clone(), scenario.settings.clone());
    let clients = (0..scenario.clients).map(|i| {
        let client = Client {
            shared: shared.clone(),
            registry: registry.clone(),
            store: store.clone(),
            chance: chance.fork(i as u64),
            habits: scenario.habits.clone(),
        };
        Box::new(move || client.run()) as Box<dyn FnOnce() + Send>
    });
    let clients = clients.collect();
    chance.number();
    run(sim, clients, chance);
    shared.wrong.lock().unwrap().take().map_or(Ok(()), Err)
}

/// Mounts what is left and checks all of it.
fn checked(scenario: &Scenario, shared: &Arc<Shared>, is_last: bool) -> Result<(), String> {
    let (store, _) = Fs::mount(shared.sim.clone(), "a simulation").map_err(|e| format!("it cannot be opened: {e}"))?;
    let registry = Registry::new(Arc::new(store), scenario.settings.clone());
    block_on(check::is_sound(shared, &registry))?;
    if shared.history.lock().unwrap().has_key() {
        let key = shared.sim.read(SIGNING_KEY).map_err(|e| format!("the signing key is gone: {e}"))?;
        if key != client::KEY {
            return Err("the signing key is damaged".to_owned());
        }
    }
    if is_last { block_on(check::goes_on(shared, &registry)) } else { Ok(()) }
}

/// Seeds that have failed once: a session finished again while its blob's link was not durable yet
/// (5042, and 36625 on a failing disk), and a purged copy of a link that a crash brought back after the link
/// was deleted (7468), a manifest that was listed again and not durable (2002260), a tag whose hint went while the
/// push that had moved it failed (2063337), a blob that a collection brought back while it was deleted (5283824).
/// A directory made beside the removal of those above it was taken for durable (40021714). What a seed stands for
/// changes with the code.
const KEPT: &[u64] = &[5042, 7468, 36_625, 2_002_260, 2_063_337, 5_283_824, 40_021_714];

/// Runs seeds on all processors; the first failures.
fn run_many(seeds: std::ops::Range<u64>) -> (Vec<String>, Seen) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let each = move |thread: u64| {
        let (mut failed, mut all) = (Vec::new(), Seen::default());
        for seed in seeds.clone().filter(|seed| seed % threads == thread) {
            match run_seed(seed, None) {
                Ok(seen) => {
                    all.calls += seen.calls;
                    all.met.extend(seen.met);
                }
                Err(why) => failed.push(why),
            }
            if failed.len() >= 10 {
                break;
            }
        }
        (failed, all)
    };
    let running: Vec<_> = (0..threads)
        .map(|thread| {
            let each = each.clone();
            std::thread::spawn(move || each(thread))
        })
        .collect();
    let (mut failed, mut all) = (Vec::new(), Seen::default());
    for thread in running {
        let (wrong, seen) = thread.join().unwrap();
        failed.extend(wrong);
        all.calls += seen.calls;
        all.met.extend(seen.met);
    }
    (failed, all)
}

#[test]
fn no_acknowledged_write_is_lost_with_many_seeds() {
    for seed in KEPT {
        run_seed(*seed, None).unwrap();
    }
    let (failed, _) = run_many(0..200);
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
#[ignore = "as many seeds as SEEDS says"]
fn no_acknowledged_write_is_lost_with_very_many_seeds() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (first, seeds) = (number("FIRST").unwrap_or(0), number("SEEDS").unwrap_or(100_000));
    let began = std::time::Instant::now();
    let (failed, seen) = run_many(first..first + seeds);
    let seconds = began.elapsed().as_secs_f64();
    eprintln!(
        "{seeds} seeds in {seconds:.0} s, {:.0} each second; {} system calls; syncs met: {:#?}",
        seeds as f64 / seconds,
        seen.calls,
        seen.met
    );
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..30 {
        let calls = || run_seed(seed, None).unwrap().calls;
        assert_eq!(calls(), calls(), "seed {seed}");
    }
}
