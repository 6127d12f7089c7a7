//! Full disks, many images, and links that are slow.

use super::{BEHIND, Site, push};
use std::{
    process::Command,
    time::{Duration, Instant},
};
use testing::{
    chaos::pull,
    content::{noise, sha256},
    daemon::Daemon,
    sshd::Relay,
};

/// A file system of this size, as long as it is not dropped.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    /// `None` if it cannot be mounted, which is said.
    fn mount(at: std::path::PathBuf, size: &str) -> Option<Self> {
        std::fs::create_dir_all(&at).unwrap();
        let options = format!("size={size},mode=777");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&at).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(at));
        }
        eprintln!("SKIPPED a full disk: no file system can be mounted here");
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Tries to push a blob; returns the status and the message of the first answer that is no success.
async fn try_push(daemon: &Daemon, len: usize, seed: u64) -> Option<(u16, String)> {
    let begun = daemon.ask(http::Method::POST, "/v2/app/blobs/uploads/").send().await;
    if begun.status != 202 {
        return Some((begun.status.as_u16(), begun.message()));
    }
    let blob = noise(len, seed);
    let put = daemon.put(format!("{}?digest={}", begun.header("location"), sha256(&blob)), blob).await;
    (put.status != 201).then(|| (put.status.as_u16(), put.message()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_of_the_server_is_said_and_leaves_nothing_half() {
    let Some(site) = Site::new("a full disk") else { return };
    let Some(_disk) = SmallDisk::mount(site.server.root().join("registry"), "64m") else { return };
    let daemon = site.daemon("one", &[]);
    let kept = push(&daemon, "app", "kept", 20 << 20, 1).await;
    let mut refused = None;
    for seed in 2..8 {
        refused = try_push(&daemon, 20 << 20, seed).await;
        if refused.is_some() {
            break;
        }
    }
    let (status, why) = refused.expect("the disk is full some time");
    assert_eq!(status, 507, "{why}");
    assert_eq!(pull(&daemon, "app", "kept").await, kept, "pulls go on");
    assert_eq!(daemon.tags("app").await, ["kept"]);
    daemon.delete("/v2/app/manifests/kept").await.is(202);
    assert_eq!(daemon.tags("app").await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_write_behind_a_full_disk_of_the_server_fills_the_journal_and_loses_nothing() {
    let Some(site) = Site::new("a full disk behind a journal") else { return };
    let Some(disk) = SmallDisk::mount(site.server.root().join("registry"), "64m") else { return };
    let mut variables = BEHIND.to_vec();
    variables.push(("REGISTRY_SFTP_JOURNAL_LIMIT", "80 MiB"));
    let daemon = site.daemon("one", &variables);
    let first = push(&daemon, "app", "first", 20 << 20, 1).await;
    site.uploaded(&daemon).await;
    // More than the disk has room for, before it is measured again.
    let second = push(&daemon, "app", "second", 30 << 20, 2).await;
    let third = push(&daemon, "app", "third", 30 << 20, 3).await;
    let is_failing = async || {
        let report = daemon.get("/api/v1/storage/outbox").await.is(200).json();
        report["items"].as_array().unwrap().iter().any(|item| item["error"].as_str().is_some())
    };
    daemon.until(Duration::from_secs(60), "no upload fails", is_failing).await;
    let mut refused = None;
    for seed in 4..20 {
        refused = try_push(&daemon, 20 << 20, seed).await;
        if refused.is_some() {
            break;
        }
    }
    assert_eq!(refused.as_ref().map(|(status, _)| *status), Some(507), "{refused:?}");
    for (tag, digest) in [("first", &first), ("second", &second), ("third", &third)] {
        assert_eq!(&pull(&daemon, "app", tag).await, digest);
    }
    let larger = Command::new("mount").args(["-o", "remount,size=512m"]).arg(&disk.0).status().unwrap();
    assert!(larger.success());
    site.uploaded(&daemon).await;
    for (tag, digest) in [("first", &first), ("second", &second), ("third", &third)] {
        assert_eq!(&pull(&daemon, "app", tag).await, digest);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute: .ci/run sftp-long"]
async fn a_thousand_small_images_arrive() {
    let Some(site) = Site::new("a thousand images") else { return };
    let daemon = site.daemon("one", BEHIND);
    site.known(&daemon).await;
    let begun = Instant::now();
    for number in 0..1000_u64 {
        push(&daemon, &format!("many/app-{}", number % 20), &format!("t{number}"), 1000, number + 1).await;
    }
    let pushed = begun.elapsed();
    site.uploaded_within(&daemon, Duration::from_secs(900)).await;
    println!("1000 images pushed in {pushed:?}, uploaded after {:?}", begun.elapsed());
    println!("objects: {}", daemon.get("/api/v1/storage/outbox").await.is(200).json()["objects"]);
    drop(daemon);
    let begun = Instant::now();
    let daemon = site.daemon("one", BEHIND);
    site.known(&daemon).await;
    println!("started and listed in {:?}", begun.elapsed());
    let mut found = 0;
    for repository in 0..20 {
        found += daemon.tags(&format!("many/app-{repository}")).await.len();
    }
    assert_eq!(found, 1000);
    for number in (0..1000).step_by(97) {
        pull(&daemon, &format!("many/app-{}", number % 20), &format!("t{number}")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute: .ci/run sftp-long"]
async fn a_large_layer_fills_a_line_that_is_far_away() {
    let Some(site) = Site::new("a far line") else { return };
    let relay = Relay::start(site.server.port(), Duration::from_millis(25));
    let port = site.by_way_of(&relay);
    let daemon = site.daemon("one", &[("REGISTRY_SFTP_PORT", &port)]);
    let len = 256 << 20;
    let begun = Instant::now();
    let digest = push(&daemon, "app", "v1", len, 1).await;
    let pushed = begun.elapsed();
    let begun = Instant::now();
    assert_eq!(pull(&daemon, "app", "v1").await, digest);
    let rate = |time: Duration| (len >> 20) as f64 / time.as_secs_f64();
    println!("50 ms away: push {:.0} MiB/s, pull {:.0} MiB/s", rate(pushed), rate(begun.elapsed()));
}
