//! Tests of the whole program: it lists, it measures what it starts, and it leaves nothing behind.

#![allow(clippy::unwrap_used, reason = "a helper fails the test it is called by")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn bench(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_registry-bench")).args(words).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The daemon, if it was built with the same profile.
fn daemon() -> Option<PathBuf> {
    Some(Path::new(env!("CARGO_BIN_EXE_registry-bench")).parent()?.join("wharfinger")).filter(|path| path.is_file())
}

#[test]
fn the_list_names_workloads_and_peers() {
    let out = bench(&["list"]);
    assert!(out.status.success());
    let output = text(&out.stdout);
    for word in ["pull-256m", "cold-pull-1g", "On-demand Sync 1GB", "nginx", "wharfinger"] {
        assert!(output.contains(word), "{word}: {output}");
    }
}

#[test]
fn unknown_names_are_refused() {
    for words in [
        &["compare", "--workload", "pull-3m"][..],
        &["compare", "--workload", "idle", "--peers", "harbor"],
        &["drive", "ftp://r", "--workload", "idle"],
        &["compare"],
    ] {
        assert!(!bench(words).status.success(), "{words:?}");
    }
}

#[test]
fn lists_of_a_small_store_are_timed() {
    let Some(daemon) = daemon() else { return };
    let dir = tempfile::tempdir().unwrap();
    let (json, room) = (dir.path().join("out.json"), dir.path().join("room"));
    std::fs::create_dir(&room).unwrap();
    let at = |path: &Path| path.to_str().unwrap().to_owned();
    let mut words = ["scale", "--repositories", "250", "--tags", "500", "--users", "20", "--groups", "3"]
        .map(str::to_owned)
        .to_vec();
    words.extend([
        "--large".into(),
        "300".into(),
        "--requests".into(),
        "2".into(),
        "--directory".into(),
        at(&room),
        "--json".into(),
        at(&json),
    ]);
    words.extend(["--wharfinger".into(), at(&daemon)]);
    let out = bench(&words.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(out.status.success(), "{}\n{}", text(&out.stdout), text(&out.stderr));
    let figures: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&json).unwrap()).unwrap();
    let answers = figures["answers"].as_array().unwrap();
    assert!(answers.len() > 45 && answers.iter().all(|answer| answer["p50 ms"].as_f64() > Some(0.0)), "{figures:#}");
    assert_eq!(std::fs::read_dir(&room).unwrap().count(), 0, "something was left");
}

#[test]
fn a_quick_comparison_writes_figures_json_and_a_plot_and_leaves_no_files() {
    let dir = tempfile::tempdir().unwrap();
    let (json, svg) = (dir.path().join("out.json"), dir.path().join("plots"));
    let room = dir.path().join("room");
    std::fs::create_dir(&room).unwrap();
    let daemon = daemon();
    let at = |path: &Path| path.to_str().unwrap().to_owned();
    let mut words = ["compare", "--quick", "--rounds", "2", "--workload", "push-256m"].map(str::to_owned).to_vec();
    let peers = if daemon.is_some() { "floor,wharfinger" } else { "floor" };
    words.extend(["--json".into(), at(&json), "--svg".into(), at(&svg), "--peers".into(), peers.into()]);
    words.extend(["--tmpfs".into(), at(&room), "--disk".into(), at(&room)]);
    if daemon.is_some() {
        words.extend(["--workload", "manifest-tag", "--workload", "small-images", "--clients", "4"].map(str::to_owned));
    }
    let out = bench(&words.iter().map(String::as_str).collect::<Vec<_>>());
    let (output, trouble) = (text(&out.stdout), text(&out.stderr));
    assert!(out.status.success() && !trouble.contains("errors"), "{output}\n{trouble}");
    assert!(!output.contains("Not run"), "{output}");
    let figures: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&json).unwrap()).unwrap();
    let comparisons = figures["comparisons"].as_array().unwrap();
    assert_eq!(comparisons.len(), if daemon.is_some() { 3 } else { 1 });
    for comparison in comparisons {
        for (side, figures) in comparison["sides"].as_object().unwrap() {
            assert_eq!(figures["operations/s"]["rounds"].as_array().unwrap().len(), 2, "{side}: {comparison}");
        }
    }
    assert!(std::fs::read_to_string(svg.join("push-256m.svg")).unwrap().contains("floor"));
    assert_eq!(std::fs::read_dir(&room).unwrap().count(), 0, "something was left");
}
