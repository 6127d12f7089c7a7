//! Timeouts: what may be slow, and for how long.

use http::Method;
use std::time::{Duration, Instant};
use testing::{
    frames::{self, DATA, END_HEADERS, Frames, GOAWAY, HEADERS, PING, RST_STREAM},
    registry::Registry,
    session::*,
    wire::{Wire, ms},
};
use tokio::time::sleep;

#[tokio::test]
async fn a_connection_without_a_request_is_closed() {
    let registry = Registry::with(|setup| setup.limits.first_byte = ms(200)).await;
    let asked = Instant::now();
    let mut wire = Wire::open(registry.address()).await;
    assert!(wire.rest().await.is_empty());
    assert!(asked.elapsed() >= ms(190) && asked.elapsed() < ms(2000), "{:?}", asked.elapsed());
}

#[tokio::test]
async fn the_timeout_of_a_head_starts_with_its_first_byte() {
    let registry = Registry::with(|setup| (setup.limits.first_byte, setup.limits.header) = (ms(400), ms(400))).await;
    let mut wire = Wire::open(registry.address()).await;
    sleep(ms(250)).await;
    wire.send("GET /v2/ HTTP/1.1\r\n").await;
    sleep(ms(250)).await;
    wire.send("Host: x\r\n\r\n").await;
    assert_eq!(wire.answer().await.status, 200, "no timeout was reached");
    let begun = Instant::now();
    wire.send("GET /v2/ HTTP/1.1\r\nHost: x\r\n").await;
    // Single bytes do not extend the timeout, and a later head has the same timeout as the first.
    let mut open = true;
    while open && begun.elapsed() < ms(3000) {
        open = wire.stays(ms(50)).await && tokio::io::AsyncWriteExt::write_all(&mut wire.io, b"x: y\r\n").await.is_ok();
    }
    assert!(begun.elapsed() >= ms(390) && begun.elapsed() < ms(1500), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_idle_connection_has_a_longer_timeout_than_a_head() {
    let registry = Registry::with(|setup| {
        (setup.limits.first_byte, setup.limits.header, setup.limits.keep_alive) = (ms(150), ms(150), ms(700));
    })
    .await;
    let mut wire = Wire::open(registry.address()).await;
    for _ in 0..2 {
        assert_eq!(wire.get("/v2/").await.status, 200);
        assert!(wire.stays(ms(400)).await);
    }
    let answered = Instant::now();
    assert_eq!(wire.get("/v2/").await.status, 200);
    assert!(wire.rest().await.is_empty());
    assert!(answered.elapsed() >= ms(690) && answered.elapsed() < ms(2500), "{:?}", answered.elapsed());
}

#[tokio::test]
async fn an_idle_http2_connection_that_answers_pings_times_out_too() {
    let registry = Registry::with(|setup| {
        (setup.limits.first_byte, setup.limits.header, setup.limits.keep_alive) = (ms(150), ms(150), ms(900));
    })
    .await;
    let mut frames = Frames::open(registry.address()).await;
    frames.get(1, "/v2/").await;
    assert_eq!(frames.find(HEADERS).await.and_then(|head| frames::status(&head.payload)), Some(200));
    assert!(frames.send(PING, 0, 0, b"anybody?").await);
    let (seen, over) = frames.within(ms(450)).await;
    assert!(!over && !seen.iter().any(|frame| frame.kind == GOAWAY), "a ping does not count as a head: {seen:?}");
    frames.get(3, "/v2/").await;
    assert_eq!(frames.find(HEADERS).await.and_then(|head| frames::status(&head.payload)), Some(200));
    assert!(frames.find(GOAWAY).await.is_some(), "the idle timeout is over");
}

#[tokio::test]
async fn a_stalled_upload_gets_a_response_and_its_bytes_are_kept() {
    let registry = Registry::with(|setup| setup.limits.upload_stall = ms(200)).await;
    let location = registry.begin("app").await;
    let mut wire = Wire::open(registry.address()).await;
    let content = noise(30_000, 1);
    wire.send(format!("PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")).await;
    wire.send(&content).await;
    let answer = wire.answer().await;
    assert_eq!(answer.status, 408, "{answer:?}");
    assert!(wire.rest().await.is_empty(), "the rest of the body is not parsed as a request");
    assert_eq!(registry.get(&location).await.header("range"), "0-29999");
    let done = registry.put(format!("{location}?digest={}", sha256(&content)), "").await;
    assert_eq!(done.status, http::StatusCode::CREATED);
}

#[tokio::test]
async fn a_stalled_http2_upload_gets_a_response_and_other_streams_continue() {
    let registry = Registry::with(|setup| setup.limits.upload_stall = ms(300)).await;
    let location = registry.begin("app").await;
    let mut frames = Frames::open(registry.address()).await;
    let mut block = vec![0x86, 0x42, 5];
    block.extend(b"PATCH");
    block.extend([0x44, u8::try_from(location.len()).unwrap()]);
    block.extend(location.as_bytes());
    block.extend([0x41, 1, b'x']);
    assert!(frames.send(HEADERS, END_HEADERS, 1, &block).await);
    assert!(frames.send(DATA, 0, 1, &noise(10_000, 1)).await);
    frames.get(3, "/v2/").await;
    let first = frames.find(HEADERS).await.expect("an answer");
    assert_eq!((first.stream, frames::status(&first.payload)), (3, Some(200)));
    let second = frames.find(HEADERS).await.expect("an answer");
    assert_eq!((second.stream, frames::status(&second.payload)), (1, Some(408)));
    assert_eq!(registry.get(&location).await.header("range"), "0-9999");
    frames.get(5, "/v2/").await;
    assert_eq!(frames.find(HEADERS).await.and_then(|head| frames::status(&head.payload)), Some(200));
}

#[tokio::test]
async fn a_slow_upload_has_no_total_time_limit() {
    let registry = Registry::with(|setup| {
        (setup.limits.upload_stall, setup.limits.header, setup.limits.keep_alive) = (ms(300), ms(300), ms(300));
    })
    .await;
    let content = noise(80, 2);
    let mut wire = Wire::open(registry.address()).await;
    let target = format!("/v2/app/blobs/uploads/?digest={}", sha256(&content));
    wire.send(format!("POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 80\r\n\r\n")).await;
    for part in content.chunks(10) {
        sleep(ms(120)).await;
        wire.send(part).await;
    }
    assert_eq!(wire.answer().await.status, 201, "a second exceeds every timeout");
}

/// Longer than what the kernel buffers for both sides of a connection.
const LONG_BLOB: usize = 24 << 20;

#[tokio::test]
async fn a_stalled_download_is_cut() {
    let registry = Registry::with(|setup| setup.limits.download_stall = ms(300)).await;
    let digest = registry.push_blob("app", noise(1 << 20, 3).repeat(LONG_BLOB >> 20)).await;
    let mut wire = Wire::open(registry.address()).await;
    wire.send(format!("GET /v2/app/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
    wait_until_nobody_is_served(&registry).await;
    assert!(wire.rest().await.len() < LONG_BLOB, "the rest was not sent");
}

#[tokio::test]
async fn a_slow_download_is_not_cut() {
    let registry = Registry::with(|setup| setup.limits.download_stall = ms(600)).await;
    let digest = registry.push_blob("app", noise(1 << 20, 3).repeat(LONG_BLOB >> 20)).await;
    let mut wire = Wire::open(registry.address()).await;
    wire.send(format!("GET /v2/app/blobs/{digest} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await;
    let mut got = Vec::new();
    for _ in 0..8 {
        sleep(ms(150)).await;
        let before = got.len();
        while got.len() < before + (3 << 20) && wire.more().await.unwrap() > 0 {
            got.extend(wire.take());
        }
    }
    got.extend(wire.rest().await);
    let body = &got[got.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4..];
    assert_eq!(sha256(body), digest);
}

#[tokio::test]
async fn a_stalled_http2_download_is_cut_even_if_its_connection_is_active() {
    let registry = Registry::with(|setup| setup.limits.download_stall = ms(400)).await;
    let digest = registry.push_blob("app", noise(2 << 20, 4)).await;
    let mut frames = Frames::open(registry.address()).await;
    // The windows stay at 64 KiB: no more is read, and the client never reports it.
    frames.get(1, &format!("/v2/app/blobs/{digest}")).await;
    let mut taken = 0;
    while taken < 65_535 {
        taken += frames.find(DATA).await.expect("data").payload.len();
    }
    let (seen, over) = frames.within(ms(2000)).await;
    assert!(over || seen.iter().any(|frame| matches!(frame.kind, RST_STREAM | GOAWAY)), "{seen:?}");
    wait_until_nobody_is_served(&registry).await;
}

/// Waits until no other request is in flight.
async fn wait_until_nobody_is_served(registry: &Registry) {
    let deadline = Instant::now() + Duration::from_secs(4);
    loop {
        let metrics = registry.ask(Method::GET, "/metrics").send().await;
        let text = String::from_utf8(metrics.body.to_vec()).unwrap();
        if text.contains("wharfinger_http_requests_in_flight 1\n") {
            return;
        }
        assert!(Instant::now() < deadline, "a request is still in flight: {text}");
        sleep(ms(20)).await;
    }
}
