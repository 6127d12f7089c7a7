//! A request that is repeated after an interruption, at the `Location` it was sent to before.

use super::{held, until_arrived};
use bytes::Bytes;
use http::Method;
use std::time::Duration;
use testing::{registry::Registry, session::*, wire::Wire};

const WHOLE: usize = 1 << 20;
const PART: usize = 300_000;

fn closing(location: &str, content: &[u8]) -> String {
    format!("{location}?digest={}", sha256(content))
}

#[tokio::test]
async fn an_interrupted_put_can_be_repeated() {
    let registry = Registry::start().await;
    for naming in NAMINGS {
        let content = noise(WHOLE, 1);
        let location = registry.locate("app").await;
        let digest = naming(&content);
        let target = format!("{location}?digest={digest}");
        Wire::begin(registry.address(), "PUT", &target, WHOLE, &content[..PART]).await.cut().await;
        until_arrived(&registry, &location, PART).await;
        registry.put(&target, content.clone()).await.is(201);
        assert_eq!(registry.read(format!("/v2/app/blobs/{digest}")).await.body, content);
        registry.put(&target, content.clone()).await.is(201);
        registry.delete(format!("/v2/app/blobs/{digest}")).await.is(202);
    }
    assert_eq!(registry.inner().open_uploads(), 0);
}

#[tokio::test]
async fn an_interrupted_patch_can_be_repeated() {
    let registry = Registry::start().await;
    let content = noise(WHOLE, 2);
    let (mut location, mut at) = (registry.locate("app").await, 0);
    for end in [400_000, 400_002, 900_000] {
        let piece = content.slice(at..end);
        // Each gets further than the one before, so that its arrival is visible.
        for cut in [piece.len() / 2, piece.len()] {
            let piece = [&piece[..cut], b"?"].concat();
            Wire::begin(registry.address(), "PATCH", &location, piece.len(), &piece[..cut]).await.cut().await;
            until_arrived(&registry, &location, at + cut).await;
        }
        let patched = registry.patch(&location, piece).await.is(202);
        assert_eq!(patched.header("range"), format!("0-{}", end - 1));
        (location, at) = (patched.header("location").to_owned(), end);
    }
    registry.put(closing(&location, &content), content.slice(at..)).await.is(201);
    assert_eq!(registry.read(format!("/v2/app/blobs/{}", sha256(&content))).await.body, content);
}

#[tokio::test]
async fn a_repeated_request_may_send_other_bytes() {
    let registry = Registry::start().await;
    let (first, other, content) = (noise(1000, 3), noise(WHOLE, 4), noise(WHOLE, 5));
    let begun = registry.locate("app").await;
    let location = registry.patch(&begun, first.clone()).await.is(202).header("location").to_owned();
    // Their hash is stored with the session, and must not be used for the bytes that replace them.
    Wire::begin(registry.address(), "PATCH", &location, WHOLE, &other[..PART]).await.cut().await;
    until_arrived(&registry, &location, 1000 + PART).await;
    let whole: Bytes = [first, content.clone()].concat().into();
    registry.put(closing(&location, &whole), content).await.is(201);
    assert_eq!(registry.read(format!("/v2/app/blobs/{}", sha256(&whole))).await.body, whole);
}

#[tokio::test]
async fn acknowledged_bytes_are_not_truncated_by_a_repeated_request() {
    let registry = Registry::start().await;
    let content = noise(3000, 6);
    let first = registry.locate("app").await;
    let second = registry.patch(&first, content.slice(..1000)).await.is(202).header("location").to_owned();
    for ask in [
        registry.ask(Method::PATCH, &first).body(content.slice(..1000)),
        registry.ask(Method::PATCH, &first).stream(vec![content.slice(..500), content.slice(500..1000)]),
        registry.ask(Method::PUT, closing(&first, &content)).body(content.clone()),
    ] {
        let refused = ask.send().await;
        refused.refused(416, "BLOB_UPLOAD_INVALID");
        assert_eq!((refused.header("range"), refused.header("location")), ("0-999", second.as_str()));
    }
    let beyond = second.replace(".1000", ".1001");
    registry.patch(&beyond, "x").await.refused(416, "BLOB_UPLOAD_INVALID");
    let third = registry.patch(&second, content.slice(1000..2000)).await.is(202).header("location").to_owned();
    let refused = registry.patch(&second, content.slice(1000..2000)).await;
    refused.refused(416, "BLOB_UPLOAD_INVALID");
    assert_eq!((refused.header("range"), refused.header("location")), ("0-1999", third.as_str()));
    registry.put(closing(refused.header("location"), &content), content.slice(2000..)).await.is(201);
    assert_eq!(registry.read(format!("/v2/app/blobs/{}", sha256(&content))).await.body, content);
}

