//! What is told of a store that a daemon serves: by `check` beside it, and by its own readiness.

use crate::daemon::{Daemon, over};
use std::{os::unix::fs::symlink, process::Command, time::Duration};

#[tokio::test]
async fn check_beside_a_running_daemon_finds_nothing_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("data");
    let daemon = Daemon::start(&root, &[]);
    let check = |port: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wharfinger"));
        let out = over(&mut command, &root, &[("REGISTRY_PORT", port)]).arg("check").output().unwrap();
        (out.status.code(), String::from_utf8(out.stdout).unwrap())
    };
    let port = daemon.address().port();
    let (code, told) = check(&port.to_string());
    assert!(code == Some(0) && told.ends_with("no problems\n"), "{told}");
    assert!(
        told.contains(&format!("127.0.0.1:{port} is in use, as a daemon serves the storage directory now")),
        "{told}"
    );
    let (code, told) = check("0");
    assert!(code == Some(0) && told.contains("warning: REGISTRY_STORAGE_PATH: a daemon serves this"), "{told}");
}

#[tokio::test]
async fn a_missing_storage_directory_is_created_with_its_parents_and_a_loud_line() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(&dir.path().join("data"), &[("REGISTRY_STORAGE_PATH", "srv/registry/data")]);
    assert!(dir.path().join("srv/registry/data/ROOT.json").exists());
    assert!(daemon.log().contains("CREATED THE STORAGE DIRECTORY srv/registry/data"), "{}", daemon.log());
}

#[tokio::test]
async fn readiness_says_that_nothing_can_be_pushed_when_a_directory_was_replaced_by_a_link() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("data");
    let daemon = Daemon::start(&root, &[]);
    let ready = async || daemon.get("/health/ready").await.json();
    assert_eq!(ready().await["push"], true);
    std::fs::rename(root.join("blobs"), dir.path().join("blobs")).unwrap();
    symlink(dir.path().join("blobs"), root.join("blobs")).unwrap();
    daemon.until(Duration::from_secs(10), "not to be pushed to", async || ready().await["push"] == false).await;
    let told = ready().await.to_string();
    assert!(told.contains("blobs is not a real directory"), "{told}");
}
