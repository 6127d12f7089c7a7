//! What the retention rules delete, and what is reported about it.

use super::*;
use crate::registry::settings::RetentionRule;
use oci::media_type;

/// Keeps the last tag; untagged manifests are deleted at once.
fn last_only() -> Arc<Settings> {
    let rule = RetentionRule {
        repositories: vec!["**".parse().unwrap()].into(),
        keep_last: Some(1),
        delete_untagged: Some(Duration::ZERO),
        ..RetentionRule::default()
    };
    let mut settings = Settings { retention: vec![rule], ..Settings::default() };
    settings.collection.lease = Duration::ZERO;
    Arc::new(settings)
}

/// An index of these manifests.
fn index(children: &[&Bytes]) -> Bytes {
    let child = |bytes: &&Bytes| serde_json::json!({"mediaType": media_type::OCI_MANIFEST, "digest": sha256(bytes), "size": bytes.len()});
    let children: Vec<_> = children.iter().map(child).collect();
    serde_json::json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": children})
        .to_string()
        .into()
}

#[tokio::test]
async fn content_deleted_by_rules_is_freed_with_everything_only_it_needed() {
    each(|registry| async move {
        let registry = registry.under(last_only());
        push_blobs(&registry).await;
        let (old, new, child) = (manifest("old", None), manifest("new", None), manifest("child", None));
        put(&registry, "old", old.clone()).await.unwrap();
        let signature = manifest("signature", Some(&sha256(&old)));
        put(&registry, sha256(&signature).as_str(), signature.clone()).await.unwrap();
        put(&registry, sha256(&child).as_str(), child.clone()).await.unwrap();
        put(&registry, "new", index(&[&child])).await.unwrap();
        let output = collect(&registry, CollectionOptions { dry_run: true, ..NOW }).await;
        assert_eq!(output.by_repository[0].deleted_tags, 1);
        let report = collect(&registry, NOW).await;
        assert_eq!((report.by_repository[0].deleted_tags, report.purged.revisions), (1, 2), "{report:?}");
        assert_eq!(registry.repository(&name()).tags(None, None).await.unwrap().entries, ["new".parse().unwrap()]);
        assert!(registry.repository(&name()).referrers(&sha256(&old), &[], None).await.unwrap().descriptors.is_empty());
        assert!(
            registry.repository(&name()).manifest(&Reference::Digest(sha256(&child))).await.is_ok(),
            "an index needs it"
        );
        assert!(has(&registry, b"layer").await);
        put(&registry, "new", new).await.unwrap();
        let report = collect(&registry, NOW).await;
        assert_eq!(report.purged.revisions, 2, "the index and its child: {report:?}");
        is_sound(&registry).await;
    })
    .await;
}

#[tokio::test]
async fn a_condemned_manifest_is_restored_whole_when_an_index_needs_it() {
    each(|registry| async move {
        push_blobs(&registry).await;
        let child = manifest("child", None);
        put(&registry, sha256(&child).as_str(), child.clone()).await.unwrap();
        registry.under(settings(|c| c.settle = Duration::ZERO)).sweep().await.unwrap();
        let mut rules = (*last_only()).clone();
        rules.collection.settle = Duration::ZERO;
        let registry = registry.under(Arc::new(rules));
        let report = collect(&registry, DAILY).await;
        assert_eq!(report.condemned.revisions, 1, "{report:?}");
        assert!(
            registry.repository(&name()).manifest(&Reference::Digest(sha256(&child))).await.is_ok(),
            "still readable"
        );
        let report = collect(&registry, DAILY).await;
        assert_eq!((report.condemned.all(), report.purged.all()), (0, 0), "what could come back keeps its blobs");
        put(&registry, "v1", index(&[&child])).await.unwrap();
        collect(&registry, NOW).await;
        assert!(registry.repository(&name()).manifest(&Reference::Digest(sha256(&child))).await.is_ok());
        assert!(has(&registry, b"layer").await && has(&registry, b"{}").await);
        is_sound(&registry).await;
    })
    .await;
}

#[tokio::test]
async fn deletions_are_reported_for_their_repository() {
    each(|registry| async move {
        let registry = registry.under(last_only());
        for (repository, images) in [("first", ["a", "b"].as_slice()), ("second", &["c"]), ("third", &[])] {
            let name = repository.parse().unwrap();
            for blob in [b"{}".as_ref(), b"layer"] {
                let bytes = once(blob);
                registry.repository(&name).push_blob(&sha256(blob), Chunk::default(), bytes).await.unwrap();
            }
            for image in images {
                let bytes = manifest(image, None);
                let reference = Reference::Digest(sha256(&bytes));
                registry.repository(&name).put_manifest(&reference, &[], None, bytes, Condition::None).await.unwrap();
            }
        }
        let report = collect(&registry, NOW).await;
        let output = report.by_repository.iter();
        let output: Vec<_> = output.map(|of| (of.name.as_str(), of.condemned_manifests, of.condemned_links)).collect();
        assert_eq!(output, [("first", 2, 2), ("second", 1, 2), ("third", 0, 2)], "{report:?}");
        assert_eq!((report.condemned.revisions, report.condemned.links), (3, 6));
    })
    .await;
}
