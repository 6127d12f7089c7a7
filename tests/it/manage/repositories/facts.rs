//! Creating repositories, and what is recorded about them: visibility, owner, description, immutable tags.

use super::{registry, registry_with};
use crate::PROGRAM;
use http::Method;
use serde_json::{Value, json};
use testing::{managed::Managed, people::basic};

#[tokio::test]
async fn who_creates_a_repository_owns_it_and_may_make_it_public() {
    let registry = registry();
    let (alice, bob, nobody) = (registry.user("alice"), registry.user("bob"), registry.nobody());
    let created = alice.post("/repositories", &json!({ "name": "alice/app", "description": "Mine" })).await.is(201);
    assert_eq!(created.header("location"), "/api/v1/repositories/alice/app");
    let item = created.json();
    for (key, value) in [
        ("name", json!("alice/app")),
        ("namespace", json!("alice")),
        ("visibility", json!("private")),
        ("private", json!(true)),
        ("is_public", json!(false)),
        ("owner", json!("alice")),
        ("is_owned_by_me", json!(true)),
        ("created_by", json!("alice")),
        ("description", json!("Mine")),
        ("tag_count", json!(0)),
    ] {
        assert_eq!(item[key], value, "{key}");
    }
    assert!(item.get("path").is_none() && item["created_at"].is_string());
    alice.post("/repositories", &json!({ "name": "alice/app" })).await.refused(409, "NAME_TAKEN");

    // No rule decides about it, so its owner may push, and nobody else sees it.
    alice.client.push_image("alice/app", "v1", "x").await;
    bob.get("/repositories/alice/app").await.refused(404, "NOT_FOUND");
    bob.client.get("/v2/alice/app/manifests/v1").await.refused(403, "DENIED");
    nobody.get("/repositories/alice/app").await.refused(401, "UNAUTHORIZED");
    bob.put("/repositories/alice/app/-/visibility", &json!({ "visibility": "public" })).await.refused(404, "NOT_FOUND");

    let state =
        alice.put("/repositories/alice/app/-/visibility", &json!({ "visibility": "public" })).await.is(200).json();
    assert_eq!(state, json!({ "visibility": "public", "effective": "public", "overridden_by": null }));
    bob.client.read("/v2/alice/app/manifests/v1").await;
    nobody.client.read("/v2/alice/app/manifests/v1").await;
    assert_eq!(nobody.client.get("/v2/alice/app/tags/list").await.is(200).strings("tags"), ["v1"]);
    assert_eq!(bob.client.get("/v2/_catalog").await.is(200).strings("repositories"), ["alice/app"]);
    bob.put("/repositories/alice/app/-/visibility", &json!({ "visibility": "private" })).await.refused(403, "DENIED");
    let seen = nobody.get("/repositories/alice/app").await.is(200).json();
    assert_eq!((&seen["owner"], &seen["created_by"]), (&Value::Null, &Value::Null), "strangers are told no names");

    alice.put("/repositories/alice/app/-/visibility", &json!({ "visibility": "private" })).await.is(200);
    nobody.client.get("/v2/alice/app/manifests/v1").await.refused(401, "UNAUTHORIZED");
    bob.client.get("/v2/alice/app/tags/list").await.refused(403, "DENIED");
}

#[tokio::test]
async fn a_rule_that_matches_is_final_and_the_answer_says_so() {
    let registry = Managed::start(PROGRAM, |files| {
        files.rules = json!({
            "defaultPolicy": "deny",
            "adminUsers": ["admin"],
            "rules": [{ "repository": "closed/**", "users": ["anonymous"], "permissions": [] },
                      { "repository": "open/**", "users": ["anonymous", "alice"], "permissions": ["pull"] }],
        })
        .to_string();
    });
    let admin = registry.admin();
    for name in ["closed/app", "open/app"] {
        admin.post("/repositories", &json!({ "name": name })).await.is(201);
    }
    let public = json!({ "visibility": "public" });
    let closed = admin.put("/repositories/closed/app/-/visibility", &public).await.is(200).json();
    assert_eq!((&closed["visibility"], &closed["effective"]), (&json!("public"), &json!("private")));
    assert!(closed["overridden_by"].as_str().unwrap().starts_with("rule 1 (line "), "{closed}");
    let open = registry.user("alice").get("/repositories/open/app/-/visibility").await.is(200).json();
    let overridden = json!({ "visibility": "private", "effective": "public", "overridden_by": "an access rule" });
    assert_eq!(open, overridden, "the text of rules is not for everybody");
}

