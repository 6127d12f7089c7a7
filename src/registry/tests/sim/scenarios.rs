//! Syncs that runs by chance hardly ever miss, each in a scenario of its own.

use super::{client::once, content::content, empty_store};
use crate::{
    files::sim::{Chance, Entered, Plan, Sim, block_on, run},
    oci::{Algorithm, Digest, Hasher, Reference},
    registry::{Chunk, Collection, CollectionOptions, Condition, Registry, Settings},
    storage::{Condemned, Content, Item, Lifecycle, Published, RunId, Verified, Why, fs::Fs},
    who::Subject,
};
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

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

/// Pushes an image of the content with all it needs.
fn push(registry: &Registry, image: usize, reference: &Reference) -> crate::registry::Result<()> {
    let (c, repository) = (content(), &content().repositories[0]);
    for blob in c.images[image].blobs.iter().map(|blob| &c.blobs[*blob]) {
        let bytes = once(blob.bytes.clone());
        block_on(registry.push_blob(repository, &Subject::Anonymous, &blob.digest, Chunk::default(), bytes))?;
    }
    let bytes = c.images[image].bytes.clone();
    block_on(registry.put_manifest(repository, reference, &[], None, bytes, Condition::None)).map(drop)
}

fn collect(registry: &Registry) {
    let options = CollectionOptions { force: true, ..CollectionOptions::default() };
    let _ = block_on(registry.collect(options, &()));
}

#[test]
fn a_signature_or_its_image_that_is_pushed_while_a_collection_removes_it_is_there() {
    let (c, repository) = (content(), &content().repositories[0]);
    let signature = Reference::Tag(format!("{}.sig", c.images[0].digest.fallback_tag()).parse().unwrap());
    let (mut kept, mut removed) = (0, 0);
    for seed in 0..400 {
        let (sim, _entered) = machine(seed);
        let mut chance = Chance::new(seed);
        let daemon = registry(&sim);
        push(&daemon, 0, &c.by_digest(0)).unwrap();
        push(&daemon, 1, &signature).unwrap();
        block_on(daemon.sweep()).unwrap();
        sim.pass(Duration::from_secs(1));
        block_on(daemon.delete_manifest(repository, &c.by_digest(0))).unwrap();
        sim.pass(Duration::from_secs(1));
        // Not all of them come to it.
        sim.plan(Plan { crash_at: Some(1 + chance.below(400)), ..Plan::default() });
        let answered = Arc::new(AtomicBool::new(false));
        let (pusher, is_answered, name) = (daemon.clone(), answered.clone(), signature.clone());
        let beside = Registry::new(Arc::new(Fs::beside(sim.clone())), daemon.settings.clone());
        let again = chance.below(2);
        run(
            &sim,
            vec![
                Box::new(move || {
                    let pushed = match again {
                        0 => push(&pusher, 0, &content().by_digest(0)),
                        _ => push(&pusher, 1, &name),
                    };
                    is_answered.store(pushed.is_ok(), Ordering::Relaxed);
                }),
                Box::new(move || (0..2).for_each(|_| collect(&beside))),
            ],
            &mut chance,
        );
        drop(daemon);
        fail_power(&sim);
        for _ in 0..3 {
            let registry = registry(&sim);
            if answered.load(Ordering::Relaxed) {
                let pushed = if again == 0 { c.by_digest(0) } else { signature.clone() };
                let found = block_on(registry.manifest(repository, &pushed)).map(|found| found.digest);
                assert_eq!(found.unwrap(), c.images[again].digest, "seed {seed}");
                for blob in &c.images[again].blobs {
                    block_on(registry.blob(repository, &c.blobs[*blob].digest)).unwrap();
                }
            }
            for tag in block_on(registry.tags(repository, None, None)).map(|page| page.entries).unwrap_or_default() {
                let found = block_on(registry.manifest(repository, &tag.parse().unwrap()));
                assert!(found.is_ok(), "seed {seed}: {tag} points nowhere");
            }
            collect(&registry);
        }
        let is_signed = block_on(registry(&sim).manifest(repository, &signature)).is_ok();
        kept += usize::from(is_signed);
        removed += usize::from(!is_signed);
    }
    assert!(kept > 20 && removed > 20, "{kept} kept, {removed} removed");
}

/// Whether a power failure after a collection takes both the grave of a deleted child and its record.
fn is_forgotten(seed: u64, without: Option<&'static str>) -> bool {
    let (c, repository) = (content(), &content().repositories[0]);
    let (sim, _entered) = machine(seed);
    let daemon = registry(&sim);
    for image in [0, 1, 3] {
        push(&daemon, image, &c.by_digest(image)).unwrap();
    }
    block_on(daemon.sweep()).unwrap();
    block_on(daemon.delete_manifest(repository, &c.by_digest(0))).unwrap();
    leave_out(&sim, without);
    (0..2).for_each(|_| collect(&daemon));
    drop(daemon);
    fail_power(&sim);
    !mount(&sim).survey().was_deleted(&Item::Revision(repository.clone(), c.images[0].digest.clone())).unwrap()
}

#[test]
fn what_a_client_deleted_of_an_index_is_known_after_a_power_failure_and_not_without_a_sync() {
    let forgotten = |without| (0..100).filter(|seed| is_forgotten(*seed, without)).count();
    assert_eq!(forgotten(None), 0);
    assert!(forgotten(Some("the name of a deletion record")) > 0);
}
