//! What one user may do in repositories: a rule of their own.

use super::{RULES, changed, problem, start};
use http::Method;
use serde_json::{Value, json};
use testing::{managed::ApiSession, session::Reply};

async fn change(session: &ApiSession, method: Method, user: &str, repository: &str, actions: &[&str]) -> Reply {
    let body = json!({ "repository": repository, "actions": actions });
    session.json(method, &format!("/users/{user}/access"), &body).send().await
}

#[tokio::test]
async fn a_scope_is_tried_added_extended_and_removed() {
    let registry = start();
    let (admin, bob) = (registry.admin(), registry.user("bob"));
    let before = admin.get("/users/alice/access").await.is(200).json();
    let of_alice: Vec<_> = before["items"].as_array().unwrap().iter().map(|item| &item["repository"]).collect();
    assert_eq!(of_alice, ["public/**", "team/*"]);

    let body = json!({ "repository": "public/app", "actions": ["push"], "dry_run": true });
    let tried = admin.post("/users/bob/access", &body).await.is(200).json();
    assert_eq!((&tried["before"], &tried["after"]), (&json!(["pull"]), &json!(["pull", "push"])));
    assert!(tried["diff"].as_str().unwrap().contains("\n+      \"for\": \"bob\""), "{tried}");
    assert_eq!(registry.text("access-control.json"), RULES);
    bob.client.put_manifest("public/app", "v1", &testing::session::index(&[])).await.refused(403, "DENIED");

    let made = change(&admin, Method::POST, "bob", "public/app", &["push"]).await.is(200).json();
    assert_eq!((&made["rule"]["index"], &made["rule"]["for"]), (&json!(0), &json!("bob")));
    assert_eq!(made["rule"]["permissions"], json!(["pull", "push"]), "what they had there stays");
    assert_eq!(made["diff"], tried["diff"]);
    bob.client.push_empty_index("public/app", "v1").await;
    let lines = changed(RULES, &registry.text("access-control.json"));
    assert!(lines.iter().all(|line| line.starts_with('+')), "{lines:?}");

    let more = change(&admin, Method::POST, "bob", "public/app", &["delete"]).await.is(200).json();
    assert_eq!((&more["rule"]["index"], &more["after"]), (&json!(0), &json!(["pull", "push", "delete"])));
    change(&admin, Method::DELETE, "bob", "public/app", &["delete"]).await.is(200);
    let gone = change(&admin, Method::DELETE, "bob", "public/app", &["pull", "push"]).await.is(200).json();
    assert_eq!((&gone["rule"], &gone["after"]), (&Value::Null, &json!(["pull"])));
    assert_eq!(registry.text("access-control.json"), RULES);
}

#[tokio::test]
async fn a_scope_that_would_have_no_effect_or_is_not_understood_is_refused() {
    let registry = start();
    let admin = registry.admin();
    change(&admin, Method::POST, "bob", "team/app", &["pull"]).await.is(200);
    let rules = admin.get("/rules").await.is(200);
    let above = json!({ "repository": "team/**", "users": ["bob"], "permissions": ["pull"] });
    admin.write_if(Method::POST, "/rules?at=0", rules.header("etag"), &above).await.is(201);
    let text = registry.text("access-control.json");
    let shadowed = change(&admin, Method::POST, "bob", "team/app", &["push"]).await;
    shadowed.refused(409, "AMBIGUOUS");
    assert!(shadowed.message().contains("rule 1"), "{}", shadowed.message());
    for (repository, actions, at) in
        [("a**", &["pull"][..], "/repository"), ("team/app", &[], "/actions"), ("team/app", &["look"], "/actions/0")]
    {
        assert_eq!(problem(&change(&admin, Method::POST, "bob", repository, actions).await).0, at);
    }
    change(&admin, Method::POST, "nobody", "team/app", &["pull"]).await.refused(404, "NOT_FOUND");
    change(&admin, Method::DELETE, "bob", "other", &["pull"]).await.refused(404, "NOT_FOUND");
    admin.get("/users/nobody/access").await.refused(404, "NOT_FOUND");
    // It takes an administrator: a rule may give more than the caller has.
    let mia = registry.user("mia");
    change(&mia, Method::POST, "bob", "team/app", &["pull"]).await.refused(403, "DENIED");
    change(&mia, Method::DELETE, "bob", "team/app", &["pull"]).await.refused(403, "DENIED");
    mia.get("/users/bob/access").await.is(200);
    assert_eq!(registry.text("access-control.json"), text);
}
