//! The registry itself, and what holds for every request.

use crate::PROGRAM;
use http::Method;
use serde_json::json;
use testing::{managed::Managed, people::basic, registry::Registry};

#[tokio::test]
async fn anybody_may_ask_what_registry_this_is() {
    let registry = Managed::start(PROGRAM, |_| {});
    let reply = registry.nobody().get("/system").await.is(200);
    let system = reply.json();
    assert_eq!((&system["name"], &system["login"]), (&json!("wharfinger"), &json!("basic")));
    assert_eq!((&system["access_control"], &system["read_only"]), (&json!(true), &json!(false)));
    let nobody = registry.nobody();
    let again = nobody.ask(Method::GET, "/system").header("if-none-match", reply.header("etag"));
    let again = again.send().await.is(304);
    assert!(again.body.is_empty() && !reply.header("etag").is_empty());
}

#[tokio::test]
async fn the_vocabulary_of_permissions_is_for_users() {
    let registry = Managed::start(PROGRAM, |_| {});
    let refused = registry.nobody().get("/permissions").await;
    refused.refused(401, "UNAUTHORIZED");
    assert_eq!(refused.header("www-authenticate"), "Bearer realm=\"wharfinger\"");
    let words = registry.user("alice").get("/permissions").await.is(200);
    assert_eq!((words.strings("verbs").len(), words.strings("resources").len()), (12, 9));
}

#[tokio::test]
async fn the_api_describes_itself() {
    let registry = Managed::start(PROGRAM, |_| {});
    let document = registry.nobody().get("/openapi.json").await.is(200).json();
    assert_eq!(document["openapi"], "3.1.0");
    let start = &document["paths"]["/gc"]["post"];
    assert_eq!((&start["operationId"], &start["x-need"]), (&json!("start_collection"), &json!("ADMIN:SYSTEM")));
    let body = &start["requestBody"]["content"]["application/json"]["schema"]["$ref"];
    assert_eq!(body, "#/components/schemas/CollectionRequest");
    assert_eq!(document["components"]["schemas"]["CollectionRequest"]["additionalProperties"], false);
}

#[tokio::test]
async fn a_refusal_has_the_id_of_its_request() {
    let registry = Managed::start(PROGRAM, |_| {});
    for path in ["/nothing", "/system/", "//system", "/tasks//cancel"] {
        let refused = registry.admin().get(path).await;
        refused.refused(404, "NOT_FOUND");
        assert_eq!(refused.json()["request_id"], refused.header("x-request-id"), "{path}");
    }
    registry.admin().delete("/system").await.refused(405, "UNSUPPORTED");
    let wrong = registry.caller(Some(basic("mallory"))).get("/permissions").await;
    wrong.refused(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn a_request_is_json_of_this_site() {
    let registry = Managed::start(PROGRAM, |_| {});
    let admin = registry.admin();
    let post = || admin.ask(Method::POST, "/gc").body("{}");
    post().send().await.refused(415, "INVALID_REQUEST");
    post().header("content-type", "text/plain").send().await.refused(415, "INVALID_REQUEST");
    let json = || post().header("content-type", "application/json; charset=utf-8");
    json().header("origin", "https://evil.example.com").send().await.refused(403, "DENIED");
    json().header("sec-fetch-site", "cross-site").send().await.refused(403, "DENIED");
    let misspelt = admin.post("/gc", &json!({ "dry_rum": true })).await;
    misspelt.refused(400, "INVALID_REQUEST");
    assert_eq!(misspelt.json()["errors"][0]["detail"][0]["at"], "/dry_rum");
    let long = |len: usize| json().body(format!("{{\"dry_run\":true}}{}", " ".repeat(len - 16))).send();
    assert_eq!(long(1 << 20).await.status, 202);
    long((1 << 20) + 1).await.refused(413, "INVALID_REQUEST");
}

#[tokio::test]
async fn who_writes_too_often_waits() {
    let registry = Managed::start(PROGRAM, |files| files.settings = "[management]\nmax_writes_per_minute = 3\n".into());
    let admin = registry.admin();
    for _ in 0..3 {
        admin.post("/gc", &json!({ "dry_rum": true })).await.refused(400, "INVALID_REQUEST");
    }
    let refused = admin.post("/gc", &json!({ "dry_run": true })).await;
    refused.refused(429, "TOOMANYREQUESTS");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() <= 21);
    admin.get("/tasks").await.is(200);
    registry.user("alice").post("/gc", &json!({})).await.refused(403, "DENIED");
}

#[tokio::test]
async fn without_authentication_a_foreign_host_name_is_refused() {
    let registry = Registry::start().await;
    let get = |host: &'static str| registry.ask(Method::GET, "/api/v1/system").header("host", host).send();
    assert_eq!(get("localhost:15000").await.status, 200);
    get("rebound.example.org").await.refused(403, "DENIED");
    registry.get("/api/v1/permissions").await.refused(403, "MANAGEMENT_DISABLED");
    registry.get("/api/v1/audit").await.refused(403, "MANAGEMENT_DISABLED");
    // Migrations may be started from this machine, and so be seen from it.
    assert_eq!(registry.get("/api/v1/tasks").await.is(200).json()["items"], json!([]));
}
