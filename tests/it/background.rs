//! What background upkeep takes from a daemon.

use crate::PROGRAM;
use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use testing::{
    daemon::{Daemon, over},
    session::{CONFIG, LAYER, descriptor, image},
};

/// The scheduling policies of a process's threads (proc_pid_stat(5), field 41); none if it has ended.
fn policies(pid: u32) -> Vec<u32> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let stats = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("stat")).ok());
    // The name in parentheses may contain spaces; field 3 follows it.
    let policy = |stat: String| stat.rsplit_once(')')?.1.split_whitespace().nth(41 - 3)?.parse().ok();
    stats.filter_map(policy).collect()
}

#[tokio::test]
async fn background_upkeep_runs_at_idle_priority() {
    const OTHER: u32 = 0;
    const IDLE: u32 = 5;
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("data");
    std::fs::create_dir(&root).unwrap();
    let daemon = Daemon::start(PROGRAM, &root, &[]);
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
        let mut command = Command::new(PROGRAM);
        over(&mut command, &root, &[("REGISTRY_SETTINGS", settings.to_str().unwrap())]);
        let mut child = command.args(arguments).stdout(Stdio::null()).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        // Several times in a row: while the configuration is read, a thread that does not do the work comes and goes.
        let mut in_a_row = 0;
        while in_a_row < 10 {
            let seen = policies(child.id());
            // The thread of a collection exists before its work starts; that of a check stays.
            let is_under_way = seen.len() > 1 || seen == [IDLE];
            let is_so = is_under_way && seen.iter().all(|policy| *policy == expected);
            in_a_row = if is_so { in_a_row + 1 } else { 0 };
            let is_running = child.try_wait().unwrap().is_none() && Instant::now() < deadline;
            assert!(is_running, "{arguments:?} never had the policy {expected}: {seen:?}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
