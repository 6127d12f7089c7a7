//! Collections during pushes and pulls: what is needed stays, and what is not is deleted in two steps.

mod attached;
mod deletions;
mod pushes;
mod rules;

use crate::{
    registry::{
        Chunk, Condition, Registry, RegistryError, Settings,
        tests::{directory, is_sound, manifest, name, once, sha256},
    },
    storage::{
        Durability, Expect, FactKey, InstanceId, Item, Mem, PushId, Put, Storage,
        fs::{Fs, Init},
    },
    upkeep::{CollectionError, CollectionOptions, CollectionReport, CollectionStep, Follow},
};
use async_trait::async_trait;
use bytes::Bytes;
use oci::Reference;
use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

/// Collects as `gc --now` does, but one pass only: lease, settle and retention are zero.
const NOW: CollectionOptions = CollectionOptions { dry_run: false, now: true, force: false };
/// With the times in the settings.
const DAILY: CollectionOptions = CollectionOptions { dry_run: false, now: false, force: false };

/// Runs a session over each backend.
async fn each<F: Future<Output = ()>>(session: impl Fn(Registry) -> F) {
    let dir = directory();
    let on_disk = Arc::new(Fs::open(dir.path(), Init::EmptyDirectory).unwrap().0);
    for store in [Arc::new(Mem::default()) as Arc<dyn Storage>, on_disk] {
        session(Registry::new(store, Arc::new(Settings::default()))).await;
    }
}

async fn push_blobs(registry: &Registry) {
    for blob in [b"{}".as_ref(), b"layer"] {
        registry.repository(&name()).push_blob(&sha256(blob), Chunk::default(), once(blob)).await.unwrap();
    }
}

async fn put(registry: &Registry, to: &str, bytes: Bytes) -> Result<(), RegistryError> {
    let reference: Reference = to.parse().unwrap();
    registry.repository(&name()).put_manifest(&reference, &[], None, bytes, Condition::None).await.map(drop)
}

async fn collect(registry: &Registry, options: CollectionOptions) -> CollectionReport {
    registry.collect(options, &()).await.unwrap().expect("no other collection runs")
}

/// Publishes the intent of a push of a manifest that needs the layer, active in `instance` if there is one.
async fn declare(registry: &Registry, push: PushId, instance: Option<InstanceId>) {
    let intent = serde_json::json!({"manifest": sha256(b"m"), "refers": [sha256(b"layer")], "instance": instance});
    let put = Put::any(FactKey::Intent(name(), push), serde_json::to_vec(&intent).unwrap());
    registry.store().put(vec![put], Durability::Process).await.unwrap();
}

async fn has(registry: &Registry, blob: &[u8]) -> bool {
    match registry.repository(&name()).blob(&sha256(blob)).await {
        Ok(_) => true,
        Err(RegistryError::BlobUnknown(_)) => false,
        Err(other) => panic!("{other}"),
    }
}

fn settings(change: impl Fn(&mut crate::registry::Collection)) -> Arc<Settings> {
    let mut settings = Settings::default();
    change(&mut settings.collection);
    Arc::new(settings)
}

/// A registry with these settings over a store on disk.
fn on_disk(settings: Arc<Settings>) -> (tempfile::TempDir, Registry) {
    let dir = directory();
    let store = Arc::new(Fs::open(dir.path(), Init::EmptyDirectory).unwrap().0);
    (dir, Registry::new(store, settings))
}

#[tokio::test]
async fn referenced_blobs_stay_and_the_others_are_deleted() {
    each(|registry| async move {
        push_blobs(&registry).await;
        put(&registry, "v1", manifest("kept", None)).await.unwrap();
        let orphan = b"nobody's".as_ref();
        let digest = sha256(orphan);
        registry.repository(&name()).push_blob(&digest, Chunk::default(), once(orphan)).await.unwrap();
        let report = collect(&registry, NOW).await;
        assert_eq!((report.purged.blobs, report.purged.links, report.errors.len()), (1, 1, 0), "{report:?}");
        assert_eq!(report.purged.bytes, orphan.len() as u64);
        assert_eq!((report.referenced.number, report.orphaned.number), (3, 0));
        let counted = registry.collection_counters().await;
        assert_eq!((counted.runs, counted.failures, counted.restored), (1, 0, 0));
        assert_eq!((counted.condemned, counted.purged), (2, 2));
        assert_eq!((counted.purged_bytes, counted.last > 0), (orphan.len() as u64, true));
        assert!(!has(&registry, orphan).await);
        is_sound(&registry).await;
        assert!(has(&registry, b"layer").await && has(&registry, b"{}").await);
        let again = collect(&registry, NOW).await;
        assert_eq!((again.condemned.all(), again.purged.all(), again.restored.all()), (0, 0, 0));
    })
    .await;
}

