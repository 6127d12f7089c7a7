//! The subcommands.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use crate::Result;
use crate::args::{Address, Compare, Drive, Load, Zb};
use crate::compare::{Comparison, Plan, clear, compare as run};
use crate::figures::Runs;
use crate::http::{Dial, TrustedCertificates, Url};
use crate::peers::{Peer, Programs, Side};
use crate::procs::machine;
use crate::report;
use crate::target::Target;
use crate::work::{Place, Setup, WORKLOADS, Workload};
use crate::zb;

/// `list`
pub fn list(programs: &Programs) -> Result<()> {
    let mut rows = vec![["workload", "clients", "content", "what"].map(str::to_owned).to_vec()];
    for workload in WORKLOADS {
        let place = if workload.place == Place::Tmpfs { "tmpfs" } else { "disk" };
        rows.push(vec![
            workload.name.to_owned(),
            workload.clients.to_string(),
            place.to_owned(),
            workload.what.to_owned(),
        ]);
    }
    println!("{}", report::rows(&rows));
    println!("Loads of zb: {}\n", zb::names().collect::<Vec<_>>().join("; "));
    tell_peers(programs);
    Ok(())
}

fn tell_peers(programs: &Programs) {
    for peer in Peer::ALL {
        match (programs.of(peer), programs.version(peer)) {
            (Some(path), version) => println!("{}: {}, {}", peer.name(), path.display(), version.unwrap_or_default()),
            (None, _) => println!("{}: not found", peer.name()),
        }
    }
}

/// The requested workloads, with their numbers of clients.
fn chosen(load: &Load) -> Result<Vec<(&'static Workload, usize)>> {
    let mut chosen = Vec::new();
    for name in &load.workloads {
        if !WORKLOADS.iter().any(|workload| workload.name == name) {
            return Err(format!("no workload {name:?}; `list` shows them").into());
        }
    }
    for workload in WORKLOADS {
        if load.all || load.workloads.iter().any(|name| workload.name == name) {
            let own = [workload.clients];
            let asked: Vec<usize> = load.clients.iter().map(|count| usize::from(*count)).collect();
            let counts = if asked.is_empty() { &own[..] } else { &asked };
            chosen.extend(counts.iter().map(|count| (workload, *count)));
        }
    }
    Ok(chosen)
}

fn tell(comparison: &Comparison) {
    let Comparison { workload, clients, directory, .. } = comparison;
    println!("## {}, {clients} clients\n\n{}; content in {}\n", workload.name, workload.what, directory.display());
    if !comparison.sides.is_empty() {
        println!("{}", report::figures(&comparison.sides));
    }
    for (side, why) in &comparison.missing {
        println!("Not run: {side}: {why}");
    }
    println!();
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()).into())
}

fn finish(load: &Load, plan: &Plan, before: &serde_json::Value, comparisons: &[Comparison]) -> Result<()> {
    if let Some(path) = &load.json {
        write(path, &format!("{:#}\n", report::json(plan, before, comparisons)))?;
    }
    if comparisons.iter().all(|comparison| comparison.sides.is_empty()) {
        return Err("nothing was measured".into());
    }
    Ok(())
}

/// `compare`
pub fn compare(asked: Compare) -> Result<()> {
    let Compare { load, peers, svg, tmpfs, disk, programs } = asked;
    let chosen = chosen(&load)?;
    let peers = peers.iter().map(|name| Ok(Side::parse(name)?.peer)).collect::<Result<Vec<_>>>()?;
    let plan = Plan {
        programs,
        peers,
        rounds: usize::from(load.rounds),
        seconds: if load.quick { load.seconds.min(0.2) } else { load.seconds },
        quick: load.quick,
        tmpfs,
        disk: disk.unwrap_or_else(std::env::temp_dir),
    };
    clear(&plan.tmpfs)?;
    clear(&plan.disk)?;
    tell_peers(&plan.programs);
    let before = machine();
    println!("{before}\n");
    let mut comparisons = Vec::new();
    for (workload, clients) in chosen {
        let comparison = run(&plan, workload, clients)?;
        tell(&comparison);
        comparisons.push(comparison);
        // The results so far are kept if a later workload is interrupted.
        if let Some(path) = &load.json {
            write(path, &format!("{:#}\n", report::json(&plan, &before, &comparisons)))?;
        }
    }
    println!("\n## Bounds\n\n{}", report::bounds(&comparisons));
    if let Some(directory) = &svg {
        plots(directory, &comparisons)?;
    }
    finish(&load, &plan, &before, &comparisons)
}

