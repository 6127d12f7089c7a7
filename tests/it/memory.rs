//! Memory held for clients is limited, and released.

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use std::time::{Duration, Instant};
use testing::{registry::Registry, session::*, wire::Wire};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const MIB: usize = 1 << 20;

/// All tests run as one client, which may hold a quarter of this: 4 MiB.
fn tight(setup: &mut testing::registry::Setup) {
    setup.client_memory = Some(16 * MIB);
}

/// Waits until it holds the expected number of bytes.
async fn until(registry: &Registry, what: &str, is_so: impl Fn(usize) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !is_so(registry.held()) {
        assert!(Instant::now() < deadline, "{what}: it holds {}", registry.held());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A manifest that is padded to this length.
async fn large_manifest(registry: &Registry, len: usize) -> serde_json::Value {
    let (_, mut manifest) = registry.push_image("app", "v1", "x").await;
    manifest["annotations"] = json!({ "padding": "" });
    let padding = len - manifest.to_string().len();
    manifest["annotations"]["padding"] = "a".repeat(padding).into();
    manifest
}

#[tokio::test]
async fn unfinished_manifests_count_as_they_arrive_and_the_newest_is_refused() {
    let registry = Registry::with(tight).await;
    let part = vec![b' '; 900 << 10];
    let begin = || Wire::begin(registry.address(), "PUT", "/v2/app/manifests/v1", MIB, &part);
    let mut pushes = Vec::new();
    for n in 1..=4 {
        pushes.push(begin().await);
        until(&registry, "a part of a manifest", |held| held >= n * part.len()).await;
    }
    let mut fifth = begin().await;
    let refused = fifth.head().await.unwrap();
    assert!(refused.starts_with("http/1.1 503") && refused.contains("retry-after: 5"), "{refused}");
    // Requests that need no memory are served.
    assert_eq!(registry.get("/v2/").await.status, StatusCode::OK);
    registry.push_image("app", "small", "x").await;
    for push in &mut pushes {
        push.send(&vec![b' '; MIB - part.len()]).await;
        assert_eq!(push.status().await, Some(400), "it was read to its end, and is no manifest");
    }
    until(&registry, "nothing more", |held| held == 0).await;
}

// Only Linux lets us bound what the kernel takes ahead of a client that does not read (TCP_NOTSENT_LOWAT).
#[cfg_attr(portable, ignore = "the kernel takes the whole manifest, so the daemon holds nothing")]
#[tokio::test]
async fn clients_that_stop_reading_share_one_copy_of_a_manifest() {
    let registry = Registry::with(tight).await;
    let manifest = large_manifest(&registry, 3 * MIB).await;
    assert_eq!(registry.put_manifest("app", "large", &manifest).await.status, StatusCode::CREATED);
    until(&registry, "nothing after the push", |held| held == 0).await;
    let mut readers = Vec::new();
    for _ in 0..20 {
        let mut reader = TcpStream::connect(registry.address()).await.unwrap();
        reader.write_all(b"GET /v2/app/manifests/large HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        assert_eq!(reader.read_u8().await.unwrap(), b'H');
        readers.push(reader);
    }
    assert_eq!(registry.held(), 3 * MIB, "one copy");
    // Another large manifest finds no memory; the same one and small ones do.
    let mut other = manifest.clone();
    other["annotations"]["other"] = "".into();
    registry.put_manifest("app", "other", &other).await.refused(503, "UNAVAILABLE");
    assert_eq!(registry.get("/v2/app/manifests/large").await.body.len(), 3 * MIB);
    assert_eq!(registry.get("/v2/app/manifests/v1").await.status, StatusCode::OK);
    drop(readers);
    until(&registry, "nothing more", |held| held == 0).await;
    assert_eq!(registry.put_manifest("app", "other", &other).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_response_without_memory_is_refused_and_succeeds_later() {
    let registry = Registry::with(tight).await;
    let manifest = large_manifest(&registry, 3 * MIB).await;
    registry.put_manifest("app", "large", &manifest).await;
    let part = vec![b' '; 3 * MIB];
    let push = Wire::begin(registry.address(), "PUT", "/v2/app/manifests/v1", part.len() + 1, &part).await;
    until(&registry, "a part of a manifest", |held| held >= part.len()).await;
    let refused = registry.get("/v2/app/manifests/large").await;
    refused.refused(503, "UNAVAILABLE");
    assert_eq!(refused.header("retry-after"), "5");
    drop(push);
    until(&registry, "nothing more", |held| held == 0).await;
    assert_eq!(registry.get("/v2/app/manifests/large").await.status, StatusCode::OK);
}

#[tokio::test]
async fn streams_with_tiny_windows_use_little_memory_and_block_nobody() {
    let registry = Registry::start().await;
    let digest = registry.push_blob("app", noise(MIB, 1)).await;
    let io = TokioIo::new(TcpStream::connect(registry.address()).await.unwrap());
    let mut builder = http2::Builder::new(TokioExecutor::new());
    let handshake = builder.initial_stream_window_size(1).initial_connection_window_size(1 << 20).handshake(io);
    let (mut client, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    let mut ask = async || {
        let uri = format!("http://registry/v2/app/blobs/{digest}");
        let request = Request::get(uri).body(Empty::<Bytes>::new()).unwrap();
        client.ready().await.unwrap();
        client.send_request(request).await.unwrap()
    };
    let mut still = Vec::new();
    for _ in 0..100 {
        still.push(ask().await);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let held = registry.held();
    assert!(held <= 4 * MIB + 100 * (16 << 10), "{held} bytes for one connection");
    assert_eq!(registry.get(format!("/v2/app/blobs/{digest}")).await.body, noise(MIB, 1));
    // A stream that is read continues, a byte at a time.
    let mut body = still.pop().unwrap().into_body();
    for _ in 0..50 {
        body.frame().await.expect("more").expect("no error");
    }
    drop((still, body, client));
    until(&registry, "nothing more", |held| held == 0).await;
}

#[tokio::test]
async fn an_upload_continues_after_a_refusal_for_lack_of_memory() {
    let registry = Registry::with(tight).await;
    let content = noise(MIB, 7);
    let place = registry.begin("app").await;
    let mut pushes = Vec::new();
    // Each holds 900 KiB and its connection's read-ahead.
    for _ in 0..4 {
        let part = vec![b' '; 900 << 10];
        pushes.push(Wire::begin(registry.address(), "PUT", "/v2/app/manifests/v1", MIB, &part).await);
    }
    until(&registry, "parts of manifests", |held| held >= 4 * (900 << 10)).await;
    let fill = Wire::begin(registry.address(), "PUT", "/v2/app/manifests/v1", MIB, &vec![b' '; 150 << 10]).await;
    until(&registry, "another part", |held| held >= 4 * (964 << 10) + (150 << 10)).await;
    registry.patch(&place, content.clone()).await.refused(503, "UNAVAILABLE");
    drop((pushes, fill));
    until(&registry, "nothing more", |held| held == 0).await;
    let status = registry.get(&place).await;
    assert_eq!(status.status, StatusCode::NO_CONTENT, "the session is there");
    let next = status.header("location").to_owned();
    let kept = match status.header("range").strip_prefix("0-").map(|end| end.parse::<usize>().unwrap()) {
        Some(end) if end > 0 => end + 1,
        _ => 0,
    };
    let finish = format!("{next}?digest={}", sha256(&content));
    assert_eq!(registry.put(finish, content.slice(kept..)).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn unfinished_long_heads_count_as_memory() {
    let registry = Registry::with(tight).await;
    let head = format!("GET /v2/ HTTP/1.1\r\nHost: x\r\nX-Long: {}", "y".repeat(60 << 10));
    let mut half = Vec::new();
    for _ in 0..100 {
        let mut stream = TcpStream::connect(registry.address()).await.unwrap();
        // The last ones are closed while they send.
        let _ = stream.write_all(head.as_bytes()).await;
        half.push(stream);
    }
    // The first 8 KiB of each are free.
    let most = 4 * MIB / (head.len() - (8 << 10));
    until(&registry, "as many heads as there is room for", |held| held > 4 * MIB - head.len()).await;
    let mut kept = 0;
    for stream in &mut half {
        let closed = tokio::time::timeout(Duration::from_millis(5), stream.read_u8()).await;
        kept += usize::from(closed.is_err());
    }
    assert!((most - 1..=most + 1).contains(&kept), "{kept} of {most} heads are kept");
    drop(half);
    until(&registry, "nothing more", |held| held == 0).await;
}
