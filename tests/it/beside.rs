//! Problems of a store that a daemon serves, as reported by `check` beside it and by its readiness.

use crate::PROGRAM;
use std::{os::unix::fs::symlink, process::Command, time::Duration};
use testing::daemon::{Daemon, over};

#[tokio::test]
async fn check_beside_a_running_daemon_finds_nothing_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("data");
    let daemon = Daemon::start(PROGRAM, &root, &[]);
    let check = |port: &str| {
        let mut command = Command::new(PROGRAM);
        let out = over(&mut command, &root, &[("REGISTRY_PORT", port)]).arg("check").output().unwrap();
        (out.status.code(), String::from_utf8(out.stdout).unwrap())
    };
    let port = daemon.address().port();
    let (code, printed) = check(&port.to_string());
    assert!(code == Some(0) && printed.ends_with("no problems\n"), "{printed}");
    assert!(
        printed.contains(&format!("127.0.0.1:{port} is in use, as a daemon serves the storage directory now")),
        "{printed}"
    );
    let (code, printed) = check("0");
    assert!(code == Some(0) && printed.contains("warning: REGISTRY_STORAGE_PATH: a daemon serves this"), "{printed}");
}

#[tokio::test]
async fn creating_a_missing_storage_directory_is_logged() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(PROGRAM, &dir.path().join("data"), &[("REGISTRY_STORAGE_PATH", "srv/registry/data")]);
    assert!(dir.path().join("srv/registry/data/ROOT.json").exists());
    daemon.logged("CREATED THE STORAGE DIRECTORY srv/registry/data");
}

#[tokio::test]
async fn readiness_says_that_nothing_can_be_pushed_when_a_directory_was_replaced_by_a_link() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("data");
    let daemon = Daemon::start(PROGRAM, &root, &[]);
    let ready = async || daemon.get("/health/ready").await.json();
    assert_eq!(ready().await["push"], true);
    std::fs::rename(root.join("blobs"), dir.path().join("blobs")).unwrap();
    symlink(dir.path().join("blobs"), root.join("blobs")).unwrap();
    daemon.until(Duration::from_secs(10), "pushes are refused", async || ready().await["push"] == false).await;
    let printed = ready().await.to_string();
    assert!(printed.contains("blobs is not a real directory"), "{printed}");
}