#[tokio::test]
async fn bytes_reported_to_a_client_are_not_truncated() {
    let registry = Registry::start().await;
    for method in [Method::GET, Method::HEAD] {
        let content = noise(WHOLE, 7);
        let begun = registry.locate("app").await;
        Wire::begin(registry.address(), "PATCH", &begun, WHOLE, &content[..PART]).await.cut().await;
        until_arrived(&registry, &begun, PART).await;
        let status = registry.ask(method, &begun).send().await.is(204);
        assert_eq!(status.header("range"), format!("0-{}", PART - 1));
        registry.patch(&begun, content.clone()).await.refused(416, "BLOB_UPLOAD_INVALID");
        registry.put(closing(status.header("location"), &content), content.slice(PART..)).await.is(201);
        registry.delete(format!("/v2/app/blobs/{}", sha256(&content))).await.is(202);
    }
}

#[tokio::test]
async fn acknowledged_offsets_survive_a_restart() {
    let registry = Registry::start().await;
    let content = noise(WHOLE, 8);
    let first = registry.locate("app").await;
    let second = registry.patch(&first, content.slice(..1000)).await.is(202).header("location").to_owned();
    Wire::begin(registry.address(), "PATCH", &second, WHOLE - 1000, &content[1000..PART]).await.cut().await;
    until_arrived(&registry, &first, PART).await;
    let registry = registry.restart(Default::default()).await;
    assert_eq!(held(&registry, &first).len(), PART);
    let third = registry.patch(&second, content.slice(1000..2000)).await.is(202).header("location").to_owned();
    registry.patch(&first, content.slice(..1000)).await.refused(416, "BLOB_UPLOAD_INVALID");
    let registry = registry.restart(Default::default()).await;
    registry.put(closing(&third, &content), content.slice(2000..)).await.is(201);
    assert_eq!(registry.read(format!("/v2/app/blobs/{}", sha256(&content))).await.body, content);
}

/// As containerd does after a 408: the same request, with all its bytes, over a new connection.
#[tokio::test]
async fn a_stalled_put_can_be_repeated() {
    let registry = Registry::with(|setup| setup.limits.upload_stall = Duration::from_millis(200)).await;
    let content = noise(WHOLE, 9);
    let location = registry.locate("app").await;
    let target = closing(&location, &content);
    let mut stalled = Wire::begin(registry.address(), "PUT", &target, WHOLE, &content[..PART]).await;
    assert_eq!(stalled.status().await, Some(408));
    registry.put(&target, content.clone()).await.is(201);
    assert_eq!(registry.read(format!("/v2/app/blobs/{}", sha256(&content))).await.body, content);
}

