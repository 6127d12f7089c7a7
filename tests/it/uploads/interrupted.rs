//! Connections that end in the middle, and responses that never arrive.

use super::{held, until_held};
use testing::{registry::Registry, session::*, wire::Wire};

#[tokio::test]
async fn a_push_resumes_where_its_connection_was_cut() {
    let registry = Registry::start().await;
    for len in [1_000, 3_000_000] {
        let content = noise(len, 1);
        let location = registry.begin("app").await;
        let sent = len / 3 * 2;
        Wire::begin(registry.address(), "PATCH", &location, len, &content[..sent]).await.cut().await;
        let at = until_held(&registry, &location, sent).await;
        assert_eq!(at, sent, "every byte that arrived counts");
        assert_eq!(held(&registry, &location), content[..sent]);
        registry.patch_at(&location, at, content.slice(at..)).await.is(202);
        registry.put(format!("{location}?digest={}", sha256(&content)), "").await.is(201);
    }
}

#[tokio::test]
async fn an_interrupted_closing_put_leaves_a_session_that_can_be_finished() {
    let registry = Registry::start().await;
    let content = noise(10_000, 2);
    let location = registry.begin("app").await;
    let target = format!("{location}?digest={}", sha256(&content));
    Wire::begin(registry.address(), "PUT", &target, 10_000, &content[..4_000]).await.cut().await;
    let at = until_held(&registry, &location, 4_000).await;
    assert_eq!(at, 4_000);
    registry.put(&target, content.slice(at..)).await.is(201);
    assert_eq!(registry.read(format!("/v2/app/blobs/{}", sha256(&content))).await.body, content);
}

#[tokio::test]
async fn an_interrupted_single_post_leaves_nothing() {
    let registry = Registry::start().await;
    let content = noise(400_000, 3);
    let target = format!("/v2/app/blobs/uploads/?digest={}", sha256(&content));
    let post = Wire::begin(registry.address(), "POST", &target, content.len(), &content[..300_000]).await;
    let uploads = || std::fs::read_dir(registry.root().join("uploads")).map_or(0, Iterator::count);
    while uploads() == 0 {
        tokio::task::yield_now().await;
    }
    post.cut().await;
    while uploads() > 0 || registry.inner().open_uploads() > 0 {
        tokio::task::yield_now().await;
    }
    registry.head(format!("/v2/app/blobs/{}", sha256(&content))).await.is(404);
    registry.post(target, content).await.is(201);
}

#[tokio::test]
async fn a_closing_put_can_be_repeated_after_its_response_was_lost() {
    let registry = Registry::start().await;
    let content = noise(5_000, 4);
    for digest in [sha256(&content), sha512(&content)] {
        let location = registry.begin("app").await;
        let target = format!("{location}?digest={digest}");
        registry.patch(&location, content.clone()).await.is(202);
        for _ in 0..3 {
            let reply = registry.put(&target, "").await.is(201);
            assert_eq!(reply.header("location"), format!("/v2/app/blobs/{digest}"));
            assert_eq!(reply.header("docker-content-digest"), digest);
        }
        // It does not become available under another digest or in another repository.
        registry.put(format!("{location}?digest={}", sha256(b"x")), "").await.refused(404, "BLOB_UPLOAD_UNKNOWN");
        let other = target.replace("/v2/app/", "/v2/other/");
        registry.put(other, "").await.refused(404, "BLOB_UPLOAD_UNKNOWN");
    }
    let location = registry.begin("app").await;
    let target = format!("{location}?digest={}", sha256(b"whole"));
    registry.put(&target, "whole").await.is(201);
    registry.put(&target, "whole").await.is(201);
}

#[tokio::test]
async fn a_refusal_before_the_end_of_the_body_announces_the_end_of_the_connection() {
    let registry = Registry::start().await;
    let location = registry.begin("app").await;
    registry.patch(&location, "some").await.is(202);
    let wrong = format!("{location}?digest=sha256:short");
    for (method, target) in
        [("PUT", wrong.as_str()), ("PATCH", "/v2/app/blobs/uploads/nobodys"), ("PUT", "/v2/UPPER/x")]
    {
        let mut refused = Wire::begin(registry.address(), method, target, 100_000, b"the beginning").await;
        let head = refused.head().await.expect("an answer");
        assert!(head.contains("\r\nconnection: close"), "{head}");
        // What is still in transit is discarded, without a reset.
        refused.send_in_vain(&[b'x'; 50_000]).await;
    }
    // Even if nothing more is needed because the blob exists.
    let content = noise(100_000, 5);
    let closing = format!("{location}?digest={}", registry.push_blob("app", content.clone()).await);
    registry.delete(&location).await.is(204);
    let mut again = Wire::begin(registry.address(), "PUT", &closing, content.len(), &content[..10]).await;
    let head = again.head().await.expect("an answer");
    assert!(head.starts_with("http/1.1 201") && head.contains("\r\nconnection: close"), "{head}");
    // A client that has sent everything keeps the connection.
    let mut refused = Wire::begin(registry.address(), "PUT", &wrong, 0, b"").await;
    assert!(!refused.head().await.expect("an answer").contains("connection: close"));
}
