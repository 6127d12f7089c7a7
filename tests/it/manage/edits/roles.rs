//! Roles: permissions, and where those on images apply.

use super::{RULES, changed, problem, start};
use http::Method;
use serde_json::json;

#[tokio::test]
async fn a_role_is_created_changed_replaced_and_deleted() {
    let registry = start();
    let (admin, alice) = (registry.admin(), registry.user("alice"));
    let asked = json!({
        "name": "pusher",
        "description": "Pushes below lab",
        "permissions": ["PUSH:IMAGE", { "action": "PULL", "resource": "IMAGE" }],
        "repositories": ["lab/**"],
    });
    let made = admin.post("/roles", &asked).await.is(201);
    assert_eq!(made.header("location"), "/api/v1/roles/pusher");
    let role = made.json();
    assert_eq!(role["permissions"], json!(["PUSH:IMAGE", "PULL:IMAGE"]));
    assert_eq!((&role["builtin"], &role["defined"]), (&json!(false), &json!(true)));
    let lines = changed(RULES, &registry.text("access-control.json"));
    assert!(lines.iter().filter(|line| line.starts_with('-')).count() <= 1, "{lines:?}");
    admin.put("/users/alice/groups", &json!({ "groups": ["devs"] })).await.is(200);
    admin.patch("/groups/devs", &json!({ "roles": ["dev", "pusher"] })).await.is(200);
    alice.client.push_image("lab/app", "v1", "x").await;

    let less = admin.patch("/roles/pusher", &json!({ "add": ["VIEW:USER"], "remove": ["PUSH:IMAGE"] })).await.is(200);
    assert_eq!(less.json()["permissions"], json!(["VIEW:USER", "PULL:IMAGE"]));
    alice.client.put_manifest("lab/app", "v2", &testing::session::index(&[])).await.refused(403, "DENIED");
    alice.get("/users").await.is(200);
    let used = admin.delete("/roles/pusher").await;
    used.refused(409, "IN_USE");
    assert_eq!(used.json()["errors"][0]["detail"], json!(["group \"devs\""]));
    let put = admin.put("/roles/pusher", &json!({ "permissions": ["VIEW:TASK"] })).await.is(200).json();
    assert_eq!((&put["permissions"], &put["repositories"]), (&json!(["VIEW:TASK"]), &json!([])));
    admin.patch("/groups/devs", &json!({ "roles": ["dev"] })).await.is(200);
    admin.delete("/roles/pusher").await.is(204);
    assert_eq!(registry.text("access-control.json"), RULES);
    admin.get("/roles/pusher").await.refused(404, "NOT_FOUND");
}

#[tokio::test]
async fn a_built_in_role_is_overridden_and_given_back_but_not_deleted() {
    let registry = start();
    let admin = registry.admin();
    let reader = admin.get("/roles/reader").await.is(200).json();
    assert_eq!((&reader["builtin"], &reader["defined"]), (&json!(true), &json!(false)));
    admin.delete("/roles/reader").await.refused(409, "BUILTIN");
    admin.post("/roles", &json!({ "name": "reader", "permissions": [] })).await.refused(409, "NAME_TAKEN");
    let own = admin.put("/roles/reader", &json!({ "permissions": ["VIEW:TASK"] })).await.is(200).json();
    assert_eq!((&own["permissions"], &own["defined"]), (&json!(["VIEW:TASK"]), &json!(true)));
    admin.delete("/roles/reader").await.is(204);
    assert_eq!(admin.get("/roles/reader").await.is(200).json(), reader);
    assert_eq!(registry.text("access-control.json"), RULES);
    let list = admin.get("/roles").await.is(200).json();
    let names: Vec<_> = list["items"].as_array().unwrap().iter().map(|role| &role["name"]).collect();
    assert_eq!(names, ["administrator", "anonymous", "dev", "developer", "manage", "reader"]);
}

#[tokio::test]
async fn what_cannot_be_a_role_is_refused_and_changes_nothing() {
    let registry = start();
    let admin = registry.admin();
    for (body, at) in [
        (json!({ "name": "a/b" }), "/name"),
        (json!({ "name": "new", "permissions": ["VIEW:USER", "LOOK:USER"] }), "/permissions/1"),
        (
            json!({ "name": "new", "permissions": [{ "action": "PULL", "resource": "USER" }], "repositories": ["a**"] }),
            "/repositories/0",
        ),
        (json!({ "name": "new", "permission": [] }), "/permission"),
    ] {
        assert_eq!(problem(&admin.post("/roles", &body).await).0, at, "{body}");
    }
    assert_eq!(problem(&admin.patch("/roles/dev", &json!({ "remove": ["x"] })).await).0, "/remove/0");
    admin.patch("/roles/absent", &json!({ "add": [] })).await.refused(404, "NOT_FOUND");
    admin.delete("/roles/absent").await.refused(404, "NOT_FOUND");
    admin.delete("/roles/dev").await.refused(409, "IN_USE");
    let tag = admin.get("/roles/dev").await.is(200).header("etag").to_owned();
    admin
        .write_if(Method::PATCH, "/roles/dev", "\"x\"", &json!({ "add": [] }))
        .await
        .refused(412, "PRECONDITION_FAILED");
    assert_eq!(registry.text("access-control.json"), RULES);
    admin.write_if(Method::PATCH, "/roles/dev", &tag, &json!({ "description": "x" })).await.is(200);
    // Roles are seen with VIEW:SYSTEM only.
    registry.user("mia").get("/roles").await.refused(403, "DENIED");
    registry.nobody().get("/roles/dev").await.refused(401, "UNAUTHORIZED");
}