#[tokio::test]
async fn a_name_is_created_by_those_who_may_push_to_it_or_have_the_permission_there() {
    let registry = registry();
    let (alice, bob) = (registry.user("alice"), registry.user("bob"));
    let new = |name: &str| json!({ "name": name });
    alice.post("/repositories", &new("team/app")).await.is(201);
    alice.post("/repositories", &new("alice/app")).await.is(201);
    alice.post("/repositories", &new("bob/app")).await.refused(403, "DENIED");
    bob.post("/repositories", &new("bob/app")).await.refused(403, "DENIED");
    registry.nobody().post("/repositories", &new("app")).await.refused(401, "UNAUTHORIZED");
    // A name that is taken is only said to be to those who could have it.
    bob.post("/repositories", &new("team/app")).await.refused(403, "DENIED");

    let given = json!({ "name": "alice/given", "owner": "bob" });
    alice.post("/repositories", &given).await.refused(403, "DENIED");
    assert_eq!(registry.admin().post("/repositories", &given).await.is(201).json()["owner"], "bob");
    bob.client.push_image("alice/given", "v1", "x").await;

    for (body, at) in [
        (json!({ "name": "Team/App" }), "/name"),
        (json!({ "name": "alice/x", "visibility": "secret" }), "/visibility"),
        (json!({ "name": "alice/x", "owner": "*" }), "/owner"),
        (json!({ "name": "alice/x", "description": "bell\u{7}" }), "/description"),
        (json!({ "name": "alice/x", "description": "x".repeat(4097) }), "/description"),
        (json!({ "name": "alice/x", "public": true }), "/public"),
    ] {
        let refused = registry.admin().post("/repositories", &body).await;
        assert_eq!(refused.json()["errors"][0]["detail"][0]["at"], at, "{body}");
        refused.refused(400, "INVALID_REQUEST");
    }
    alice.post("/repositories", &json!({ "name": "alice/long", "description": "x".repeat(4096) })).await.is(201);
}

#[tokio::test]
async fn a_change_sets_what_it_names_and_null_removes() {
    let registry = registry();
    let (admin, alice) = (registry.admin(), registry.user("alice"));
    let path = "/repositories/alice/app";
    alice.post("/repositories", &json!({ "name": "alice/app", "description": "Old" })).await.is(201);
    let change = async |body: Value| alice.patch(path, &body).await.is(200).json();
    let item = change(json!({ "immutable_tags": "v[0-9]+" })).await;
    assert_eq!((&item["immutable_tags"], &item["description"]), (&json!("v[0-9]+"), &json!("Old")));
    assert_eq!(change(json!({ "description": null })).await["description"], Value::Null);
    alice.client.push_image("alice/app", "v1", "one").await;
    let (_, other) = alice.client.push_image("alice/app", "dev", "two").await;
    alice.client.put_manifest("alice/app", "v1", &other).await.refused(409, "DENIED");

    alice.patch(path, &json!({ "immutable_tags": "v[" })).await.refused(400, "INVALID_REQUEST");
    alice.patch(path, &json!({ "tag_count": 7 })).await.refused(400, "INVALID_REQUEST");
    alice.patch("/repositories/alice/none", &json!({})).await.refused(404, "NOT_FOUND");
    registry.user("bob").patch(path, &json!({})).await.refused(404, "NOT_FOUND");
    // An owner gives it away, and is none any more.
    assert_eq!(change(json!({ "owner": "bob" })).await["is_owned_by_me"], false);
    alice.patch(path, &json!({ "owner": "alice" })).await.refused(404, "NOT_FOUND");
    registry.user("bob").get(path).await.is(200);
    assert_eq!(admin.patch(path, &json!({ "owner": null })).await.is(200).json()["owner"], Value::Null);
    registry.user("bob").get(path).await.refused(404, "NOT_FOUND");
}