fn plots(directory: &Path, comparisons: &[Comparison]) -> Result<()> {
    std::fs::create_dir_all(directory)?;
    for workload in WORKLOADS {
        let of: Vec<&Comparison> =
            comparisons.iter().filter(|one| one.workload.name == workload.name && !one.sides.is_empty()).collect();
        let path = directory.join(format!("{}.svg", workload.name));
        match of.as_slice() {
            [] => {}
            [one] => write(&path, &report::bars(one))?,
            many => write(&path, &report::lines(many, workload.plots[0]))?,
        }
    }
    Ok(())
}

fn dial(address: &Address) -> Result<Dial> {
    let trust = match &address.ca {
        Some(path) => Some(Arc::new(TrustedCertificates::in_pem(&std::fs::read_to_string(path)?)?)),
        None => None,
    };
    let credentials = match &address.user {
        Some(user) => {
            let (name, password) = user.split_once(':').ok_or("a name, a colon and a password are needed")?;
            Some((name.to_owned(), password.to_owned()))
        }
        None => None,
    };
    Ok(Dial { url: Url::parse(&address.url)?, trust, credentials })
}

/// `drive`
pub fn drive(asked: Drive) -> Result<()> {
    let Drive { address, pid, storage, load } = asked;
    let target = Target {
        label: address.url.clone(),
        dial: dial(&address)?,
        pid,
        server: None,
        files: None,
        storage: storage.clone(),
        upkeep: Vec::new(),
    };
    let place = storage.unwrap_or_else(|| address.url.clone().into());
    let plan = Plan {
        programs: Programs::default(),
        peers: Vec::new(),
        rounds: usize::from(load.rounds),
        seconds: if load.quick { load.seconds.min(0.2) } else { load.seconds },
        quick: load.quick,
        tmpfs: place.clone(),
        disk: place,
    };
    let before = machine();
    let mut comparisons = Vec::new();
    for (workload, clients) in chosen(&load)? {
        let rate = OnceLock::new();
        let measure = || -> Result<Runs> {
            let setup = Setup { target: &target, clients, seconds: plan.seconds, quick: plan.quick, rate: &rate };
            let mut round = (workload.prepare)(setup)?;
            Ok(Runs((0..plan.rounds).map(|_| round()).collect::<Result<_>>()?))
        };
        let (mut sides, mut missing) = (Vec::new(), Vec::new());
        match measure() {
            Ok(runs) => sides.push((target.label.clone(), runs)),
            Err(error) => missing.push((target.label.clone(), error.to_string())),
        }
        let comparison = Comparison { workload, clients, directory: plan.disk.clone(), sides, missing };
        tell(&comparison);
        comparisons.push(comparison);
    }
    finish(&load, &plan, &before, &comparisons)
}

/// `zb`
pub fn zb(asked: &Zb) -> Result<()> {
    let upstream = match &asked.upstream {
        Some(url) => Some(Dial { url: Url::parse(url)?, ..dial(&asked.address)? }),
        None => None,
    };
    let options = zb::Options {
        dial: dial(&asked.address)?,
        upstream,
        clients: asked.clients,
        requests: asked.requests,
        only: asked.only.clone(),
        keep: asked.skip_cleanup,
        quick: asked.quick,
    };
    let (table, figures) = zb::run(&options)?;
    println!("{table}");
    if let Some(path) = &asked.json {
        write(path, &format!("{figures:#}\n"))?;
    }
    match figures["errors"].as_u64() {
        Some(0) => Ok(()),
        errors => Err(format!("{} operations failed", errors.unwrap_or_default()).into()),
    }
}
