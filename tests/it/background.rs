//! What upkeep takes from a daemon beside it.

use crate::{
    daemon::{Daemon, over},
    session::{CONFIG, LAYER, descriptor, image},
};
use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// The scheduling policies of a process's threads (proc_pid_stat(5), field 41); none if it has ended.
fn policies(pid: u32) -> Vec<u32> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let stats = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("stat")).ok());
    // The name in parentheses may hold spaces; after it comes field 3.
    let policy = |stat: String| stat.rsplit_once(')')?.1.split_whitespace().nth(41 - 3)?.parse().ok();
    stats.filter_map(policy).collect()
}

#[tokio::test]
async fn upkeep_that_nobody_waits_for_leaves_the_processor_to_others() {
    const OTHER: u32 = 0;
    const IDLE: u32 = 5;
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("data");
    std::fs::create_dir(&root).unwrap();
    let daemon = Daemon::start(&root, &[]);
    daemon.push_blob("app", "{}").await;
    let layer = "a layer".repeat(4 << 10);
    daemon.push_blob("app", layer.clone()).await;
    let manifest = image(&descriptor(CONFIG, b"{}"), &[descriptor(LAYER, layer.as_bytes())]);
    assert_eq!(daemon.put_manifest("app", "v1", &manifest).await.status, 201);
    // They take a while.
    let settings = dir.path().join("slow.toml");
    std::fs::write(&settings, "[collection]\nfiles_per_second = 10\n").unwrap();

    let cases: [(&[&str], u32); 3] =
        [(&["gc"], IDLE), (&["gc", "--now"], OTHER), (&["fsck", "--read-data", "--rate", "1KiB"], IDLE)];
    for (arguments, expected) in cases {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wharfinger"));
        over(&mut command, &root, &[("REGISTRY_SETTINGS", settings.to_str().unwrap())]);
        let mut child = command.args(arguments).stdout(Stdio::null()).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let seen = policies(child.id());
            // A collection's thread is alone until it begins; a check's stays so.
            if seen.len() > 1 || seen == [IDLE] {
                assert!(seen.iter().all(|policy| *policy == expected), "{arguments:?}: {seen:?}");
                break;
            }
            let is_running = child.try_wait().unwrap().is_none() && Instant::now() < deadline;
            assert!(is_running, "{arguments:?} never got under way: {seen:?}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