#[tokio::test]
async fn a_put_can_be_repeated_while_its_first_connection_hangs() {
    let registry = Registry::start().await;
    // Less than is written at once, so it may reach the disk while the other request runs; and more.
    for len in [2_000, 2 * WHOLE] {
        let content = noise(len, 10);
        let location = registry.locate("app").await;
        let target = closing(&location, &content);
        let mut hung = Wire::begin(registry.address(), "PUT", &target, len, &content[..len / 2]).await;
        if len > WHOLE {
            while held(&registry, &location).is_empty() {
                tokio::task::yield_now().await;
            }
        }
        // The hanging request may have arrived late and taken over the session; then the other is sent once more.
        let mut put = registry.put(&target, content.clone()).await;
        while put.status == 416 && put.header("location") == location {
            put = registry.put(&target, content.clone()).await;
        }
        put.is(201);
        hung.send_in_vain(&content[len / 2..]).await;
        assert!(matches!(hung.status().await, Some(201 | 404 | 416)), "it came too late");
        assert_eq!(registry.read(format!("/v2/app/blobs/{}", sha256(&content))).await.body, content);
        assert_eq!(registry.inner().open_uploads(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_requests_at_one_offset_the_later_wins_and_nothing_is_mixed() {
    let registry = Registry::start().await;
    for round in 0..15 {
        let len = 700_000;
        let both = [Bytes::from(vec![b'a'; len + round]), Bytes::from(vec![b'b'; len + round])];
        let location = registry.locate("app").await;
        let send = |i: usize| {
            let pieces = (0..both[i].len()).step_by(9_999).map(|at| both[i].slice(at..both[i].len().min(at + 9_999)));
            registry.ask(Method::PUT, closing(&location, &both[i])).stream(pieces.collect()).send()
        };
        let (first, second) = tokio::join!(send(0), send(1));
        let taken = [&first, &second].map(|reply| reply.status == 201);
        assert!(taken.contains(&true), "round {round}: {first:?} {second:?}");
        for (i, reply) in [&first, &second].into_iter().enumerate() {
            assert!(taken[i] || matches!(reply.status.as_u16(), 404 | 416), "round {round}: {reply:?}");
            let read = registry.get(format!("/v2/app/blobs/{}", sha256(&both[i]))).await;
            assert_eq!(read.status == 200, taken[i], "round {round}");
            assert!(!taken[i] || read.body == both[i], "round {round}: they mix");
        }
    }
    assert_eq!(registry.inner().open_uploads(), 0);
}

#[tokio::test]
async fn content_range_takes_precedence_over_the_location() {
    let registry = Registry::start().await;
    let content = noise(3000, 11);
    let begun = registry.locate("app").await;
    registry.patch_at(&begun, 0, content.slice(..1000)).await.is(202);
    registry.patch_at(&begun, 1000, content.slice(1000..2000)).await.is(202);
    registry.patch_at(&begun, 1000, content.slice(1000..2000)).await.refused(416, "BLOB_UPLOAD_INVALID");
    let range = |range| registry.ask(Method::PUT, closing(&begun, &content)).header("content-range", range);
    range("2000-2999").body(content.slice(2000..)).send().await.is(201);
}

/// Clients that send `Content-Range` repeat a chunk with the same range, and some give up at a 416.
#[tokio::test]
async fn a_chunk_with_a_range_can_be_repeated_at_its_location() {
    let registry = Registry::start().await;
    let content = noise(WHOLE, 12);
    let begun = registry.locate("app").await;
    let answer = registry.patch_at(&begun, 0, content.slice(..1000)).await.is(202).header("location").to_owned();
    Wire::begin(registry.address(), "PATCH", &answer, WHOLE, &content[1000..PART]).await.cut().await;
    until_arrived(&registry, &begun, PART).await;
    let answer =
        registry.patch_at(&answer, 1000, content.slice(1000..2000)).await.is(202).header("location").to_owned();
    Wire::begin(registry.address(), "PATCH", &answer, WHOLE, &content[2000..PART]).await.cut().await;
    until_arrived(&registry, &begun, PART).await;
    let range = format!("2000-{}", WHOLE - 1);
    let last = registry.ask(Method::PUT, closing(&answer, &content)).header("content-range", range);
    last.body(content.slice(2000..)).send().await.is(201);
    assert_eq!(registry.read(format!("/v2/app/blobs/{}", sha256(&content))).await.body, content);
}

/// A request without bytes cannot bring them to the wrong place.
#[tokio::test]
async fn a_session_is_closed_by_its_first_location_too() {
    let registry = Registry::start().await;
    let begun = registry.locate("app").await;
    registry.patch(&begun, "all of it").await.is(202);
    registry.put(closing(&begun, b"all of it"), "").await.is(201);
    // Bytes that were not reported to a client are not part of the blob in any case.
    let begun = registry.locate("app").await;
    let answer = registry.patch(&begun, "kept").await.is(202).header("location").to_owned();
    Wire::begin(registry.address(), "PATCH", &answer, 100, b" and more").await.cut().await;
    until_arrived(&registry, &begun, 13).await;
    registry.put(closing(&begun, b"kept"), "").await.is(201);
}

#[tokio::test]
async fn a_location_works_with_an_added_query() {
    let registry = Registry::start().await;
    for query in ["?digest=DIGEST", "?x=1&digest=DIGEST", "?digest=DIGEST&_state=5", "?&digest=DIGEST"] {
        let begun = registry.locate("app").await;
        let answer = registry.patch(&begun, "some ").await.is(202).header("location").to_owned();
        let target = format!("{answer}{}", query.replace("DIGEST", &sha256(b"some bytes")));
        registry.put(target, "bytes").await.is(201);
    }
    let begun = registry.locate("app").await;
    for bad in [".00", ".-1", ".x", ".", ".1.1"] {
        registry.patch(begun.replace(".0", bad), "x").await.refused(404, "BLOB_UPLOAD_UNKNOWN");
    }
    registry.patch(begun.replace(".0", "%2E0"), "x").await.is(202);
}
