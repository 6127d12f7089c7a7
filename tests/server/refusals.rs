//! Requests that are refused before they are read, and ambiguous lengths.

use crate::rig::Door;
use testing::wire::LONG;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

#[tokio::test]
async fn a_client_that_never_stops_writing_is_answered_and_disconnected() {
    let door = Door::open(|_| {}).await;
    let (mut read, mut write) = door.connect().await.into_split();
    let writing = tokio::spawn(async move {
        let _ = write.write_all(b"POST /refuse HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n").await;
        while write.write_all(&[b'x'; 64 << 10]).await.is_ok() {}
    });
    let mut got = Vec::new();
    while let Ok(1..) = timeout(LONG, read.read_buf(&mut got)).await.expect("an end") {}
    assert!(got.starts_with(b"HTTP/1.1 401"), "{:?}", String::from_utf8_lossy(&got));
    timeout(LONG, writing).await.expect("the server stops reading").unwrap();
}

#[tokio::test]
async fn a_body_that_was_read_keeps_the_connection() {
    let door = Door::open(|_| {}).await;
    let mut client = door.wire().await;
    for _ in 0..3 {
        client.send("POST /count HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc").await;
        assert!(!client.answer().await.closes());
        client.send("POST /count HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n").await;
        let answer = client.answer().await;
        assert_eq!(answer.body, b"3");
        assert!(!answer.closes());
        client.send("POST /refuse HTTP/1.1\r\nContent-Length: 0\r\n\r\n").await;
        assert!(!client.answer().await.closes(), "there was nothing to read");
    }
}

#[tokio::test]
async fn two_lengths_are_found_in_a_pipelined_head_in_parts() {
    let door = Door::open(|_| {}).await;
    let smuggled = "0\r\n\r\nGET /small HTTP/1.1\r\nHost: x\r\n\r\n";
    for (early, rest) in [
        ("POST /count HTTP/1.1\r\nContent-Length: 4\r\n", "Transfer-Encoding: chunked\r\n\r\n"),
        (
            "POST /count HTTP/1.1\r\nContent-Length: 4\r\nX:",
            "POST /count HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        ),
        ("POST /count HTTP/1.1\r\nTransfer-Encoding: chunked\r\n", "Content-Length: 4\r\n\r\n"),
        ("POST /count HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n", ""),
    ] {
        let mut client = door.wire().await;
        client.send(format!("GET /small HTTP/1.1\r\nHost: x\r\n\r\n{early}")).await;
        assert_eq!(client.answer().await.body, b"small");
        client.send(format!("{rest}{smuggled}")).await;
        let answer = client.answer().await;
        assert_eq!(answer.status, 400, "{early:?} {rest:?}");
        assert!(answer.closes() && client.rest().await.is_empty());
    }
    let mut client = door.wire().await;
    client.send("GET /small HTTP/1.1\r\nHost: x\r\n\r\nPOST /count HTTP/1.1\r\nContent-Length: 4\r\n").await;
    client.answer().await;
    client.send(format!("Content-Length: 5\r\n\r\n{smuggled}")).await;
    assert_eq!(client.answer().await.status, 400);
    assert!(client.rest().await.is_empty());
    // A single length may arrive early.
    let mut client = door.wire().await;
    client.send("GET /small HTTP/1.1\r\nHost: x\r\n\r\nPOST /count HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc").await;
    client.answer().await;
    assert_eq!(client.answer().await.body, b"3");
    assert_eq!(client.get("/small").await.status, 200);
}

#[tokio::test]
async fn a_client_that_half_closes_after_its_request_gets_a_response() {
    let door = Door::open(|_| {}).await;
    for request in ["GET /slow HTTP/1.1\r\nHost: x\r\n\r\n", "POST /count HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"] {
        let mut client = door.wire().await;
        client.send(request).await;
        client.io.shutdown().await.unwrap();
        assert_eq!(client.answer().await.status, 200);
        assert!(client.rest().await.is_empty());
    }
}
