//! A server that is idle, was just started, or has many idle connections; and the size of its program.

use std::path::Path;
use std::time::{Duration, Instant};

use super::{Setup, WorkloadRound};
use crate::Result;
use crate::content::{Random, digest, unique};
use crate::figures::{Figures, Metric};
use crate::loader::Loader;
use crate::procs::memory;

/// Memory a while after a start and one request.
pub fn idle(setup: Setup<'_>) -> Result<WorkloadRound<'_>> {
    Ok(Box::new(move || {
        let target = setup.target;
        if target.server.is_some() {
            target.restart(|| Ok(()))?;
        }
        std::thread::sleep(Duration::from_secs_f64(setup.seconds.min(3.0)));
        let pids = target.pids()?;
        let mut figures =
            Figures::from([(Metric::Rss, memory(&pids, "VmRSS")), (Metric::Anon, memory(&pids, "RssAnon"))]);
        if let Some(pid) = pids.first() {
            figures.insert(Metric::ProgramMb, std::fs::metadata(format!("/proc/{pid}/exe"))?.len() as f64 / 1e6);
        }
        Ok(figures)
    }))
}

/// Memory with many connections that have made one request and are idle now.
pub fn idle_connections(setup: Setup<'_>) -> Result<WorkloadRound<'_>> {
    Ok(Box::new(move || {
        let target = setup.target;
        let mut clients: Vec<Loader> = (0..setup.clients).map(|index| Loader::new(&target.dial, index)).collect();
        for client in &mut clients {
            client.get("/v2/", crate::http::Sink::Discard)?;
        }
        std::thread::sleep(Duration::from_millis(500));
        let pids = target.pids()?;
        Ok(Figures::from([(Metric::Rss, memory(&pids, "VmRSS")), (Metric::Anon, memory(&pids, "RssAnon"))]))
    }))
}

/// From the start to the first answer, with 1,000,000 blobs in a store of Wharfinger's layout (docs/layout.md).
pub fn ready(setup: Setup<'_>) -> Result<WorkloadRound<'_>> {
    let target = setup.target;
    // Only into a store of our own.
    let (Some(storage), Some(_)) = (&target.storage, &target.server) else {
        return Err("only a server that was started here can be started again".into());
    };
    lay_down(storage, setup.count(1_000_000))?;
    Ok(Box::new(move || {
        let ready = target.restart(|| Ok(()))?;
        let figures = Figures::from([(Metric::Ready, ready.as_secs_f64() * 1e3)]);
        Ok(figures)
    }))
}

/// Writes blobs of eight bytes into the pool, each linked in one of a thousand repositories.
fn lay_down(storage: &Path, count: u64) -> Result<()> {
    let pool = storage.join("blobs/sha256");
    for k in 0..256 {
        std::fs::create_dir_all(pool.join(format!("{k:02x}")))?;
    }
    let repositories = count.min(1000);
    let links = |k: u64| storage.join(format!("repositories/bench/app{:03}/_layers/sha256", k % repositories));
    for k in 0..repositories {
        std::fs::create_dir_all(links(k))?;
    }
    let (mut random, mut reported) = (Random::new(unique()), Instant::now());
    for k in 0..count {
        let bytes = random.next().to_le_bytes();
        let name = digest(&bytes);
        let hex = name.trim_start_matches("sha256:");
        std::fs::write(pool.join(&hex[..2]).join(hex), bytes)?;
        std::fs::write(links(k).join(hex), b"")?;
        if reported.elapsed() > Duration::from_secs(10) {
            eprintln!("{k} of {count} blobs laid down");
            reported = Instant::now();
        }
    }
    Ok(())
}
