//! Files, by the kernel and by ourselves; nobody ever gets a marker's zeros.

use crate::{
    app::{FILE, content},
    client::{H2, Raw},
    rig::Door,
    tls::{Authority, plain_and_h2},
};
use tokio::io::AsyncReadExt;

#[tokio::test]
async fn one_file_by_every_protocol_at_once() {
    let authority = Authority::new();
    let (plain, tls) = (Door::open(|_| {}).await, Door::with(Some(authority.tls("a.test")), |_| {}).await);
    let (h1, h2) = plain_and_h2(&authority);
    let over_h1 = async { plain.raw().await.get("/file").await.body };
    let over_h2c = async { H2::over(plain.connect().await).await.get("/file").await };
    let over_tls = async { Raw::new(h1.to(&tls).await.unwrap()).get("/file").await.body };
    let over_tls_h2 = async { H2::over(h2.to(&tls).await.unwrap()).await.get("/file").await };
    let (a, b, c, d) = tokio::join!(over_h1, over_h2c, over_tls, over_tls_h2);
    for (how, body) in [("h1", a), ("h2c", b), ("TLS h1", c), ("TLS h2", d)] {
        assert!(body == content(FILE), "{how}: {} bytes", body.len());
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let door = Door::open(|_| {}).await;
    let mut client = door.raw().await;
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    client.send([get("/file"), get("/small"), get("/file"), get("/file"), get("/small")].concat()).await;
    for is_file in [true, false, true, true, false] {
        let body = client.answer().await.body;
        assert!(if is_file { body == content(FILE) } else { body == b"small" });
    }
}

#[tokio::test]
async fn the_answer_to_a_head_leaves_the_connection_usable() {
    let door = Door::open(|_| {}).await;
    let mut client = door.raw().await;
    client.send("HEAD /file HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let head = client.answer_of("HEAD").await;
    assert!(head.head.contains(&format!("content-length: {FILE}")));
    assert!(client.get("/file").await.body == content(FILE));
}

#[tokio::test]
async fn a_file_shorter_than_promised_ends_the_connection_and_zeros_never_come() {
    let door = Door::open(|_| {}).await;
    for path in ["/truncated", "/short"] {
        let mut client = door.raw().await;
        client.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\nGET /small HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        let got = client.rest().await;
        // When the body fails before anything was flushed, not even a head may have been sent.
        let body = got.windows(4).position(|w| w == b"\r\n\r\n").map_or(&[][..], |at| &got[at + 4..]);
        assert!(content(FILE).starts_with(body), "{path}: {} bytes, not those of the file", body.len());
        assert!(path == "/short" || body.len() == FILE);
    }
}

#[tokio::test]
async fn a_download_that_was_left_does_not_reach_another() {
    let door = Door::open(|_| {}).await;
    for _ in 0..5 {
        let mut left = door.connect().await;
        tokio::io::AsyncWriteExt::write_all(&mut left, b"GET /file HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        left.read_exact(&mut [0; 1000]).await.unwrap();
        drop(left);
        assert!(door.raw().await.get("/file").await.body == content(FILE));
    }
    door.bodies_are_gone().await;
}
