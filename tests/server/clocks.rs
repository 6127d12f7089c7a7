//! Clients that say nothing, say it slowly, or stop listening.

use crate::{
    app::{FILE, content},
    client::{H2, LONG},
    rig::{Door, ms},
};
use http_body_util::BodyExt;
use std::time::Instant;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{sleep, timeout},
};

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let door = Door::open(|limits| limits.first_byte = ms(150)).await;
    let began = Instant::now();
    assert!(door.raw().await.rest().await.is_empty());
    assert!(began.elapsed() >= ms(140));
}

#[tokio::test]
async fn a_head_that_dribbles_is_closed_also_after_a_good_request() {
    let door = Door::open(|limits| limits.header = ms(200)).await;
    let mut client = door.raw().await;
    for requests_before in 0..2 {
        let began = Instant::now();
        client.send("GET /small HTTP/1.1\r\nHost: x\r\nX-Long: ").await;
        let closed = loop {
            sleep(ms(20)).await;
            if client.io.write_all(b"y").await.is_err() || client.io.try_read(&mut [0]).is_ok() {
                break began.elapsed();
            }
            assert!(began.elapsed() < LONG, "bytes that keep coming do not help");
        };
        assert!(closed >= ms(190), "{closed:?}, {requests_before} before");
        client = door.raw().await;
        assert_eq!(client.get("/small").await.body, b"small");
    }
}

#[tokio::test]
async fn an_idle_connection_outlives_the_clock_of_heads_and_ends_by_its_own() {
    let door = Door::open(|limits| (limits.header, limits.keep_alive) = (ms(100), ms(600))).await;
    let mut client = door.raw().await;
    client.get("/small").await;
    sleep(ms(300)).await;
    assert_eq!(client.get("/small").await.body, b"small");
    let idle = Instant::now();
    assert!(client.rest().await.is_empty());
    assert!(idle.elapsed() >= ms(500), "{:?}", idle.elapsed());
}

#[tokio::test]
async fn a_request_in_flight_is_not_idle() {
    let door = Door::open(|limits| (limits.header, limits.keep_alive) = (ms(100), ms(200))).await;
    assert_eq!(door.raw().await.get("/slow").await.body, b"slow");
    assert_eq!(H2::over(door.connect().await).await.get("/slow").await, b"slow");
}

#[tokio::test]
async fn the_protocol_is_told_however_the_first_bytes_arrive() {
    let door = Door::open(|_| {}).await;
    let mut stream = door.connect().await;
    stream.set_nodelay(true).unwrap();
    for byte in b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" {
        stream.write_all(&[*byte]).await.unwrap();
        sleep(ms(3)).await;
    }
    stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
    let mut frame = [0; 9];
    timeout(LONG, stream.read_exact(&mut frame)).await.unwrap().unwrap();
    assert_eq!(frame[3], 4, "its settings");

    let mut client = door.raw().await;
    client.io.set_nodelay(true).unwrap();
    for piece in ["P", "OST /coun", "t HTTP/1.1\r\nContent-Length: 3\r", "\n\r\nab", "c"] {
        client.send(piece).await;
        sleep(ms(30)).await;
    }
    assert_eq!(client.answer().await.body, b"3");
}

#[tokio::test]
async fn an_upload_may_be_slow_but_not_silent() {
    let door = Door::open(|limits| limits.upload_stall = ms(400)).await;
    let mut client = door.raw().await;
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
async fn a_download_may_be_slow_but_not_stand_still() {
    let door = Door::open(|limits| limits.download_stall = ms(400)).await;
    let mut still = door.raw().await;
    // More than the socket's buffers hold.
    let requests = "GET /file HTTP/1.1\r\nHost: x\r\n\r\n".repeat(8);
    still.send(&requests).await;
    let mut slow = door.raw().await;
    slow.send(&requests).await;
    let (mut taken, mut buffer, began) = (0, vec![0; 2 << 20], Instant::now());
    while taken < 8 * FILE {
        // Three times as long as one may stand still.
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
async fn a_stream_that_stands_still_ends_and_no_other_does() {
    let door = Door::open(|limits| limits.download_stall = ms(300)).await;
    let mut client = H2::over(door.connect().await).await;
    let still = client.ask("/file").await.unwrap();
    door.bodies_are_gone().await;
    assert!(still.into_body().collect().await.is_err(), "it was reset");
    assert_eq!(client.get("/file").await, content(FILE));
}

#[tokio::test]
async fn an_idle_http2_connection_is_told_to_go() {
    let door = Door::open(|limits| (limits.header, limits.keep_alive) = (ms(100), ms(400))).await;
    let mut client = H2::over(door.connect().await).await;
    client.get("/small").await;
    sleep(ms(200)).await;
    client.get("/small").await;
    timeout(LONG, client.connection).await.unwrap().unwrap().unwrap();
    // One that never asks is not kept either.
    let door = Door::open(|limits| limits.first_byte = ms(200)).await;
    let client = H2::over(door.connect().await).await;
    timeout(LONG, client.connection).await.unwrap().unwrap().unwrap();
}
