//! Manifests that an index lists, and what happens to both when one is deleted.

use crate::{PROGRAM, collection::report, fsck::fsck};
use serde_json::{Value, json};
use std::{fs, time::Duration};
use testing::{daemon::Daemon, registry::Registry, session::*};

/// The entry of an index for a manifest.
fn entry(manifest: &Value) -> Value {
    descriptor(manifest["mediaType"].as_str().unwrap(), manifest.to_string().as_bytes())
}

/// Pushes an image for each of two platforms, and an index of both; returns the digests of all three.
async fn push_platforms(client: &Client, name: &str, tag: &str) -> [String; 3] {
    let (amd64, first) = client.push_image(name, "amd64", &format!("{tag} for amd64")).await;
    let (arm64, second) = client.push_image(name, "arm64", &format!("{tag} for arm64")).await;
    let all = index(&[entry(&first), entry(&second)]);
    client.put_manifest(name, tag, &all).await.is(201);
    [amd64, arm64, sha256(all.to_string().as_bytes())]
}

#[tokio::test]
async fn a_child_of_a_tagged_index_may_be_deleted_and_fsck_reports_the_index_as_incomplete() {
    let registry = Registry::start().await;
    let [amd64, arm64, all] = push_platforms(&registry, "app", "v1").await;
    registry.delete(format!("/v2/app/manifests/{arm64}")).await.is(202);
    assert_eq!(registry.read("/v2/app/manifests/v1").await.header("docker-content-digest"), all);
    registry.read(format!("/v2/app/manifests/{amd64}")).await;
    registry.get(format!("/v2/app/manifests/{arm64}")).await.refused(404, "MANIFEST_UNKNOWN");

    let is_incomplete = |when: &str| {
        let output = fsck(registry.root(), &["--repair"]).clean();
        let [finding] = &output.findings[..] else { panic!("{when}: {}", output.lines()) };
        assert_eq!((&finding["severity"], &finding["kind"]), (&json!("note"), &json!("index-incomplete")), "{when}");
        let what = finding["what"].as_str().unwrap();
        assert!(what.contains(&format!("a client deleted {}", &arm64[..19])), "{what}");
    };
    is_incomplete("while the graveyard has it");
    let record = registry.root().join(format!("repositories/app/_deleted/sha256/{}", &arm64[7..]));
    assert!(!record.exists());
    report(registry.root(), &["--now"]);
    assert_eq!(fs::read_dir(registry.root().join("graveyard")).unwrap().count(), 0);
    is_incomplete("after the graveyard was emptied");
    report(registry.root(), &["--now"]);
    assert!(record.exists(), "it is kept as long as the index lists what was deleted");
    registry.get(format!("/v2/app/manifests/{arm64}")).await.refused(404, "MANIFEST_UNKNOWN");

    // After another push it is complete, and anything missing from now on is damage.
    registry.push_image("app", "arm64", "v1 for arm64").await;
    assert_eq!(fsck(registry.root(), &[]).clean().lines(), "");
    report(registry.root(), &["--now"]);
    assert!(!record.exists());
    registry.delete("/v2/app/manifests/arm64").await.is(202);
    let revision = format!("repositories/app/_manifests/revisions/sha256/{}", &arm64[7..]);
    fs::remove_file(registry.root().join(revision)).unwrap();
    let output = fsck(registry.root(), &[]);
    assert_eq!((output.code, output.kinds()[0].0), (2, "child-missing"), "{}", output.lines());
}

#[tokio::test]
async fn the_record_of_a_deleted_child_is_removed_with_the_last_index_that_lists_it() {
    let registry = Registry::start().await;
    let [_, arm64, all] = push_platforms(&registry, "app", "v1").await;
    registry.delete(format!("/v2/app/manifests/{arm64}")).await.is(202);
    report(registry.root(), &["--now"]);
    let records = registry.root().join("repositories/app/_deleted");
    assert!(records.exists());
    registry.delete(format!("/v2/app/manifests/{all}")).await.is(202);
    report(registry.root(), &["--now"]);
    assert!(!records.join("sha256").join(&arm64[7..]).exists());
    assert_eq!(fsck(registry.root(), &[]).clean().lines(), "");
}

#[tokio::test]
async fn a_layer_that_a_client_deleted_is_never_reported_as_damage() {
    let registry = Registry::start().await;
    registry.push_image("app", "v1", "one").await;
    registry.delete(format!("/v2/app/blobs/{}", sha256(b"layer of one"))).await.is(202);
    for when in ["while the graveyard has it", "after the graveyard was emptied"] {
        let output = fsck(registry.root(), &["--repair"]);
        assert_eq!((output.code, output.kinds()[0].0), (1, "deleted"), "{when}: {}", output.lines());
        report(registry.root(), &["--now"]);
    }
}

