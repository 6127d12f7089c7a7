//! Changes of artifacts: metadata, properties, name and place.

use super::{create, registry, stored};
use http::Method;
use serde_json::json;

#[tokio::test]
async fn metadata_is_replaced_as_a_whole_and_only_in_the_state_that_was_seen() {
    let registry = registry();
    let alice = registry.user("alice");
    create(&alice, "ci-builds").await;
    let made = stored(&alice, "ci-builds/-/1.0/app", "one").await;
    let path = format!("/artifacts/ci-builds/{}/metadata", made["id"].as_str().unwrap());
    let first = alice.put(&path, &json!({ "a": { "b": [1, null] } })).await.is(200);
    let etag = first.header("etag").trim_matches('"').to_owned();
    assert_eq!((&first.json()["metadata"], &first.json()["id"]), (&json!({ "a": { "b": [1, null] } }), &made["id"]));
    alice.write_if(Method::PUT, &path, &etag, &json!({ "c": 1 })).await.is(200);
    alice.write_if(Method::PUT, &path, &etag, &json!({ "d": 1 })).await.refused(412, "PRECONDITION_FAILED");
    let absent = "/artifacts/ci-builds/art-aaaaaaaaaaaaaaaaaaaaaaaaaa/metadata";
    alice.put(absent, &json!({})).await.refused(404, "NOT_FOUND");
    alice.put(&path, &json!([1])).await.refused(400, "INVALID_REQUEST");
}

#[tokio::test]
async fn other_properties_make_another_artifact() {
    let registry = registry();
    let alice = registry.user("alice");
    create(&alice, "ci-builds").await;
    let made = stored(&alice, "ci-builds/-/1.0/app", "one").await;
    stored(&alice, "ci-builds/-/1.0/app?property.os=macos", "two").await;
    let path = format!("/artifacts/ci-builds/{}/properties", made["id"].as_str().unwrap());
    alice.put(&path, &json!({ "os": "macos" })).await.refused(409, "NAME_TAKEN");
    let edited = alice.put(&path, &json!({ "os": "linux" })).await.is(200);
    assert_eq!(edited.header("location"), "/api/v1/artifacts/ci-builds/1.0/app?property.os=linux");
    assert_ne!(edited.json()["id"], made["id"]);
    alice.put(&path, &json!({ "os": "other" })).await.refused(404, "NOT_FOUND");
    assert_eq!(alice.get("/artifacts/ci-builds/1.0/app?property.os=linux").await.is(200).body, "one");
    let versions = alice.get("/artifacts/ci-builds/versions").await.is(200).json();
    assert_eq!(versions["1.0"].as_array().unwrap().len(), 2, "the first is gone");
}

#[tokio::test]
async fn an_artifact_moves_to_another_version_and_path() {
    let registry = registry();
    let alice = registry.user("alice");
    create(&alice, "ci-builds").await;
    let made = stored(&alice, "ci-builds/-/1.0-rc/bin/app", "one").await;
    stored(&alice, "ci-builds/-/1.0/taken", "two").await;
    let path = format!("/artifacts/ci-builds/{}/rename", made["id"].as_str().unwrap());
    alice.put(&path, &json!({ "version": "1.0", "path": "taken" })).await.refused(409, "NAME_TAKEN");
    alice.put(&path, &json!({ "version": "1.0", "path": "/etc/passwd" })).await.refused(400, "INVALID_REQUEST");
    alice.put(&path, &json!({ "version": "latest" })).await.refused(400, "INVALID_REQUEST");
    alice.put(&path, &json!({ "path": "x" })).await.refused(400, "INVALID_REQUEST");
    let moved = alice.put(&path, &json!({ "version": "1.0", "name": "tool" })).await.is(200).json();
    assert_eq!((&moved["version"], &moved["path"], &moved["name"]), (&json!("1.0"), &json!("bin/app"), &json!("tool")));
    let sent = alice.get("/artifacts/ci-builds/1.0/bin/app").await.is(200);
    assert_eq!((&sent.body[..], sent.header("content-disposition")), (&b"one"[..], "attachment; filename=\"tool\""));
    alice.get("/artifacts/ci-builds/1.0-rc/bin/app").await.refused(404, "NOT_FOUND");
}
