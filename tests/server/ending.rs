//! Being told to stop, once and twice.

use crate::{
    client::{H2, LONG},
    rig::{Door, ms},
};
use std::{sync::atomic::Ordering, time::Instant};
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};
use wharfinger::server::{self, Options, Reactors};

#[tokio::test]
async fn requests_in_flight_finish_and_idle_connections_close() {
    let door = Door::open(|limits| limits.shutdown_lag = ms(300)).await;
    let (mut idle, mut busy, silent) = (door.raw().await, door.raw().await, door.connect().await);
    let (mut idle_h2, mut busy_h2) = (H2::over(door.connect().await).await, H2::over(door.connect().await).await);
    idle.get("/small").await;
    idle_h2.get("/small").await;
    let address = door.address;
    let told = Instant::now();
    door.trigger.stop(true);
    assert!(door.shutdown.draining().load(Ordering::SeqCst), "not ready any more, at once");
    // In the lag all goes on as before, for those who have not noticed yet.
    let mut late = door.raw().await;
    assert_eq!(late.get("/small").await.body, b"small");
    assert_eq!(idle.get("/small").await.body, b"small");
    busy.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let (slow, slow_h2, idle_left, h2_left) =
        tokio::join!(busy.answer(), busy_h2.get("/slow"), idle.rest(), timeout(LONG, idle_h2.connection));
    assert!(told.elapsed() >= ms(290));
    assert_eq!((slow.body.as_slice(), slow_h2.as_slice()), (b"slow".as_slice(), b"slow".as_slice()));
    assert!(idle_left.is_empty() && h2_left.is_ok());
    door.ends().await;
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens");
    drop(silent);
}

#[tokio::test]
async fn the_drain_time_is_the_most_a_request_may_take() {
    let door = Door::open(|limits| limits.drain = ms(300)).await;
    let mut stuck = door.raw().await;
    stuck.send("GET /never HTTP/1.1\r\nHost: x\r\n\r\n").await;
    sleep(ms(50)).await;
    let told = Instant::now();
    door.trigger.stop(false);
    let (left, ()) = tokio::join!(stuck.rest(), door.ends());
    assert!(left.is_empty() && told.elapsed() >= ms(290));
}

#[tokio::test]
async fn told_twice_it_ends_at_once() {
    for (first, second) in [(true, true), (false, true), (true, false)] {
        let door = Door::open(|limits| limits.shutdown_lag = LONG * 2).await;
        let mut stuck = door.raw().await;
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
async fn every_listener_hears_of_it() {
    let door = Door::open(|_| {}).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let options = Options { limits: crate::rig::wide(), tls: None, reactors: Reactors::here() };
    let second = tokio::spawn(server::run(listener, door.behind.service(), options, door.shutdown.clone()));
    let mut client = crate::client::Raw::new(TcpStream::connect(address).await.unwrap());
    assert_eq!(client.get("/small").await.body, b"small");
    door.trigger.stop(false);
    door.ends().await;
    timeout(LONG, second).await.unwrap().unwrap();
    assert!(client.rest().await.is_empty());
}
