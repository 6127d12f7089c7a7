//! Requests refused before they are read, and what nobody may guess about.

use crate::{client::LONG, rig::Door};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

#[tokio::test]
async fn a_client_that_reads_after_writing_sees_why_it_was_refused() {
    let door = Door::open(|_| {}).await;
    let body = vec![b'x'; 900 << 10];
    for _ in 0..5 {
        let mut client = door.raw().await;
        client.send(format!("POST /refuse HTTP/1.1\r\nContent-Length: {}\r\n\r\n", body.len())).await;
        // Refused before the body comes, and answered when it has: neither a reset nor a new connection is needed.
        for part in body.chunks(300 << 10) {
            tokio::time::sleep(crate::rig::ms(20)).await;
            client.send(part).await;
        }
        let answer = client.answer().await;
        assert_eq!((answer.status, answer.body.as_slice()), (401, b"refused".as_slice()));
        assert!(!answer.closes());
        assert_eq!(client.get("/small").await.status, 200);
    }
}

#[tokio::test]
async fn a_client_that_writes_on_and_on_is_answered_and_closed() {
    let door = Door::open(|_| {}).await;
    let (mut read, mut write) = door.connect().await.into_split();
    let writing = tokio::spawn(async move {
        let _ = write.write_all(b"POST /refuse HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n").await;
        while write.write_all(&[b'x'; 64 << 10]).await.is_ok() {}
    });
    let mut got = Vec::new();
    while let Ok(1..) = timeout(LONG, read.read_buf(&mut got)).await.expect("an end") {}
    assert!(got.starts_with(b"HTTP/1.1 401"), "{:?}", String::from_utf8_lossy(&got));
    timeout(LONG, writing).await.expect("nobody reads for ever").unwrap();
}

#[tokio::test]
async fn a_client_that_asks_first_is_not_told_to_go_on() {
    let door = Door::open(|_| {}).await;
    let mut client = door.raw().await;
    client.send("POST /refuse HTTP/1.1\r\nContent-Length: 9999999\r\nExpect: 100-continue\r\n\r\n").await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 401, "and not 100");
    assert!(answer.closes() && client.rest().await.is_empty());
    let mut client = door.raw().await;
    client.send("POST /count HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 100);
    client.send("abc").await;
    assert_eq!(client.answer().await.body, b"3");
}

#[tokio::test]
async fn a_body_that_was_read_keeps_the_connection() {
    let door = Door::open(|_| {}).await;
    let mut client = door.raw().await;
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
async fn a_length_given_in_two_ways_is_refused_and_nothing_after_it_is_served() {
    let door = Door::open(|_| {}).await;
    let smuggled = "0\r\n\r\nGET /small HTTP/1.1\r\nHost: x\r\n\r\n";
    for lengths in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 4",
        "transfer-encoding:chunked\r\nX: y\r\ncontent-length:4",
    ] {
        for before in ["", "\r\n\r\n"] {
            let mut client = door.raw().await;
            client.send(format!("{before}POST /count HTTP/1.1\r\nHost: x\r\n{lengths}\r\n\r\n{smuggled}")).await;
            let answer = client.answer().await;
            assert_eq!(answer.status, 400, "{lengths}");
            assert!(answer.closes() && client.rest().await.is_empty());
        }
    }
    for bad in [
        "Content-Length: 4\r\nContent-Length: 5",
        "Transfer-Encoding: chunked, identity",
        "Content-Length : 4",
        "Content-Length: +4",
    ] {
        let mut client = door.raw().await;
        client.send(format!("POST /count HTTP/1.1\r\nHost: x\r\n{bad}\r\n\r\n{smuggled}")).await;
        let answer = client.answer().await;
        assert_eq!(answer.status, 400, "{bad}");
        assert!(client.rest().await.is_empty());
    }
}