#[tokio::test]
async fn two_editors_of_one_repository_do_not_overwrite_each_other_and_a_push_is_no_editor() {
    let registry = registry();
    let alice = registry.user("alice");
    let path = "/repositories/alice/app";
    alice.post("/repositories", &json!({ "name": "alice/app" })).await.is(201);
    let etag = alice.get(path).await.is(200).header("etag").to_owned();
    alice.client.push_image("alice/app", "v1", "x").await;
    let first = alice.write_if(Method::PATCH, path, &etag, &json!({ "description": "first" })).await.is(200);
    let second = alice.write_if(Method::PATCH, path, &etag, &json!({ "description": "second" })).await;
    second.refused(412, "PRECONDITION_FAILED");
    assert_eq!(
        format!("{:?}", second.json()["errors"][0]["detail"]["current"].as_str().unwrap()),
        first.header("etag")
    );
    alice.write_if(Method::DELETE, path, &etag, &json!({})).await.refused(412, "PRECONDITION_FAILED");
    assert_eq!(alice.get(path).await.json()["description"], "first");

    let etag = alice.get(path).await.header("etag").to_owned();
    let writes = (0..10).map(|i| {
        let (alice, etag) = (&alice, etag.clone());
        async move { alice.write_if(Method::PATCH, path, &etag, &json!({ "description": format!("{i}") })).await.status }
    });
    let statuses = futures_util::future::join_all(writes).await;
    assert_eq!(statuses.iter().filter(|status| status.as_u16() == 200).count(), 1, "{statuses:?}");
}

#[tokio::test]
async fn without_access_control_everybody_who_is_logged_in_manages_repositories() {
    let registry = Managed::start(PROGRAM, |files| {
        files.vars.push(("REGISTRY_ACCESS_CONTROL_ENABLED", "false".into()));
        files.vars.push(("REGISTRY_ACCESS_CONTROL_CONFIG", String::new()));
    });
    let alice = registry.user("alice");
    alice.post("/repositories", &json!({ "name": "app", "visibility": "public" })).await.is(201);
    alice.client.push_image("app", "v1", "x").await;
    registry.nobody().client.read("/v2/app/manifests/v1").await;
    registry.user("bob").delete("/repositories/app").await.is(202);
    registry.nobody().post("/repositories", &json!({ "name": "app" })).await.refused(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn without_authentication_repositories_are_managed_by_everybody() {
    let registry = Managed::start(PROGRAM, |files| files.vars.push(("REGISTRY_AUTH_TYPE", "none".into())));
    let nobody = registry.nobody();
    let item = nobody.post("/repositories", &json!({ "name": "app" })).await;
    // Access control without logins: rules still hold.
    item.refused(403, "DENIED");
}

#[tokio::test]
async fn a_push_makes_its_user_the_owner_if_the_setting_says_so() {
    let registry = registry_with("[repositories]\nowner_on_push = true\n");
    let (alice, bob) = (registry.user("alice"), registry.user("bob"));
    alice.client.push_image("team/app", "v1", "x").await;
    let item = alice.get("/repositories/team/app").await.is(200).json();
    assert_eq!((&item["owner"], &item["created_by"]), (&json!("alice"), &json!("alice")));
    alice.put("/repositories/team/app/-/visibility", &json!({ "visibility": "public" })).await.is(200);
    bob.client.read("/v2/team/app/manifests/v1").await;
    let wrong = registry.ask(Method::GET, "/api/v1/repositories").header("authorization", basic("mallory"));
    wrong.send().await.refused(401, "UNAUTHORIZED");
}
