//! Collections beside pushes and pulls: what is needed stays, what is not goes in two steps.

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

/// Publishes the intent of a push, under way in `instance`, of a manifest that needs the layer.
async fn declare(registry: &Registry, push: PushId, instance: InstanceId) {
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
        declare(&registry, PushId::fresh(), registry.core.store.instance()).await;
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
async fn a_deletion_frees_what_only_the_deleted_needed() {
    each(|registry| async move {
        push_blobs(&registry).await;
        let bytes = manifest("gone", None);
        put(&registry, "v1", bytes.clone()).await.unwrap();
        registry.delete_manifest(&name(), &Reference::Digest(sha256(&bytes))).await.unwrap();
        let report = collect(&registry, NOW).await;
        assert_eq!((report.purged.blobs, report.purged.links, report.purged.revisions), (3, 2, 1), "{report:?}");
        assert_eq!(collect(&registry, NOW).await.graveyard.number, 0);
    })
    .await;
}

#[tokio::test]
async fn the_intent_of_a_push_under_way_keeps_what_it_names() {
    each(|registry| async move {
        push_blobs(&registry).await;
        let intent = serde_json::json!({"manifest": sha256(b"m"), "refers": [sha256(b"layer")]});
        let push = PushId::fresh();
        let key = Key::Intent(name(), push);
        let put = Put::any(key.clone(), serde_json::to_vec(&intent).unwrap());
        registry.core.store.put(vec![put], Durability::Process).await.unwrap();
        let report = collect(&registry, CollectionOptions { dry_run: true, ..NOW }).await;
        assert_eq!((report.condemned.blobs, report.condemned.links), (1, 1));
        let report = registry.under(settings(|c| c.lease = Duration::ZERO));
        let report = collect(&report, DAILY).await;
        assert_eq!((report.condemned.blobs, report.condemned.links), (1, 1), "it is a root while it expires");
        assert!(registry.core.store.get(&key).await.unwrap().is_none(), "its lease was over");
        let expired = Key::ExpiredIntent(name(), push);
        assert!(registry.core.store.get(&expired).await.unwrap().is_some(), "and it is still a root");
        let report = collect(&registry, NOW).await;
        assert_eq!(report.purged.blobs, 2, "until it is forgotten: {report:?}");
    })
    .await;
}

#[tokio::test]
async fn a_push_that_lives_keeps_its_intent_however_slow_it_is() {
    each(|registry| async move {
        push_blobs(&registry).await;
        let push = PushId::fresh();
        declare(&registry, push, registry.core.store.instance()).await;
        assert_eq!(collect(&registry, NOW).await.intents, 0);
        assert!(has(&registry, b"layer").await && !has(&registry, b"{}").await);
        declare(&registry, push, InstanceId::fresh()).await;
        assert_eq!(collect(&registry, NOW).await.intents, 2, "whoever pushed has ended");
        assert!(!has(&registry, b"layer").await);
    })
    .await;
}

fn settings(change: impl Fn(&mut crate::registry::Collection)) -> Arc<Settings> {
    let mut settings = Settings::default();
    change(&mut settings.collection);
    Arc::new(settings)
}

#[tokio::test]
async fn the_intent_of_an_answered_push_goes_by_itself() {
    each(|registry| async move {
        push_blobs(&registry).await;
        put(&registry, "v1", manifest("answered", None)).await.unwrap();
        let intents = || async {
            let dir = crate::storage::Dir::Intents(name());
            registry.core.store.children(&dir, None, 9).await.unwrap().entries.len()
        };
        assert_eq!(intents().await, 1);
        registry.sweep().await.unwrap();
        assert_eq!(intents().await, 1, "not before every reader has seen the manifest");
        registry.under(settings(|c| c.settle = Duration::ZERO)).sweep().await.unwrap();
        assert_eq!(intents().await, 0);
        assert!(matches!(put(&registry, "v2", unknown_layer()).await, Err(Error::MissingReferences(_))));
        assert_eq!(intents().await, 0, "what was refused leaves none");
    })
    .await;
}

fn unknown_layer() -> Bytes {
    String::from_utf8(manifest("x", None).to_vec()).unwrap().replace(sha256(b"layer").hex(), &"0".repeat(64)).into()
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

#[tokio::test]
async fn an_explicit_delete_is_not_undone_by_what_was_condemned_before() {
    each(|registry| async move {
        let registry = registry.under(settings(|c| c.lease = Duration::ZERO));
        push_blobs(&registry).await;
        collect(&registry, DAILY).await;
        push_blobs(&registry).await;
        registry.delete_blob(&name(), &sha256(b"layer")).await.unwrap();
        assert!(!has(&registry, b"layer").await);
        assert!(matches!(put(&registry, "v1", manifest("x", None)).await, Err(Error::MissingReferences(_))));
        collect(&registry, DAILY).await;
        assert!(!has(&registry, b"layer").await);
    })
    .await;
}

#[tokio::test]
async fn who_pushes_and_asks_for_a_blob_renews_its_lease_and_who_pulls_does_not() {
    let dir = super::directory();
    let registry = Registry::new(Arc::new(Fs::open(dir.path(), Init::EmptyDirectory).unwrap().0), Arc::default());
    push_blobs(&registry).await;
    let layer = sha256(b"layer");
    let files = [Item::Blob(layer.clone()), Item::Link(name(), layer.clone())].map(|item| dir.path().join(item.path()));
    let two_days_ago = SystemTime::now() - Duration::from_secs(2 * 86_400);
    for file in &files {
        std::fs::File::options().write(true).open(file).unwrap().set_modified(two_days_ago).unwrap();
    }
    let is_old = || files.iter().all(|file| file.metadata().unwrap().modified().unwrap() == two_days_ago);
    registry.blob(&name(), &layer).await.unwrap();
    assert!(is_old(), "a pull writes nothing");
    assert_eq!(collect(&registry, CollectionOptions { dry_run: true, ..DAILY }).await.condemned.blobs, 1);
    registry.blob_to_rely_on(&name(), &layer).await.unwrap();
    assert_eq!(collect(&registry, DAILY).await.condemned.all(), 0);
    for file in &files {
        std::fs::File::options().write(true).open(file).unwrap().set_modified(two_days_ago).unwrap();
    }
    assert_eq!(collect(&registry, DAILY).await.condemned.all(), 2);
    registry.under(settings(|c| c.lease = Duration::ZERO)).blob_to_rely_on(&name(), &layer).await.unwrap();
    assert!(files.iter().all(|file| file.exists()), "told that it is there, he finds it there");
}

#[tokio::test]
async fn a_refused_push_leaves_nothing_of_a_repository_that_was_not_there() {
    let dir = super::directory();
    let store = Arc::new(Fs::open(dir.path(), Init::EmptyDirectory).unwrap().0);
    let registry = Registry::new(store, settings(|c| c.lease = Duration::ZERO));
    push_blobs(&registry).await;
    collect(&registry, DAILY).await;
    assert_eq!(std::fs::read_dir(dir.path().join("graveyard")).unwrap().count(), 1, "a run to be looked into");
    let (other, reference) = ("other".parse().unwrap(), "v1".parse().unwrap());
    let put = registry.put_manifest(&other, &reference, &[], None, manifest("x", None), Condition::None).await;
    assert!(matches!(put, Err(Error::MissingReferences(_))));
    assert!(!dir.path().join("repositories/other").exists());
}

#[tokio::test]
async fn sessions_that_a_collection_ended_count_no_more() {
    each(|registry| async move {
        let mut settings = Settings { open_uploads: 1, ..Settings::default() };
        settings.upload_timeout = Duration::ZERO;
        let ending = registry.under(Arc::new(settings.clone()));
        settings.upload_timeout = Duration::from_secs(3600);
        let registry = registry.under(Arc::new(settings));
        let open = async || registry.begin_upload(&name(), &Subject::Anonymous, crate::oci::Algorithm::Sha256).await;
        open().await.unwrap();
        assert!(matches!(open().await, Err(Error::TooManyUploads)));
        collect(&ending, DAILY).await;
        registry.sweep().await.unwrap();
        open().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_repository_of_which_everything_went_leaves_no_directory() {
    let dir = super::directory();
    let store = Arc::new(Fs::open(dir.path(), Init::EmptyDirectory).unwrap().0);
    let registry = Registry::new(store, settings(|c| c.settle = Duration::ZERO));
    push_blobs(&registry).await;
    let bytes = manifest("gone", None);
    put(&registry, "v1", bytes.clone()).await.unwrap();
    registry.sweep().await.unwrap();
    registry.delete_manifest(&name(), &Reference::Digest(sha256(&bytes))).await.unwrap();
    collect(&registry, NOW).await;
    let left = |path: &str| std::fs::read_dir(dir.path().join(path)).unwrap().count();
    assert_eq!((left("repositories"), left("graveyard")), (0, 0));
}

#[tokio::test]
async fn an_entry_that_a_deletion_left_behind_is_not_listed() {
    each(|registry| async move {
        push_blobs(&registry).await;
        let subject = manifest("subject", None);
        let referrer = manifest("referrer", Some(&sha256(&subject)));
        put(&registry, "v1", subject.clone()).await.unwrap();
        put(&registry, "v2", referrer.clone()).await.unwrap();
        let listed =
            async || registry.referrers(&name(), &sha256(&subject), &[], None).await.unwrap().descriptors.len();
        assert_eq!(listed().await, 1);
        let entry = Key::Referrer { repository: name(), subject: sha256(&subject), referrer: sha256(&referrer) };
        let left = registry.core.store.get(&entry).await.unwrap().unwrap();
        registry.delete_manifest(&name(), &sha256(&referrer).to_string().parse().unwrap()).await.unwrap();
        registry.core.store.put(vec![Put::any(entry, left.bytes)], Durability::Durable).await.unwrap();
        assert_eq!(listed().await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_manifest_whose_push_ended_before_it_was_listed_is_listed_by_a_collection() {
    each(|registry| async move {
        push_blobs(&registry).await;
        let first = manifest("first", None);
        let second = manifest("second", Some(&sha256(&first)));
        put(&registry, "v1", first.clone()).await.unwrap();
        put(&registry, "v2", second.clone()).await.unwrap();
        let listed = async || registry.referrers(&name(), &sha256(&first), &[], None).await.unwrap().descriptors;
        let before = listed().await;
        let entry = Key::Referrer { repository: name(), subject: sha256(&first), referrer: sha256(&second) };
        registry.core.store.delete(&entry, Expect::Any).await.unwrap();
        collect(&registry, CollectionOptions { dry_run: true, ..NOW }).await;
        assert_eq!(listed().await.len(), 0, "a dry run changes nothing");
        collect(&registry, NOW).await;
        assert_eq!(format!("{:?}", listed().await), format!("{before:?}"));
        registry.delete_manifest(&name(), &sha256(&second).to_string().parse().unwrap()).await.unwrap();
        collect(&registry, NOW).await;
        assert_eq!(listed().await.len(), 0, "nor does it list what was deleted");
    })
    .await;
}
