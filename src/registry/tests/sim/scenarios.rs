//! Syncs whose absence random runs hardly ever detect, each in its own scenario.

use super::{
    client::{KEY, once},
    content::content,
    empty_store,
};
use crate::{
    files::sim::{Chance, Disk, Entered, Sim, SimPlan, block_on, run},
    registry::{Chunk, Collection, Condition, Registry, Settings},
    storage::{
        Condemned, Content, Item, Lifecycle, Presence, Published, RunId, SIGNING_KEY, StoreSurvey as _, UploadTurn,
        Verified, Why, fs::Fs,
    },
    upkeep::CollectionOptions,
};
use bytes::Bytes;
use oci::{Algorithm, Digest, Hasher, Reference, UploadId};
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
    sim.plan(SimPlan { without, ..SimPlan::default() });
}

fn fail_power(sim: &Sim) {
    sim.crash();
    sim.restart(true);
}

#[test]
fn a_healed_small_blob_survives_a_power_failure_because_of_its_sync() {
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
fn quarantined_files_survive_a_power_failure_because_of_their_syncs() {
    let path = Item::Blob(digest()).path();
    let places = |without| {
        let places = |seed| {
            let (sim, _entered) = machine(seed);
            let store = mount(&sim);
            put(&store);
            leave_out(&sim, without);
            let moved = store.survey().quarantine(RunId::fresh(), &path, |_| Ok(true)).unwrap().unwrap();
            fail_power(&sim);
            (sim.read(&path).is_ok(), sim.read(&moved).is_ok())
        };
        (0..100).map(places).collect::<BTreeSet<_>>()
    };
    assert_eq!(places(None), [(false, true)].into());
    assert!(places(Some("the name of what was taken aside")).contains(&(false, false)));
    assert!(places(Some("the removal of what is taken aside")).contains(&(true, true)));
}

#[test]
fn content_in_the_spare_directory_survives_a_power_failure_because_of_its_sync() {
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
        sim.plan(SimPlan { without, full: Some((0, full_until)), ..SimPlan::default() });
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
    let pushing = registry(&sim).repository(repository);
    for blob in image.blobs.iter().map(|blob| &c.blobs[*blob]) {
        let bytes = once(blob.bytes.clone());
        block_on(pushing.push_blob(&blob.digest, Chunk::default(), bytes)).unwrap();
    }
    let by_digest = c.by_digest(0);
    let pushed = pushing.put_manifest(&by_digest, &[], None, image.bytes.clone(), Condition::None);
    block_on(pushed).unwrap();
    sim.plan(SimPlan { crash_at: Some(killed_at), ..SimPlan::default() });
    let _ = block_on(pushing.delete_manifest(&by_digest));
    sim.restart(false);
    leave_out(&sim, without);
    let options = CollectionOptions { now: true, force: true, ..CollectionOptions::default() };
    block_on(registry(&sim).collect(options, &())).unwrap().unwrap();
    fail_power(&sim);
    let left = registry(&sim);
    let has = |blob: &usize| block_on(left.repository(repository).blob(&c.blobs[*blob].digest)).is_ok();
    block_on(left.repository(repository).manifest(&by_digest)).is_ok() && !image.blobs.iter().all(has)
}

#[test]
fn a_killed_deletion_never_leaves_a_manifest_without_its_blobs_because_of_a_sync() {
    let lost = |without| {
        let runs = (0..10).flat_map(|seed| (1..30).map(move |at| (seed, at)));
        runs.filter(|(seed, at)| comes_back_empty(*seed, *at, without)).count()
    };
    assert_eq!(lost(None), 0);
    assert!(lost(Some("the removal of what a mark did not find")) > 0);
}

/// Pushes an image of the content with everything it needs.
fn push(registry: &Registry, image: usize, reference: &Reference) -> crate::registry::Result<()> {
    let (c, repository) = (content(), &content().repositories[0]);
    for blob in c.images[image].blobs.iter().map(|blob| &c.blobs[*blob]) {
        let bytes = once(blob.bytes.clone());
        block_on(registry.repository(repository).push_blob(&blob.digest, Chunk::default(), bytes))?;
    }
    let bytes = c.images[image].bytes.clone();
    block_on(registry.repository(repository).put_manifest(reference, &[], None, bytes, Condition::None)).map(drop)
}

fn collect(registry: &Registry) {
    let options = CollectionOptions { force: true, ..CollectionOptions::default() };
    let _ = block_on(registry.collect(options, &()));
}

#[test]
fn a_signature_or_image_pushed_while_a_collection_removes_it_is_kept() {
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
        block_on(daemon.repository(repository).delete_manifest(&c.by_digest(0))).unwrap();
        sim.pass(Duration::from_secs(1));
        // Not all of them come to it.
        sim.plan(SimPlan { crash_at: Some(1 + chance.below(400)), ..SimPlan::default() });
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
                let found = block_on(registry.repository(repository).manifest(&pushed)).map(|found| found.digest);
                assert_eq!(found.unwrap(), c.images[again].digest, "seed {seed}");
                for blob in &c.images[again].blobs {
                    block_on(registry.repository(repository).blob(&c.blobs[*blob].digest)).unwrap();
                }
            }
            for tag in
                block_on(registry.repository(repository).tags(None, None)).map(|page| page.entries).unwrap_or_default()
            {
                let found = block_on(registry.repository(repository).manifest(&Reference::Tag(tag.clone())));
                assert!(found.is_ok(), "seed {seed}: {tag} points nowhere");
            }
            collect(&registry);
        }
        let is_signed = block_on(registry(&sim).repository(repository).manifest(&signature)).is_ok();
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
    block_on(daemon.repository(repository).delete_manifest(&c.by_digest(0))).unwrap();
    leave_out(&sim, without);
    (0..2).for_each(|_| collect(&daemon));
    drop(daemon);
    fail_power(&sim);
    !mount(&sim).survey().was_deleted(&Item::Revision(repository.clone(), c.images[0].digest.clone())).unwrap()
}

