//! Small requests while something large goes on: cold pulls, or the upkeep of the store.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::fs::{Advice, fadvise};

use super::kept::ResidentFiles;
use super::{KIB, MIB, Setup, WorkloadRound};
use crate::Result;
use crate::content::Maker;
use crate::figures::{Metric, add_latencies};
use crate::http::Sink;
use crate::load::{Until, closed, open};
use crate::loader::{Image, Loader};
use crate::peers::server::{Launch, command};
use crate::placer::Placer;

const REPOSITORY: &str = "bench/cold";
/// Small requests per second during the pulls.
const PROBES: f64 = 500.0;
/// Connections for them, so that a request that waits does not delay the next one.
const PROBERS: usize = 8;

/// Evicts every larger file below a directory from the page cache.
fn evict(directory: &Path) -> Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let kind = entry.metadata()?;
        if kind.is_dir() {
            evict(&entry.path())?;
        } else if kind.is_file() && kind.len() >= 64 * KIB {
            let file = File::open(entry.path())?;
            // Pages that are not on the disk yet cannot be evicted.
            file.sync_data()?;
            fadvise(&file, 0, None, Advice::DontNeed)?;
        }
    }
    Ok(())
}

/// Each client pulls its own blob of 1 GiB that is not in memory. Meanwhile manifests are requested by a schedule, and
/// their latencies are the figures. MB/s is that of the pulls; CPU would include both.
pub fn cold(setup: Setup<'_>) -> Result<WorkloadRound<'_>> {
    let target = setup.target;
    let storage = target.storage.as_ref().ok_or("cold pulls need to know where the content lies: --storage")?;
    let placer = Placer::new(&target.dial)?;
    let maker = Maker::random(setup.size(1024 * MIB))?;
    let blobs: Vec<_> = (0..setup.clients).map(|_| maker.make()).collect();
    for blob in &blobs {
        target.place_blob(&placer, REPOSITORY, blob)?;
    }
    let image = Image::new(vec![Maker::random(4 * KIB)?.make()]);
    target.place_image(&placer, REPOSITORY, "small", &image)?;
    let path = format!("/v2/{REPOSITORY}/manifests/{}", image.digest);
    Ok(Box::new(move || {
        evict(storage)?;
        // Small files are in memory.
        Placer::new(&target.dial)?.check_manifest(REPOSITORY, &image.digest, &image.digest)?;
        let over = AtomicBool::new(false);
        let mut latencies = Vec::new();
        let mut figures = target.measure(|| {
            let small = |client: &mut Loader| client.get(&path, Sink::Discard).map(|_| ());
            std::thread::scope(|scope| {
                let probes = scope.spawn(|| open(&target.dial, PROBERS, (PROBES, 600.0), &over, &small));
                // The small requests have started when the pulls begin.
                std::thread::sleep(Duration::from_millis(200));
                let pull = |client: &mut Loader| {
                    let blob = &blobs[client.index];
                    client.pull_blob(REPOSITORY, &blob.digest, blob.size)
                };
                let pulls = closed(&target.dial, setup.clients, Until::Times(1), &pull);
                over.store(true, Ordering::Relaxed);
                let (probed, seen) = probes.join().map_err(|_| "the probes failed")?;
                latencies = seen;
                Ok(crate::load::Done { errors: pulls.errors + probed.errors, ..pulls })
            })
        })?;
        figures.retain(|metric, _| !matches!(metric, Metric::CpuPerGb | Metric::CpuPerRequest));
        figures.insert(Metric::OpenRate, PROBES);
        add_latencies(&mut figures, latencies);
        Ok(figures)
    }))
}

/// HEADs of layers and pulls of blobs of 64 KiB, at a quarter of what the first side can do. All sides get the same
/// rate, since the moment of the measurement matters more than upkeep does. For a side with upkeep, collections and
/// checks run one after the other during the load. What is pulled is in memory.
pub fn upkeep(setup: Setup<'_>) -> Result<WorkloadRound<'_>> {
    let target = setup.target;
    let images = setup.count(2000);
    let maker = Maker::random(64 * KIB)?;
    let mut placed = Vec::new();
    let placer = Placer::new(&target.dial)?;
    for k in 0..images {
        let layers = (0..3).map(|_| maker.make()).collect();
        let image = Image::new(layers);
        placer.push_image(&format!("bench/app{}", k % 50), &format!("t{k}"), &image)?;
        placed.push((k % 50, image));
    }
    let operation = move |client: &mut Loader| {
        let (repository, image) = &placed[client.random.below(images) as usize];
        let layer = &image.layers[client.random.below(3) as usize];
        let repository = format!("bench/app{repository}");
        match client.random.below(2) {
            0 => client.head(&format!("/v2/{repository}/blobs/{}", layer.digest)).map(|_| ()),
            _ => client.pull_blob(&repository, &layer.digest, layer.size),
        }
    };
    if target.label.ends_with("+upkeep") && target.upkeep.is_empty() {
        return Err("neither gc nor fsck is there: nothing would run beside it".into());
    }
    // Nothing is written next to the content of a server that was not started here, not even a log.
    let own = target.storage.as_deref().filter(|_| target.server.is_some());
    let kept = own.map(ResidentFiles::below).transpose();
    if let Err(error) = &kept {
        eprintln!("{}: what is pulled may leave memory meanwhile: {error}", target.label);
    }
    let rate = *setup.rate.get_or_init(|| {
        let capacity = closed(&target.dial, setup.clients, Until::Seconds(setup.seconds), &operation);
        (capacity.operations as f64 / capacity.seconds / 4.0).max(1.0)
    });
    Ok(Box::new(move || {
        // Held until the last round has ended.
        let _kept = &kept;
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let tidy = scope.spawn(|| tidy(&target.upkeep, &over));
            let figures = setup.measure_open(&target.dial, rate, &operation);
            over.store(true, Ordering::Relaxed);
            tidy.join().map_err(|_| "the upkeep failed")??;
            figures
        })
    }))
}

/// Runs these programs one after the other until `over` is set.
fn tidy(programs: &[Launch], over: &AtomicBool) -> Result<()> {
    for launch in programs.iter().cycle() {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let mut child = command(launch)?.spawn()?;
        loop {
            match child.try_wait()? {
                // fsck exits with 1 for warnings, such as an upload that has just ended.
                Some(status) if status.success() => break,
                Some(status) if status.code() == Some(1) && launch.arguments[0] == "fsck" => break,
                Some(status) => return Err(format!("{:?}: {status}; see the log", launch.arguments).into()),
                None if over.load(Ordering::Relaxed) => {
                    child.kill()?;
                    child.wait()?;
                    break;
                }
                None => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }
    Ok(())
}
