//! What a check reports besides damage: foreign files, modes, leftovers, facts, and how people read it.

use super::{blob, fsck, hex};
use crate::{PROGRAM, facts::record};
use serde_json::json;
use std::{fs, os::unix::fs::PermissionsExt};
use testing::{
    registry::Registry,
    session::{CONFIG, LAYER, descriptor, image, sha256},
};

#[tokio::test]
async fn foreign_files_are_reported_and_moved_only_by_a_repair() {
    let registry = Registry::start().await;
    let (digest, _) = registry.push_image("app", "v1", "one").await;
    let root = registry.root();
    let outside = tempfile::tempdir().expect("a directory");
    fs::write(outside.path().join("secret"), "x").expect("a write");
    fs::write(root.join("notes.txt"), "x").expect("a write");
    fs::write(root.join("repositories/app/_manifests/tags/.v1.swp"), "x").expect("a write");
    fs::create_dir(root.join("repositories/App")).expect("a directory");
    std::os::unix::fs::symlink(outside.path(), root.join("repositories/linked")).expect("a link");
    std::os::unix::fs::symlink(outside.path().join("secret"), root.join("repositories/app/_manifests/tags/v2"))
        .expect("a link");
    let other = format!("blobs/sha256/00/{}", hex(&digest));
    fs::write(root.join(&other), "x").expect("a write");
    fs::write(root.join("graveyard/README"), "x").expect("a write");
    let strays = [
        &*other,
        "graveyard/README",
        "notes.txt",
        "repositories/App",
        "repositories/app/_manifests/tags/.v1.swp",
        "repositories/app/_manifests/tags/v2",
        "repositories/linked",
    ];
    let printed = fsck(root, &[]);
    let mut paths: Vec<_> = printed.kinds().into_iter().map(|(kind, path)| (kind, path.to_owned())).collect();
    paths.sort();
    assert_eq!(paths, strays.map(|path| ("stray", path.to_owned())));
    assert_eq!(printed.code, 1);
    assert!(root.join("notes.txt").exists());
    let repaired = fsck(root, &["--repair"]);
    assert_eq!(repaired.summary["repaired"], strays.len());
    let quarantine = root.join(repaired.summary["quarantine"].as_str().expect("a path"));
    assert!(strays.iter().all(|stray| fs::symlink_metadata(quarantine.join(stray)).is_ok()));
    assert!(outside.path().join("secret").exists(), "links are not followed");
    fsck(root, &[]).clean();
}

#[tokio::test]
async fn unsafe_and_unusable_file_modes_are_reported() {
    let registry = Registry::start().await;
    registry.push_image("app", "v1", "one").await;
    let set = |path: &str, mode| {
        fs::set_permissions(registry.root().join(path), fs::Permissions::from_mode(mode)).expect("a mode");
    };
    set("repositories/app", 0o777);
    set("repositories/app/_manifests/tags/v1", 0o240);
    let printed = fsck(registry.root(), &[]);
    let kinds: Vec<_> = printed.kinds().into_iter().filter(|(kind, _)| *kind == "mode").map(|(_, path)| path).collect();
    assert_eq!(kinds, ["repositories/app", "repositories/app/_manifests/tags/v1"], "{}", printed.lines());
    assert_eq!(printed.code, 1);
    set("repositories/app", 0o750);
    set("repositories/app/_manifests/tags/v1", 0o640);
    fsck(registry.root(), &[]).clean();
}

#[tokio::test]
async fn a_malformed_visibility_or_owner_is_a_warning_and_a_missing_hint_is_written() {
    let registry = Registry::start().await;
    registry.push_image("team/app", "v1", "one").await;
    let root = registry.root();
    record(root, "team/app", "visibility", "public\n");
    record(root, "team/app", "owner", "alice\n");
    fsck(root, &[]).clean();
    let hint = root.join("repositories/_facts/team+app");
    fs::remove_file(&hint).expect("a file");
    fs::write(root.join("repositories/team/app/_facts/owner"), "@team\n").expect("a write");
    let [owner, visibility] = ["owner", "visibility"].map(|fact| format!("repositories/team/app/_facts/{fact}"));
    let printed = fsck(root, &[]);
    assert_eq!((printed.code, printed.findings.len()), (1, 3), "{}", printed.lines());
    let kinds = printed.kinds();
    for found in [("fact-garbled", &*owner), ("hint-missing", &*owner), ("hint-missing", &*visibility)] {
        assert!(kinds.contains(&(found.0, found.1)), "{found:?}: {}", printed.lines());
    }
    fsck(root, &["--repair"]);
    assert!(hint.is_file());
    assert_eq!(fsck(root, &[]).kinds(), [("fact-garbled", &*owner)]);
    fs::write(root.join(&owner), "alice\n").expect("a write");
    fsck(root, &[]).clean();
}

