//! Shutdown, triggered in the ways a signal would; the real signals are in `stop`.

use crate::PROGRAM;
use std::time::{Duration, Instant};
use testing::{
    daemon::Daemon,
    frames::{self, Frames, GOAWAY, HEADERS},
    registry::Registry,
    session::*,
    wire::{Wire, ms},
};
use tokio::net::TcpStream;

#[tokio::test]
async fn a_shutdown_serves_connections_during_the_lag_and_then_closes_idle_ones() {
    let registry = Registry::with(|setup| setup.limits.shutdown_lag = ms(500)).await;
    let mut idle = Wire::open(registry.address()).await;
    assert_eq!(idle.get("/health/ready").await.status, 200);
    let output = Instant::now();
    registry.trigger().stop(true);
    assert_eq!(idle.get("/health/ready").await.status, 503, "at once");
    let mut fresh = Wire::open(registry.address()).await;
    assert_eq!(fresh.get("/health/ready").await.status, 503, "and new connections get the same answer");
    assert_eq!(fresh.get("/v2/").await.status, 200);
    assert!(idle.rest().await.is_empty());
    assert!(output.elapsed() >= ms(450) && output.elapsed() < ms(2500), "{:?}", output.elapsed());
    assert!(TcpStream::connect(registry.address()).await.is_err());
}

#[tokio::test]
async fn unused_connections_do_not_delay_a_shutdown() {
    let registry = Registry::start().await;
    let mut silent = Wire::open(registry.address()).await;
    let mut idle = Frames::open(registry.address()).await;
    idle.get(1, "/v2/").await;
    assert_eq!(idle.find(HEADERS).await.and_then(|head| frames::status(&head.payload)), Some(200));
    let output = Instant::now();
    registry.trigger().stop(false);
    assert!(idle.find(GOAWAY).await.is_some());
    silent.rest().await;
    assert!(idle.find(GOAWAY).await.is_none_or(|_| true));
    registry.stop().await;
    assert!(output.elapsed() < ms(3000), "{:?}", output.elapsed());
}

#[tokio::test]
async fn requests_in_flight_finish_or_are_cut_after_the_drain_time() {
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
    let output = Instant::now();
    registry.trigger().stop(false);
    tokio::time::sleep(ms(200)).await;
    quick.send(&content[500..]).await;
    assert_eq!(quick.answer().await.status, 201);
    slow.rest().await;
    assert!(output.elapsed() >= ms(650) && output.elapsed() < ms(2500), "{:?}", output.elapsed());
}

#[tokio::test]
async fn an_interrupt_skips_the_lag() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("data");
    std::fs::create_dir(&root).unwrap();
    let mut daemon = Daemon::start(PROGRAM, &root, &[]);
    assert_eq!(daemon.get("/v2/").await.status, 200);
    let (_silent, output) = (TcpStream::connect(daemon.address()).await.unwrap(), Instant::now());
    daemon.signal("INT");
    assert_eq!(daemon.wait(Duration::from_secs(8)).code(), Some(0));
    assert!(output.elapsed() < ms(2500), "the default lag is 3 s: {:?}", output.elapsed());
}