#[tokio::test]
async fn a_protected_child_is_deleted_only_after_its_index() {
    let registry = Registry::with(|setup| setup.settings.protect_children = true).await;
    let [amd64, arm64, all] = push_platforms(&registry, "app", "v1").await;
    let refused = registry.delete(format!("/v2/app/manifests/{arm64}")).await;
    refused.refused(403, "DENIED");
    let said = refused.json()["errors"][0]["message"].as_str().unwrap().to_owned();
    assert!(said.starts_with(&format!("the manifest is part of the index {all} (tag v1)")), "{said}");
    // In another repository nothing lists it, and tags are not protected.
    registry.push_image("other", "arm64", "v1 for arm64").await;
    registry.delete(format!("/v2/other/manifests/{arm64}")).await.is(202);
    registry.delete("/v2/app/manifests/arm64").await.is(202);
    registry.read(format!("/v2/app/manifests/{arm64}")).await;
    // An index without a tag protects too: a client may have its digest.
    registry.delete("/v2/app/manifests/v1").await.is(202);
    registry.delete(format!("/v2/app/manifests/{arm64}")).await.refused(403, "DENIED");
    for digest in [all, arm64, amd64] {
        registry.delete(format!("/v2/app/manifests/{digest}")).await.is(202);
    }
    registry.get("/v2/app/tags/list").await.refused(404, "NAME_UNKNOWN");
}

#[tokio::test]
async fn a_refusal_names_the_first_of_many_indexes() {
    let registry = Registry::with(|setup| setup.settings.protect_children = true).await;
    let (digest, manifest) = registry.push_image("app", "child", "x").await;
    let put = async |number: usize| {
        let mut all = index(&[entry(&manifest)]);
        all["annotations"] = json!({ "number": number.to_string() });
        registry.put_manifest("app", &format!("t{number}"), &all).await.is(201);
    };
    for number in 0..5 {
        put(number).await;
    }
    let named = async || {
        let refused = registry.delete(format!("/v2/app/manifests/{digest}")).await;
        refused.refused(403, "DENIED");
        refused.json()["errors"][0]["message"].as_str().unwrap().matches("(tag t").count()
    };
    assert_eq!(named().await, 5);
    put(5).await;
    assert_eq!(named().await, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pushing_an_index_while_its_child_is_deleted_is_recorded_or_refused() {
    for protect in [true, false] {
        let registry = Registry::with(|setup| setup.settings.protect_children = protect).await;
        let (mut refused, mut deleted) = (0, 0);
        for round in 0..60 {
            let name = format!("app{round}");
            let (digest, manifest) = registry.push_image(&name, "child", "x").await;
            let all = index(&[entry(&manifest)]);
            let (pusher, path) = (Client::new(registry.address()), format!("/v2/{name}/manifests/{digest}"));
            let into = name.clone();
            let push = tokio::spawn(async move { pusher.put_manifest(&into, "all", &all).await.is(201) });
            // Sometimes before, sometimes after.
            tokio::time::sleep(Duration::from_micros(150 * (round % 12))).await;
            match registry.delete(path).await.status.as_u16() {
                202 => deleted += 1,
                403 => refused += 1,
                other => panic!("{other}"),
            }
            push.await.unwrap();
        }
        let output = fsck(registry.root(), &[]).clean();
        match protect {
            // The push recorded what had been deleted before as absent, which is not damage.
            true => assert_eq!((output.lines().as_str(), refused + deleted), ("", 60)),
            false => assert_eq!((refused, deleted), (0, 60)),
        }
    }
}

#[tokio::test]
async fn protection_is_switched_without_a_restart() {
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let (root, settings) = (dir.path().join("data"), dir.path().join("settings.toml"));
    fs::create_dir(&root).unwrap();
    let write = |on: bool| fs::write(&settings, format!("[manifests]\nprotect_children = {on}\n")).unwrap();
    write(true);
    let daemon = Daemon::start(PROGRAM, &root, &[("REGISTRY_SETTINGS", settings.to_str().unwrap())]);
    let [_, arm64, _] = push_platforms(&daemon, "app", "v1").await;
    let path = format!("/v2/app/manifests/{arm64}");
    daemon.delete(&path).await.refused(403, "DENIED");
    write(false);
    let deleted = async || daemon.delete(&path).await.status == 202;
    daemon.until(Duration::from_secs(5), "children may be deleted", deleted).await;
}
