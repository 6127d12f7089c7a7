//! `wharfinger plan` beside a running daemon, and recent pulls.

use crate::PROGRAM;
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{Duration, SystemTime},
};
use tempfile::TempDir;
use testing::daemon::Daemon;

const RULES: &str = r#"
[[retention]]
repositories = ["team/**"]
keep_last = 1
keep_pulled_within_days = 30
keep_matching = "v[0-9]+"
delete_untagged_after_days = 7

[[immutable]]
repositories = ["team/**"]
tags = "release"
"#;

/// A directory with settings, and the path of a store in it.
fn site() -> (TempDir, PathBuf, String) {
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let settings = dir.path().join("settings.toml");
    std::fs::write(&settings, RULES).unwrap();
    let root = dir.path().join("data");
    std::fs::create_dir(&root).unwrap();
    (dir, root, settings.to_str().unwrap().to_owned())
}

fn plan(root: &Path, settings: &str, args: &[&str]) -> Output {
    let out = Command::new(PROGRAM)
        .arg("plan")
        .args(args)
        .env_clear()
        .envs([("REGISTRY_SETTINGS", settings), ("REGISTRY_STORAGE_PATH", root.to_str().unwrap())])
        .current_dir(root.parent().unwrap())
        .output();
    out.unwrap()
}

