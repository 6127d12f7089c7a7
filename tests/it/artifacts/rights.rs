//! Who may do what with artifacts.

use super::{create, put, registry, stored};
use http::Method;
use serde_json::json;

#[tokio::test]
async fn a_private_repository_is_the_same_as_none_for_those_who_may_not_see_it() {
    let registry = registry();
    let (admin, bob, nobody) = (registry.admin(), registry.user("bob"), registry.nobody());
    create(&admin, "secret").await;
    let id = stored(&admin, "secret/-/1.0/app", "one").await["id"].as_str().unwrap().to_owned();
    let requests = |repository: &str| {
        [
            (Method::GET, format!("/artifacts/repos/{repository}")),
            (Method::PATCH, format!("/artifacts/repos/{repository}")),
            (Method::DELETE, format!("/artifacts/repos/{repository}")),
            (Method::GET, format!("/artifacts/{repository}/1.0/app")),
            (Method::DELETE, format!("/artifacts/{repository}/1.0/app")),
            (Method::PUT, format!("/artifacts/{repository}/-/1.0/app")),
            (Method::POST, format!("/artifacts/{repository}/upload")),
            (Method::GET, format!("/artifacts/{repository}/versions")),
            (Method::GET, format!("/artifacts/{repository}/trash")),
            (Method::PUT, format!("/artifacts/{repository}/{id}/metadata")),
            (Method::POST, format!("/artifacts/{repository}/{id}/restore")),
        ]
    };
    for ((method, there), (_, absent)) in requests("secret").into_iter().zip(requests("absent")) {
        for (caller, status, code) in [(&bob, 404, "NOT_FOUND"), (&nobody, 401, "UNAUTHORIZED")] {
            let found = caller.ask(method.clone(), &there).send().await;
            let missing = caller.ask(method.clone(), &absent).send().await;
            found.refused(status, code);
            assert_eq!((found.status, found.message()), (missing.status, missing.message()), "{method} {there}");
        }
    }
    assert_eq!(bob.get("/artifacts/repos").await.is(200).json()["items"], json!([]));
    assert_eq!(nobody.get("/artifacts/repos").await.is(200).json()["items"], json!([]));
}

#[tokio::test]
async fn everybody_may_download_from_a_public_repository_and_nobody_else_may_change_it() {
    let registry = registry();
    let (admin, bob, nobody) = (registry.admin(), registry.user("bob"), registry.nobody());
    admin.post("/artifacts/repos", &json!({ "name": "open", "private": false })).await.is(201);
    stored(&admin, "open/-/1.0/app", "one").await;
    for caller in [&bob, &nobody] {
        assert_eq!(caller.get("/artifacts/open/1.0/app").await.is(200).body, "one");
        caller.get("/artifacts/open/versions").await.is(200);
        assert_eq!(caller.get("/artifacts/repos").await.is(200).json()["items"][0]["name"], "open");
    }
    put(&bob, "open/-/1.0/b", "x").await.refused(403, "DENIED");
    put(&nobody, "open/-/1.0/b", "x").await.refused(401, "UNAUTHORIZED");
    bob.delete("/artifacts/open/1.0/app").await.refused(403, "DENIED");
    bob.delete("/artifacts/repos/open").await.refused(403, "DENIED");
    bob.get("/artifacts/open/trash").await.refused(403, "DENIED");
    // Strangers are not told who has an account.
    assert_eq!(nobody.get("/artifacts/repos/open").await.is(200).json()["owner"], json!(null));
}

#[tokio::test]
async fn a_role_counts_only_in_the_repositories_that_it_lists() {
    let registry = registry();
    let (admin, alice) = (registry.admin(), registry.user("alice"));
    create(&admin, "releases").await;
    create(&admin, "ci-nightly").await;
    put(&alice, "ci-nightly/-/1.0/app", "x").await.is(201);
    put(&alice, "releases/-/1.0/app", "x").await.refused(404, "NOT_FOUND");
    alice.delete("/artifacts/repos/ci-nightly").await.refused(403, "DENIED");
    alice.post("/artifacts/repos", &json!({ "name": "mine" })).await.refused(403, "DENIED");
    create(&alice, "ci-mine").await;
    alice.delete("/artifacts/repos/ci-mine").await.is(204);
    let role = json!({ "name": "ci", "permissions": ["VIEW:ARTIFACT"], "artifacts": ["rel*"] });
    let put_role = admin.put("/roles/ci", &role).await.is(200).json();
    assert_eq!(put_role["artifacts"], json!(["rel*"]));
    alice.get("/artifacts/releases/versions").await.is(200);
    alice.get("/artifacts/ci-nightly/versions").await.refused(404, "NOT_FOUND");
    admin.put("/roles/ci", &json!({ "name": "ci", "artifacts": ["A"] })).await.refused(400, "INVALID_REQUEST");
}

#[tokio::test]
async fn an_api_key_reaches_artifacts_only_by_its_scopes() {
    let registry = registry();
    let alice = registry.user("alice");
    create(&alice, "ci-a").await;
    create(&alice, "ci-b").await;
    stored(&alice, "ci-a/-/1.0/app", "one").await;
    let key = json!({ "name": "uploader", "scopes": ["artifact:ci-a:push"] });
    let secret = alice.post("/keys", &key).await.is(201).json()["secret"].as_str().unwrap().to_owned();
    let bot = registry.caller(Some(format!("Bearer {secret}")));
    put(&bot, "ci-a/-/1.1/app", "two").await.is(201);
    bot.get("/artifacts/ci-a/1.0/app").await.refused(403, "SCOPE_TOO_NARROW");
    put(&bot, "ci-b/-/1.0/app", "x").await.refused(403, "SCOPE_TOO_NARROW");
    bot.delete("/artifacts/ci-a/1.0/app").await.refused(403, "SCOPE_TOO_NARROW");
}

#[tokio::test]
async fn switches_of_the_operator_hold_for_artifacts() {
    let registry = super::registry_with("[operator]\ndelete = false\n");
    let admin = registry.admin();
    create(&admin, "builds").await;
    stored(&admin, "builds/-/1.0/app", "one").await;
    admin.delete("/artifacts/builds/1.0/app").await.refused(405, "UNSUPPORTED");
    admin.delete("/artifacts/repos/builds").await.refused(405, "UNSUPPORTED");
    std::fs::write(registry.conf("settings.toml"), "[operator]\nread_only = true\n").unwrap();
    admin.post("/config/reload", &json!({})).await;
    put(&admin, "builds/-/1.0/b", "x").await.refused(405, "UNSUPPORTED");
    admin.get("/artifacts/builds/1.0/app").await.is(200);
}
