//! `wharfinger gc` beside the daemon that serves the store.

use crate::{PROGRAM, facts::record};
use serde_json::Value;
use std::{
    path::Path,
    process::{Command, Output},
    time::Duration,
};
use testing::{
    daemon::Daemon,
    session::{CONFIG, LAYER, descriptor, image, sha256},
};

/// Runs `wharfinger gc` over a root.
pub fn gc(root: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("REGISTRY_")) {
        command.env_remove(name);
    }
    command.arg("gc").args(arguments).env("REGISTRY_STORAGE_PATH", root).current_dir("/").output().expect("gc runs")
}

/// The report of a collection that completed.
pub fn report(root: &Path, arguments: &[&str]) -> Value {
    let output = gc(root, &[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("a report")
}

fn blobs(root: &Path) -> usize {
    let shards = std::fs::read_dir(root.join("blobs/sha256")).unwrap();
    shards.map(|shard| std::fs::read_dir(shard.unwrap().path()).unwrap().count()).sum()
}

#[tokio::test]
async fn a_deleted_image_is_freed_and_another_can_still_be_pulled() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("data");
    std::fs::create_dir(&root).unwrap();
    let daemon = Daemon::start(PROGRAM, &root, &[]);
    for blob in ["{}", "shared", "old only", "new only"] {
        daemon.push_blob("app", blob).await;
    }
    let of = |layers: [&str; 2]| image(&descriptor(CONFIG, b"{}"), &layers.map(|l| descriptor(LAYER, l.as_bytes())));
    let (old, new) = (of(["shared", "old only"]), of(["shared", "new only"]));
    assert_eq!(daemon.put_manifest("app", "old", &old).await.status, 201);
    assert_eq!(daemon.put_manifest("app", "new", &new).await.status, 201);
    let deleted = daemon.delete(format!("/v2/app/manifests/{}", sha256(old.to_string().as_bytes()))).await;
    assert_eq!(deleted.status, 202);

    let printed = report(&root, &["--dry-run", "--now"]);
    assert_eq!(printed["dry_run"], true);
    assert_eq!(blobs(&root), 6, "a dry run changes nothing");
    assert_eq!(report(&root, &[])["purged"]["blobs"], 0, "nothing is deleted within the lease");
    assert_eq!(blobs(&root), 6);
    let printed = report(&root, &["--now"]);
    assert_eq!((&printed["purged"]["blobs"], &printed["purged"]["revisions"]), (&2.into(), &1.into()), "{printed}");
    assert_eq!(blobs(&root), 4);

    assert_eq!(daemon.get("/v2/app/manifests/new").await.body, new.to_string().as_bytes());
    assert_eq!(daemon.get(format!("/v2/app/blobs/{}", sha256(b"shared"))).await.body, b"shared".as_ref());
    assert_eq!(daemon.get(format!("/v2/app/blobs/{}", sha256(b"old only"))).await.status, 404);
    daemon.push_blob("app", "old only").await;
    assert_eq!(daemon.put_manifest("app", "old", &old).await.status, 201, "and may be pushed again");
    let metrics = daemon.get("/metrics").await.body;
    let metrics = String::from_utf8_lossy(&metrics);
    let last = metrics.lines().find(|line| line.starts_with("wharfinger_gc_last_success_timestamp_seconds ")).unwrap();
    assert!(!last.ends_with(" 0"), "the metric counts every process: {last}");
}

#[tokio::test]
async fn gc_prints_a_report_and_returns_an_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("data");
    let absent = gc(&root, &[]);
    assert_eq!(absent.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&absent.stderr).contains("does not exist"), "{absent:?}");
    std::fs::create_dir(&root).unwrap();
    let daemon = Daemon::start(PROGRAM, &root, &[]);
    daemon.push_blob("app", "nobody's").await;
    let done = gc(&root, &["--now"]);
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && done.stderr.is_empty(), "no output on stderr in a pipe: {done:?}");
    assert!(said.contains("deleted                       1 blob            8 B, 1 link, "), "{said}");
    std::fs::remove_file(root.join("ROOT.json")).unwrap();
    let refused = gc(&root, &["--now"]);
    assert_eq!(refused.status.code(), Some(1), "an unmounted volume is not collected");
}

#[tokio::test]
async fn only_one_gc_runs_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("data");
    std::fs::create_dir(&root).unwrap();
    let daemon = Daemon::start(PROGRAM, &root, &[]);
    report(&root, &[]);
    let lock = std::fs::File::open(root.join("state/collection.lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let refused = gc(&root, &[]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("another collection"), "{refused:?}");
    drop(lock);
    report(&root, &[]);
    daemon.until(Duration::from_secs(5), "it still serves", async || daemon.get("/v2/").await.status == 200).await;
}

#[tokio::test]
async fn a_visibility_and_an_owner_outlive_the_last_manifest() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("data");
    std::fs::create_dir(&root).unwrap();
    let daemon = Daemon::start(PROGRAM, &root, &[]);
    daemon.push_blob("team/app", "{}").await;
    let manifest = image(&descriptor(CONFIG, b"{}"), &[]);
    assert_eq!(daemon.put_manifest("team/app", "v1", &manifest).await.status, 201);
    record(&root, "team/app", "owner", "alice\n");
    let digest = sha256(manifest.to_string().as_bytes());
    assert_eq!(daemon.delete(format!("/v2/team/app/manifests/{digest}")).await.status, 202);
    report(&root, &["--now"]);
    report(&root, &["--now"]);
    assert_eq!(blobs(&root), 0);
    assert_eq!(std::fs::read(root.join("repositories/team/app/_facts/owner")).unwrap(), b"alice\n");
    assert!(root.join("repositories/_facts/team+app").is_file());
}
