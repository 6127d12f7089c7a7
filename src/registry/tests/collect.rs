//! Collections beside pushes and pulls: what is needed stays, what is not goes in two steps.

mod attached;
mod deletions;
mod pushes;
mod rules;

use super::{manifest, name, once, sha256};
use crate::{
    oci::Reference,
    registry::{
        Chunk, CollectionError, CollectionOptions, CollectionReport, CollectionStep, Condition, Error, Follow,
        Registry, Settings,
    },
    storage::{
        Durability, Expect, InstanceId, Item, Key, Mem, PushId, Put, Storage,
        fs::{Fs, Init},
    },
    who::Subject,
};
use async_trait::async_trait;
use bytes::Bytes;
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
/// By the settings.
const DAILY: CollectionOptions = CollectionOptions { dry_run: false, now: false, force: false };

/// Runs a session over each backend.
async fn each<F: Future<Output = ()>>(session: impl Fn(Registry) -> F) {
    let dir = super::directory();
    let on_disk = Arc::new(Fs::open(dir.path(), Init::EmptyDirectory).unwrap().0);
    for store in [Arc::new(Mem::default()) as Arc<dyn Storage>, on_disk] {
        session(Registry::new(store, Arc::new(Settings::default()))).await;
    }
}

async fn push_blobs(registry: &Registry) {
    for blob in [b"{}".as_ref(), b"layer"] {
        registry.push_blob(&name(), &Subject::Anonymous, &sha256(blob), Chunk::default(), once(blob)).await.unwrap();
    }
}

async fn put(registry: &Registry, to: &str, bytes: Bytes) -> Result<(), Error> {
    let reference: Reference = to.parse().unwrap();
    registry.put_manifest(&name(), &reference, &[], None, bytes, Condition::None).await.map(drop)
}

async fn collect(registry: &Registry, options: CollectionOptions) -> CollectionReport {
    registry.collect(options, &()).await.unwrap().expect("no other collection runs")
}

/// Publishes the intent of a push of a manifest that needs the layer, under way in `instance` if that is told.
async fn declare(registry: &Registry, push: PushId, instance: Option<InstanceId>) {
    let intent = serde_json::json!({"manifest": sha256(b"m"), "refers": [sha256(b"layer")], "instance": instance});
    let put = Put::any(Key::Intent(name(), push), serde_json::to_vec(&intent).unwrap());
    registry.core.store.put(vec![put], Durability::Process).await.unwrap();
}

