//! Shutdown, after one signal and after two.

use crate::{h2::H2, rig::Door};
use std::{sync::atomic::Ordering, time::Instant};
use testing::wire::{LONG, Wire, ms};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    time::{sleep, timeout},
};
use wharfinger::{config::Live, server};

#[tokio::test]
async fn requests_in_flight_finish_and_idle_connections_close() {
    let door = Door::open(|limits| limits.shutdown_lag = ms(300)).await;
    let (mut idle, mut busy, silent) = (door.wire().await, door.wire().await, door.connect().await);
    let (mut idle_h2, mut busy_h2) = (H2::over(door.connect().await).await, H2::over(door.connect().await).await);
    idle.get("/small").await;
    idle_h2.get("/small").await;
    let address = door.address;
    let output = Instant::now();
    door.trigger.stop(true);
    assert!(door.shutdown.draining().load(Ordering::SeqCst), "readiness fails at once");
    // During the lag everything works as before, for load balancers that have not noticed yet.
    let mut late = door.wire().await;
    assert_eq!(late.get("/small").await.body, b"small");
    assert_eq!(idle.get("/small").await.body, b"small");
    busy.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let (slow, slow_h2, idle_left, h2_left) =
        tokio::join!(busy.answer(), busy_h2.get("/slow"), idle.rest(), timeout(LONG, idle_h2.connection));
    assert!(output.elapsed() >= ms(290));
    assert_eq!((slow.body.as_slice(), slow_h2.as_slice()), (b"slow".as_slice(), b"slow".as_slice()));
    assert!(idle_left.is_empty() && h2_left.is_ok());
    door.ends().await;
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens");
    drop(silent);
}

#[tokio::test]
async fn an_unfinished_head_or_discarded_body_does_not_delay_a_shutdown() {
    let door = Door::open(|limits| (limits.header, limits.drain) = (LONG * 4, LONG * 4)).await;
    let (mut fresh, mut used, mut refused) = (door.wire().await, door.wire().await, door.wire().await);
    fresh.send("GET /small HTTP/1.1\r\nHost:").await;
    used.get("/small").await;
    used.send("GET /small HTTP/1.1\r\nHost:").await;
    refused.send("POST /refuse HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n").await;
    let trickle = tokio::spawn(async move {
        while refused.io.write_all(b"x").await.is_ok() {
            sleep(ms(50)).await;
        }
    });
    sleep(ms(1500)).await;
    door.trigger.stop(false);
    door.ends().await;
    assert!(fresh.rest().await.is_empty() && used.rest().await.is_empty());
    timeout(LONG, trickle).await.unwrap().unwrap();
}

#[tokio::test]
async fn the_drain_time_limits_requests_in_flight() {
    let door = Door::open(|limits| limits.drain = ms(300)).await;
    let mut stuck = door.wire().await;
    stuck.send("GET /never HTTP/1.1\r\nHost: x\r\n\r\n").await;
    sleep(ms(50)).await;
    let output = Instant::now();
    door.trigger.stop(false);
    let (left, ()) = tokio::join!(stuck.rest(), door.ends());
    assert!(left.is_empty() && output.elapsed() >= ms(290));
}

#[tokio::test]
async fn a_second_signal_ends_the_server_at_once() {
    for (first, second) in [(true, true), (false, true), (true, false)] {
        let door = Door::open(|limits| limits.shutdown_lag = LONG * 2).await;
        let mut stuck = door.wire().await;
        stuck.send("GET /never HTTP/1.1\r\nHost: x\r\n\r\n").await;
        sleep(ms(50)).await;
        door.trigger.stop(first);
        sleep(ms(50)).await;
        assert!(!door.serving.is_finished());
        door.trigger.stop(second);
        door.ends().await;
        assert!(stuck.rest().await.is_empty());
    }
}

#[tokio::test]
async fn a_shutdown_reaches_every_listener() {
    let door = Door::open(|_| {}).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let options = crate::rig::options(crate::rig::wide(), None, Live::default());
    let second = tokio::spawn(server::run(listener, door.behind.service(), options, door.shutdown.clone()));
    let mut client = Wire::over(TcpStream::connect(address).await.unwrap());
    assert_eq!(client.get("/small").await.body, b"small");
    door.trigger.stop(false);
    door.ends().await;
    timeout(LONG, second).await.unwrap().unwrap();
    assert!(client.rest().await.is_empty());
}
