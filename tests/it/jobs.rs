//! What the daemon does by itself, as an operator sees it.

use crate::PROGRAM;
use serde_json::{Value, json};
use std::time::Duration;
use testing::daemon::Daemon;

const SOON: Duration = Duration::from_secs(30);

/// One job in the detail of readiness.
async fn job(daemon: &Daemon, name: &str) -> Value {
    let ready = daemon.get("/health/ready").await.json();
    let jobs = ready["jobs"].as_array().expect("insiders see the jobs");
    jobs.iter().find(|job| job["job"] == name).unwrap_or_else(|| panic!("{ready}")).clone()
}

#[tokio::test]
async fn insiders_see_each_job_and_its_last_result() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("data");
    std::fs::create_dir(&root).unwrap();
    let daemon = Daemon::start(PROGRAM, &root, &[]);
    daemon.until(SOON, "the cleanup has run", async || job(&daemon, "upload_cleanup").await["result"] == "done").await;
    let cleanup = job(&daemon, "upload_cleanup").await;
    assert_eq!(cleanup["running"], false, "{cleanup}");
    assert_eq!((&cleanup["runs"], &cleanup["failures"], &cleanup["error"]), (&json!(1), &json!(0), &json!(null)));
    assert!(cleanup["last_start"].as_str() <= cleanup["last_end"].as_str(), "{cleanup}");
    let collection = job(&daemon, "collection").await;
    assert_eq!((&collection["result"], &collection["runs"]), (&json!(null), &json!(0)), "the store is new");

    let metrics = String::from_utf8(daemon.get("/metrics").await.body.to_vec()).unwrap();
    for line in [
        "wharfinger_job_running{job=\"collection\"} 0",
        "wharfinger_job_runs_total{job=\"upload_cleanup\"} 1",
        "wharfinger_job_failures_total{job=\"pull_times\"} 0",
        "wharfinger_job_last_end_timestamp_seconds{job=\"scrub\"} 0.0",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
}

#[tokio::test]
async fn a_job_follows_the_settings_without_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (root, settings) = (dir.path().join("data"), dir.path().join("settings.toml"));
    std::fs::create_dir(&root).unwrap();
    std::fs::write(&settings, "# Nothing yet.\n").unwrap();
    let daemon = Daemon::start(PROGRAM, &root, &[("REGISTRY_SETTINGS", settings.to_str().unwrap())]);
    daemon.until(SOON, "the pull times are saved", async || job(&daemon, "pull_times").await["result"] == "done").await;
    assert_eq!(job(&daemon, "delayed_syncs").await["runs"], 0, "nothing is delayed under durability strict");
    std::fs::write(&settings, "[storage]\ndurability = \"relaxed\"\n").unwrap();
    daemon.signal("HUP");
    daemon
        .until(SOON, "delayed syncs are done", async || job(&daemon, "delayed_syncs").await["result"] == "done")
        .await;
}
