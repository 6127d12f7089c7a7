//! Collections and scrubs of a store on a real server.

use super::{BEHIND, Site, push};
use serde_json::{Value, json};
use std::{fs, path::Path, time::Duration};
use testing::{
    chaos::pull,
    content::{noise, sha256},
    daemon::Daemon,
    session::Client,
};

/// Collects garbage at once; returns the report.
async fn collect(daemon: &Daemon, admin: &Client) -> Value {
    let body = json!({"now": true, "force": true}).to_string();
    let begun = admin.ask(http::Method::POST, "/api/v1/gc").header("content-type", "application/json").body(body);
    let task = begun.send().await.is(202).json()["task_id"].as_str().unwrap().to_owned();
    let ended = async || {
        let task = admin.get(format!("/api/v1/tasks/{task}")).await.is(200).json();
        assert_ne!(task["status"], "failed", "{task}");
        task["status"] == "completed"
    };
    daemon.until(Duration::from_secs(60), "the collection does not end", ended).await;
    admin.get("/api/v1/gc").await.is(200).json()
}

/// Every file below a directory, with its bytes.
fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(files(&entry.path())),
            false => found.push((entry.path().display().to_string(), fs::read(entry.path()).unwrap())),
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nothing_refers_to_is_collected_in_both_modes() {
    for mode in [&[][..], BEHIND] {
        let Some(site) = Site::new("a collection") else { return };
        let (variables, caller) = site.administered();
        let mut all: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        all.extend(mode);
        let daemon = site.daemon("one", &all);
        let admin = daemon.authorized(caller);
        let kept = push(&admin, "app", "kept", 3 << 20, 1).await;
        let gone = push(&admin, "app", "gone", 3 << 20, 2).await;
        let (kept_layer, gone_layer) = (noise(3 << 20, 1), noise(3 << 20, 2));
        let root = site.server.root().join("registry");
        let holds = |bytes: &[u8]| files(&root).iter().any(|(_, found)| found == bytes);
        if !mode.is_empty() {
            site.uploaded_for(&daemon, &admin, Duration::from_secs(120)).await;
        }
        assert!(holds(&kept_layer) && holds(&gone_layer));
        admin.delete(format!("/v2/app/manifests/{gone}")).await.is(202);
        let condemned = collect(&daemon, &admin).await;
        let purged = collect(&daemon, &admin).await;
        if !mode.is_empty() {
            site.uploaded_for(&daemon, &admin, Duration::from_secs(120)).await;
        }
        assert!(holds(&kept_layer), "{condemned} {purged}");
        assert!(!holds(&gone_layer), "{condemned} {purged}");
        admin.get(format!("/v2/app/blobs/{}", sha256(&gone_layer))).await.refused(404, "BLOB_UNKNOWN");
        assert_eq!(pull(&admin, "app", "kept").await, kept);
        // Whoever pushes it again has it again.
        assert_eq!(push(&admin, "app", "gone", 3 << 20, 2).await, gone);
        assert_eq!(pull(&admin, "app", "gone").await, gone);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrub_finds_damage_on_the_server_and_reads_no_faster_than_it_may() {
    let Some(site) = Site::new("a scrub") else { return };
    let daemon = site.daemon("one", &[]);
    let whole = push(&daemon, "app", "whole", 3 << 20, 1).await;
    push(&daemon, "app", "damaged", 3 << 20, 2).await;
    drop(daemon);
    let damaged = noise(3 << 20, 2);
    let root = site.server.root().join("registry");
    let (path, _) = files(&root).into_iter().find(|(_, found)| *found == damaged).unwrap();
    let mut bytes = damaged.to_vec();
    bytes[1 << 20] ^= 1;
    fs::write(&path, bytes).unwrap();
    let settings = site.dir.path().join("settings.toml");
    fs::write(&settings, "[scrub]\nevery_days = 1\nbytes_per_second = \"2 MiB\"\n").unwrap();
    let settings = settings.display().to_string();
    let mut more = vec![("REGISTRY_SETTINGS", settings.as_str())];
    more.extend(BEHIND);
    let begun = std::time::Instant::now();
    let daemon = site.daemon("one", &more);
    let ended = async || daemon.log().contains("scrub completed");
    daemon.until(Duration::from_secs(150), "no scrub", ended).await;
    let line = daemon.logged("scrub completed");
    assert!(line.contains("damaged=1"), "{line}");
    assert!(begun.elapsed() > Duration::from_secs(2), "6 MiB at 2 MiB/s took {:?}", begun.elapsed());
    daemon.get(format!("/v2/app/blobs/{}", sha256(&damaged))).await.refused(404, "BLOB_UNKNOWN");
    assert_eq!(pull(&daemon, "app", "whole").await, whole);
    // A push heals it.
    let healed = push(&daemon, "app", "damaged", 3 << 20, 2).await;
    assert_eq!(pull(&daemon, "app", "damaged").await, healed);
}