/// The lines of a plan, as JSON.
fn lines(root: &Path, settings: &str) -> Vec<Value> {
    let out = plan(root, settings, &["--json"]);
    assert!(out.status.success(), "{out:?}");
    String::from_utf8(out.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Makes a file look this many days old.
fn age(path: &Path, days: u32) {
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - days * Duration::from_secs(86_400)).unwrap();
}

/// Every path below a directory with its time, to see whether something was written.
fn tree(dir: &Path) -> Vec<(PathBuf, SystemTime)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        found.push((entry.path(), entry.metadata().unwrap().modified().unwrap()));
        if entry.file_type().unwrap().is_dir() {
            found.extend(tree(&entry.path()));
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn the_plan_names_the_rule_for_each_tag_while_the_daemon_serves() {
    let (_dir, root, settings) = site();
    let daemon = Daemon::start(PROGRAM, &root, &[("REGISTRY_SETTINGS", &settings)]);
    let mut digests = Vec::new();
    for tag in ["dev-1", "dev-2", "release", "v1", "newest"] {
        digests.push(daemon.push_image("team/app", tag, tag).await.0);
    }
    let (moved_away, _) = daemon.push_image("team/app", "moving", "before").await;
    daemon.push_image("team/app", "moving", "after").await;
    daemon.push_image("other", "old", "old").await;
    let manifests = root.join("repositories/team/app/_manifests");
    for (days, tag) in [(90, "dev-1"), (80, "dev-2"), (99, "release"), (99, "v1"), (60, "moving")] {
        age(&manifests.join("tags").join(tag), days);
    }
    age(&manifests.join("revisions/sha256").join(&moved_away[7..]), 8);
    // As if the pushes and the daemon's start were long ago.
    std::fs::remove_dir_all(root.join("repositories/team/app/_intents")).unwrap();
    daemon.until(Duration::from_secs(5), "pull times begin", async || root.join("state/pulls/since").exists()).await;
    std::fs::write(root.join("state/pulls/since"), "2020-01-01T00:00:00Z\n").unwrap();

    let before = tree(&root);
    let printed = lines(&root, &settings);
    assert_eq!(tree(&root), before, "nothing was written");
    let said: Vec<String> = printed
        .iter()
        .map(|line| {
            let what = line["tag"].as_str().unwrap_or(line["digest"].as_str().unwrap());
            let [repository, verdict, why] = ["repository", "verdict", "why"].map(|key| line[key].as_str().unwrap());
            format!("{repository} {what} {verdict}: {why}")
        })
        .collect();
    let untagged = format!("team/app {moved_away} delete: retention[0]: delete_untagged_after_days = 7");
    assert_eq!(
        said,
        [
            "other old keep: no rule",
            "team/app dev-1 delete: retention[0]: nothing keeps it",
            "team/app dev-2 delete: retention[0]: nothing keeps it",
            "team/app moving delete: retention[0]: nothing keeps it",
            "team/app newest keep: retention[0]: keep_last = 1",
            "team/app release keep: immutable",
            "team/app v1 keep: retention[0]: keep_matching = \"v[0-9]+\"",
            untagged.as_str(),
        ]
    );
    assert_eq!((&printed[1]["rule"], &printed[0]["rule"]), (&Value::from(0), &Value::Null));
    let people = plan(&root, &settings, &["team/**"]);
    let table = String::from_utf8(people.stdout).unwrap();
    assert!(table.starts_with("team/app\n  delete  dev-1"), "{table}");
    assert!(table.contains("keep    release"), "{table}");
    let sums = "repositories: 1; tags: 3 to keep, 3 to delete; manifests without a tag: 0 to keep, 1 to delete\n";
    assert!(table.ends_with(sums), "{table}");
    // The plan was not carried out, and a manifest is pulled by its digest after its tag moved.
    for reference in ["dev-1", "v1", &moved_away, &digests[1]] {
        daemon.read(format!("/v2/team/app/manifests/{reference}")).await;
    }
}

#[tokio::test]
async fn a_pull_keeps_a_tag_and_is_saved_later() {
    let (_dir, root, settings) = site();
    let mut daemon =
        Daemon::start(PROGRAM, &root, &[("REGISTRY_SETTINGS", &settings), ("REGISTRY_LOG_LEVEL", "debug")]);
    let mut digests = Vec::new();
    for tag in ["looked-at", "pulled", "by-digest", "new"] {
        digests.push(daemon.push_image("team/app", tag, tag).await.0);
    }
    daemon.until(Duration::from_secs(5), "pull times begin", async || root.join("state/pulls/since").exists()).await;
    std::fs::write(root.join("state/pulls/since"), "2020-01-01T00:00:00Z\n").unwrap();
    let before = tree(&root);
    daemon.head("/v2/team/app/manifests/looked-at").await.is(200);
    daemon.read("/v2/team/app/manifests/pulled").await;
    daemon.read(format!("/v2/team/app/manifests/{}", digests[2])).await;
    assert_eq!(tree(&root), before, "a read writes nothing");
    daemon.signal("TERM");
    assert!(daemon.wait(Duration::from_secs(20)).success());
    for tag in ["looked-at", "pulled", "by-digest"] {
        age(&root.join("repositories/team/app/_manifests/tags").join(tag), 40);
    }
    let verdicts = || {
        let line = |line: &Value| {
            let [tag, verdict] = ["tag", "verdict"].map(|key| line[key].as_str().unwrap().to_owned());
            (tag, verdict, line["pulled"].is_string())
        };
        lines(&root, &settings).iter().map(line).collect::<Vec<_>>()
    };
    let expected =
        [("by-digest", "keep", true), ("looked-at", "delete", false), ("new", "keep", false), ("pulled", "keep", true)]
            .map(|(tag, verdict, pulled)| (tag.to_owned(), verdict.to_owned(), pulled));
    assert_eq!(verdicts(), expected);
}

#[tokio::test]
async fn a_registry_that_is_read_only_writes_no_pull_times() {
    let (_dir, root, settings) = site();
    let daemon = Daemon::start(PROGRAM, &root, &[("REGISTRY_SETTINGS", &settings)]);
    daemon.push_image("team/app", "v1", "x").await;
    drop(daemon);
    std::fs::remove_dir_all(root.join("state/pulls")).ok();
    std::fs::write(&settings, format!("[operator]\nread_only = true\n{RULES}")).unwrap();
    let mut daemon = Daemon::start(PROGRAM, &root, &[("REGISTRY_SETTINGS", &settings)]);
    daemon.read("/v2/team/app/manifests/v1").await;
    daemon.signal("INT");
    assert!(daemon.wait(Duration::from_secs(20)).success());
    assert!(!root.join("state/pulls").exists());
}

#[test]
fn a_plan_without_a_store_or_with_wrong_rules_is_refused() {
    let (_dir, root, settings) = site();
    let printed = |out: &Output| String::from_utf8_lossy(&out.stderr).into_owned();
    let empty = plan(&root, &settings, &[]);
    assert_eq!(empty.status.code(), Some(78));
    assert!(printed(&empty).contains("there is no store to look at"), "{}", printed(&empty));
    assert_eq!(std::fs::read_dir(&root).unwrap().count(), 0, "and none was made");
    std::fs::write(&settings, RULES.replace("keep_last", "keep_lst")).unwrap();
    let wrong = plan(&root, &settings, &[]);
    assert_eq!(wrong.status.code(), Some(78));
    assert!(printed(&wrong).contains("retention[0].keep_lst: is not a setting; did you mean keep_last?"));
    assert_eq!(plan(&root, &settings, &["a**"]).status.code(), Some(2), "not a pattern");
}

/// The report of `gc` with these rules.
fn gc(root: &Path, settings: &str, args: &[&str]) -> String {
    let out = Command::new(PROGRAM)
        .arg("gc")
        .args(args)
        .env_clear()
        .envs([("REGISTRY_SETTINGS", settings), ("REGISTRY_STORAGE_PATH", root.to_str().unwrap())])
        .current_dir(root.parent().unwrap())
        .output();
    let out = out.unwrap();
    assert!(out.status.success(), "{out:?}");
    String::from_utf8(out.stdout).unwrap()
}

#[tokio::test]
async fn gc_does_what_the_plan_announced_and_its_totals_add_up() {
    let (_dir, root, settings) = site();
    let daemon = Daemon::start(PROGRAM, &root, &[("REGISTRY_SETTINGS", &settings)]);
    for name in ["team/app", "team/web"] {
        for tag in ["dev-1", "dev-2", "newest"] {
            daemon.push_image(name, tag, tag).await;
        }
        let (moved_away, _) = daemon.push_image(name, "newest", "before").await;
        daemon.push_image(name, "newest", "after").await;
        let manifests = root.join(format!("repositories/{name}/_manifests"));
        ["dev-1", "dev-2"].iter().for_each(|tag| age(&manifests.join("tags").join(tag), 90));
        age(&manifests.join("revisions/sha256").join(&moved_away[7..]), 8);
        std::fs::remove_dir_all(root.join(format!("repositories/{name}/_intents"))).unwrap();
    }
    daemon.until(Duration::from_secs(5), "pull times begin", async || root.join("state/pulls/since").exists()).await;
    std::fs::write(root.join("state/pulls/since"), "2020-01-01T00:00:00Z\n").unwrap();

    let announced = String::from_utf8(plan(&root, &settings, &[]).stdout).unwrap();
    let sums = "repositories: 2; tags: 2 to keep, 4 to delete; manifests without a tag: 2 to keep, 2 to delete\n";
    assert!(announced.ends_with(sums), "{announced}");
    let dry = gc(&root, &settings, &["--dry-run"]);
    let json: Value = serde_json::from_str(&gc(&root, &settings, &["--dry-run", "--json"])).unwrap();
    let done = gc(&root, &settings, &[]);
    for (said, tags, manifests) in [(&dry, "tags to delete", "to move"), (&done, "tags deleted", "moved")] {
        assert!(said.starts_with("checked 2 repositories and 10 manifests in "), "{said}");
        assert!(said.contains(&format!("{tags:<22}        4\n")), "{said}");
        let moved = said.lines().find(|line| line.starts_with(manifests)).unwrap();
        assert!(moved.contains(", 2 manifests, "), "{said}");
        for name in ["team/app", "team/web"] {
            assert_eq!(said.matches(&format!("  {name}: ")).count(), 1, "a repository has one line: {said}");
        }
    }
    let of =
        |key: &str| json["by_repository"].as_array().unwrap().iter().map(|r| r[key].as_u64().unwrap()).sum::<u64>();
    assert_eq!((of("deleted_tags"), json["deleted_tags"].as_u64().unwrap()), (4, 4), "{json}");
    assert_eq!((of("condemned_manifests"), json["condemned"]["revisions"].as_u64().unwrap()), (2, 2), "{json}");
    assert_eq!(json["waiting_manifests"], 0);
    assert_eq!(of("untagged_manifests"), json["untagged"]["manifests"].as_u64().unwrap(), "{json}");
    let count = |part: &str| json[part]["number"].as_u64().unwrap();
    assert_eq!(count("orphaned"), count("unused") + json["condemned"]["blobs"].as_u64().unwrap(), "{json}");
}
