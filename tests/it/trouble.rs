//! A store that temporarily accepts no writes, and how much of it is durable when.

use crate::PROGRAM;
use http::StatusCode;
use std::time::Duration;
use testing::{daemon::Daemon, session::*};

#[tokio::test]
async fn while_root_json_is_missing_pushes_are_refused_and_pulls_continue() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(PROGRAM, dir.path(), &[]);
    let (digest, _) = daemon.push_image("app", "v1", "before").await;
    let (mark, away) = (dir.path().join("ROOT.json"), dir.path().join("quarantine/away"));
    std::fs::rename(&mark, &away).unwrap();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    for reply in [
        daemon.post("/v2/app/blobs/uploads/", "").await,
        daemon.put_manifest("app", "v2", &index(&[])).await,
        daemon.delete("/v2/app/manifests/v1").await,
        daemon.delete(format!("/v2/app/manifests/{digest}")).await,
    ] {
        reply.refused(503, "UNAVAILABLE");
        assert!(reply.has("retry-after"));
    }
    assert_eq!(daemon.get("/v2/app/manifests/v1").await.status, StatusCode::OK);
    assert_eq!(daemon.tags("app").await, ["v1"]);
    let metrics = String::from_utf8(daemon.get("/metrics").await.body.to_vec()).unwrap();
    assert!(metrics.contains("wharfinger_store_state{state=\"degraded\"} 1"), "{metrics}");
    daemon.logged("ROOT.json is missing from the storage directory");

    std::fs::rename(&away, &mark).unwrap();
    let is_back = async || daemon.post("/v2/app/blobs/uploads/", "").await.status == StatusCode::ACCEPTED;
    daemon.until(Duration::from_secs(5), "writes go on", is_back).await;
    daemon.push_image("app", "v2", "after").await;
    assert_eq!(daemon.tags("app").await, ["v1", "v2"]);
}

#[tokio::test]
async fn durability_is_a_setting_that_applies_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let settings = dir.path().join("settings.toml");
    let set = |mode: &str| std::fs::write(&settings, format!("[storage]\ndurability = \"{mode}\"\n")).unwrap();
    set("none");
    std::fs::create_dir(dir.path().join("data")).unwrap();
    let vars = [("REGISTRY_SETTINGS", settings.to_str().unwrap())];
    let mut daemon = Daemon::start(PROGRAM, &dir.path().join("data"), &vars);
    let metric = async |line: &str| {
        let metrics = String::from_utf8(daemon.get("/metrics").await.body.to_vec()).unwrap();
        let found =
            metrics.lines().find_map(|found| found.strip_prefix(line)).map(|n| n.trim().parse::<u64>().unwrap());
        found.unwrap_or_else(|| panic!("no {line} in {metrics}"))
    };
    let directories = "wharfinger_store_syncs_total{what=\"directory\"}";
    daemon.logged("A POWER FAILURE MAY DESTROY THE STORE");
    assert_eq!(metric("wharfinger_store_durability{mode=\"none\"}").await, 1);
    let before = metric(directories).await;
    daemon.push_image("app", "v1", "none").await;
    assert_eq!(metric(directories).await, before, "nothing is synced");

    set("relaxed");
    let is_relaxed = async || metric("wharfinger_store_durability{mode=\"relaxed\"}").await == 1;
    daemon.until(Duration::from_secs(5), "relaxed", is_relaxed).await;
    daemon.push_image("app", "v2", "relaxed").await;
    let is_flushed = async || metric(directories).await > before;
    daemon.until(Duration::from_secs(5), "directories are synced later", is_flushed).await;

    set("strict");
    let is_strict = async || metric("wharfinger_store_durability{mode=\"strict\"}").await == 1;
    daemon.until(Duration::from_secs(5), "strict", is_strict).await;
    let before = metric(directories).await;
    daemon.push_image("app", "v3", "strict").await;
    assert!(metric(directories).await > before + 5);
    assert_eq!(metric("wharfinger_store_state{state=\"ok\"}").await, 1);
    daemon.signal("INT");
    assert!(daemon.wait(Duration::from_secs(10)).success());
}
