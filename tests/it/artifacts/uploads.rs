//! Uploads in one request, and in chunks.

use super::{create, put, registry, registry_with, stored};
use http::Method;
use serde_json::{Value, json};
use testing::{managed::ApiSession, session::sha256};

#[tokio::test]
async fn a_file_is_uploaded_in_one_request() {
    let registry = registry();
    let alice = registry.user("alice");
    create(&alice, "ci-builds").await;
    let made = put(&alice, "ci-builds/-/1.0/bin/app?property.os=linux&property.arch=amd64", "Hello").await.is(201);
    let location = "/api/v1/artifacts/ci-builds/1.0/bin/app?property.arch=amd64&property.os=linux";
    assert_eq!(made.header("location"), location);
    let artifact = made.json();
    for (field, value) in [
        ("repo", json!("ci-builds")),
        ("version", json!("1.0")),
        ("path", json!("bin/app")),
        ("name", json!("app")),
        ("size", json!(5)),
        ("digest", json!(sha256(b"Hello"))),
        ("media_type", json!("application/octet-stream")),
        ("properties", json!({ "arch": "amd64", "os": "linux" })),
        ("metadata", json!({})),
        ("created_by", json!("alice")),
    ] {
        assert_eq!(artifact[field], value, "{field}");
    }
    assert_eq!(alice.client.get(location).await.is(200).body, "Hello");
}

#[tokio::test]
async fn the_same_again_is_accepted_and_other_content_only_to_overwrite() {
    let registry = registry();
    let alice = registry.user("alice");
    create(&alice, "ci-builds").await;
    let first = stored(&alice, "ci-builds/-/1.0/app", "one").await;
    assert_eq!(put(&alice, "ci-builds/-/1.0/app", "one").await.is(200).json(), first);
    put(&alice, "ci-builds/-/1.0/app", "two").await.refused(409, "NAME_TAKEN");
    put(&alice, "ci-builds/-/1.0/app?overwrite=maybe", "two").await.refused(400, "INVALID_REQUEST");
    let replaced = put(&alice, "ci-builds/-/1.0/app?overwrite=true", "two").await.is(200).json();
    assert_eq!((&replaced["id"], &replaced["digest"]), (&first["id"], &json!(sha256(b"two"))));
    assert_eq!(alice.get("/artifacts/ci-builds/1.0/app").await.is(200).body, "two");
    // What it replaced is in the trash.
    let trash = alice.get("/artifacts/ci-builds/trash").await.is(200).json();
    assert_eq!(trash["items"][0]["artifact"]["digest"], sha256(b"one"));
}

#[tokio::test]
async fn a_stated_digest_has_to_be_that_of_the_bytes() {
    let registry = registry();
    let alice = registry.user("alice");
    create(&alice, "ci-builds").await;
    let digest = |text: &str| sha256(text.as_bytes());
    put(&alice, &format!("ci-builds/-/1.0/app?digest={}", digest("other")), "one").await.refused(400, "DIGEST_INVALID");
    put(&alice, "ci-builds/-/1.0/app?digest=md5:00", "one").await.refused(400, "DIGEST_INVALID");
    alice.get("/artifacts/ci-builds/1.0/app").await.refused(404, "NOT_FOUND");
    put(&alice, &format!("ci-builds/-/1.0/app?digest={}", digest("one")), "one").await.is(201);
    assert_eq!(registry.admin().get("/uploads").await.is(200).json()["items"], json!([]), "no session is left");
}

#[tokio::test]
async fn the_media_type_is_that_of_the_request() {
    let registry = registry();
    let alice = registry.user("alice");
    create(&alice, "ci-builds").await;
    for (i, (stated, kept)) in [
        ("Text/HTML; charset=utf-8", "text/html"),
        // What curl says of every body.
        ("application/x-www-form-urlencoded", "application/octet-stream"),
    ]
    .into_iter()
    .enumerate()
    {
        let ask = alice.ask(Method::PUT, &format!("/artifacts/ci-builds/-/1.0/{i}")).header("content-type", stated);
        assert_eq!(ask.body("x").send().await.is(201).json()["media_type"], kept);
    }
    let ask = alice.ask(Method::PUT, "/artifacts/ci-builds/-/1.0/x").header("content-type", "nonsense");
    ask.body("x").send().await.refused(400, "INVALID_REQUEST");
    let ask = alice.ask(Method::PUT, "/artifacts/ci-builds/-/1.0/x").header("content-encoding", "gzip");
    ask.body("x").send().await.refused(415, "UNSUPPORTED");
}

/// Begins an upload; returns where its bytes go.
async fn begin(caller: &ApiSession) -> String {
    let begun = caller.ask(Method::POST, "/artifacts/ci-builds/upload?size=12").send().await.is(202);
    assert_eq!(begun.json()["upload_id"], begun.header("upload-id"));
    begun.header("location").to_owned()
}

