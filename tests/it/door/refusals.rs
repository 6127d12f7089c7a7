//! Refusals that are sent before the request's body was read.

use http::StatusCode;
use std::time::Instant;
use testing::{
    registry::Registry,
    session::*,
    wire::{Wire, ms},
};
use tokio::io::AsyncWriteExt;

/// Sends a head and 8 MiB after it, ignoring errors; only then reads.
async fn writes_first(registry: &Registry, head: &str) -> Wire {
    let mut wire = Wire::open(registry.address()).await;
    wire.send(head).await;
    for _ in 0..128 {
        wire.io.write_all(&[7; 64 << 10]).await.expect("no reset");
    }
    wire
}

#[tokio::test]
async fn a_client_that_reads_after_writing_sees_why_it_was_refused() {
    let registry = Registry::with(|setup| setup.settings.blob_bytes = 1 << 20).await;
    let digest = sha256(b"x");
    let unknown = "67e55044-10b1-426f-9247-bb680e5fe0c8";
    for (line, status) in [
        (format!("POST /v2/app/blobs/uploads/?digest={digest}"), 413),
        ("PUT /v2/app/manifests/v1".to_owned(), 413),
        (format!("PATCH /v2/app/blobs/uploads/{unknown}"), 404),
        (format!("PUT /v2/app/blobs/uploads/{unknown}?digest={digest}"), 404),
        ("PUT /v2/UPPER/manifests/v1".to_owned(), 400),
        ("PUT /nowhere".to_owned(), 404),
    ] {
        let head = format!("{line} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", 8 << 20);
        let answer = writes_first(&registry, &head).await.answer().await;
        assert_eq!(answer.status, status, "{line}: {answer:?}");
    }
}

#[tokio::test]
async fn a_refused_client_that_never_stops_sending_is_disconnected() {
    let registry = Registry::start().await;
    let mut wire = Wire::open(registry.address()).await;
    wire.send(format!("PUT /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", 1u64 << 40)).await;
    let written = tokio::time::timeout(testing::wire::LONG, async {
        let mut written = 0;
        while wire.io.write_all(&[7; 64 << 10]).await.is_ok() {
            written += 64 << 10;
        }
        written
    });
    let written = written.await.expect("an end");
    assert!(written < 256 << 20, "{written} bytes were read");
}

/// containerd 1.6 never returns from a push that is answered before it has started to send.
#[tokio::test]
async fn a_refusal_waits_briefly_for_a_small_body() {
    let registry = Registry::with(|setup| setup.settings.blob_bytes = 1 << 20).await;
    let line = format!("POST /v2/app/blobs/uploads/?digest={}", sha256(b"x"));
    let head = format!("{line} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", 2 << 20);
    let mut sends = Wire::open(registry.address()).await;
    sends.send(&head).await;
    assert!(sends.stays(ms(300)).await, "no answer before the body");
    sends.send(vec![7; 2 << 20]).await;
    assert_eq!(sends.answer().await.status, 413);
    assert_eq!(sends.get("/v2/").await.status, 200, "and the connection stays usable");
    // Neither a reset nor a new connection is needed, even if the body arrives in parts.
    for _ in 0..5 {
        let mut wire = Wire::open(registry.address()).await;
        wire.send(format!("PUT /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", 900 << 10)).await;
        for _ in 0..3 {
            tokio::time::sleep(ms(20)).await;
            wire.send(vec![7; 300 << 10]).await;
        }
        let answer = wire.answer().await;
        assert!(answer.status == 404 && !answer.closes(), "{answer:?}");
        assert_eq!(wire.get("/v2/").await.status, 200);
    }
    let mut waits = Wire::open(registry.address()).await;
    waits.send(&head).await;
    let asked = Instant::now();
    assert_eq!(waits.answer().await.status, 413);
    assert!(asked.elapsed() >= ms(900) && asked.elapsed() < ms(5000), "{:?}", asked.elapsed());
}

#[tokio::test]
async fn a_refused_client_gets_no_100_continue() {
    let registry = Registry::with(|setup| setup.settings.blob_bytes = 1 << 20).await;
    for (line, status) in [
        (format!("POST /v2/app/blobs/uploads/?digest={}", sha256(b"x")), 413),
        ("PUT /v2/app/manifests/v1".to_owned(), 413),
        ("PATCH /v2/app/blobs/uploads/67e55044-10b1-426f-9247-bb680e5fe0c8".to_owned(), 404),
    ] {
        let mut wire = Wire::open(registry.address()).await;
        let length = 8 << 20;
        wire.send(format!("{line} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n"))
            .await;
        let answer = wire.answer().await;
        assert_eq!(answer.status, status, "no 100 before it: {answer:?}");
        assert!(answer.closes() && wire.rest().await.is_empty(), "the server cannot know whether the body follows");
    }
    // And a valid one is accepted.
    let mut wire = Wire::open(registry.address()).await;
    let target = format!("/v2/app/blobs/uploads/?digest={}", sha256(b"abc"));
    wire.send(format!("POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")).await;
    assert_eq!(wire.answer().await.status, 100);
    wire.send("abc").await;
    assert_eq!(wire.answer().await.status, 201);
}

#[tokio::test]
async fn a_refused_client_keeps_its_connection_if_its_body_was_read() {
    let registry = Registry::start().await;
    let mut wire = Wire::open(registry.address()).await;
    for _ in 0..3 {
        wire.send("PUT /v2/app/manifests/v1 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}").await;
        assert_eq!(wire.answer().await.status, 400);
    }
    assert!(wire.stays(ms(50)).await);
    assert_eq!(registry.get("/v2/app/tags/list").await.status, StatusCode::NOT_FOUND);
}
