//! Small requests: manifests, HEADs, small images, and all of them mixed.

use super::{KIB, MIB, Setup, WorkloadRound};
use crate::Result;
use crate::content::{BenchBlob, Maker, unique};
use crate::load::{Until, closed};
use crate::loader::{Image, Loader, Upload};
use crate::placer::Placer;

const REPOSITORY: &str = "bench/app";
const TAG: &str = "latest";

/// An image with this many layers of this size, all different.
fn image(layers: u64, size: u64) -> Result<Image> {
    let maker = Maker::random(size)?;
    Ok(Image::new((0..layers).map(|_| maker.make()).collect()))
}

/// A manifest, by tag or by digest.
pub fn manifest(setup: Setup<'_>, by_tag: bool) -> Result<WorkloadRound<'_>> {
    let image = image(8, 4 * KIB)?;
    let placer = Placer::new(&setup.target.dial)?;
    setup.target.place_image(&placer, REPOSITORY, TAG, &image)?;
    let reference = if by_tag { TAG } else { &image.digest };
    placer.check_manifest(REPOSITORY, reference, &image.digest)?;
    let path = format!("/v2/{REPOSITORY}/manifests/{reference}");
    let length = image.manifest.len() as u64;
    Ok(Box::new(move || {
        setup.measure_both(&setup.target.dial, &|client: &mut Loader| {
            let (_, read) = client.get(&path, crate::http::Sink::Discard)?;
            if read == length { Ok(()) } else { Err(format!("{path}: {read} bytes").into()) }
        })
    }))
}

/// HEADs of the eight layers of an existing image, as at the start of a push.
pub fn heads(setup: Setup<'_>) -> Result<WorkloadRound<'_>> {
    let image = image(8, 4 * KIB)?;
    setup.target.place_image(&Placer::new(&setup.target.dial)?, REPOSITORY, TAG, &image)?;
    let path = |blob: &BenchBlob| format!("/v2/{REPOSITORY}/blobs/{}", blob.digest);
    let paths: Vec<String> = image.layers.iter().map(path).collect();
    Ok(Box::new(move || {
        setup.measure_both(&setup.target.dial, &|client: &mut Loader| {
            let at = client.random.below(paths.len() as u64) as usize;
            client.head(&paths[at]).map(|_| ())
        })
    }))
}

/// Each operation pushes a new image with three layers of 4 KiB in thirteen requests: four HEADs, POST and PUT for each
/// of three layers and a config, and the manifest.
pub fn images(setup: Setup<'_>) -> Result<WorkloadRound<'_>> {
    let maker = Maker::random(4 * KIB)?;
    pushes(setup, move || Image::new((0..3).map(|_| maker.make()).collect()))
}

/// Each operation pushes an image of eight layers of 1 MiB, six of which are always the same.
pub fn shared_images(setup: Setup<'_>) -> Result<WorkloadRound<'_>> {
    let maker = Maker::random(setup.size(MIB))?;
    let base: Vec<BenchBlob> = (0..6).map(|_| maker.make()).collect();
    pushes(setup, move || {
        let own = (0..2).map(|_| maker.make());
        Image::new(base.iter().cloned().chain(own).collect())
    })
}

fn pushes<'a>(setup: Setup<'a>, make: impl Fn() -> Image + Sync + 'a) -> Result<WorkloadRound<'a>> {
    let target = setup.target;
    Ok(Box::new(move || {
        let operation = |client: &mut Loader| {
            let repository = format!("bench/app{}", client.index);
            client.push_image(&repository, &format!("t{:016x}", unique()), &make(), true)
        };
        let until = Until::Seconds(setup.seconds);
        let figures = target.measure(|| Ok(closed(&target.dial, setup.clients, until, &operation)))?;
        target.wipe()?;
        Ok(figures)
    }))
}

/// Each operation pulls an image of eight layers of 1 MiB by its tag.
pub fn image_pulls(setup: Setup<'_>) -> Result<WorkloadRound<'_>> {
    let image = image(8, setup.size(MIB))?;
    setup.target.place_image(&Placer::new(&setup.target.dial)?, REPOSITORY, TAG, &image)?;
    Ok(Box::new(move || {
        setup.measure_both(&setup.target.dial, &|client: &mut Loader| client.pull_image(REPOSITORY, TAG, &image))
    }))
}

/// Of a hundred operations, forty read manifests by tag, thirty are HEADs of layers, twenty read layers of 1 MiB, and
/// ten push a new blob of 64 KiB.
pub fn mixed(setup: Setup<'_>) -> Result<WorkloadRound<'_>> {
    let image = image(8, setup.size(MIB))?;
    setup.target.place_image(&Placer::new(&setup.target.dial)?, REPOSITORY, TAG, &image)?;
    let maker = Maker::random(64 * KIB)?;
    Ok(Box::new(move || {
        setup.measure_both(&setup.target.dial, &|client: &mut Loader| {
            let layer = &image.layers[client.random.below(8) as usize];
            match client.random.below(100) {
                0..40 => {
                    client.get(&format!("/v2/{REPOSITORY}/manifests/{TAG}"), crate::http::Sink::Discard).map(|_| ())
                }
                40..70 => client.head(&format!("/v2/{REPOSITORY}/blobs/{}", layer.digest)).map(|_| ()),
                70..90 => client.pull_blob(REPOSITORY, &layer.digest, layer.size),
                _ => client.push_blob(REPOSITORY, &maker.make(), Upload::Put),
            }
        })
    }))
}
