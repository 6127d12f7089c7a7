//! Files sent by the kernel and by our own code. No client ever receives the zeros of a marker.

use crate::{
    app::{FILE, content},
    h2::H2,
    rig::Door,
};
use testing::{
    certs::{Authority, connect},
    wire::Wire,
};
use tokio::io::AsyncReadExt;
use wharfinger::server::Tls;

#[tokio::test]
async fn one_file_by_every_protocol_at_once() {
    let authority = Authority::new();
    let (plain, tls) = (Door::open(|_| {}).await, Door::with(Some(Tls::new(authority.server())), |_| {}).await);
    let (h1, h2) = (authority.client(&[], None), authority.client(&["h2"], None));
    let over_h1 = async { plain.wire().await.get("/file").await.body };
    let over_h2c = async { H2::over(plain.connect().await).await.get("/file").await };
    let over_tls = async { Wire::over(connect(tls.address, &h1).await.unwrap()).get("/file").await.body };
    let over_tls_h2 = async { H2::over(connect(tls.address, &h2).await.unwrap()).await.get("/file").await };
    let (a, b, c, d) = tokio::join!(over_h1, over_h2c, over_tls, over_tls_h2);
    for (how, body) in [("h1", a), ("h2c", b), ("TLS h1", c), ("TLS h2", d)] {
        assert!(body == content(FILE), "{how}: {} bytes", body.len());
    }
}

#[tokio::test]
async fn the_answer_to_a_head_leaves_the_connection_usable() {
    let door = Door::open(|_| {}).await;
    let mut client = door.wire().await;
    client.send("HEAD /file HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let head = client.answer_to("HEAD").await;
    assert!(head.head.contains(&format!("content-length: {FILE}")));
    assert!(client.get("/file").await.body == content(FILE));
}

#[tokio::test]
async fn a_file_shorter_than_promised_ends_the_connection_and_never_sends_zeros() {
    let door = Door::open(|_| {}).await;
    for path in ["/truncated", "/short"] {
        let mut client = door.wire().await;
        client.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\nGET /small HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        let got = client.rest().await;
        // If the body fails before anything was flushed, there may be no head either.
        let body = got.windows(4).position(|w| w == b"\r\n\r\n").map_or(&[][..], |at| &got[at + 4..]);
        assert!(content(FILE).starts_with(body), "{path}: {} bytes that are not those of the file", body.len());
        assert!(path == "/short" || body.len() == FILE);
    }
}

#[tokio::test]
async fn bytes_of_an_aborted_download_do_not_reach_another() {
    let door = Door::open(|_| {}).await;
    for _ in 0..5 {
        let mut left = door.connect().await;
        tokio::io::AsyncWriteExt::write_all(&mut left, b"GET /file HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        left.read_exact(&mut [0; 1000]).await.unwrap();
        drop(left);
        assert!(door.wire().await.get("/file").await.body == content(FILE));
    }
    door.bodies_are_gone().await;
}
