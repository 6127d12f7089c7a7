//! Blobs pushed in chunks: with and without `Content-Range`, in and out of order.

use super::held;
use http::Method;
use testing::{registry::Registry, session::*};

#[tokio::test]
async fn chunks_without_a_range_are_appended() {
    let registry = Registry::start().await;
    let content = noise(900_000, 1);
    let location = registry.begin("app").await;
    for (i, start) in (0..content.len()).step_by(300_000).enumerate() {
        let chunk = content.slice(start..start + 300_000);
        let ask = registry.ask(Method::PATCH, &location);
        // With a length and without.
        let reply = match i % 2 {
            0 => ask.body(chunk).send().await,
            _ => ask.stream(vec![chunk.slice(..1), chunk.slice(1..)]).send().await,
        };
        assert_eq!(reply.status, 202);
        assert_eq!(reply.header("range"), format!("0-{}", start + 299_999));
        assert_eq!(reply.header("location"), format!("{location}.{}", start + 300_000));
        assert!(location.ends_with(reply.header("docker-upload-uuid")));
    }
    registry.put(format!("{location}?digest={}", sha256(&content)), "").await.is(201);
}

#[tokio::test]
async fn a_session_has_a_status_from_the_beginning() {
    let registry = Registry::start().await;
    let location = registry.begin("app").await;
    for (chunk, range, len) in [("", "0-0", 0), ("x", "0-0", 1), ("yz", "0-2", 3)] {
        let place = format!("{location}.{len}");
        let patched = registry.patch(&location, chunk).await.is(202);
        assert_eq!(patched.header("range"), range);
        let status = registry.get(&location).await.is(204);
        assert_eq!(status.header("range"), range);
        assert_eq!(status.header("location"), place);
        assert!(status.has("docker-upload-uuid"));
        assert!(!status.has("content-length"), "a 204 has none");
        let head = registry.head(&location).await.is(204);
        assert_eq!((head.header("range"), head.header("location")), (range, place.as_str()));
        assert!(!head.has("content-length"), "{head:?}");
    }
}

#[tokio::test]
async fn a_chunk_ahead_or_replayed_is_refused_with_the_true_range() {
    let registry = Registry::start().await;
    let content = noise(3000, 2);
    let location = registry.begin("app").await;
    let end = format!("{location}?digest={}", sha256(&content));

    let early = registry.patch_at(&location, 1000, content.slice(1000..2000)).await;
    early.refused(416, "BLOB_UPLOAD_INVALID");
    assert_eq!(early.header("location"), format!("{location}.0"));
    assert!(!early.has("range"), "0-0 would skip a byte");
    assert_eq!(early.header("content-length"), early.body.len().to_string());

    registry.patch_at(&location, 0, content.slice(..1000)).await.is(202);
    for start in [0, 999, 1001, 2000] {
        let range = format!("{start}-{}", start + 999);
        for (method, target) in [(Method::PATCH, &location), (Method::PUT, &end)] {
            let ask = registry.ask(method, target).header("content-range", &range);
            let refused = ask.body(content.slice(..1000)).send().await;
            refused.refused(416, "BLOB_UPLOAD_INVALID");
            let place = format!("{location}.1000");
            assert_eq!((refused.header("range"), refused.header("location")), ("0-999", place.as_str()));
            assert_eq!(held(&registry, &location), content[..1000]);
        }
    }
    registry.patch_at(&location, 1000, content.slice(1000..2000)).await.is(202);
    let last = registry.ask(Method::PUT, &end).header("content-range", "2000-2999").body(content.slice(2000..));
    last.send().await.is(201);
    assert_eq!(registry.read(format!("/v2/app/blobs/{}", sha256(&content))).await.body, content);
}

#[tokio::test]
async fn a_chunk_whose_range_cannot_be_read_changes_nothing() {
    let registry = Registry::start().await;
    let location = registry.begin("app").await;
    for bad in ["bytes 0-3", "0-3/4", "3-0", "0", "-", "0-", "a-b", ""] {
        let reply = registry.ask(Method::PATCH, &location).header("content-range", bad).body("four").send().await;
        reply.refused(400, "BLOB_UPLOAD_INVALID");
        let put = registry.ask(Method::PUT, format!("{location}?digest={}", sha256(b"four")));
        put.header("content-range", bad).body("four").send().await.refused(400, "BLOB_UPLOAD_INVALID");
    }
    assert_eq!(held(&registry, &location), b"");
}

#[tokio::test]
async fn a_chunk_that_is_not_as_long_as_its_range_is_refused() {
    let registry = Registry::start().await;
    for (range, stream) in [("0-9", false), ("0-2", false), ("0-2", true)] {
        let location = registry.begin("app").await;
        let ask = registry.ask(Method::PATCH, &location).header("content-range", range);
        let reply = match stream {
            true => ask.stream(vec!["four".into()]).send().await,
            false => ask.body("four").send().await,
        };
        reply.refused(400, "SIZE_INVALID");
        assert_eq!(held(&registry, &location), b"", "{range}");
        registry.patch_at(&location, 0, "four").await.is(202);
    }
    // If only the end of the body shows that bytes are missing, the session reports what it has.
    let location = registry.begin("app").await;
    let ask = registry.ask(Method::PATCH, &location).header("content-range", "0-9").stream(vec!["four".into()]);
    ask.send().await.refused(400, "SIZE_INVALID");
    assert_eq!(registry.get(&location).await.header("range"), "0-3");
    registry.patch_at(&location, 4, "teen").await.is(202);
    registry.put(format!("{location}?digest={}", sha256(b"fourteen")), "").await.is(201);
}
