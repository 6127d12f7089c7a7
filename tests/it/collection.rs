//! `wharfinger gc` beside the daemon that serves the store.

use crate::{
    daemon::Daemon,
    session::{CONFIG, LAYER, descriptor, image, sha256},
};
use serde_json::Value;
use std::{
    path::Path,
    process::{Command, Output},
    time::Duration,
};

/// Runs `wharfinger gc` over a root.
pub fn gc(root: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wharfinger"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("REGISTRY_")) {
        command.env_remove(name);
    }
    command.arg("gc").args(arguments).env("REGISTRY_STORAGE_PATH", root).current_dir("/").output().expect("gc runs")
}

/// The report of a collection that went to its end.
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
async fn a_deleted_image_is_freed_and_the_other_goes_on_being_pulled() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("data");
    std::fs::create_dir(&root).unwrap();
    let daemon = Daemon::start(&root, &[]);
    for blob in ["{}", "shared", "old only", "new only"] {
        daemon.push_blob("app", blob).await;
    }
    let of = |layers: [&str; 2]| image(&descriptor(CONFIG, b"{}"), &layers.map(|l| descriptor(LAYER, l.as_bytes())));
    let (old, new) = (of(["shared", "old only"]), of(["shared", "new only"]));
    assert_eq!(daemon.put_manifest("app", "old", &old).await.status, 201);
    assert_eq!(daemon.put_manifest("app", "new", &new).await.status, 201);
    let deleted = daemon.delete(format!("/v2/app/manifests/{}", sha256(old.to_string().as_bytes()))).await;
    assert_eq!(deleted.status, 202);

    let told = report(&root, &["--dry-run", "--now"]);
    assert_eq!(told["dry_run"], true);
    assert_eq!(blobs(&root), 6, "a dry run changes nothing");
    assert_eq!(report(&root, &[])["purged"]["blobs"], 0, "nothing goes within the lease");
    assert_eq!(blobs(&root), 6);
    let told = report(&root, &["--now"]);
    assert_eq!((&told["purged"]["blobs"], &told["purged"]["revisions"]), (&2.into(), &1.into()), "{told}");
    assert_eq!(blobs(&root), 4);

    assert_eq!(daemon.get("/v2/app/manifests/new").await.body, new.to_string().as_bytes());
    assert_eq!(daemon.get(format!("/v2/app/blobs/{}", sha256(b"shared"))).await.body, b"shared".as_ref());
    assert_eq!(daemon.get(format!("/v2/app/blobs/{}", sha256(b"old only"))).await.status, 404);
    daemon.push_blob("app", "old only").await;
    assert_eq!(daemon.put_manifest("app", "old", &old).await.status, 201, "and may come again");
    let metrics = daemon.get("/metrics").await.body;
    let metrics = String::from_utf8_lossy(&metrics);
    let last = metrics.lines().find(|line| line.starts_with("wharfinger_gc_last_success_timestamp_seconds ")).unwrap();
    assert!(!last.ends_with(" 0"), "whoever ran it: {last}");
}

#[tokio::test]
async fn people_read_what_was_done_and_the_exit_code_tells_scripts() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("data");
    let absent = gc(&root, &[]);
    assert_eq!(absent.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&absent.stderr).contains("does not exist"), "{absent:?}");
    std::fs::create_dir(&root).unwrap();
    let daemon = Daemon::start(&root, &[]);
    daemon.push_blob("app", "nobody's").await;
    let done = gc(&root, &["--now"]);
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && done.stderr.is_empty(), "quiet in a pipe: {done:?}");
    assert!(said.contains("deleted                       1 blobs           8 B, 1 links"), "{said}");
    std::fs::remove_file(root.join("ROOT.json")).unwrap();
    let refused = gc(&root, &["--now"]);
    assert_eq!(refused.status.code(), Some(1), "an unmounted volume is not collected");
}

#[tokio::test]
async fn one_collection_runs_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("data");
    std::fs::create_dir(&root).unwrap();
    let daemon = Daemon::start(&root, &[]);
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
