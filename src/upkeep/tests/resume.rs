//! A collection that is interrupted during its mark is resumed, and loses nothing.

use crate::{
    files::sim::{Sim, block_on},
    registry::tests::{manifest, once, sha256},
    registry::{Chunk, Condition, Registry, RegistryError, Settings},
    storage::{FactKey, fs::Fs},
    upkeep::{CollectionOptions, CollectionReport, CollectionStep, Follow},
};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::poll_immediate;
use oci::{Reference, RepositoryName};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

const DAILY: CollectionOptions = CollectionOptions { dry_run: false, now: false, force: true };
const NOW: CollectionOptions = CollectionOptions { now: true, ..DAILY };

/// In the order of the walk, which is not that of the names.
const NAMES: [&str; 4] = ["a", "a/b", "a-b", "c"];

/// Every manifest takes two minutes; after this many the collection stops.
struct Slow<'a> {
    sim: &'a Sim,
    most: u64,
    marked: AtomicU64,
}

#[async_trait]
impl Follow for Slow<'_> {
    async fn at(&self, step: CollectionStep, done: u64) {
        if step == CollectionStep::Mark {
            if done >= self.most {
                return std::future::pending().await;
            }
            self.marked.fetch_add(1, Ordering::Relaxed);
            self.sim.pass(Duration::from_secs(120));
        }
    }
}

fn registry(sim: &Sim) -> Registry {
    let mut settings = Settings::default();
    let collection = &mut settings.collection;
    collection.files_per_second = u64::MAX;
    (collection.lease, collection.retention, collection.settle) = Default::default();
    Registry::new(Arc::new(Fs::mount(sim.clone(), "a simulation").unwrap().0), Arc::new(settings))
}

fn named(name: &str) -> RepositoryName {
    name.parse().unwrap()
}

async fn push_blob(registry: &Registry, name: &str, content: &'static [u8]) {
    let body = once(content);
    registry.repository(&named(name)).push_blob(&sha256(content), Chunk::default(), body).await.unwrap();
}

async fn push(registry: &Registry, name: &str, tag: &str, bytes: Bytes) -> Result<(), RegistryError> {
    let reference: Reference = tag.parse().unwrap();
    registry.repository(&named(name)).put_manifest(&reference, &[], None, bytes, Condition::None).await.map(drop)
}

/// Images in four repositories.
async fn fill(registry: &Registry) {
    for name in NAMES {
        push_blob(registry, name, b"{}").await;
        push_blob(registry, name, b"layer").await;
        push(registry, name, "v1", manifest(name, None)).await.unwrap();
    }
}

/// Starts a collection of the store that stops for good after `most` manifests were marked.
async fn interrupted(sim: &Sim, registry: &Registry, most: u64) {
    let slow = Slow { sim, most, marked: AtomicU64::new(0) };
    assert!(poll_immediate(registry.collect(DAILY, &slow)).await.is_none(), "it does not end by itself");
}

async fn collect(sim: &Sim, registry: &Registry, options: CollectionOptions) -> (CollectionReport, u64) {
    let slow = Slow { sim, most: u64::MAX, marked: AtomicU64::new(0) };
    let report = registry.collect(options, &slow).await.unwrap().expect("the other one has ended");
    (report, slow.marked.into_inner())
}

async fn all_is_there(registry: &Registry) {
    for name in NAMES {
        assert_eq!(
            registry.repository(&named(name)).manifest(&"v1".parse().unwrap()).await.unwrap().digest,
            sha256(&manifest(name, None))
        );
        for content in [b"{}".as_ref(), b"layer"] {
            registry.repository(&named(name)).blob(&sha256(content)).await.unwrap();
        }
    }
}

#[test]
fn an_interrupted_mark_resumes_with_what_it_had_found() {
    for most in 2..=4 {
        let sim = Sim::new(1, None);
        let _entered = sim.enter();
        let registry = registry(&sim);
        block_on(async {
            fill(&registry).await;
            push_blob(&registry, "a", b"nobody's").await;
            interrupted(&sim, &registry, most).await;
            let (report, marked) = collect(&sim, &registry, DAILY).await;
            assert!(report.resumed, "{most}");
            assert!(marked < 6, "{most}: it started over: {marked}");
            assert_eq!((report.repositories, report.manifests, report.referenced.number), (4, 4, 6), "{most}");
            assert_eq!((report.condemned.blobs, report.condemned.links), (1, 1), "{most}");
            assert_eq!(
                sim.files(&format!("graveyard/{}", report.run)).len(),
                2,
                "{most}: the report names its own run"
            );
            all_is_there(&registry).await;
            let (again, _) = collect(&sim, &registry, DAILY).await;
            assert!(!again.resumed, "{most}: it was thrown away");
            all_is_there(&registry).await;
        });
    }
}

#[test]
fn content_pushed_between_an_interrupted_mark_and_its_resumption_stays() {
    let sim = Sim::new(1, None);
    let _entered = sim.enter();
    let registry = registry(&sim);
    block_on(async {
        fill(&registry).await;
        push_blob(&registry, "a", b"late").await;
        collect(&sim, &registry, DAILY).await;
        // It lies in the graveyard now, and is due. It is pushed while repository a is marked.
        interrupted(&sim, &registry, 3).await;
        let text = String::from_utf8(manifest("late", None).to_vec()).unwrap();
        let bytes = text.replace(sha256(b"layer").as_str(), sha256(b"late").as_str());
        let bytes = bytes.replace("\"size\":5", "\"size\":4");
        push(&registry, "a", "late", bytes.into()).await.unwrap();
        for _ in 0..3 {
            let (report, _) = collect(&sim, &registry, DAILY).await;
            assert_eq!(report.errors, Vec::<String>::new());
            registry.repository(&named("a")).blob(&sha256(b"late")).await.unwrap();
            all_is_there(&registry).await;
        }
    });
}

#[test]
fn a_mark_from_before_a_reboot_or_with_other_timers_is_discarded() {
    let sim = Sim::new(1, None);
    let _entered = sim.enter();
    let registry = registry(&sim);
    block_on(async {
        fill(&registry).await;
        interrupted(&sim, &registry, 3).await;
        let store = registry.store();
        let fact = store.get(&FactKey::CollectionMark).await.unwrap().expect("the mark is kept");
        let (report, marked) = collect(&sim, &registry, NOW).await;
        assert!(!report.resumed && marked >= 4, "{report:?}");
        assert!(store.get(&FactKey::CollectionMark).await.unwrap().is_none());

        let boot = crate::files::world::boot();
        let text = String::from_utf8_lossy(&fact.bytes[..200]).into_owned();
        assert!(text.contains(&boot), "{text}");
        let at = text.find(&boot).unwrap();
        let mut other = fact.bytes.to_vec();
        other[at] ^= 1;
        for (bytes, what) in [(other, "of another run"), (fact.bytes[..fact.bytes.len() - 8].to_vec(), "cut off")] {
            let put = crate::storage::Put::any(FactKey::CollectionMark, bytes);
            store.put(vec![put], crate::storage::Durability::Process).await.unwrap();
            let (report, _) = collect(&sim, &registry, DAILY).await;
            assert!(!report.resumed, "{what}");
            all_is_there(&registry).await;
        }
    });
}