#[tokio::test]
async fn a_file_is_uploaded_in_chunks_that_can_be_resumed() {
    let registry = registry();
    let alice = registry.user("alice");
    create(&alice, "ci-builds").await;
    let location = begin(&alice).await;
    let sent = alice.client.patch_at(&location, 0, "Hello, ").await.is(202);
    assert_eq!(sent.header("range"), "0-6");
    let told = alice.client.get(sent.header("location")).await.is(204);
    assert_eq!(told.header("range"), "0-6");
    // A chunk in the wrong place changes nothing, and the answer says where to continue.
    let refused = alice.client.patch_at(sent.header("location"), 9, "x").await.is(416);
    assert_eq!(refused.header("range"), "0-6");
    let sent = alice.client.patch_at(refused.header("location"), 7, "wharf").await.is(202);
    let finish = format!("{}?version=2.0&path=dir/hello&digest={}", sent.header("location"), sha256(b"Hello, wharf"));
    let body = json!({ "properties": { "os": "linux" }, "metadata": { "log": ["a", 1] }, "media_type": "text/plain" });
    let ask = || alice.client.ask(Method::PUT, &finish).header("content-type", "application/json");
    let made = ask().body(body.to_string()).send().await.is(201).json();
    assert_eq!((&made["metadata"], &made["media_type"]), (&json!({ "log": ["a", 1] }), &json!("text/plain")));
    assert_eq!(alice.get("/artifacts/ci-builds/2.0/dir/hello").await.is(200).body, "Hello, wharf");
    // A client that lost the answer gets it again.
    assert_eq!(ask().body(body.to_string()).send().await.is(200).json(), made);
    alice.client.get(&location).await.refused(404, "BLOB_UPLOAD_UNKNOWN");
}

#[tokio::test]
async fn an_upload_is_finished_by_parameters_alone_and_keeps_its_bytes_after_a_refusal() {
    let registry = registry();
    let alice = registry.user("alice");
    create(&alice, "ci-builds").await;
    stored(&alice, "ci-builds/-/1.0/app", "one").await;
    let location = begin(&alice).await;
    let location = alice.client.patch_at(&location, 0, "two").await.is(202).header("location").to_owned();
    let finish = |query: &str| {
        let target = format!("{location}?{query}");
        let client = alice.client.clone();
        async move { client.ask(Method::PUT, &target).send().await }
    };
    finish("path=app").await.refused(400, "INVALID_REQUEST");
    finish("version=1.0&path=../app").await.refused(400, "INVALID_REQUEST");
    finish("version=1.0&path=app").await.refused(409, "NAME_TAKEN");
    finish("version=1.0&path=app&properties=[]").await.refused(400, "INVALID_REQUEST");
    let made: Value = finish("version=1.0&path=app&properties=%7B%22os%22%3A%22linux%22%7D").await.is(201).json();
    assert_eq!((&made["properties"], &made["size"]), (&json!({ "os": "linux" }), &json!(3)));
}

#[tokio::test]
async fn a_session_belongs_to_its_user_and_repository_and_can_be_cancelled() {
    let registry = registry();
    let (alice, admin) = (registry.user("alice"), registry.admin());
    create(&alice, "ci-builds").await;
    create(&alice, "ci-other").await;
    let location = begin(&alice).await;
    let elsewhere = location.replace("ci-builds", "ci-other");
    for (caller, target) in [(&admin, &location), (&alice, &elsewhere)] {
        caller.client.get(target).await.refused(404, "BLOB_UPLOAD_UNKNOWN");
        caller.client.patch_at(target, 0, "x").await.refused(404, "BLOB_UPLOAD_UNKNOWN");
        caller.client.delete(target).await.refused(404, "BLOB_UPLOAD_UNKNOWN");
    }
    // Nor is it one of images.
    let images = format!("/v2/ci-builds/blobs/uploads/{}", location.rsplit('/').next().unwrap());
    admin.client.get(images).await.refused(404, "BLOB_UPLOAD_UNKNOWN");
    alice.client.delete(&location).await.is(204);
    alice.client.get(&location).await.refused(404, "BLOB_UPLOAD_UNKNOWN");
    alice.client.get("/api/v1/artifacts/ci-builds/upload/nonsense").await.refused(404, "BLOB_UPLOAD_UNKNOWN");
}

#[tokio::test]
async fn the_operator_limits_sizes_types_and_properties() {
    let settings = "[artifacts]\nmax_file_bytes = \"1 MiB\"\nrequired_properties = [\"build\"]\nallowed_types = [\"application/*\"]\n";
    let registry = registry_with(settings);
    let alice = registry.user("alice");
    create(&alice, "ci-builds").await;
    let most = "x".repeat(1 << 20);
    put(&alice, "ci-builds/-/1.0/app?property.build=1", &format!("{most}x")).await.refused(413, "DENIED");
    put(&alice, "ci-builds/-/1.0/app?property.build=1", &most).await.is(201);
    put(&alice, "ci-builds/-/1.0/app", "x").await.refused(400, "INVALID_REQUEST");
    put(&alice, "ci-builds/-/1.0/app?property.build=2&media_type=text/html", "x").await.refused(415, "DENIED");
    alice.ask(Method::POST, "/artifacts/ci-builds/upload?size=1048577").send().await.refused(413, "DENIED");
    alice.ask(Method::POST, "/artifacts/ci-builds/upload?size=many").send().await.refused(400, "INVALID_REQUEST");
    assert_eq!(registry.admin().get("/uploads").await.is(200).json()["items"], json!([]));
}

#[tokio::test]
async fn of_many_uploads_of_one_file_at_once_one_is_stored() {
    let registry = registry();
    let alice = registry.user("alice");
    create(&alice, "ci-builds").await;
    let texts: Vec<String> = (0..12).map(|i| format!("content {i}")).collect();
    let replies =
        futures_util::future::join_all(texts.iter().map(|text| put(&alice, "ci-builds/-/1.0/app", text))).await;
    let won: Vec<_> = replies.iter().zip(&texts).filter(|(reply, _)| reply.status == 201).collect();
    assert_eq!(won.len(), 1);
    assert!(replies.iter().all(|reply| matches!(reply.status.as_u16(), 201 | 409)));
    assert_eq!(alice.get("/artifacts/ci-builds/1.0/app").await.is(200).body, won[0].1.as_bytes());
}
