//! Shutdown during two hundred transfers: those that can complete do, the others are cut, and nothing acknowledged is
//! lost.

use crate::PROGRAM;
use bytes::Bytes;
use http::StatusCode;
use std::time::{Duration, Instant};
use testing::{daemon::Daemon, session::*, wire::Wire};
use tokio::task::JoinSet;

const LEN: usize = 1 << 20;
/// For each kind of transfer, this many complete in time, and as many never would.
const EACH: usize = 50;
const DRAIN: Duration = Duration::from_secs(6);

fn content(number: usize) -> Bytes {
    noise(LEN, number as u64 + 1)
}

/// Sends the second half in pieces, so that the whole takes some seconds.
async fn slowly(raw: &mut Wire, number: usize) {
    for piece in content(number)[LEN / 2..].chunks(LEN / 16) {
        tokio::time::sleep(Duration::from_millis(250)).await;
        raw.send_in_vain(piece).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_under_two_hundred_transfers_loses_nothing_that_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("data");
    std::fs::create_dir(&root).unwrap();
    let settings = dir.path().join("settings.toml");
    let text = format!("[server]\nshutdown_lag_seconds = 1\ndrain_seconds = {}\n", DRAIN.as_secs());
    std::fs::write(&settings, text).unwrap();
    let mut daemon = Daemon::start(PROGRAM, &root, &[("REGISTRY_SETTINGS", settings.to_str().unwrap())]);
    let large = noise(8 * LEN, 1_000_000);
    let pulled = daemon.push_blob("app", large.clone()).await;
    let (_, manifest) = daemon.push_image("app", "v1", "before").await;
    let address = daemon.address();

    let mut pushes = JoinSet::new();
    for number in 0..EACH {
        let target = format!("/v2/app/blobs/uploads/?digest={}", sha256(&content(number)));
        let mut raw = Wire::begin(address, "POST", &target, LEN, &content(number)[..LEN / 2]).await;
        pushes.spawn(async move {
            slowly(&mut raw, number).await;
            (number, raw.status().await)
        });
    }
    let mut sessions = Vec::new();
    for number in EACH..2 * EACH {
        let open = daemon.begin("app").await;
        let path = open.strip_prefix(&format!("http://{address}")).unwrap_or(&open).to_owned();
        // It announces more than it ever sends.
        let raw = Wire::begin(address, "PATCH", &path, LEN, &content(number)[..LEN / 2]).await;
        sessions.push((number, path, raw));
    }
    let (mut quick, mut stalled) = (JoinSet::new(), Vec::new());
    for number in 0..2 * EACH {
        let mut raw = Wire::begin(address, "GET", &format!("/v2/app/blobs/{pulled}"), 0, b"").await;
        if number < EACH {
            quick.spawn(async move { raw.body_slowly(Duration::from_millis(150)).await });
        } else {
            assert!(raw.head().await.unwrap().starts_with("http/1.1 200"));
            stalled.push(raw);
        }
    }
    tokio::time::sleep(Duration::from_millis(500)).await;

    let asked = Instant::now();
    daemon.signal("TERM");
    let is_told = async || daemon.get("/health/ready").await.status == StatusCode::SERVICE_UNAVAILABLE;
    daemon.until(Duration::from_secs(1), "readiness fails", is_told).await;
    let mut acknowledged = Vec::new();
    while let Some(push) = pushes.join_next().await {
        let (number, status) = push.unwrap();
        assert_eq!(status, Some(201), "push {number} had enough time");
        acknowledged.push(number);
    }
    while let Some(body) = quick.join_next().await {
        let body = body.unwrap();
        assert!(body == large, "an active pull completes, not after {} bytes", body.len());
    }
    let ended = daemon.wait(DRAIN + Duration::from_secs(5));
    assert_eq!(ended.code(), Some(0), "{}", daemon.log());
    let took = asked.elapsed();
    assert!(took < DRAIN + Duration::from_secs(4), "it took {took:?}");
    for raw in &mut stalled {
        assert!(raw.rest().await.len() < large.len(), "a stalled pull is cut");
    }

    let daemon = Daemon::start(PROGRAM, &root, &[]);
    for number in acknowledged {
        assert!(daemon.get(format!("/v2/app/blobs/{}", sha256(&content(number)))).await.body == content(number));
    }
    assert_eq!(daemon.get("/v2/app/manifests/v1").await.body, manifest.to_string());
    for (number, path, _) in sessions {
        let status = daemon.get(&path).await;
        assert_eq!(status.status, StatusCode::NO_CONTENT, "session {number} is there: {status:?}");
        let range = status.headers.get("range").map(|range| range.to_str().unwrap().to_owned()).unwrap_or_default();
        // `Range` cannot distinguish one byte from none; no client sent a single byte.
        let have = match range.strip_prefix("0-").map(|last| last.parse::<usize>().unwrap()) {
            None | Some(0) => 0,
            Some(last) => last + 1,
        };
        assert!(have <= LEN / 2);
        let (whole, digest) = (content(number), sha256(&content(number)));
        let done = daemon.put(format!("{path}?digest={digest}"), whole.slice(have..)).await;
        assert_eq!(done.status, StatusCode::CREATED, "session {number} at {have}: {done:?}");
        assert!(daemon.get(format!("/v2/app/blobs/{digest}")).await.body == whole);
    }
    let mut fsck = std::process::Command::new(PROGRAM);
    let fsck = fsck.args(["fsck", "--read-data"]).env("REGISTRY_STORAGE_PATH", &root).current_dir("/").output();
    let fsck = fsck.unwrap();
    assert!(fsck.status.success(), "{}", String::from_utf8_lossy(&fsck.stdout));
}

#[tokio::test]
async fn truncating_a_blob_during_a_pull_ends_the_pull() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(PROGRAM, dir.path(), &[]);
    let content = noise(32 * LEN, 1);
    let digest = daemon.push_blob("app", content.clone()).await;
    let hex = digest.strip_prefix("sha256:").unwrap();
    let file = dir.path().join("blobs/sha256").join(&hex[..2]).join(hex);
    let mut raw = Wire::begin(daemon.address(), "GET", &format!("/v2/app/blobs/{digest}"), 0, b"").await;
    assert!(raw.head().await.unwrap().contains(&format!("content-length: {}", content.len())));
    std::fs::File::options().write(true).open(&file).unwrap().set_len(content.len() as u64 / 2).unwrap();
    assert!(raw.rest().await.len() <= content.len() / 2, "only bytes of the blob are sent");
    // It no longer counts as the blob: a push replaces it.
    assert_eq!(daemon.push_blob("app", content.clone()).await, digest);
    assert!(daemon.get(format!("/v2/app/blobs/{digest}")).await.body == content);
}
