//! Deletions during collections: deleted content does not come back, and nothing of it is left.

use super::*;
use oci::Digest;

/// Pushes a manifest and one that refers to it, and returns their digests.
async fn push_referrer(registry: &Registry) -> (Digest, Digest) {
    push_blobs(registry).await;
    let subject = manifest("subject", None);
    let referrer = manifest("referrer", Some(&sha256(&subject)));
    let digests = (sha256(&subject), sha256(&referrer));
    put(registry, "v1", subject).await.unwrap();
    put(registry, "v2", referrer).await.unwrap();
    digests
}

#[tokio::test]
async fn a_deletion_frees_what_only_the_deleted_manifest_needed() {
    each(|registry| async move {
        push_blobs(&registry).await;
        let bytes = manifest("gone", None);
        put(&registry, "v1", bytes.clone()).await.unwrap();
        registry.repository(&name()).delete_manifest(&Reference::Digest(sha256(&bytes))).await.unwrap();
        let report = collect(&registry, NOW).await;
        assert_eq!((report.purged.blobs, report.purged.links, report.purged.revisions), (3, 2, 1), "{report:?}");
        assert_eq!(collect(&registry, NOW).await.graveyard.number, 0);
    })
    .await;
}

#[tokio::test]
async fn an_explicit_deletion_is_not_undone_by_an_earlier_condemned_copy() {
    each(|registry| async move {
        let registry = registry.under(settings(|c| c.lease = Duration::ZERO));
        push_blobs(&registry).await;
        collect(&registry, DAILY).await;
        push_blobs(&registry).await;
        registry.repository(&name()).delete_blob(&sha256(b"layer")).await.unwrap();
        assert!(!has(&registry, b"layer").await);
        assert!(matches!(put(&registry, "v1", manifest("x", None)).await, Err(RegistryError::MissingReferences(_))));
        collect(&registry, DAILY).await;
        assert!(!has(&registry, b"layer").await);
    })
    .await;
}

#[tokio::test]
async fn an_emptied_repository_leaves_no_directory() {
    let (dir, registry) = on_disk(settings(|c| c.settle = Duration::ZERO));
    push_blobs(&registry).await;
    let bytes = manifest("gone", None);
    put(&registry, "v1", bytes.clone()).await.unwrap();
    registry.sweep().await.unwrap();
    registry.repository(&name()).delete_manifest(&Reference::Digest(sha256(&bytes))).await.unwrap();
    collect(&registry, NOW).await;
    let left = |path: &str| std::fs::read_dir(dir.path().join(path)).unwrap().count();
    assert_eq!((left("repositories"), left("graveyard")), (0, 0));
}

#[tokio::test]
async fn a_referrer_entry_left_by_a_deletion_is_not_listed_and_is_removed_later() {
    each(|registry| async move {
        let (subject, referrer) = push_referrer(&registry).await;
        let listed =
            async || registry.repository(&name()).referrers(&subject, &[], None).await.unwrap().descriptors.len();
        assert_eq!(listed().await, 1);
        let entry = FactKey::Referrer { repository: name(), subject: subject.clone(), referrer: referrer.clone() };
        let left = registry.store().get(&entry).await.unwrap().unwrap();
        registry.repository(&name()).delete_manifest(&Reference::Digest(referrer)).await.unwrap();
        registry.store().put(vec![Put::any(entry.clone(), left.bytes)], Durability::Durable).await.unwrap();
        assert_eq!(listed().await, 0);
        collect(&registry, NOW).await;
        assert!(registry.store().get(&entry).await.unwrap().is_none(), "it goes with the manifest's grave");
    })
    .await;
}

#[tokio::test]
async fn a_manifest_whose_push_ended_before_it_was_listed_is_listed_by_a_collection() {
    each(|registry| async move {
        let (subject, referrer) = push_referrer(&registry).await;
        let listed = async || registry.repository(&name()).referrers(&subject, &[], None).await.unwrap().descriptors;
        let before = listed().await;
        let entry = FactKey::Referrer { repository: name(), subject: subject.clone(), referrer: referrer.clone() };
        registry.store().delete(&entry, Expect::Any).await.unwrap();
        collect(&registry, CollectionOptions { dry_run: true, ..NOW }).await;
        assert_eq!(listed().await.len(), 0, "a dry run changes nothing");
        collect(&registry, NOW).await;
        assert_eq!(format!("{:?}", listed().await), format!("{before:?}"));
        registry.repository(&name()).delete_manifest(&Reference::Digest(referrer)).await.unwrap();
        collect(&registry, NOW).await;
        assert_eq!(listed().await.len(), 0, "nor does it list what was deleted");
    })
    .await;
}
