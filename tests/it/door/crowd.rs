//! Many connections, and connections that end in the middle.

use crate::PROGRAM;
use http::Method;
use std::{process::Command, time::Duration};
use testing::{
    daemon::Daemon,
    registry::Registry,
    session::*,
    wire::{Wire, ms},
};

#[tokio::test]
async fn one_connection_too_many_replaces_an_idle_one() {
    let registry = Registry::with(|setup| setup.limits.connections = 2).await;
    let mut first = Wire::open(registry.address()).await;
    assert_eq!(first.get("/v2/").await.status, 200);
    let mut second = Wire::open(registry.address()).await;
    assert_eq!(second.get("/v2/").await.status, 200);
    let mut third = Wire::open(registry.address()).await;
    assert_eq!(third.get("/v2/").await.status, 200);
    assert!(!first.stays(ms(300)).await, "it was idle for the longest time");
    assert_eq!(second.get("/v2/").await.status, 200, "the others are not affected");
}

/// Runs the program with a hard and soft limit of `prlimit`; the daemon raises the soft one.
fn limited(limit: &str) -> Command {
    let mut command = Command::new("prlimit");
    command.args([limit, PROGRAM]);
    command
}

#[tokio::test]
async fn a_registry_with_few_descriptors_serves_every_accepted_connection() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::from_command(limited("--nofile=64:64"), &dir.path().join("data"), &[]);
    let (_, manifest) = daemon.push_image("app", "v1", "x").await;
    let layer = daemon.push_blob("app", noise(4 << 20, 1)).await;
    daemon.logged("the limit on open files is too low");
    // Many idle ones, and as many pulls that stop in the middle as are accepted.
    let mut held = Vec::new();
    for _ in 0..60 {
        held.push(Wire::open(daemon.address()).await);
        let mut pull = Wire::open(daemon.address()).await;
        pull.send(format!("GET /v2/app/blobs/{layer} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        held.push(pull);
    }
    tokio::time::sleep(ms(500)).await;
    for path in ["/health", "/v2/app/manifests/v1"] {
        // On a connection of its own: one that waits for its next request is closed to make room.
        let fresh = Client::new(daemon.address());
        let status = tokio::time::timeout(Duration::from_secs(8), fresh.get(path)).await.expect("an answer").status;
        assert!(status == 200 || (status == 503 && path != "/health"), "{path}: {status}");
    }
    assert!(!daemon.log().contains("status=500"), "{}", daemon.log());
    drop(held);
    // The daemon notices one after the other that they were closed, and until then it may be short of descriptors.
    let afterwards = Client::new(daemon.address());
    let is_served = async || {
        let reply = afterwards.ask(Method::GET, "/v2/app/manifests/v1").try_send().await;
        reply.is_ok_and(|reply| reply.status == 200)
    };
    daemon.until(Duration::from_secs(20), "the closed connections still hold descriptors", is_served).await;
    assert_eq!(afterwards.get("/v2/app/manifests/v1").await.body, manifest.to_string());
    afterwards.push_image("app", "v2", "y").await;
}

#[tokio::test]
async fn exceeding_the_file_size_limit_is_reported_as_a_full_disk() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::from_command(limited("--fsize=1048576:1048576"), &dir.path().join("data"), &[]);
    let long = noise(3 << 20, 1);
    let refused = daemon.post(format!("/v2/app/blobs/uploads/?digest={}", sha256(&long)), long.clone()).await;
    refused.refused(507, "DENIED");
    let place = daemon.begin("app").await;
    daemon.patch(&place, long).await.refused(507, "DENIED");
    // The daemon keeps running, and serves what is within the limit.
    let digest = daemon.push_blob("app", noise(1 << 20, 2)).await;
    assert_eq!(daemon.get(format!("/v2/app/blobs/{digest}")).await.body.len(), 1 << 20);
}

#[tokio::test]
async fn bytes_of_an_aborted_download_never_reach_another() {
    let registry = Registry::start().await;
    let (left, kept) = (noise(1 << 20, 1).repeat(6), noise(1 << 20, 2).repeat(2));
    let (left, kept) = (registry.push_blob("app", left).await, registry.push_blob("app", kept).await);
    let pull = async {
        for _ in 0..6 {
            assert_eq!(sha256(&registry.get(format!("/v2/app/blobs/{kept}")).await.body), kept);
        }
    };
    let leave = async {
        for taken in [1, 1000, 300_000, 1 << 20, 4 << 20, 0, 70_000, 2 << 20] {
            let mut wire = Wire::open(registry.address()).await;
            wire.send(format!("GET /v2/app/blobs/{left} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
            let mut got = 0;
            while got < taken {
                wire.more().await.unwrap();
                got += wire.take().len();
            }
        }
    };
    tokio::join!(pull, leave);
    let mut wire = Wire::open(registry.address()).await;
    assert_eq!(sha256(&wire.get(&format!("/v2/app/blobs/{left}")).await.body), left);
    assert_eq!(wire.get("/v2/").await.body, b"{}\n");
}