#[test]
fn the_record_of_a_deleted_child_survives_a_power_failure_because_of_a_sync() {
    let forgotten = |without| (0..100).filter(|seed| is_forgotten(*seed, without)).count();
    assert_eq!(forgotten(None), 0);
    assert!(forgotten(Some("the name of a deletion record")) > 0);
}

/// How many sessions have these bytes.
fn names_in_sessions(sim: &Sim, bytes: &[u8]) -> usize {
    sim.files("uploads").iter().filter(|(_, found)| found == bytes).count()
}

/// Pushes a blob by a session, and sends other bytes to that session after a power failure; the names that the failure
/// left of the blob's bytes in sessions, and what the blob is then.
fn overwritten(seed: u64) -> (usize, Vec<u8>) {
    let (c, blob) = (content(), &content().blobs[1]);
    let (sim, _entered) = machine(seed);
    let daemon = registry(&sim);
    let pushing = daemon.repository(&c.repositories[0]);
    let session = block_on(pushing.begin_upload(blob.digest.algorithm())).unwrap().id;
    let (at, nothing) = (Chunk { offset: Some(0), ..Chunk::default() }, Bytes::new());
    block_on(pushing.append_upload(&session, Chunk::default(), once(blob.bytes.clone()))).unwrap();
    block_on(pushing.finish_upload(&session, &blob.digest, Chunk::default(), once(nothing))).unwrap();
    drop(daemon);
    fail_power(&sim);
    let names = names_in_sessions(&sim, &blob.bytes);
    let late = registry(&sim).repository(&c.repositories[0]);
    for chunk in [at, Chunk::default()] {
        let _ = block_on(late.append_upload(&session, chunk, once("other bytes".into())));
    }
    (names, sim.read(&Item::Blob(blob.digest.clone()).path()).unwrap())
}

#[test]
fn a_session_that_a_power_failure_left_beside_its_blob_does_not_change_the_blob() {
    let mut with_two_names = 0;
    for seed in 0..200 {
        let (names, bytes) = overwritten(seed);
        assert_eq!(bytes, content().blobs[1].bytes, "seed {seed}");
        with_two_names += names;
    }
    assert!(with_two_names > 0, "no failure left both names");
}

