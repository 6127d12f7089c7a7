//! Many connections, and those that go away in the middle.

use super::wire::{Wire, ms};
use crate::{daemon::Daemon, registry::Registry, session::*};
use std::{process::Command, time::Duration};

#[tokio::test]
async fn one_connection_too_many_waits_for_its_turn() {
    let registry = Registry::with(|setup| setup.limits.connections = 2).await;
    let mut first = Wire::open(registry.address()).await;
    let mut second = Wire::open(registry.address()).await;
    assert_eq!(first.get("/v2/").await.status, 200);
    assert_eq!(second.get("/v2/").await.status, 200);
    let mut third = Wire::open(registry.address()).await;
    third.send("GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(third.stays(ms(300)).await, "it is not served yet, and not refused");
    drop(first);
    assert_eq!(third.answer().await.status, 200);
    assert_eq!(second.get("/v2/").await.status, 200, "the others noticed nothing");
}

#[tokio::test]
async fn running_out_of_descriptors_is_survived() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("data");
    std::fs::create_dir(&root).unwrap();
    // The hard limit: the daemon raises its own only as far as this.
    let mut command = Command::new("prlimit");
    command.args(["--nofile=64:64", env!("CARGO_BIN_EXE_wharfinger")]);
    let daemon = Daemon::from_command(command, &root, &[]);
    let (_, manifest) = daemon.push_image("app", "v1", "x").await;
    let mut held = Vec::new();
    for _ in 0..120 {
        held.push(Wire::open(daemon.address()).await);
    }
    tokio::time::sleep(ms(300)).await;
    let asked = tokio::time::timeout(Duration::from_secs(8), async {
        // Whoever is let in may be told of trouble, but never that what is there is not.
        let status = daemon.get("/v2/app/manifests/v1").await.status;
        assert!(status == 200 || status.is_server_error(), "{status}");
    });
    held.truncate(30);
    asked.await.expect("an answer");
    drop(held);
    tokio::time::sleep(ms(200)).await;
    assert_eq!(daemon.get("/v2/app/manifests/v1").await.body, manifest.to_string());
    daemon.push_image("app", "v2", "y").await;
}

#[tokio::test]
async fn downloads_that_are_left_do_not_reach_others() {
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
