//! Deleting whole repositories.

use super::{field, registry};
use crate::PROGRAM;
use serde_json::json;
use testing::managed::Managed;

#[tokio::test]
async fn its_owner_deletes_a_repository_and_the_name_is_free_again() {
    let registry = registry();
    let (alice, bob) = (registry.user("alice"), registry.user("bob"));
    alice.post("/repositories", &json!({ "name": "alice/app" })).await.is(201);
    alice.client.push_image("alice/app", "v1", "x").await;
    registry.admin().client.push_image("alice/app/inner", "v1", "x").await;
    let path = "/repositories/alice/app";
    bob.delete(path).await.refused(404, "NOT_FOUND");
    alice.delete(&format!("{path}?confirm=alice/ap")).await.refused(400, "INVALID_REQUEST");
    // A variable that is empty does not reach what is above it.
    for mistake in
        ["/repositories/alice/app/", "/repositories//", "/repositories/alice/app/-/tags/", "/repositories/alice//app"]
    {
        alice.delete(mistake).await.refused(404, "NOT_FOUND");
    }
    let deleted = alice.delete(&format!("{path}?confirm=alice/app")).await.is(202).json();
    assert_eq!(deleted, json!({ "name": "alice/app", "tags": 1, "manifests": 1, "blobs": 2 }));
    alice.get(path).await.refused(404, "NOT_FOUND");
    alice.delete(path).await.refused(404, "NOT_FOUND");
    registry.admin().delete(path).await.refused(404, "NOT_FOUND");
    assert_eq!(field(&registry.admin(), "/repositories", "name").await, ["alice/app/inner"]);
}

#[tokio::test]
async fn the_right_to_delete_content_is_not_enough() {
    let registry = registry();
    let (admin, alice) = (registry.admin(), registry.user("alice"));
    admin.client.push_image("team/app", "v1", "x").await;
    let refused = alice.delete("/repositories/team/app").await;
    assert!(refused.message().contains("DELETE:REPO"), "{refused:?}");
    refused.refused(403, "DENIED");
    alice.delete("/repositories/team/app/-/tags/v1").await.is(202);
    admin.patch("/repositories/team/app", &json!({ "owner": "alice" })).await.is(200);
    alice.delete("/repositories/team/app").await.is(202);
}

#[tokio::test]
async fn what_is_immutable_stays_and_so_does_all_where_deleting_is_off() {
    let registry = registry();
    let alice = registry.user("alice");
    alice.post("/repositories", &json!({ "name": "alice/app" })).await.is(201);
    alice.client.push_image("alice/app", "v1", "x").await;
    alice.patch("/repositories/alice/app", &json!({ "immutable_tags": ".*" })).await.is(200);
    alice.delete("/repositories/alice/app").await.refused(409, "DENIED");
    assert_eq!(alice.client.tags("alice/app").await, ["v1"]);

    let registry = Managed::start(PROGRAM, |files| {
        files.settings = "[operator]\ndelete = false\nmessage = \"an audit\"\n".into();
    });
    let admin = registry.admin();
    admin.client.push_image("app", "v1", "x").await;
    let refused = admin.delete("/repositories/app").await;
    assert!(refused.message().contains("an audit"), "{refused:?}");
    refused.refused(405, "UNSUPPORTED");
    admin.post("/repositories/app/-/tags/delete", &json!({ "tags": ["v1"] })).await.refused(405, "UNSUPPORTED");
}
