//! The latest requests, and what was pushed and pulled.

use crate::PROGRAM;
use http::Method;
use serde_json::{Value, json};
use std::time::Duration;
use testing::{
    managed::{ApiSession, Managed},
    people::{basic, password},
};

/// The latest requests that fit a query, newest first.
async fn requests(admin: &ApiSession, query: &str) -> Vec<Value> {
    admin.get(&format!("/access-log?{query}")).await.is(200).json()["items"].as_array().unwrap().clone()
}

/// Waits until so many requests are listed: a request is counted after its last byte, which its client may have before.
async fn listed(registry: &Managed, query: &str, count: usize) -> Vec<Value> {
    let admin = registry.admin();
    let are_there = async || requests(&admin, query).await.len() == count;
    registry.until(Duration::from_secs(10), &format!("not {count} requests for {query}"), are_there).await;
    requests(&admin, query).await
}

#[tokio::test]
async fn a_push_and_a_pull_are_counted_and_listed() {
    let registry = Managed::start(PROGRAM, |_| {});
    let (admin, client) = (registry.admin(), registry.admin().client);
    let place = client.begin("team/app").await;
    client.patch(&place, "first half, ").await.is(202);
    client.push_blob("team/app", "whole").await;
    let digest = client.push_blob("team/app", "other").await;
    let blob = format!("/v2/team/app/blobs/{digest}");
    client.get(&blob).await.is(200);
    client.head(&blob).await.is(200);
    let missing = format!("/v2/team/app/blobs/sha256:{}", "0".repeat(64));
    client.get(&missing).await.is(404);
    // Who has to log in first has not failed.
    registry.nobody().client.get(&blob).await.is(401);
    listed(&registry, "q=blob_read", 4).await;

    let report = admin.get("/metrics").await.is(200).json();
    let count = |direction: &str, name: &str| report[direction][name].as_u64().unwrap();
    let counts = |direction| ["total", "failed", "in_progress", "bytes"].map(|name| count(direction, name));
    assert_eq!((counts("uploads"), counts("downloads")), ([2, 0, 0, 22], [1, 1, 0, 5]));
    assert!(report["uploads"]["average_seconds"].as_f64().unwrap() > 0.0);
    assert!(report["since"].as_str().unwrap().ends_with('Z') && report["samples"].is_array());
    assert!(report["requests"].is_null(), "{report}");

    let [refused, missed, head, read] = &listed(&registry, "q=blob_read", 4).await[..] else { panic!("four") };
    assert_eq!((&refused["user"], &refused["status"]), (&json!("anonymous"), &json!(401)));
    assert_eq!((&missed["status"], &missed["reason"].is_string()), (&json!(404), &true));
    assert_eq!((&head["method"], &head["sent"]), (&json!("HEAD"), &json!(0)));
    for (name, value) in [
        ("user", json!("admin")),
        ("auth", json!("basic")),
        ("address", json!("127.0.0.1")),
        ("method", json!("GET")),
        ("repository", json!("team/app")),
        ("reference", json!(digest)),
        ("status", json!(200)),
        ("received", json!(0)),
        ("sent", json!(5)),
    ] {
        assert_eq!(read[name], value, "{name} of {read}");
    }
    assert!(read["milliseconds"].as_f64().unwrap() > 0.0 && read["time"].as_str().unwrap().ends_with('Z'));
    registry.logged(read["request_id"].as_str().unwrap());
    let with_requests = admin.get("/metrics?include=requests").await.is(200).json();
    assert!(with_requests["requests"].as_array().unwrap().len() > 4);
}

