//! Registries where pushes create nothing: repositories and namespaces are created by the API first.

use super::registry_with;
use serde_json::json;

#[tokio::test]
async fn a_push_into_a_namespace_works_as_soon_as_it_was_created() {
    let registry = registry_with("[repositories]\nauto_create = \"in_namespaces\"\n");
    let (admin, alice) = (registry.admin(), registry.user("alice"));
    let refused = alice.client.post("/v2/team/app/blobs/uploads/", "").await;
    assert!(refused.message().contains("namespace team does not exist"), "{refused:?}");
    refused.refused(403, "DENIED");
    alice.post("/repositories", &json!({ "name": "team/app" })).await.refused(403, "DENIED");
    admin.post("/namespaces", &json!({ "name": "team" })).await.is(201);
    alice.client.push_image("team/app", "v1", "x").await;
    alice.post("/repositories", &json!({ "name": "team/other" })).await.is(201);
}

#[tokio::test]
async fn a_push_into_a_repository_works_as_soon_as_it_was_created() {
    let registry = registry_with("[repositories]\nauto_create = \"never\"\n");
    let alice = registry.user("alice");
    let refused = alice.client.post("/v2/team/app/blobs/uploads/", "").await;
    assert!(refused.message().contains("repository team/app does not exist"), "{refused:?}");
    refused.refused(403, "DENIED");
    alice.post("/repositories", &json!({ "name": "team/app" })).await.is(201);
    alice.client.push_image("team/app", "v1", "x").await;
    alice.client.post("/v2/team/other/blobs/uploads/", "").await.refused(403, "DENIED");
}
