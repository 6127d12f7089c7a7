//! Large blobs, pulled and pushed.

use std::sync::Mutex;

use super::{Round, Setup};
use crate::Result;
use crate::client::{Client, Upload};
use crate::content::{Blob, Maker};
use crate::load::{Done, Until, closed};

const REPOSITORY: &str = "bench/blobs";

/// Every client pulls one blob of this size, again and again.
pub fn pull(setup: Setup<'_>, size: u64) -> Result<Round<'_>> {
    pull_until(setup, size, Until::Seconds(setup.seconds))
}

/// Every client pulls it so many times, all at once.
pub fn pull_at_once(setup: Setup<'_>, size: u64, times: u64) -> Result<Round<'_>> {
    pull_until(setup, size, Until::Times(times))
}

fn pull_until(setup: Setup<'_>, size: u64, until: Until) -> Result<Round<'_>> {
    let target = setup.target;
    let blob = Maker::random(setup.size(size))?.make();
    let mut client = Client::new(&target.dial, 0);
    target.place_blob(&mut client, REPOSITORY, &blob)?;
    // This also brings it into the page cache.
    client.verify(REPOSITORY, &blob.digest)?;
    Ok(Box::new(move || {
        let operation = |client: &mut Client| client.pull_blob(REPOSITORY, &blob.digest, blob.size);
        target.measure(|| Ok(closed(&target.dial, setup.clients, until, &operation)))
    }))
}

/// Every client pushes so many blobs of this size, each a new one; afterwards one of them is verified and the target
/// is emptied.
pub fn push(setup: Setup<'_>, size: u64, upload: Upload, times: u64) -> Result<Round<'_>> {
    let target = setup.target;
    let maker = Maker::random(setup.size(size))?;
    Ok(Box::new(move || {
        let blobs: Vec<Blob> = (0..times * setup.clients as u64).map(|_| maker.make()).collect();
        let first = blobs[0].digest.clone();
        let left = Mutex::new(blobs);
        let operation = |client: &mut Client| {
            let blob = left.lock().map_err(|_| "a client failed")?.pop().ok_or("no blob left")?;
            client.push_blob(REPOSITORY, &blob, upload)
        };
        let load = || -> Result<Done> { Ok(closed(&target.dial, setup.clients, Until::Times(times), &operation)) };
        let figures = target.measure(load)?;
        // The floor keeps nothing that could be read.
        if target.label != "floor" {
            Client::new(&target.dial, 0).verify(REPOSITORY, &first)?;
        }
        target.wipe()?;
        Ok(figures)
    }))
}
