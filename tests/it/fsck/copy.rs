//! Copies of a store in full use, made with standard tools.

use super::{fsck, live::Load};
use std::{path::Path, process::Command, sync::Arc, time::Duration};
use testing::registry::{Registry, Setup};
use wharfinger::registry::Settings;
use wharfinger::upkeep::CollectionOptions;

/// The copy script in docs/backup.md.
fn script(with: &str) -> String {
    let document = include_str!("../../../docs/backup.md");
    let (_, rest) = document.split_once(&format!("<!-- backup: {with} -->")).expect("the page has it");
    let (_, rest) = rest.split_once("```sh\n").expect("a block");
    rest.split_once("```").expect("its end").0.to_owned()
}

/// What is recorded of a repository: without these files a copy would make it private, and take it from its owner.
const FACTS: &[(&str, &str)] = &[
    ("repositories/_facts/load+kept", ""),
    ("repositories/load/kept/_facts/visibility", "public\n"),
    ("repositories/load/kept/_facts/owner", "ann\n"),
];

fn describe(root: &Path) {
    for (path, text) in FACTS {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        std::fs::write(path, text).expect("a file");
    }
}

async fn registry() -> Registry {
    let mut settings = Settings::default();
    // No delays, but the graveyard outlives the copy.
    (settings.collection.lease, settings.collection.settle) = (Duration::ZERO, Duration::ZERO);
    settings.collection.retention = Duration::from_secs(3600);
    Registry::with(|setup| setup.settings = settings).await
}

/// Copies a store under load with a shell script and checks that the copy has everything that was there before;
/// `judged` checks what it has of later changes.
async fn copied(script: String, judged: impl FnOnce(&Path)) {
    let registry = registry().await;
    describe(registry.root());
    let force = CollectionOptions { force: true, ..CollectionOptions::default() };
    let load = Load::start(&registry, 6, Some(force));
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = load.acknowledged.lock().expect("a lock").clone();
    let copy = tempfile::tempdir().expect("a directory");
    let (from, to) = (registry.root().to_owned(), copy.path().to_owned());
    let run =
        move || Command::new("sh").args(["-c", &script]).env("S", &from).env("D", &to).env("LC_ALL", "C").output();
    let done = tokio::task::spawn_blocking(move || {
        let done = run()?;
        // As documented. cp skips a tag that a push replaces at that moment.
        match String::from_utf8_lossy(&done.stderr).contains("replaced while being copied") {
            true => run(),
            false => Ok(done),
        }
    });
    let done = done.await.expect("a thread").expect("a shell");
    let acknowledged = load.acknowledged.clone();
    let pushed = load.stop().await;
    assert!(pushed > 20, "{pushed}");
    // Files that vanish while they are copied are reported; nothing else may be.
    let printed = String::from_utf8_lossy(&done.stderr).into_owned();
    for line in printed.lines() {
        assert!(line.contains("No such file") || line.contains("vanished") || line.contains("error 23"), "{printed}");
    }
    judged(copy.path());
    for (path, text) in FACTS {
        let copied = std::fs::read_to_string(copy.path().join(path)).ok();
        assert_eq!(copied.as_deref(), Some(*text), "{path}");
    }
    let after = acknowledged.lock().expect("a lock").clone();
    let kept: Vec<_> = before.into_iter().filter(|(id, _)| after.contains_key(id)).collect();
    assert!(kept.len() > 10, "{}", kept.len());
    let restored = Registry::over(Arc::new(copy), Setup::default()).await;
    for ((name, digest), manifest) in kept {
        assert_eq!(restored.read(format!("/v2/{name}/manifests/{digest}")).await.json(), manifest);
        for part in [&manifest["config"], &manifest["layers"][0]] {
            let digest = part["digest"].as_str().expect("text");
            let body = restored.read(format!("/v2/{name}/blobs/{digest}")).await.body;
            assert_eq!(testing::session::sha256(&body), digest);
        }
    }
    // An image that was pushed meanwhile may be there without its layers; only a push repairs that.
    let checked = fsck(restored.root(), &["--read-data"]);
    assert!(checked.kinds().iter().all(|(kind, _)| *kind == "blob-missing"), "{}", checked.lines());
    // And it is usable. Collections wait until what is incomplete was pushed again or deleted.
    restored.push_image("load/r0", "new", "new").await;
    for (_, path) in checked.kinds() {
        let (name, digest) = path["repositories/".len()..].split_once("/_manifests/revisions/").expect("a manifest");
        restored.delete(format!("/v2/{name}/manifests/{}", digest.replacen('/', ":", 1))).await.is(202);
    }
    restored.inner().collect(force, &()).await.expect("a collection");
}

/// In the right order, nothing in the copy lacks what it refers to, except for what was deleted.
fn has_no_damage(copy: &Path) {
    let checked = fsck(copy, &["--read-data", "--repair"]);
    assert_eq!(checked.summary["damage"], 0, "{}", checked.lines());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_copy_by_cp_in_the_documented_order_is_complete() {
    copied(script("cp"), has_no_damage).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_copy_by_rsync_in_the_documented_order_is_complete() {
    if Command::new("rsync").arg("--version").output().is_err() {
        eprintln!("no rsync here");
        return;
    }
    copied(script("rsync"), has_no_damage).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_copy_in_any_order_has_everything_from_before_it_began() {
    copied("cp -a \"$S/.\" \"$D\"".into(), |copy| {
        // What was pushed meanwhile may be incomplete; a repair removes it.
        fsck(copy, &["--read-data", "--repair"]);
    })
    .await;
}
