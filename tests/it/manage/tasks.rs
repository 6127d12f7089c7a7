//! Garbage collections and checks as tasks, uploads, and the room that is left.

use crate::PROGRAM;
use serde_json::{Value, json};
use std::time::Duration;
use testing::managed::{ApiSession, Managed};

/// The task after it has ended.
async fn ended(registry: &Managed, admin: &ApiSession, id: &str) -> Value {
    let path = format!("/tasks/{id}");
    let has_ended = async || admin.get(&path).await.json()["status"] != "running";
    registry.until(Duration::from_secs(30), "the task does not end", has_ended).await;
    admin.get(&path).await.json()
}

#[tokio::test]
async fn an_administrator_collects_garbage_and_reads_the_report() {
    let registry = Managed::start(PROGRAM, |_| {});
    let admin = registry.admin();
    admin.get("/gc").await.refused(404, "NOT_FOUND");
    admin.client.push_image("app", "v1", "x").await;
    admin.client.push_blob("app", "nobody refers to this").await;
    let started = admin.post("/gc", &json!({ "now": true })).await.is(202);
    let id = started.json()["task_id"].as_str().unwrap().to_owned();
    assert_eq!(started.header("location"), format!("/api/v1/tasks/{id}"));
    let task = ended(&registry, &admin, &id).await;
    assert_eq!(
        (&task["status"], &task["progress"], &task["owner"]),
        (&json!("completed"), &json!(100), &json!("admin"))
    );
    assert_eq!(task["stats"]["purged"]["blobs"], 1);
    assert_eq!(admin.get("/gc").await.is(200).json()["run"], task["stats"]["run"]);
    let listed = admin.get("/tasks").await.is(200).json();
    assert_eq!(listed["items"][0]["id"], *id);
    // The stream of an ended task is its last state.
    let events = admin.get(&format!("/tasks/{id}/events")).await.is(200);
    assert_eq!(events.header("content-type"), "text/event-stream");
    let text = String::from_utf8(events.body.to_vec()).unwrap();
    let event: Value = serde_json::from_str(text.strip_prefix("data: ").unwrap().trim()).unwrap();
    assert_eq!(event["status"], "completed");
    admin.post(&format!("/tasks/{id}/cancel"), &json!({})).await.refused(409, "AMBIGUOUS");
}

#[tokio::test]
async fn a_check_reports_what_it_finds() {
    let registry = Managed::start(PROGRAM, |_| {});
    let admin = registry.admin();
    admin.client.push_image("app", "v1", "x").await;
    std::fs::write(registry.root().join("repositories/app/_manifests/tags/v2"), "garbled").unwrap();
    let started = admin.post("/fsck", &json!({ "read_data": true })).await.is(202);
    let task = ended(&registry, &admin, started.json()["task_id"].as_str().unwrap()).await;
    assert_eq!((&task["kind"], &task["status"]), (&json!("check"), &json!("completed")));
    let findings = task["stats"]["findings"].as_array().unwrap();
    assert!(findings.iter().any(|finding| finding["kind"] == "tag-garbled"), "{task}");
}

#[tokio::test]
async fn others_see_no_tasks_of_an_administrator() {
    let registry = Managed::start(PROGRAM, |files| {
        files.rules = json!({
            "adminUsers": ["admin"],
            "rules": [],
            "groups": { "watchers": { "members": ["alice"], "roles": ["watch"] } },
            "roles": { "watch": { "permissions": ["VIEW:TASK"] } },
        })
        .to_string();
    });
    let started = registry.admin().post("/gc", &json!({ "dry_run": true })).await.is(202);
    let id = started.json()["task_id"].as_str().unwrap().to_owned();
    let alice = registry.user("alice");
    assert_eq!(alice.get("/tasks").await.is(200).json()["items"], json!([]));
    alice.get(&format!("/tasks/{id}")).await.refused(404, "NOT_FOUND");
    alice.post(&format!("/tasks/{id}/cancel"), &json!({})).await.refused(404, "NOT_FOUND");
    alice.post("/gc", &json!({})).await.refused(403, "DENIED");
    registry.user("bob").get("/tasks").await.refused(403, "DENIED");
    registry.nobody().get("/tasks").await.refused(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn open_uploads_are_listed_and_ended() {
    let registry = Managed::start(PROGRAM, |_| {});
    let admin = registry.admin();
    let place = admin.client.begin("app").await;
    admin.client.patch(&place, "four").await.is(202);
    let listed = admin.get("/uploads").await.is(200).json();
    let id = listed["items"][0]["id"].as_str().unwrap().to_owned();
    assert!(place.ends_with(&id) && listed["items"][0]["size"] == 4, "{listed}");
    admin.delete(&format!("/uploads/{id}")).await.is(204);
    admin.delete(&format!("/uploads/{id}")).await.refused(404, "NOT_FOUND");
    admin.client.get(&place).await.refused(404, "BLOB_UPLOAD_UNKNOWN");
    registry.user("alice").get("/uploads").await.refused(403, "DENIED");
}

#[tokio::test]
async fn the_room_that_is_left_is_for_those_who_see_the_system() {
    let registry = Managed::start(PROGRAM, |_| {});
    let usage = registry.admin().get("/storage").await.is(200).json();
    let number = |key: &str| usage[key].as_u64().unwrap();
    assert!(number("total") >= number("free") && number("percent") <= 100, "{usage}");
    assert_eq!(usage["source"], "statvfs");
}
