//! Timeouts for clients that send nothing, send slowly, or stop reading.

use crate::{
    app::{FILE, content},
    h2::H2,
    rig::Door,
};
use http_body_util::BodyExt;
use std::time::Instant;
use testing::wire::{LONG, ms};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{sleep, timeout},
};

#[tokio::test]
async fn a_slow_head_is_cut_also_after_a_good_request() {
    let door = Door::open(|limits| limits.header = ms(200)).await;
    let mut client = door.wire().await;
    for requests_before in 0..2 {
        let began = Instant::now();
        client.send("GET /small HTTP/1.1\r\nHost: x\r\nX-Long: ").await;
        let closed = loop {
            sleep(ms(20)).await;
            if client.io.write_all(b"y").await.is_err() || client.io.try_read(&mut [0]).is_ok() {
                break began.elapsed();
            }
            assert!(began.elapsed() < LONG, "single bytes do not extend the timeout");
        };
        assert!(closed >= ms(190), "{closed:?}, {requests_before} before");
        client = door.wire().await;
        assert_eq!(client.get("/small").await.body, b"small");
    }
}

#[tokio::test]
async fn a_request_in_flight_is_not_idle() {
    let door = Door::open(|limits| (limits.header, limits.keep_alive) = (ms(100), ms(200))).await;
    assert_eq!(door.wire().await.get("/slow").await.body, b"slow");
    assert_eq!(H2::over(door.connect().await).await.get("/slow").await, b"slow");
}

#[tokio::test]
async fn an_upload_may_be_slow_but_not_stall() {
    let door = Door::open(|limits| limits.upload_stall = ms(400)).await;
    let mut client = door.wire().await;
    client.send("POST /count HTTP/1.1\r\nContent-Length: 6\r\n\r\n").await;
    for _ in 0..6 {
        sleep(ms(100)).await;
        client.send("x").await;
    }
    assert_eq!(client.answer().await.body, b"6");
    client.send("POST /count HTTP/1.1\r\nContent-Length: 6\r\n\r\nxxx").await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 408);
    assert!(answer.closes() && client.rest().await.is_empty());
}

#[tokio::test]
async fn a_download_may_be_slow_but_not_stall() {
    let door = Door::open(|limits| limits.download_stall = ms(400)).await;
    let mut still = door.wire().await;
    // More than the socket's buffers hold.
    let requests = "GET /file HTTP/1.1\r\nHost: x\r\n\r\n".repeat(8);
    still.send(&requests).await;
    let mut slow = door.wire().await;
    slow.send(&requests).await;
    let (mut taken, mut buffer, began) = (0, vec![0; 2 << 20], Instant::now());
    while taken < 8 * FILE {
        // Three times the timeout for a stall.
        if began.elapsed() < ms(1200) {
            sleep(ms(50)).await;
        }
        let n = timeout(LONG, slow.io.read(&mut buffer)).await.unwrap().unwrap();
        assert!(n > 0, "cut at {taken}");
        taken += n;
    }
    door.bodies_are_gone().await;
    assert!(still.rest().await.len() < 8 * FILE, "it was cut");
}

#[tokio::test]
async fn a_stalled_stream_ends_and_others_continue() {
    let door = Door::open(|limits| limits.download_stall = ms(300)).await;
    let mut client = H2::over(door.connect().await).await;
    let still = client.ask("/file").await.unwrap();
    door.bodies_are_gone().await;
    assert!(still.into_body().collect().await.is_err(), "it was reset");
    assert_eq!(client.get("/file").await, content(FILE));
}

#[tokio::test]
async fn an_idle_http2_connection_gets_goaway() {
    let door = Door::open(|limits| (limits.header, limits.keep_alive) = (ms(100), ms(400))).await;
    let mut client = H2::over(door.connect().await).await;
    client.get("/small").await;
    sleep(ms(200)).await;
    client.get("/small").await;
    timeout(LONG, client.connection).await.unwrap().unwrap().unwrap();
    // A connection without any request times out too.
    let door = Door::open(|limits| limits.first_byte = ms(200)).await;
    let client = H2::over(door.connect().await).await;
    timeout(LONG, client.connection).await.unwrap().unwrap().unwrap();
}
