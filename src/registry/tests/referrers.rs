//! The cost of a list of referrers in calls of the store, whatever others have put there.

use super::*;
use oci::media_type::OCI_INDEX;

/// An index of manifests that nobody has pushed.
fn made_up(entries: usize) -> Bytes {
    let entry = |i: usize| {
        let digest = sha256(i.to_string().as_bytes());
        serde_json::json!({"mediaType": OCI_INDEX, "digest": digest, "size": 1})
    };
    let manifests: Vec<_> = (0..entries).map(entry).collect();
    serde_json::json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}).to_string().into()
}

fn about(subject: &Digest, seed: usize) -> Bytes {
    let subject = serde_json::json!({"mediaType": "a/b", "digest": subject, "size": 1});
    let annotations = serde_json::json!({"seed": seed.to_string()});
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [], "subject": subject, "annotations": annotations,
    });
    manifest.to_string().into()
}

async fn put(registry: &Registry, reference: Reference, bytes: Bytes) {
    registry.repository(&name()).put_manifest(&reference, &[], None, bytes, Condition::None).await.unwrap();
}

#[tokio::test]
async fn an_index_under_the_fallback_tag_costs_readers_nothing() {
    let store = Faulty::new(Arc::new(Mem::default()), usize::MAX, Fault::Before);
    let (registry, subject) = (registry(store.clone()), sha256(b"subject"));
    put(&registry, Reference::Tag("one".parse().unwrap()), about(&subject, 1)).await;
    let cost = async || {
        let before = store.calls();
        let found = registry.repository(&name()).referrers(&subject, &[], None).await.unwrap();
        assert_eq!(found.descriptors.len(), 1);
        store.calls() - before
    };
    let without = cost().await;
    put(&registry, Reference::Tag(subject.fallback_tag()), made_up(9_999)).await;
    assert_eq!(cost().await, without);
}

#[tokio::test]
async fn a_page_costs_no_more_however_many_referrers_there_are() {
    let store = Faulty::new(Arc::new(Mem::default()), usize::MAX, Fault::Before);
    let settings = Settings { referrers_max: 10, ..Settings::default() };
    let (registry, subject) = (Registry::new(store.clone(), Arc::new(settings)), sha256(b"subject"));
    let cost = async || {
        let before = store.calls();
        // Whether or not any of them is wanted.
        registry.repository(&name()).referrers(&subject, &["another/type".to_owned()], None).await.unwrap();
        store.calls() - before
    };
    let mut costs = Vec::new();
    for seed in 0..30 {
        put(&registry, Reference::Digest(sha256(&about(&subject, seed))), about(&subject, seed)).await;
        costs.push(cost().await);
    }
    assert!(costs[8] < costs[9] && costs[9] == costs[29], "{costs:?}");
}