/// A disk on which a power failure left a blob's bytes in the session that had brought them, too.
fn published_and_still_open(id: &UploadId) -> Disk {
    let disk = |seed| {
        let (sim, _entered) = machine(seed);
        let (store, turn, bytes) = (mount(&sim), UploadTurn::default(), Bytes::from(MANIFEST));
        block_on(store.begin(id, "{}".into())).unwrap();
        block_on(store.append(id, &turn, 0, vec![bytes], Hasher::new(Algorithm::Sha256))).unwrap();
        let verified = Verified::vouch(digest(), MANIFEST.len() as u64);
        assert_eq!(block_on(store.publish(id, &turn, &verified)).unwrap(), Published::New);
        drop(store);
        fail_power(&sim);
        (names_in_sessions(&sim, MANIFEST.as_bytes()) == 1).then(|| sim.image())
    };
    (0..100).find_map(disk).unwrap()
}

#[test]
fn a_purged_blob_does_not_come_back_as_what_its_session_became_because_of_a_sync() {
    let (id, item) = (UploadId::from(uuid::Uuid::from_u128(1)), Item::Blob(digest()));
    let disk = published_and_still_open(&id);
    let is_changed = |seed, without| {
        let sim = Sim::new(seed, Some(disk.clone()));
        let _entered = sim.enter();
        let store = mount(&sim);
        leave_out(&sim, without);
        let grave = Condemned { run: RunId::fresh(), item: item.clone(), why: Why::Unreferenced };
        block_on(store.condemn(&item, grave.run, grave.why, Duration::ZERO)).unwrap();
        block_on(store.settle()).unwrap();
        block_on(store.purge(&grave)).unwrap();
        let (at, more) = (MANIFEST.len() as u64, vec![" and more".into()]);
        block_on(store.append(&id, &UploadTurn::default(), at, more, Hasher::new(Algorithm::Sha256))).unwrap();
        drop(store);
        fail_power(&sim);
        let is_there = block_on(mount(&sim).ensure(std::slice::from_ref(&item))).unwrap() != [Presence::Missing];
        is_there && sim.read(&item.path()).unwrap() != MANIFEST.as_bytes()
    };
    let changed = |without| (0..400).filter(|seed| is_changed(*seed, without)).count();
    assert_eq!(changed(None), 0);
    assert!(changed(Some("the removal of one of two names")) > 0);
}

#[test]
fn a_store_or_key_whose_maker_was_killed_survives_a_power_failure_because_of_a_sync() {
    let make_key = |store: &Fs<Sim>| block_on(store.ensure_signing_key(SIGNING_KEY, KEY.into())).is_ok();
    let is_key_lost = |seed, killed_at, without| {
        let (sim, _entered) = machine(seed);
        let killed = mount(&sim);
        sim.plan(SimPlan { crash_at: Some(killed_at), ..SimPlan::default() });
        make_key(&killed);
        sim.restart(false);
        leave_out(&sim, without);
        assert!(make_key(&mount(&sim)));
        fail_power(&sim);
        sim.read(SIGNING_KEY).is_err()
    };
    let is_store_lost = |seed, before_its_end, without| {
        let sim = Sim::new(seed, None);
        let _entered = sim.enter();
        sim.plan(SimPlan { crash_at: Some(empty_store().1 - before_its_end), ..SimPlan::default() });
        assert!(Fs::mount(sim.clone(), "a simulation").is_err() || sim.has_crashed());
        sim.restart(false);
        leave_out(&sim, without);
        drop(mount(&sim));
        fail_power(&sim);
        sim.read("ROOT.json").is_err()
    };
    let runs = || (0..10).flat_map(|seed| (1..20).map(move |at| (seed, at)));
    let keys = |without| runs().filter(|(seed, at)| is_key_lost(*seed, *at, without)).count();
    assert_eq!(keys(None), 0);
    assert!(keys(Some("the name of a signing key that was there")) > 0);
    let stores = |without| runs().filter(|(seed, at)| is_store_lost(*seed, *at, without)).count();
    assert_eq!(stores(None), 0);
    assert!(stores(Some("the name of a ROOT.json that was there")) > 0);
}
