//! Access rules: an ordered list, whose indexes mean something only in the version that was read.

use super::{RULES, changed, problem, start};
use http::Method;
use serde_json::{Value, json};
use testing::{managed::ApiSession, session::Reply};

fn rule(repository: &str, users: &[&str], permissions: &[&str]) -> Value {
    json!({ "repository": repository, "users": users, "permissions": permissions })
}

async fn delete(session: &ApiSession, path: &str, tag: &str) -> Reply {
    session.ask(Method::DELETE, path).header("if-match", tag).send().await
}

#[tokio::test]
async fn rules_are_inserted_replaced_and_deleted_at_their_places() {
    let registry = start();
    let (admin, bob) = (registry.admin(), registry.user("bob"));
    let read = admin.get("/rules").await.is(200);
    let list = read.json();
    assert_eq!((&list["default_policy"], &list["items"][1]["line"]), (&json!("deny"), &json!(17)));
    assert_eq!(list["items"][1]["users"], json!(["@devs"]));
    let both = rule("lab/*", &["bob"], &["push", "pull"]);
    let made = admin.write_if(Method::POST, "/rules?at=1", read.header("etag"), &both).await.is(201);
    assert_eq!((&made.json()["index"], made.header("location")), (&json!(1), "/api/v1/rules/1"));
    let lines = changed(RULES, &registry.text("access-control.json"));
    assert!(lines.iter().all(|line| line.starts_with('+')), "{lines:?}");
    bob.client.push_image("lab/app", "v1", "x").await;

    // The answer has the tag of the file as it is now.
    let less = rule("lab/*", &["bob"], &["pull"]);
    let replaced = admin.write_if(Method::PUT, "/rules/1", made.header("etag"), &less).await.is(200);
    assert_eq!(replaced.json()["permissions"], json!(["pull"]));
    bob.client.put_manifest("lab/app", "v2", &testing::session::index(&[])).await.refused(403, "DENIED");
    assert_eq!(admin.get("/rules").await.is(200).header("etag"), replaced.header("etag"));
    let gone = delete(&admin, "/rules/1", replaced.header("etag")).await.is(204);
    assert_eq!(registry.text("access-control.json"), RULES);
    assert_eq!(gone.header("etag"), read.header("etag"));
    let last = admin.write_if(Method::POST, "/rules", gone.header("etag"), &rule("z", &["*"], &["pull"])).await.is(201);
    assert_eq!(last.json()["index"], 2);
}

#[tokio::test]
async fn an_index_means_nothing_in_another_version() {
    let registry = start();
    let admin = registry.admin();
    let tag = admin.get("/rules").await.is(200).header("etag").to_owned();
    let new = rule("lab/*", &["bob"], &["pull"]);
    admin.post("/rules", &new).await.refused(428, "PRECONDITION_REQUIRED");
    admin.put("/rules/0", &new).await.refused(428, "PRECONDITION_REQUIRED");
    admin.delete("/rules/0").await.refused(428, "PRECONDITION_REQUIRED");
    // Somebody edits the file by hand in between, and nothing was reloaded yet.
    let edited = RULES.replace("\"defaultPolicy\": \"deny\",\n", "\"defaultPolicy\":    \"deny\",\n");
    std::fs::write(registry.conf("access-control.json"), &edited).unwrap();
    let late = delete(&admin, "/rules/0", &tag).await;
    late.refused(412, "PRECONDITION_FAILED");
    admin.write_if(Method::POST, "/rules", &tag, &new).await.refused(412, "PRECONDITION_FAILED");
    assert_eq!(registry.text("access-control.json"), edited);
    let current = late.json()["errors"][0]["detail"]["current"].as_str().unwrap().to_owned();
    assert_eq!(format!("\"{current}\""), admin.get("/rules").await.is(200).header("etag"));
    delete(&admin, "/rules/0", &format!("\"{current}\"")).await.is(204);
}

#[tokio::test]
async fn what_cannot_be_a_rule_is_refused_and_changes_nothing() {
    let registry = start();
    let admin = registry.admin();
    let tag = admin.get("/rules").await.is(200).header("etag").to_owned();
    let post = |body: Value| {
        let (admin, tag) = (registry.admin(), tag.clone());
        async move { admin.write_if(Method::POST, "/rules", &tag, &body).await }
    };
    assert_eq!(problem(&post(rule("a", &["bobb"], &["pull"])).await), ("/users/0".to_owned(), json!("bob")));
    for wrong in
        [rule("a**", &["bob"], &["pull"]), rule("a", &["bob"], &["look"]), rule("a", &["@nobodies"], &["pull"])]
    {
        post(wrong).await.refused(400, "INVALID_REQUEST");
    }
    assert_eq!(problem(&post(json!({ "repository": "a", "users": [], "permissions": [], "x": 1 })).await).0, "/x");
    assert_eq!(problem(&post(rule("a", &[], &["pull"])).await).0, "/users");
    let nobody = admin.write_if(Method::PUT, "/rules/0", &tag, &rule("a", &[], &["pull"])).await;
    assert_eq!(problem(&nobody).0, "/users");
    let far = admin.write_if(Method::POST, "/rules?at=9", &tag, &rule("a", &["bob"], &["pull"])).await;
    assert_eq!(problem(&far).0, "at");
    admin.write_if(Method::PUT, "/rules/9", &tag, &rule("a", &["bob"], &["pull"])).await.refused(404, "NOT_FOUND");
    delete(&admin, "/rules/9", &tag).await.refused(404, "NOT_FOUND");
    delete(&admin, "/rules/x", &tag).await.refused(404, "NOT_FOUND");
    assert_eq!(registry.text("access-control.json"), RULES);
    registry.user("mia").get("/rules").await.refused(403, "DENIED");
}
