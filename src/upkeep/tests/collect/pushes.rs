//! What active, acknowledged and refused pushes keep from a collection.

use super::*;

fn unknown_layer() -> Bytes {
    String::from_utf8(manifest("x", None).to_vec()).unwrap().replace(sha256(b"layer").hex(), &"0".repeat(64)).into()
}

#[tokio::test]
async fn the_intent_of_a_push_in_progress_protects_its_references() {
    each(|registry| async move {
        push_blobs(&registry).await;
        let push = PushId::fresh();
        declare(&registry, push, None).await;
        let key = FactKey::Intent(name(), push);
        let report = collect(&registry, CollectionOptions { dry_run: true, ..NOW }).await;
        assert_eq!((report.condemned.blobs, report.condemned.links), (1, 1));
        let report = registry.under(settings(|c| c.lease = Duration::ZERO));
        let report = collect(&report, DAILY).await;
        assert_eq!((report.condemned.blobs, report.condemned.links), (1, 1), "it is a root while it expires");
        assert!(registry.store().get(&key).await.unwrap().is_none(), "its lease was over");
        let expired = FactKey::ExpiredIntent(name(), push);
        assert!(registry.store().get(&expired).await.unwrap().is_some(), "and it is still a root");
        let report = collect(&registry, NOW).await;
        assert_eq!(report.purged.blobs, 2, "until it is forgotten: {report:?}");
    })
    .await;
}

#[tokio::test]
async fn a_slow_push_keeps_its_intent() {
    each(|registry| async move {
        push_blobs(&registry).await;
        let push = PushId::fresh();
        declare(&registry, push, Some(registry.store().instance())).await;
        assert_eq!(collect(&registry, NOW).await.intents, 0);
        assert!(has(&registry, b"layer").await && !has(&registry, b"{}").await);
        declare(&registry, push, Some(InstanceId::fresh())).await;
        assert_eq!(collect(&registry, NOW).await.intents, 2, "the pushers have ended");
        assert!(!has(&registry, b"layer").await);
    })
    .await;
}

#[tokio::test]
async fn the_intent_of_a_completed_push_expires() {
    each(|registry| async move {
        push_blobs(&registry).await;
        put(&registry, "v1", manifest("answered", None)).await.unwrap();
        let intents = || async {
            let dir = crate::storage::Dir::Intents(name());
            registry.store().children(&dir, None, 9).await.unwrap().entries.len()
        };
        assert_eq!(intents().await, 1);
        registry.sweep().await.unwrap();
        assert_eq!(intents().await, 1, "not before every reader has seen the manifest");
        registry.under(settings(|c| c.settle = Duration::ZERO)).sweep().await.unwrap();
        assert_eq!(intents().await, 0);
        assert!(matches!(put(&registry, "v2", unknown_layer()).await, Err(RegistryError::MissingReferences(_))));
        assert_eq!(intents().await, 0, "what was refused leaves none");
    })
    .await;
}

#[tokio::test]
async fn checking_for_a_blob_renews_its_lease_only_for_callers_who_may_push() {
    let (dir, registry) = on_disk(Arc::default());
    push_blobs(&registry).await;
    let layer = sha256(b"layer");
    let files = [Item::Blob(layer.clone()), Item::Link(name(), layer.clone())].map(|item| dir.path().join(item.path()));
    let two_days_ago = SystemTime::now() - Duration::from_secs(2 * 86_400);
    for file in &files {
        std::fs::File::options().write(true).open(file).unwrap().set_modified(two_days_ago).unwrap();
    }
    let is_old = || files.iter().all(|file| file.metadata().unwrap().modified().unwrap() == two_days_ago);
    registry.repository(&name()).blob(&layer).await.unwrap();
    assert!(is_old(), "a pull writes nothing");
    assert_eq!(collect(&registry, CollectionOptions { dry_run: true, ..DAILY }).await.condemned.blobs, 1);
    registry.repository(&name()).blob_to_rely_on(&layer).await.unwrap();
    assert_eq!(collect(&registry, DAILY).await.condemned.all(), 0);
    for file in &files {
        std::fs::File::options().write(true).open(file).unwrap().set_modified(two_days_ago).unwrap();
    }
    assert_eq!(collect(&registry, DAILY).await.condemned.all(), 2);
    let impatient = registry.under(settings(|c| c.lease = Duration::ZERO));
    impatient.repository(&name()).blob_to_rely_on(&layer).await.unwrap();
    assert!(files.iter().all(|file| file.exists()), "a blob that was reported to exist is kept");
}

#[tokio::test]
async fn a_refused_push_does_not_create_a_repository() {
    let (dir, registry) = on_disk(settings(|c| c.lease = Duration::ZERO));
    push_blobs(&registry).await;
    collect(&registry, DAILY).await;
    assert_eq!(std::fs::read_dir(dir.path().join("graveyard")).unwrap().count(), 1, "a run to be looked into");
    let (other, reference) = ("other".parse().unwrap(), "v1".parse().unwrap());
    let put =
        registry.repository(&other).put_manifest(&reference, &[], None, manifest("x", None), Condition::None).await;
    assert!(matches!(put, Err(RegistryError::MissingReferences(_))));
    assert!(!dir.path().join("repositories/other").exists());
}

#[tokio::test]
async fn sessions_ended_by_a_collection_no_longer_count() {
    each(|registry| async move {
        let mut settings = Settings { open_uploads: 1, ..Settings::default() };
        settings.upload_timeout = Duration::ZERO;
        let ending = registry.under(Arc::new(settings.clone()));
        settings.upload_timeout = Duration::from_secs(3600);
        let registry = registry.under(Arc::new(settings));
        let open = async || registry.repository(&name()).begin_upload(oci::Algorithm::Sha256).await;
        open().await.unwrap();
        assert!(matches!(open().await, Err(RegistryError::TooManyUploads)));
        collect(&ending, DAILY).await;
        registry.sweep().await.unwrap();
        open().await.unwrap();
    })
    .await;
}