async fn has(registry: &Registry, blob: &[u8]) -> bool {
    match registry.blob(&name(), &sha256(blob)).await {
        Ok(_) => true,
        Err(Error::BlobUnknown(_)) => false,
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
    let dir = super::directory();
    let store = Arc::new(Fs::open(dir.path(), Init::EmptyDirectory).unwrap().0);
    (dir, Registry::new(store, settings))
}

#[tokio::test]
async fn what_a_manifest_refers_to_stays_and_the_rest_goes() {
    each(|registry| async move {
        push_blobs(&registry).await;
        put(&registry, "v1", manifest("kept", None)).await.unwrap();
        let orphan = b"nobody's".as_ref();
        let digest = sha256(orphan);
        registry.push_blob(&name(), &Subject::Anonymous, &digest, Chunk::default(), once(orphan)).await.unwrap();
        let report = collect(&registry, NOW).await;
        assert_eq!((report.purged.blobs, report.purged.links, report.errors.len()), (1, 1, 0), "{report:?}");
        assert_eq!(report.purged.bytes, orphan.len() as u64);
        assert_eq!((report.referenced.number, report.orphaned.number), (3, 0));
        let counted = registry.collected().await;
        assert_eq!((counted.runs, counted.failures, counted.restored), (1, 0, 0));
        assert_eq!((counted.condemned, counted.purged), (2, 2));
        assert_eq!((counted.purged_bytes, counted.last > 0), (orphan.len() as u64, true));
        assert!(!has(&registry, orphan).await);
        super::is_sound(&registry).await;
        assert!(has(&registry, b"layer").await && has(&registry, b"{}").await);
        let again = collect(&registry, NOW).await;
        assert_eq!((again.condemned.all(), again.purged.all(), again.restored.all()), (0, 0, 0));
    })
    .await;
}

#[tokio::test]
async fn within_the_lease_nothing_goes() {
    each(|registry| async move {
        push_blobs(&registry).await;
        let report = collect(&registry, DAILY).await;
        assert_eq!((report.orphaned.number, report.condemned.all(), report.purged.all()), (2, 0, 0));
        put(&registry, "v1", manifest("late", None)).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn what_was_condemned_is_still_pulled_and_comes_back_when_it_is_pushed() {
    each(|registry| async move {
        let mut settings = Settings::default();
        settings.collection.lease = Duration::ZERO;
        let registry = registry.under(Arc::new(settings));
        push_blobs(&registry).await;
        let report = collect(&registry, DAILY).await;
        assert_eq!((report.condemned.blobs, report.condemned.links, report.purged.all()), (2, 2, 0), "{report:?}");
        assert!(has(&registry, b"layer").await, "it lies in the graveyard, and is readable");
        put(&registry, "v1", manifest("late", None)).await.unwrap();
        assert_eq!(registry.collected().await.resurrected, 4);
        let report = collect(&registry, NOW).await;
        assert_eq!((report.referenced.number, report.restored.all()), (3, 0), "it was back already");
        super::is_sound(&registry).await;
        assert!(has(&registry, b"layer").await);
    })
    .await;
}

#[tokio::test]
async fn a_collection_brings_back_what_is_needed_and_leaves_its_grave_for_who_looks_there() {
    each(|registry| async move {
        push_blobs(&registry).await;
        collect(&registry.under(settings(|c| c.lease = Duration::ZERO)), DAILY).await;
        declare(&registry, PushId::fresh(), Some(registry.core.store.instance())).await;
        let report = collect(&registry, DAILY).await;
        assert_eq!((report.restored.blobs, report.restored.links, report.purged.all()), (1, 1, 0), "{report:?}");
        let report = collect(&registry, DAILY).await;
        assert_eq!((report.restored.all(), report.graveyard.number), (0, 4), "{report:?}");
        assert_eq!(report.graveyard.bytes, 7, "those of the blobs");
        put(&registry, "v1", manifest("gone", None)).await.unwrap();
        registry.delete_manifest(&name(), &sha256(&manifest("gone", None)).to_string().parse().unwrap()).await.unwrap();
        let report = collect(&registry, CollectionOptions { dry_run: true, ..DAILY }).await;
        assert_eq!(report.graveyard.bytes, 7, "what is noted of a manifest is no content: {report:?}");
    })
    .await;
}

#[tokio::test]
async fn a_dry_run_tells_and_changes_nothing() {
    each(|registry| async move {
        push_blobs(&registry).await;
        let options = CollectionOptions { dry_run: true, ..NOW };
        let report = collect(&registry, options).await;
        assert_eq!((report.condemned.blobs, report.condemned.links, report.condemned.bytes), (2, 2, 7));
        assert_eq!(collect(&registry, options).await.condemned.blobs, 2);
        put(&registry, "v1", manifest("there", None)).await.unwrap();
        assert_eq!(registry.collected().await.resurrected, 0);
    })
    .await;
}

#[tokio::test]
async fn manifests_without_a_tag_stay_and_are_told() {
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
            assert_eq!(registry.manifest(&name(), &reference).await.unwrap().len, kept.len() as u64);
        }
    })
    .await;
}

#[tokio::test]
async fn a_store_with_an_unknown_feature_or_without_its_root_is_not_collected() {
    each(|registry| async move {
        push_blobs(&registry).await;
        for root in [r#"{"format":1,"features":["artifacts"]}"#, "{"] {
            let put = Put::any(Key::Root, root);
            registry.core.store.put(vec![put], Durability::Durable).await.unwrap();
            let refused = registry.collect(NOW, &()).await.unwrap_err();
            assert!(matches!(refused, CollectionError::Unsafe(_)), "{refused}");
        }
        registry.core.store.delete(&Key::Root, crate::storage::Expect::Any).await.unwrap();
        assert!(matches!(registry.collect(NOW, &()).await, Err(CollectionError::Unsafe(_))));
    })
    .await;
}

#[tokio::test]
async fn a_manifest_that_cannot_be_read_ends_the_run_before_anything_goes() {
    each(|registry| async move {
        push_blobs(&registry).await;
        let orphan = b"orphan".as_ref();
        registry
            .push_blob(&name(), &Subject::Anonymous, &sha256(orphan), Chunk::default(), once(orphan))
            .await
            .unwrap();
        let key = Key::Revision(name(), sha256(b"no such bytes"));
        for json in [r#"{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":1,"pushed":"x"}"#, "garbled"] {
            registry.core.store.put(vec![Put::any(key.clone(), json)], Durability::Durable).await.unwrap();
            registry.collect(NOW, &()).await.unwrap_err();
            assert!(registry.core.store.condemned(None, 9).await.unwrap().entries.is_empty());
        }
        assert!(has(&registry, orphan).await);
        assert_eq!(registry.collected().await.failures, 2);
    })
    .await;
}

#[tokio::test]
async fn where_most_of_the_pool_would_go_somebody_has_to_say_so() {
    each(|registry| async move {
        for i in 0..1001u32 {
            let bytes = i.to_be_bytes();
            let digest = sha256(&bytes);
            let one = futures_util::stream::iter([Ok(Bytes::copy_from_slice(&bytes))]);
            registry.push_blob(&name(), &Subject::Anonymous, &digest, Chunk::default(), one).await.unwrap();
        }
        let report = collect(&registry, NOW).await;
        assert_eq!((report.orphaned.number, report.condemned.all()), (1001, 0));
        assert!(report.refused.unwrap().contains("--force"));
        assert_eq!(collect(&registry, CollectionOptions { force: true, ..NOW }).await.purged.blobs, 1001);
    })
    .await;
}

/// Holds a collection at one step until it is told to go on.
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
async fn pushes_and_pulls_go_on_while_a_collection_stands_at_any_of_its_steps() {
    for step in CollectionStep::ALL {
        each(|registry| async move {
            push_blobs(&registry).await;
            put(&registry, "v1", manifest("old", None)).await.unwrap();
            let orphan = b"orphan".as_ref();
            let digest = sha256(orphan);
            registry.push_blob(&name(), &Subject::Anonymous, &digest, Chunk::default(), once(orphan)).await.unwrap();
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
                super::is_sound(&registry).await;
                registry.delete_manifest(&name(), &"v1".parse().unwrap()).await.unwrap();
                assert!(registry.collect(NOW, &()).await.unwrap().is_none(), "one at a time");
            };
            tokio::time::timeout(Duration::from_secs(10), session)
                .await
                .expect("the step is told, and nothing waits for a collection");
            hold.go_on.notify_one();
            running.await.unwrap().unwrap().unwrap();
            super::is_sound(&registry).await;
            assert!(has(&registry, b"layer").await && has(&registry, b"{}").await, "{step:?}");
        })
        .await;
    }
}
