//! Namespaces: the first components of names.

use super::{field, items, registry};
use serde_json::json;

#[tokio::test]
async fn namespaces_are_those_of_visible_repositories_and_those_that_were_created() {
    let registry = registry();
    let (admin, alice, bob) = (registry.admin(), registry.user("alice"), registry.user("bob"));
    admin.client.push_image("secret/app", "v1", "x").await;
    alice.client.push_image("team/app", "v1", "x").await;
    alice.client.push_image("team/app", "v2", "y").await;
    admin.client.push_image("toplevel", "v1", "x").await;
    let created = admin.post("/namespaces", &json!({ "name": "new" })).await.is(201);
    assert_eq!((created.header("location"), &created.json()["repositories"]), ("/api/v1/namespaces/new", &json!(0)));
    admin.post("/namespaces", &json!({ "name": "new" })).await.refused(409, "NAME_TAKEN");
    admin.post("/namespaces", &json!({ "name": "a/b" })).await.refused(400, "INVALID_REQUEST");
    assert_eq!(field(&admin, "/namespaces", "name").await, ["new", "secret", "team"]);
    let team = &items(&alice, "/namespaces").await[0];
    assert_eq!((&team["name"], &team["repositories"], &team["tags"]), (&json!("team"), &json!(1), &json!(2)));
    assert_eq!(field(&bob, "/namespaces", "name").await, [""; 0]);
    bob.get("/namespaces/secret").await.refused(404, "NOT_FOUND");
    bob.get("/namespaces/new").await.refused(404, "NOT_FOUND");
    registry.nobody().get("/namespaces/none").await.refused(404, "NOT_FOUND");
    assert_eq!(admin.get("/namespaces/new").await.is(200).json()["created_by"], "admin");

    alice.post("/namespaces", &json!({ "name": "mine" })).await.refused(403, "DENIED");
    // Her role has CREATE:REPO for alice/** only.
    alice.post("/namespaces", &json!({ "name": "alice" })).await.is(201);
    assert_eq!(field(&alice, "/namespaces", "name").await, ["alice", "team"]);
    alice.delete("/namespaces/alice").await.refused(403, "DENIED");
    admin.delete("/namespaces/alice").await.is(204);
    registry.nobody().post("/namespaces", &json!({ "name": "mine" })).await.refused(401, "UNAUTHORIZED");
    alice.delete("/namespaces/new").await.refused(403, "DENIED");
    admin.delete("/namespaces/secret").await.refused(409, "IN_USE");
    admin.delete("/namespaces/new").await.is(204);
    admin.delete("/namespaces/new").await.refused(404, "NOT_FOUND");
    let page = admin.get("/namespaces?n=1").await.is(200);
    assert_eq!((&page.json()["items"][0]["name"], page.next().is_some()), (&json!("secret"), true));
}
