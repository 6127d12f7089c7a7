//! Large blobs, pulled and pushed.

use std::sync::Mutex;

use super::{Setup, WorkloadRound};
use crate::Result;
use crate::content::{BenchBlob, Maker};
use crate::load::{Done, Until, closed};
use crate::loader::{Loader, Upload};
use crate::placer::Placer;

const REPOSITORY: &str = "bench/blobs";

/// Every client pulls one blob of this size, repeatedly.
pub fn pull(setup: Setup<'_>, size: u64) -> Result<WorkloadRound<'_>> {
    pull_until(setup, size, Until::Seconds(setup.seconds))
}

/// Every client pulls it `times` times, all at once.
pub fn pull_at_once(setup: Setup<'_>, size: u64, times: u64) -> Result<WorkloadRound<'_>> {
    pull_until(setup, size, Until::Times(times))
}

fn pull_until(setup: Setup<'_>, size: u64, until: Until) -> Result<WorkloadRound<'_>> {
    let target = setup.target;
    let blob = Maker::random(setup.size(size))?.make();
    let placer = Placer::new(&target.dial)?;
    target.place_blob(&placer, REPOSITORY, &blob)?;
    // This also brings it into the page cache.
    placer.check_blob(REPOSITORY, &blob.digest)?;
    Ok(Box::new(move || {
        let operation = |client: &mut Loader| client.pull_blob(REPOSITORY, &blob.digest, blob.size);
        target.measure(|| Ok(closed(&target.dial, setup.clients, until, &operation)))
    }))
}

/// Every client pushes `times` new blobs of this size; afterwards one of them is verified and the target is emptied.
pub fn push(setup: Setup<'_>, size: u64, upload: Upload, times: u64) -> Result<WorkloadRound<'_>> {
    let target = setup.target;
    let maker = Maker::random(setup.size(size))?;
    Ok(Box::new(move || {
        let blobs: Vec<BenchBlob> = (0..times * setup.clients as u64).map(|_| maker.make()).collect();
        let first = blobs[0].digest.clone();
        let left = Mutex::new(blobs);
        let operation = |client: &mut Loader| {
            let blob = left.lock().map_err(|_| "a client failed")?.pop().ok_or("no blob left")?;
            client.push_blob(REPOSITORY, &blob, upload)
        };
        let load = || -> Result<Done> { Ok(closed(&target.dial, setup.clients, Until::Times(times), &operation)) };
        let figures = target.measure(load)?;
        // The lower bound server keeps nothing that could be read.
        if target.label != "floor" {
            Placer::new(&target.dial)?.check_blob(REPOSITORY, &first)?;
        }
        target.wipe()?;
        Ok(figures)
    }))
}