#[tokio::test]
async fn leftovers_of_a_crash_are_notes_and_not_damage() {
    let registry = Registry::start().await;
    registry.push_image("app", "v1", "one").await;
    let root = registry.root();
    let (old, id) = (root.join("state/tmp/old"), uuid::Uuid::new_v4());
    fs::write(&old, "x").expect("a write");
    let yesterday = std::time::SystemTime::now() - std::time::Duration::from_secs(86_400);
    fs::File::open(&old).and_then(|file| file.set_modified(yesterday)).expect("a time");
    fs::write(root.join("state/tmp/new"), "x").expect("a write");
    fs::create_dir(root.join(format!("uploads/{id}"))).expect("a directory");
    fs::create_dir_all(root.join("repositories/app/_intents")).expect("a directory");
    fs::write(root.join(format!("repositories/app/_intents/{}", ulid::Ulid::new())), "").expect("a write");
    let printed = fsck(root, &[]).clean();
    let kinds: Vec<_> = printed.findings.iter().map(|finding| finding["kind"].as_str().expect("text")).collect();
    assert_eq!(kinds, ["intent-garbled", "temporary-left", "upload-incomplete"], "{}", printed.lines());
}

#[tokio::test]
async fn a_manifest_with_a_wrong_length_of_a_blob_is_not_damage() {
    let registry = Registry::start().await;
    registry.push_blob("app", "{}").await;
    registry.push_blob("app", "layer").await;
    let mut lying = descriptor(LAYER, b"layer");
    lying["size"] = json!(4);
    registry.put_manifest("app", "v1", &image(&descriptor(CONFIG, b"{}"), &[lying])).await.is(201);
    let printed = fsck(registry.root(), &[]).clean();
    assert_eq!(printed.findings[0]["kind"], "length-disagrees");
    // A truncated blob is.
    let path = blob(&registry, &sha256(b"{}"));
    fs::write(&path, "{").expect("a write");
    assert_eq!(fsck(registry.root(), &[]).kinds()[0].0, "blob-damaged");
    registry.push_blob("app", "{}").await;
    fsck(registry.root(), &["--read-data"]).clean();
}

#[tokio::test]
async fn each_finding_is_a_line_with_the_path_the_problem_and_the_remedy() {
    let registry = Registry::start().await;
    registry.push_image("app", "v1", "one").await;
    fs::write(registry.root().join("evil\x1b[2Jname"), "x").expect("a write");
    let run = |args: &[&str]| {
        let output = std::process::Command::new(PROGRAM)
            .arg("fsck")
            .args(args)
            .env("REGISTRY_STORAGE_PATH", registry.root())
            .output()
            .expect("fsck runs");
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stderr.is_empty(), "no progress line without a terminal");
        String::from_utf8(output.stdout).expect("text")
    };
    let printed = run(&[]);
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(
        lines[0],
        "warning: evil\\u{1b}[2Jname: is a file that does not belong in a storage directory; move it away (it is not served)"
    );
    assert!(lines[1].starts_with("1 repository, 1 manifest, 1 tag, 3 blobs (0 read in full, 0 B) in "), "{printed}");
    assert_eq!(lines[2..], ["0 damaged, 1 warning, 0 notes"]);
    let repaired = run(&["--repair"]);
    assert!(repaired.contains("; repaired: moved to quarantine/"), "{repaired}");
}

#[tokio::test]
async fn a_missing_store_is_reported() {
    let empty = tempfile::tempdir().expect("a directory");
    let output = std::process::Command::new(PROGRAM)
        .args(["fsck"])
        .env("REGISTRY_STORAGE_PATH", empty.path())
        .output()
        .expect("fsck runs");
    assert_eq!(output.status.code(), Some(78));
    assert_eq!(fs::read_dir(empty.path()).expect("a listing").count(), 0);
}
