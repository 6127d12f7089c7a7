//! Whose a session is, and how it ends.

use http::Method;
use std::time::Duration;
use testing::{
    people::{basic, htpasswd},
    registry::Registry,
    session::*,
};

#[tokio::test]
async fn a_session_is_cancelled_and_its_bytes_are_gone() {
    let registry = Registry::start().await;
    let location = registry.begin("app").await;
    registry.patch(&location, "some").await.is(202);
    registry.delete(&location).await.is(204);
    for method in [Method::GET, Method::PATCH, Method::DELETE] {
        registry.ask(method, &location).send().await.refused(404, "BLOB_UPLOAD_UNKNOWN");
    }
    let put = registry.put(format!("{location}?digest={}", sha256(b"some")), "").await;
    put.refused(404, "BLOB_UPLOAD_UNKNOWN");
    assert_eq!(std::fs::read_dir(registry.root().join("uploads")).unwrap().count(), 0);
    assert_eq!(registry.inner().open_uploads(), 0);
}

#[tokio::test]
async fn a_session_belongs_to_its_repository() {
    let registry = Registry::start().await;
    let location = registry.begin("org/app").await;
    registry.patch(&location, "mine").await.is(202);
    for other in ["org/other", "org", "org/app/below"] {
        let there = location.replace("/v2/org/app/", &format!("/v2/{other}/"));
        for method in [Method::GET, Method::PATCH, Method::DELETE] {
            registry.ask(method, &there).body("theirs").send().await.refused(404, "BLOB_UPLOAD_UNKNOWN");
        }
        let put = registry.put(format!("{there}?digest={}", sha256(b"mine")), "").await;
        put.refused(404, "BLOB_UPLOAD_UNKNOWN");
    }
    registry.put(format!("{location}?digest={}", sha256(b"mine")), "").await.is(201);
    registry.head(format!("/v2/org/other/blobs/{}", sha256(b"mine"))).await.is(404);
}

#[tokio::test]
async fn an_invented_session_id_is_unknown() {
    let registry = Registry::start().await;
    let ids = ["00000000-0000-4000-8000-000000000000", "nonsense", "..", "%2e%2e", "a%00b", "%ff"];
    for id in ids {
        let target = format!("/v2/app/blobs/uploads/{id}");
        registry.get(&target).await.refused(404, "BLOB_UPLOAD_UNKNOWN");
        registry.patch(&target, "x").await.refused(404, "BLOB_UPLOAD_UNKNOWN");
    }
}

/// Repeating the end of a session tells a caller who may pull that the first one succeeded. To others it would reveal
/// which blobs exist.
#[tokio::test]
async fn an_unknown_session_reveals_existing_blobs_only_to_callers_who_may_pull() {
    let registry = Registry::with(|setup| {
        setup.htpasswd = Some(htpasswd(&["ci", "dev"]));
        let rules = r#"{"rules": [
            {"repository": "app", "users": ["ci"], "permissions": ["push"]},
            {"repository": "app", "users": ["dev"], "permissions": ["pull", "push"]}
        ]}"#;
        setup.rules = Some(rules.into());
    })
    .await;
    let send = async |user: &str, method: Method, target: &str, body: &'static str| {
        registry.ask(method, target).header("authorization", basic(user)).body(body).send().await
    };
    let (here, absent) = (sha256(b"here"), sha256(b"absent"));
    let begun = send("dev", Method::POST, "/v2/app/blobs/uploads/", "").await.is(202);
    let ours = begun.header("location").to_owned();
    send("dev", Method::PUT, &format!("{ours}?digest={here}"), "here").await.is(201);
    send("dev", Method::PUT, &format!("{ours}?digest={here}"), "here").await.is(201);
    for session in [ours.as_str(), "/v2/app/blobs/uploads/00000000-0000-4000-8000-000000000000"] {
        for (digest, body) in [(&here, ""), (&here, "here"), (&here, "other"), (&absent, ""), (&absent, "absent")] {
            let end = format!("{session}?digest={digest}");
            send("ci", Method::PUT, &end, body).await.refused(404, "BLOB_UPLOAD_UNKNOWN");
        }
        send("dev", Method::PUT, &format!("{session}?digest={absent}"), "").await.refused(404, "BLOB_UPLOAD_UNKNOWN");
    }
    // The caller's own session ends as usual.
    let begun = send("ci", Method::POST, "/v2/app/blobs/uploads/", "").await.is(202);
    send("ci", Method::PUT, &format!("{}?digest={here}", begun.header("location")), "here").await.is(201);
}

#[tokio::test]
async fn a_session_expires_counted_from_its_last_byte() {
    let timeout = Duration::from_secs(1);
    let registry = Registry::with(|setup| setup.settings.upload_timeout = timeout).await;
    let (idle, busy) = (registry.begin("app").await, registry.begin("app").await);
    registry.patch(&idle, "some").await.is(202);
    let mut sent = String::new();
    while registry.get(&idle).await.status == 204 {
        sent.push('x');
        registry.patch(&busy, "x").await.is(202);
        registry.inner().sweep().await.unwrap();
    }
    registry.patch(&idle, "more").await.refused(404, "BLOB_UPLOAD_UNKNOWN");
    assert_eq!(registry.inner().open_uploads(), 1, "the one that goes on is as old, and stays");
    assert_eq!(std::fs::read_dir(registry.root().join("uploads")).unwrap().count(), 1);
    registry.put(format!("{busy}?digest={}", sha256(sent.as_bytes())), "").await.is(201);
}

#[tokio::test]
async fn as_many_sessions_as_the_limit_are_open_and_one_more_gets_retry_after() {
    let registry = Registry::with(|setup| setup.settings.open_uploads_per_user = 3).await;
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(registry.begin("app").await);
    }
    let refused = registry.post("/v2/app/blobs/uploads/", "").await;
    refused.refused(429, "TOOMANYREQUESTS");
    assert!(refused.has("retry-after"));
    let single = registry.post(format!("/v2/app/blobs/uploads/?digest={}", sha256(b"x")), "x").await;
    single.refused(429, "TOOMANYREQUESTS");
    registry.delete(&open[0]).await.is(204);
    registry.begin("app").await;
}

#[tokio::test]
async fn a_session_continues_after_a_restart() {
    let registry = Registry::start().await;
    let content = noise(600_000, 4);
    let location = registry.begin("app").await;
    registry.patch(&location, content.slice(..400_000)).await.is(202);
    let registry = registry.restart(Default::default()).await;
    assert_eq!(registry.get(&location).await.header("range"), "0-399999");
    registry.patch_at(&location, 0, content.slice(..100)).await.refused(416, "BLOB_UPLOAD_INVALID");
    registry.patch_at(&location, 400_000, content.slice(400_000..)).await.is(202);
    registry.put(format!("{location}?digest={}", sha512(&content)), "").await.is(201);
    assert_eq!(registry.read(format!("/v2/app/blobs/{}", sha512(&content))).await.body, content);
}
