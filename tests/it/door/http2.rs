//! Clients that violate HTTP/2.

use std::time::Instant;
use testing::{
    frames::{self, CONTINUATION, DATA, END_HEADERS, END_STREAM, Frames, GOAWAY, HEADERS, RST_STREAM},
    kept::Kept,
    registry::Registry,
    session::*,
    wire::ms,
};
use tokio::net::TcpStream;

#[tokio::test]
async fn rapid_resets_end_only_their_own_connection() {
    let registry = Registry::start().await;
    let mut other = Kept::http2(TcpStream::connect(registry.address()).await.unwrap()).await;
    assert_eq!(other.get("/v2/").await.status, 200);
    let mut frames = Frames::open(registry.address()).await;
    let mut burst = Vec::new();
    for stream in (1..20_001).step_by(2) {
        burst.extend(frames::frame(HEADERS, END_STREAM | END_HEADERS, stream, &frames::head("/v2/")));
        burst.extend(frames::frame(RST_STREAM, 0, stream, &8u32.to_be_bytes()));
    }
    let began = Instant::now();
    frames.send_raw(&burst).await;
    let goaway = frames.find(GOAWAY).await;
    if let Some(goaway) = goaway {
        assert_eq!(goaway.payload[4..8], 11u32.to_be_bytes(), "ENHANCE_YOUR_CALM");
    }
    assert_eq!(other.get("/v2/").await.status, 200);
    assert!(began.elapsed() < ms(3000), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_header_list_beyond_the_limit_is_refused() {
    let registry = Registry::with(|setup| setup.limits.header_bytes = 20 << 10).await;
    let mut client = Kept::http2(TcpStream::connect(registry.address()).await.unwrap()).await;
    let long = "a".repeat(17 << 10);
    assert_eq!(client.send("GET", "/v2/", &[("authorization", &long)], "").await.status, 200);
    let mut frames = Frames::open(registry.address()).await;
    let mut block = frames::head("/v2/");
    (0..8).for_each(|_| block.extend(frames::field("x-long", &[b'a'; 4 << 10])));
    let (first, rest) = block.split_at(16 << 10);
    frames.send(HEADERS, END_STREAM, 1, first).await;
    let mut parts = rest.chunks(16 << 10).peekable();
    while let Some(part) = parts.next() {
        let flags = if parts.peek().is_none() { END_HEADERS } else { 0 };
        frames.send(CONTINUATION, flags, 1, part).await;
    }
    let answer = frames.find(HEADERS).await.expect("an answer");
    assert_eq!(frames::status(&answer.payload), Some(431), "{answer:?}");
    // The connection remains usable.
    frames.get(3, "/v2/").await;
    assert_eq!(frames.find(HEADERS).await.and_then(|head| frames::status(&head.payload)), Some(200));
}

#[tokio::test]
async fn an_endless_header_list_ends_the_connection() {
    let registry = Registry::start().await;
    let mut frames = Frames::open(registry.address()).await;
    frames.send(HEADERS, END_STREAM, 1, &frames::head("/v2/")).await;
    let part = frames::field("x-long", &[b'a'; 8 << 10]);
    let mut sent = 0;
    while sent < 64 << 20 && frames.send(CONTINUATION, 0, 1, &part).await {
        sent += part.len();
    }
    assert!(sent < 16 << 20, "{sent} bytes of one head were read");
    assert_eq!(registry.get("/v2/").await.status, 200);
}

#[tokio::test]
async fn an_unfinished_head_times_out() {
    let registry = Registry::with(|setup| {
        (setup.limits.first_byte, setup.limits.header, setup.limits.keep_alive) = (ms(200), ms(200), ms(300));
        setup.limits.download_stall = ms(300);
    })
    .await;
    let mut silent = Frames::open(registry.address()).await;
    let mut half = Frames::open(registry.address()).await;
    half.send(HEADERS, END_STREAM, 1, &frames::head("/v2/")).await;
    for frames in [&mut silent, &mut half] {
        let (seen, over) = frames.within(ms(3000)).await;
        assert!(over, "{seen:?}");
    }
}

#[tokio::test]
async fn the_number_of_streams_of_a_connection_is_limited() {
    let registry = Registry::with(|setup| setup.limits.h2_streams = 2).await;
    let digest = registry.push_blob("app", noise(1 << 20, 1)).await;
    let path = format!("/v2/app/blobs/{digest}");
    let mut frames = Frames::open(registry.address()).await;
    // The client reads nothing of the first two, so they stay open.
    for stream in [1, 3, 5] {
        frames.get(stream, &path).await;
    }
    let refused = frames.find(RST_STREAM).await.expect("a refusal");
    assert_eq!((refused.stream, &refused.payload[..]), (5, &7u32.to_be_bytes()[..]), "REFUSED_STREAM");
}

#[tokio::test]
async fn a_reset_stream_releases_only_its_own_body() {
    let registry = Registry::start().await;
    let content = noise(3 << 20, 2);
    let digest = registry.push_blob("app", content.clone()).await;
    let path = format!("/v2/app/blobs/{digest}");
    let mut frames = Frames::open(registry.address()).await;
    frames.get(1, &path).await;
    assert!(frames.find(DATA).await.is_some());
    frames.send(RST_STREAM, 0, 1, &8u32.to_be_bytes()).await;
    frames.get(3, "/v2/").await;
    frames.send(frames::WINDOW_UPDATE, 0, 0, &(1u32 << 20).to_be_bytes()).await;
    let answer = loop {
        let frame = frames.find(DATA).await.expect("an answer");
        if frame.stream == 3 {
            break frame;
        }
    };
    assert_eq!(answer.payload, b"{}\n");
}