#[tokio::test]
async fn requests_are_filtered_and_read_in_pages() {
    let registry = Managed::start(PROGRAM, |_| {});
    let (admin, client) = (registry.admin(), registry.admin().client);
    for tag in ["v1", "v2", "v3"] {
        client.get(&format!("/v2/team/app/manifests/{tag}")).await.is(404);
    }
    client.push_empty_index("team/app", "v4").await;
    client.ask(Method::GET, "/v2/").header("user-agent", "curious/1.0").send().await.is(200);
    assert_eq!(listed(&registry, "q=team/app&failed=true", 3).await[0]["reference"], "v3");
    assert_eq!(listed(&registry, "q=manifest_push", 1).await[0]["status"], 201);
    assert_eq!(listed(&registry, "q=curious", 1).await[0]["action"], "ping");
    assert_eq!(listed(&registry, "q=404", 3).await[2]["reference"], "v1");
    assert!(requests(&admin, "q=nothing-like-this").await.is_empty());
    // What comes in between does not move the pages.
    let first = admin.get("/access-log?q=404&n=2").await.is(200);
    client.get("/v2/team/app/manifests/v5").await.is(404);
    let tags = |page: &Value| {
        let items = page["items"].as_array().unwrap().iter();
        items.map(|item| item["reference"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(tags(&first.json()), ["v3", "v2"]);
    let second = client.get(first.next().expect("a second page")).await.is(200).json();
    assert_eq!((tags(&second), &second["next"]), (vec!["v1".to_owned()], &Value::Null));
    for query in ["last=x", "failed=yes", "n=-1"] {
        admin.get(&format!("/access-log?{query}")).await.is(400);
    }
    admin.get("/metrics?include=everything").await.refused(400, "INVALID_REQUEST");
    admin.delete("/metrics").await.refused(405, "UNSUPPORTED");
}

#[tokio::test]
async fn monitoring_and_stylesheets_push_nothing_out() {
    let registry = Managed::start(PROGRAM, |_| {});
    let client = registry.nobody().client;
    let home = String::from_utf8(client.get("/login").await.is(200).body.to_vec()).unwrap();
    let style = home.split("href=\"").map(|rest| rest.split('"').next().unwrap()).find(|path| path.ends_with(".css"));
    client.get(style.expect("a stylesheet")).await.is(200);
    client.get("/health").await.is(200);
    client.get("/health/ready").await.is(200);
    let listed = listed(&registry, "q=page_login", 1).await;
    assert_eq!(listed[0]["user"], "anonymous");
    let admin = registry.admin();
    for request in requests(&admin, "n=100").await {
        let action = request["action"].as_str().unwrap();
        assert!(["page_login", "list_requests"].contains(&action), "{request}");
    }
}

#[tokio::test]
async fn there_is_no_secret_in_the_latest_requests() {
    let registry = Managed::start(PROGRAM, |_| {});
    let (admin, nobody) = (registry.admin(), registry.nobody().client);
    let secret = "canary-51f3";
    nobody.get(&format!("/v2/team/app/tags/list?token={secret}")).await.is(401);
    nobody.get(&format!("/api/v1/search?q={secret}")).await.is(200);
    nobody.get(&format!("/auth/token?password={secret}")).await;
    nobody.authorized(password("alice", secret)).get("/v2/").await.is(401);
    nobody.authorized(format!("Bearer {secret}")).get("/v2/").await.is(401);
    nobody.ask(Method::GET, "/").header("cookie", format!("wharf={secret}")).send().await;
    admin.post("/users", &json!({ "username": "carl", "password": format!("{secret}-long-enough") })).await.is(201);
    let key = admin.post("/keys", &json!({ "name": "ci", "scopes": ["repository:**:pull"] })).await.is(201).json();
    let key = key["secret"].as_str().unwrap();
    nobody.authorized(format!("Bearer {key}")).get("/v2/").await.is(200);
    listed(&registry, "q=ping", 3).await;
    let kept = admin.get("/access-log?n=100").await.is(200);
    let text = String::from_utf8(kept.body.to_vec()).unwrap();
    let basic = basic("admin");
    for part in [secret, key, basic.trim_start_matches("Basic ")] {
        assert!(!text.contains(part), "{part} in {text}");
    }
    assert!(text.contains("create_user") && text.contains("api_key"), "{text}");
}

#[tokio::test]
async fn only_administrators_see_what_others_do() {
    let registry = Managed::start(PROGRAM, |_| {});
    for path in ["/metrics", "/access-log"] {
        registry.nobody().get(path).await.refused(401, "UNAUTHORIZED");
        registry.user("alice").get(path).await.refused(403, "DENIED");
        registry.admin().get(path).await.is(200);
    }
}
