//! Syncs that runs by chance hardly ever miss, each in a scenario of its own.

use super::{client::once, content::content, empty_store};
use crate::{
    files::sim::{Entered, Plan, Sim, block_on},
    oci::{Algorithm, Digest, Hasher},
    registry::{Chunk, Collection, CollectionOptions, Condition, Registry, Settings},
    storage::{Condemned, Content, Item, Lifecycle, Published, RunId, Verified, Why, fs::Fs},
    who::Subject,
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

const MANIFEST: &str = "a manifest";

fn digest() -> Digest {
    Hasher::digest(Algorithm::Sha256, MANIFEST.as_bytes())
}

/// A machine with an empty store, entered.
fn machine(seed: u64) -> (Sim, Entered) {
    let sim = Sim::new(seed, Some(empty_store().0.clone()));
    let entered = sim.enter();
    (sim, entered)
}

fn mount(sim: &Sim) -> Fs<Sim> {
    Fs::mount(sim.clone(), "a simulation").unwrap().0
}

fn put(store: &Fs<Sim>) -> Published {
    let verified = Verified::vouch(digest(), MANIFEST.len() as u64);
    block_on(store.put_blob(&verified, MANIFEST.into())).unwrap()
}

fn leave_out(sim: &Sim, without: Option<&'static str>) {
    sim.plan(Plan { without, ..Plan::default() });
}

fn fail_power(sim: &Sim) {
    sim.crash();
    sim.restart(true);
}

#[test]
fn a_small_blob_that_was_healed_is_whole_after_a_power_failure_and_not_without_its_sync() {
    let path = Item::Blob(digest()).path();
    let lost = |without| {
        let is_lost = |seed: &u64| {
            let (sim, _entered) = machine(*seed);
            let store = mount(&sim);
            assert_eq!(put(&store), Published::New);
            sim.damage(&path);
            leave_out(&sim, without);
            assert_eq!(put(&store), Published::Healed);
            fail_power(&sim);
            sim.read(&path).unwrap() != MANIFEST.as_bytes()
        };
        (0..100).filter(is_lost).count()
    };
    assert_eq!(lost(None), 0);
    assert!(lost(Some("the name of a healed small blob")) > 0);
}

#[test]
fn what_is_taken_aside_lies_there_after_a_power_failure_and_not_without_its_syncs() {
    let path = Item::Blob(digest()).path();
    let places = |without| {
        let places = |seed| {
            let (sim, _entered) = machine(seed);
            let store = mount(&sim);
            put(&store);
            leave_out(&sim, without);
            let aside = store.survey().set_aside(RunId::fresh(), &path, |_| Ok(true)).unwrap().unwrap();
            fail_power(&sim);
            (sim.read(&path).is_ok(), sim.read(&aside).is_ok())
        };
        (0..100).map(places).collect::<BTreeSet<_>>()
    };
    assert_eq!(places(None), [(false, true)].into());
    assert!(places(Some("the name of what was taken aside")).contains(&(false, false)));
    assert!(places(Some("the removal of what is taken aside")).contains(&(true, true)));
}

#[test]
fn what_went_to_the_spare_directory_is_there_after_a_power_failure_and_not_without_its_sync() {
    let grave = Condemned { run: RunId::fresh(), item: Item::Blob(digest()), why: Why::Unreferenced };
    let prepared = {
        let (sim, _entered) = machine(0);
        let store = mount(&sim);
        put(&store);
        drop(block_on(store.begin_collection()).unwrap().unwrap());
        sim.image()
    };
    let is_lost = |seed, full_until, without| {
        let sim = Sim::new(seed, Some(prepared.clone()));
        let _entered = sim.enter();
        let store = mount(&sim);
        // The simulated disk wants room for a move too, so there has to be some again by then.
        sim.plan(Plan { without, full: Some((0, full_until)), ..Plan::default() });
        let condemned = block_on(store.condemn(&grave.item, grave.run, grave.why, Duration::ZERO));
        fail_power(&sim);
        condemned.is_ok() && sim.read(&grave.item.path()).is_err() && sim.read(&grave.path()).is_err()
    };
    let lost = |without| {
        let runs = (0..20).flat_map(|seed| (1..20).map(move |until| (seed, until)));
        runs.filter(|(seed, until)| is_lost(*seed, *until, without)).count()
    };
    assert_eq!(lost(None), 0);
    assert!(lost(Some("the removal of the spare directory")) > 0);
}

/// Zero timers: what one pass condemns the next may purge.
fn registry(sim: &Sim) -> Registry {
    let (zero, whole) = (Duration::ZERO, 100);
    let collection =
        Collection { lease: zero, settle: zero, retention: zero, most_percent: whole, ..Collection::default() };
    Registry::new(Arc::new(mount(sim)), Arc::new(Settings { collection, ..Settings::default() }))
}

/// Pushes an image and collects right after its deletion was killed at a call; whether a power failure
/// then brings the manifest back without its blobs.
fn comes_back_empty(seed: u64, killed_at: usize, without: Option<&'static str>) -> bool {
    let c = content();
    let (repository, image) = (&c.repositories[0], &c.images[0]);
    let (sim, _entered) = machine(seed);
    let pushing = registry(&sim);
    for blob in image.blobs.iter().map(|blob| &c.blobs[*blob]) {
        let bytes = once(blob.bytes.clone());
        let pushed = pushing.push_blob(repository, &Subject::Anonymous, &blob.digest, Chunk::default(), bytes);
        block_on(pushed).unwrap();
    }
    let by_digest = c.by_digest(0);
    let pushed = pushing.put_manifest(repository, &by_digest, &[], None, image.bytes.clone(), Condition::None);
    block_on(pushed).unwrap();
    sim.plan(Plan { crash_at: Some(killed_at), ..Plan::default() });
    let _ = block_on(pushing.delete_manifest(repository, &by_digest));
    sim.restart(false);
    leave_out(&sim, without);
    let options = CollectionOptions { now: true, force: true, ..CollectionOptions::default() };
    block_on(registry(&sim).collect(options, &())).unwrap().unwrap();
    fail_power(&sim);
    let left = registry(&sim);
    let has = |blob: &usize| block_on(left.blob(repository, &c.blobs[*blob].digest)).is_ok();
    block_on(left.manifest(repository, &by_digest)).is_ok() && !image.blobs.iter().all(has)
}

#[test]
fn a_deletion_that_was_killed_does_not_come_back_without_its_blobs_and_does_so_without_a_sync() {
    let lost = |without| {
        let runs = (0..10).flat_map(|seed| (1..30).map(move |at| (seed, at)));
        runs.filter(|(seed, at)| comes_back_empty(*seed, *at, without)).count()
    };
    assert_eq!(lost(None), 0);
    assert!(lost(Some("the removal of what a mark did not find")) > 0);
}
