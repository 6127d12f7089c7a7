//! Immutable tags that a repository has by its own rule, besides those of the operator.

use super::inner;
use testing::{registry::Registry, session::*};
use wharfinger::registry::RegistryError;

#[tokio::test]
async fn a_repository_has_immutable_tags_of_its_own() {
    let registry = Registry::start().await;
    let (digest, _) = registry.push_image("team/app", "v1", "one").await;
    registry.push_image("team/app", "dev", "one").await;
    let app = inner(&registry, "alice", "team/app");
    app.set_own_immutable(Some(&"v[0-9]+".parse().unwrap())).await.unwrap();

    let (_, other) = registry.push_image("team/app", "dev", "two").await;
    registry.put_manifest("team/app", "v1", &other).await.refused(409, "DENIED");
    registry.delete("/v2/team/app/manifests/v1").await.refused(409, "DENIED");
    registry.delete(format!("/v2/team/app/manifests/{digest}")).await.refused(409, "DENIED");
    let layer = sha256(b"layer of one");
    registry.delete(format!("/v2/team/app/blobs/{layer}")).await.refused(403, "DENIED");
    registry.push_image("team/other", "v1", "one").await;
    registry.push_image("team/other", "v1", "two").await;

    app.set_own_immutable(None).await.unwrap();
    registry.push_image("team/app", "v1", "two").await;
}

#[tokio::test]
async fn while_a_rule_of_immutable_tags_is_malformed_nothing_can_be_pushed_or_deleted() {
    let registry = Registry::start().await;
    let digest = registry.push_empty_index("team/app", "v1").await;
    let facts = registry.root().join("repositories/team/app/_facts");
    std::fs::create_dir_all(&facts).unwrap();
    let path = facts.join("immutable_tags");
    std::fs::write(&path, "v[0-9\n").unwrap();
    registry.put_manifest("team/app", "v2", &index(&[])).await.refused(500, "UNKNOWN");
    registry.delete(format!("/v2/team/app/manifests/{digest}")).await.refused(500, "UNKNOWN");
    assert!(matches!(inner(&registry, "alice", "team/app").delete().await, Err(RegistryError::Storage(_))));
    assert_eq!(registry.tags("team/app").await, ["v1"]);

    std::fs::write(&path, "v[0-9]\n").unwrap();
    registry.put_manifest("team/app", "v2", &index(&[])).await.is(201);
}
