//! Being told to stop, in the ways a signal would tell it; the real signals are in `stop`.

use super::{
    frames::{self, Frames, GOAWAY, HEADERS},
    wire::{Wire, ms},
};
use crate::{daemon::Daemon, registry::Registry, session::*};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

#[tokio::test]
async fn while_load_balancers_notice_connections_are_served_and_then_idle_ones_close() {
    let registry = Registry::with(|setup| setup.limits.shutdown_lag = ms(500)).await;
    let mut idle = Wire::open(registry.address()).await;
    assert_eq!(idle.get("/health/ready").await.status, 200);
    let told = Instant::now();
    registry.trigger().stop(true);
    assert_eq!(idle.get("/health/ready").await.status, 503, "at once");
    let mut fresh = Wire::open(registry.address()).await;
    assert_eq!(fresh.get("/health/ready").await.status, 503, "and somebody new is told, too");
    assert_eq!(fresh.get("/v2/").await.status, 200);
    assert!(idle.rest().await.is_empty());
    assert!(told.elapsed() >= ms(450) && told.elapsed() < ms(2500), "{:?}", told.elapsed());
    assert!(TcpStream::connect(registry.address()).await.is_err());
}

#[tokio::test]
async fn connections_that_said_nothing_yet_do_not_hold_up_a_stop() {
    let registry = Registry::start().await;
    let mut silent = Wire::open(registry.address()).await;
    let mut idle = Frames::open(registry.address()).await;
    idle.get(1, "/v2/").await;
    assert_eq!(idle.find(HEADERS).await.and_then(|head| frames::status(&head.payload)), Some(200));
    let told = Instant::now();
    registry.trigger().stop(false);
    assert!(idle.find(GOAWAY).await.is_some());
    silent.rest().await;
    assert!(idle.find(GOAWAY).await.is_none_or(|_| true));
    registry.stop().await;
    assert!(told.elapsed() < ms(3000), "{:?}", told.elapsed());
}

#[tokio::test]
async fn what_is_in_flight_finishes_and_what_takes_longer_than_the_drain_is_cut() {
    let registry = Registry::with(|setup| setup.limits.drain = ms(700)).await;
    let content = noise(1000, 1);
    let push = |len: usize| {
        let target = format!("/v2/app/blobs/uploads/?digest={}", sha256(&content));
        format!("POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {len}\r\n\r\n")
    };
    let (mut quick, mut slow) = (Wire::open(registry.address()).await, Wire::open(registry.address()).await);
    quick.send(push(1000)).await;
    quick.send(&content[..500]).await;
    slow.send(push(2000)).await;
    slow.send(&content).await;
    while registry.inner().open_uploads() < 2 {
        tokio::time::sleep(ms(5)).await;
    }
    let told = Instant::now();
    registry.trigger().stop(false);
    tokio::time::sleep(ms(200)).await;
    quick.send(&content[500..]).await;
    assert_eq!(quick.answer().await.status, 201);
    slow.rest().await;
    assert!(told.elapsed() >= ms(650) && told.elapsed() < ms(2500), "{:?}", told.elapsed());
}

#[tokio::test]
async fn an_interrupt_has_no_lag() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("data");
    std::fs::create_dir(&root).unwrap();
    let mut daemon = Daemon::start(&root, &[]);
    assert_eq!(daemon.get("/v2/").await.status, 200);
    let (_silent, told) = (TcpStream::connect(daemon.address()).await.unwrap(), Instant::now());
    daemon.signal("INT");
    assert_eq!(daemon.wait(Duration::from_secs(8)).code(), Some(0));
    assert!(told.elapsed() < ms(2500), "the default lag is 3 s: {:?}", told.elapsed());
}