#[tokio::test]
async fn within_the_lease_nothing_is_deleted() {
    each(|registry| async move {
        push_blobs(&registry).await;
        let report = collect(&registry, DAILY).await;
        assert_eq!((report.orphaned.number, report.condemned.all(), report.purged.all()), (2, 0, 0));
        put(&registry, "v1", manifest("late", None)).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn condemned_content_can_be_pulled_and_is_restored_by_a_push() {
    each(|registry| async move {
        let mut settings = Settings::default();
        settings.collection.lease = Duration::ZERO;
        let registry = registry.under(Arc::new(settings));
        push_blobs(&registry).await;
        let report = collect(&registry, DAILY).await;
        assert_eq!((report.condemned.blobs, report.condemned.links, report.purged.all()), (2, 2, 0), "{report:?}");
        assert!(has(&registry, b"layer").await, "it is in the graveyard and can be read");
        put(&registry, "v1", manifest("late", None)).await.unwrap();
        assert_eq!(registry.collection_counters().await.resurrected, 4);
        let report = collect(&registry, NOW).await;
        assert_eq!((report.referenced.number, report.restored.all()), (3, 0), "it was back already");
        is_sound(&registry).await;
        assert!(has(&registry, b"layer").await);
    })
    .await;
}

#[tokio::test]
async fn a_collection_restores_needed_content_and_leaves_the_entry_for_readers() {
    each(|registry| async move {
        push_blobs(&registry).await;
        collect(&registry.under(settings(|c| c.lease = Duration::ZERO)), DAILY).await;
        declare(&registry, PushId::fresh(), Some(registry.store().instance())).await;
        let report = collect(&registry, DAILY).await;
        assert_eq!((report.restored.blobs, report.restored.links, report.purged.all()), (1, 1, 0), "{report:?}");
        let report = collect(&registry, DAILY).await;
        assert_eq!((report.restored.all(), report.graveyard.number), (0, 4), "{report:?}");
        assert_eq!(report.graveyard.bytes, 7, "those of the blobs");
        put(&registry, "v1", manifest("gone", None)).await.unwrap();
        registry
            .repository(&name())
            .delete_manifest(&sha256(&manifest("gone", None)).to_string().parse().unwrap())
            .await
            .unwrap();
        let report = collect(&registry, CollectionOptions { dry_run: true, ..DAILY }).await;
        assert_eq!(report.graveyard.bytes, 7, "what is noted of a manifest is no content: {report:?}");
    })
    .await;
}

#[tokio::test]
async fn a_dry_run_reports_and_changes_nothing() {
    each(|registry| async move {
        push_blobs(&registry).await;
        let options = CollectionOptions { dry_run: true, ..NOW };
        let report = collect(&registry, options).await;
        assert_eq!((report.condemned.blobs, report.condemned.links, report.condemned.bytes), (2, 2, 7));
        assert_eq!(collect(&registry, options).await.condemned.blobs, 2);
        put(&registry, "v1", manifest("there", None)).await.unwrap();
        assert_eq!(registry.collection_counters().await.resurrected, 0);
    })
    .await;
}

#[tokio::test]
async fn untagged_manifests_stay_and_are_reported() {
    each(|registry| async move {
        push_blobs(&registry).await;
        let (first, second) = (manifest("first", None), manifest("second", None));
        put(&registry, "v1", first.clone()).await.unwrap();
        put(&registry, "v1", second.clone()).await.unwrap();
        let signature = manifest("signature", Some(&sha256(&second)));
        put(&registry, sha256(&signature).as_str(), signature.clone()).await.unwrap();
        let report = collect(&registry, NOW).await;
        assert_eq!((report.manifests, report.untagged.manifests, report.condemned.all()), (3, 1, 0));
        assert_eq!((report.untagged.blobs, report.untagged.bytes), (1, first.len() as u64));
        assert_eq!(report.by_repository[0].untagged_bytes, first.len() as u64);
        for kept in [&first, &second, &signature] {
            let reference = Reference::Digest(sha256(kept));
            assert_eq!(registry.repository(&name()).manifest(&reference).await.unwrap().noted_len, kept.len() as u64);
        }
    })
    .await;
}

#[tokio::test]
async fn a_store_with_an_unknown_feature_or_without_its_root_is_not_collected() {
    each(|registry| async move {
        push_blobs(&registry).await;
        for root in [r#"{"format":1,"features":["holograms"]}"#, "{"] {
            let put = Put::any(FactKey::Root, root);
            registry.store().put(vec![put], Durability::Durable).await.unwrap();
            let refused = registry.collect(NOW, &()).await.unwrap_err();
            assert!(matches!(refused, CollectionError::Unsafe(_)), "{refused}");
        }
        registry.store().delete(&FactKey::Root, crate::storage::Expect::Any).await.unwrap();
        assert!(matches!(registry.collect(NOW, &()).await, Err(CollectionError::Unsafe(_))));
    })
    .await;
}

#[tokio::test]
async fn an_unreadable_manifest_stops_a_collection_before_it_deletes() {
    each(|registry| async move {
        push_blobs(&registry).await;
        let orphan = b"orphan".as_ref();
        registry.repository(&name()).push_blob(&sha256(orphan), Chunk::default(), once(orphan)).await.unwrap();
        let key = FactKey::Revision(name(), sha256(b"no such bytes"));
        for json in [r#"{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":1,"pushed":"x"}"#, "garbled"] {
            registry.store().put(vec![Put::any(key.clone(), json)], Durability::Durable).await.unwrap();
            registry.collect(NOW, &()).await.unwrap_err();
            assert!(registry.store().condemned(None, 9).await.unwrap().entries.is_empty());
        }
        assert!(has(&registry, orphan).await);
        assert_eq!(registry.collection_counters().await.failures, 2);
    })
    .await;
}

#[tokio::test]
async fn condemning_most_of_the_pool_needs_force() {
    each(|registry| async move {
        for i in 0..1001u32 {
            let bytes = i.to_be_bytes();
            let digest = sha256(&bytes);
            let one = futures_util::stream::iter([Ok(Bytes::copy_from_slice(&bytes))]);
            registry.repository(&name()).push_blob(&digest, Chunk::default(), one).await.unwrap();
        }
        let report = collect(&registry, NOW).await;
        assert_eq!((report.orphaned.number, report.condemned.all()), (1001, 0));
        assert!(report.refused.unwrap().contains("--force"));
        assert_eq!(collect(&registry, CollectionOptions { force: true, ..NOW }).await.purged.blobs, 1001);
    })
    .await;
}

/// Holds a collection at one step until it is released.
struct Hold {
    at: CollectionStep,
    held: AtomicBool,
    reached: tokio::sync::Notify,
    go_on: tokio::sync::Notify,
}

#[async_trait]
impl Follow for Hold {
    async fn at(&self, step: CollectionStep, _: u64) {
        if step == self.at && !self.held.swap(true, Ordering::SeqCst) {
            self.reached.notify_one();
            self.go_on.notified().await;
        }
    }
}

#[tokio::test]
async fn pushes_and_pulls_work_at_every_step_of_a_collection() {
    for step in CollectionStep::ALL {
        each(|registry| async move {
            push_blobs(&registry).await;
            put(&registry, "v1", manifest("old", None)).await.unwrap();
            let orphan = b"orphan".as_ref();
            let digest = sha256(orphan);
            registry.repository(&name()).push_blob(&digest, Chunk::default(), once(orphan)).await.unwrap();
            collect(&registry.under(settings(|c| c.lease = Duration::ZERO)), DAILY).await;
            let hold = Arc::new(Hold {
                at: step,
                held: AtomicBool::new(false),
                reached: tokio::sync::Notify::new(),
                go_on: tokio::sync::Notify::new(),
            });
            let (held, collecting) = (hold.clone(), registry.clone());
            let running = tokio::spawn(async move { collecting.collect(NOW, &*held).await });
            let session = async {
                hold.reached.notified().await;
                push_blobs(&registry).await;
                put(&registry, "v2", manifest("new", None)).await.unwrap();
                is_sound(&registry).await;
                registry.repository(&name()).delete_manifest(&"v1".parse().unwrap()).await.unwrap();
                assert!(registry.collect(NOW, &()).await.unwrap().is_none(), "one at a time");
            };
            tokio::time::timeout(Duration::from_secs(10), session)
                .await
                .expect("the step is reported, and nothing waits for a collection");
            hold.go_on.notify_one();
            running.await.unwrap().unwrap().unwrap();
            is_sound(&registry).await;
            assert!(has(&registry, b"layer").await && has(&registry, b"{}").await, "{step:?}");
        })
        .await;
    }
}
