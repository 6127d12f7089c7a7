//! Comparisons: the sides of a workload are started, measured in turns, and stopped.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::Result;
use crate::figures::{Metric, Runs};
use crate::peers::{Peer, Programs, Side, start};
use crate::target::Target;
use crate::work::{Bound, Place, Setup, Workload, WorkloadRound};

/// The options for all workloads of a run.
pub struct Plan {
    pub programs: Programs,
    /// If not empty, only these peers.
    pub peers: Vec<Peer>,
    pub rounds: usize,
    pub seconds: f64,
    pub quick: bool,
    pub tmpfs: PathBuf,
    pub disk: PathBuf,
}

/// The result of a workload with one number of clients.
pub struct Comparison {
    pub workload: &'static Workload,
    pub clients: usize,
    /// Where the content was.
    pub directory: PathBuf,
    /// The sides that ran.
    pub sides: Vec<(String, Runs)>,
    /// The sides that did not run, and why.
    pub missing: Vec<(String, String)>,
}

impl Comparison {
    /// The figure that a bound limits, if everything for it was measured without a failure: refusals would be quick.
    pub fn measured(&self, bound: &Bound) -> Option<f64> {
        let has_failed = |runs: &Runs| runs.spread(Metric::Errors).is_some_and(|(.., most)| most > 0.0);
        let runs = |label: &str| {
            let runs = &self.sides.iter().find(|(side, _)| side == label)?.1;
            (!has_failed(runs)).then_some(runs)
        };
        let ours = runs(bound.side)?;
        match bound.to {
            Some(other) => ours.ratio(runs(other)?, bound.metric),
            None => Some(ours.spread(bound.metric)?.0),
        }
    }
}

const PREFIX: &str = "registry-bench-";

/// A directory that is removed at the end, or by the next run if this one is killed.
fn home(below: &Path) -> Result<TempDir> {
    let prefix = format!("{PREFIX}{}-", std::process::id());
    let made = tempfile::Builder::new().prefix(&prefix).tempdir_in(below);
    made.map_err(|error| format!("{}: {error}", below.display()).into())
}

/// Removes what killed runs have left.
pub fn clear(below: &Path) -> Result<()> {
    for entry in std::fs::read_dir(below).map_err(|error| format!("{}: {error}", below.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(pid) = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next()) else { continue };
        if !Path::new("/proc").join(pid).exists() {
            std::fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// Runs a workload with `clients` clients against all available sides.
pub fn compare(plan: &Plan, workload: &'static Workload, clients: usize) -> Result<Comparison> {
    let directory = match workload.place {
        Place::Tmpfs => &plan.tmpfs,
        Place::Disk => &plan.disk,
    };
    const TMPFS: i64 = 0x0102_1994;
    if workload.place == Place::Disk && !plan.quick && rustix::fs::statfs(directory)?.f_type == TMPFS {
        return Err(format!("{}: it is to be on a disk, and this is memory: --disk", directory.display()).into());
    }
    let mut comparison =
        Comparison { workload, clients, directory: directory.clone(), sides: Vec::new(), missing: Vec::new() };
    // Declared before the targets, so that it is dropped after them.
    let mut homes = Vec::new();
    let mut targets: Vec<Target> = Vec::new();
    for label in workload.sides {
        let side = Side::parse(label)?;
        if !plan.peers.is_empty() && !plan.peers.contains(&side.peer) {
            continue;
        }
        if plan.programs.of(side.peer).is_none() {
            comparison.missing.push(((*label).to_owned(), "not found".to_owned()));
            continue;
        }
        let home = home(directory)?;
        match start(&side, &plan.programs, home.path()) {
            Ok(target) => targets.push(target),
            Err(error) => comparison.missing.push(((*label).to_owned(), error.to_string())),
        }
        homes.push(home);
    }
    let rate = OnceLock::new();
    let mut rounds: Vec<Option<WorkloadRound<'_>>> = Vec::new();
    for target in &targets {
        eprintln!("{}, {clients} clients: preparing {}", workload.name, target.label);
        let setup = Setup { target, clients, seconds: plan.seconds, quick: plan.quick, rate: &rate };
        let prepared = (workload.prepare)(setup);
        let prepared = prepared.map_err(|error| comparison.missing.push((target.label.clone(), error.to_string())));
        rounds.push(prepared.ok());
    }
    // Content that was placed must not be written to the disk during the measurement.
    rustix::fs::syncfs(std::fs::File::open(directory)?)?;
    let mut runs = vec![Runs::default(); targets.len()];
    for turn in 0..plan.rounds {
        // Every other round runs backwards, so that nobody always follows the same side.
        let order: Vec<usize> =
            if turn % 2 == 0 { (0..targets.len()).collect() } else { (0..targets.len()).rev().collect() };
        for at in order {
            let Some(round) = &mut rounds[at] else { continue };
            eprintln!(
                "{}, {clients} clients: round {} of {}, {}",
                workload.name,
                turn + 1,
                plan.rounds,
                targets[at].label
            );
            match round() {
                Ok(figures) => runs[at].0.push(figures),
                Err(error) => {
                    comparison.missing.push((targets[at].label.clone(), error.to_string()));
                    rounds[at] = None;
                }
            }
        }
    }
    drop(rounds);
    for (at, target) in targets.iter().enumerate() {
        // A side that failed in some round is not compared by its other rounds.
        if runs[at].0.len() == plan.rounds {
            comparison.sides.push((target.label.clone(), std::mem::take(&mut runs[at])));
        }
    }
    Ok(comparison)
}
