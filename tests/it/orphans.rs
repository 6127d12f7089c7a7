//! What is attached to an image and outlives it: signatures under tags derived from its digest, as cosign writes them,
//! and referrers. They are removed after their image was deleted, but not merely because it is absent.

use crate::{
    PROGRAM,
    collection::{gc, report},
    fsck::fsck,
};
use serde_json::{Value, json};
use std::{
    process::Command,
    time::{Duration, SystemTime},
};
use testing::{registry::Registry, session::*};

/// The tag under which cosign stores something about an image.
fn named(digest: &str, suffix: &str) -> String {
    format!("{}{suffix}", digest.replace(':', "-"))
}

/// A signature as cosign pushes it: an image with one layer, without `subject`.
async fn signature(registry: &Registry, name: &str, of: &str, says: &str) -> Value {
    let payload = json!({ "critical": { "image": { "docker-manifest-digest": of } }, "optional": { "says": says } });
    let config = json!({ "architecture": "", "os": "", "config": {}, "says": says });
    for blob in [&config, &payload] {
        registry.push_blob(name, blob.to_string()).await;
    }
    let config = descriptor(CONFIG, config.to_string().as_bytes());
    let mut layer = descriptor("application/vnd.dev.cosign.simplesigning.v1+json", payload.to_string().as_bytes());
    layer["annotations"] = json!({ "dev.cosignproject.cosign/signature": "MEUCIQ==" });
    image(&config, &[layer])
}

/// Pushes a signature, an attestation and an SBOM under their tags.
async fn sign(registry: &Registry, name: &str, of: &str) {
    for suffix in [".sig", ".att", ".sbom"] {
        let signature = signature(registry, name, of, suffix).await;
        registry.put_manifest(name, &named(of, suffix), &signature).await.is(201);
    }
}

/// Pushes a referrer without a tag; returns its digest.
async fn refer(registry: &Registry, name: &str, to: &str, says: &str) -> String {
    registry.push_blob(name, "{}").await;
    let mut note = image(&descriptor("application/vnd.oci.empty.v1+json", b"{}"), &[]);
    note["artifactType"] = json!("application/vnd.example.note");
    note["subject"] = json!({ "mediaType": OCI_MANIFEST, "digest": to, "size": 1 });
    note["annotations"] = json!({ "says": says });
    let digest = sha256(note.to_string().as_bytes());
    registry.put_manifest(name, &digest, &note).await.is(201);
    digest
}

/// Deletes an image that was pushed long ago, so that no running push needs it. File times tell which pushes came
/// before, so their clock has to advance.
async fn delete(registry: &Registry, name: &str, digest: &str) {
    std::fs::remove_dir_all(registry.root().join(format!("repositories/{name}/_intents"))).ok();
    tokio::time::sleep(Duration::from_millis(20)).await;
    registry.delete(format!("/v2/{name}/manifests/{digest}")).await.is(202);
    tokio::time::sleep(Duration::from_millis(20)).await;
}

/// The entry of an index for a manifest.
async fn entry(registry: &Registry, name: &str, digest: &str) -> Value {
    let size = registry.read(format!("/v2/{name}/manifests/{digest}")).await.body.len();
    json!({ "mediaType": OCI_MANIFEST, "digest": digest, "size": size })
}

async fn referrers(registry: &Registry, name: &str, to: &str) -> usize {
    registry.read(format!("/v2/{name}/referrers/{to}")).await.json()["manifests"].as_array().unwrap().len()
}

async fn catalog(registry: &Registry) -> Vec<String> {
    registry.read("/v2/_catalog").await.strings("repositories")
}

/// The output of `wharfinger plan`, one JSON object per line.
fn plan(registry: &Registry) -> Vec<Value> {
    let mut command = Command::new(PROGRAM);
    command.args(["plan", "--json"]).env_clear().env("REGISTRY_STORAGE_PATH", registry.root()).current_dir("/");
    let out = command.output().unwrap();
    assert!(out.status.success(), "{out:?}");
    String::from_utf8(out.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn deleted(plan: &[Value]) -> Vec<&Value> {
    plan.iter().filter(|line| line["verdict"] == "delete").collect()
}

/// Makes every grave of a manifest look this much older.
fn age_graves(registry: &Registry, by: Duration) {
    let mut dirs = vec![registry.root().join("graveyard")];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
            match entry.is_dir() {
                true => dirs.push(entry),
                false => {
                    let file = std::fs::File::options().append(true).open(entry).unwrap();
                    file.set_modified(SystemTime::now() - by).unwrap();
                }
            }
        }
    }
}

/// Makes everything that was pushed look this much older.
fn age_pushes(registry: &Registry, by: Duration) {
    let mut dirs = vec![registry.root().join("repositories")];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                dirs.push(entry);
                continue;
            }
            if let Ok(text) = std::fs::read_to_string(&entry)
                && let Ok(mut revision) = serde_json::from_str::<Value>(&text)
                && let Some(pushed) =
                    revision["pushed"].as_str().map(|pushed| pushed.parse::<jiff::Timestamp>().unwrap())
            {
                revision["pushed"] = json!((pushed - by).to_string());
                std::fs::write(&entry, format!("{revision}\n")).unwrap();
            }
            let file = std::fs::File::options().append(true).open(&entry).unwrap();
            file.set_modified(SystemTime::now() - by).unwrap();
        }
    }
}

#[tokio::test]
async fn deleting_an_image_removes_its_signatures_and_referrers_and_then_its_repository() {
    let registry = Registry::start().await;
    let (old, _) = registry.push_image("team/app", "v1", "old").await;
    let (new, _) = registry.push_image("team/app", "v2", "new").await;
    for of in [&old, &new] {
        sign(&registry, "team/app", of).await;
        let referrer = refer(&registry, "team/app", of, "an SBOM").await;
        // What clients without the referrers API store beside it.
        let all = index(&[entry(&registry, "team/app", &referrer).await]);
        registry.put_manifest("team/app", &named(of, ""), &all).await.is(201);
    }
    delete(&registry, "team/app", &old).await;
    assert_eq!(registry.tags("team/app").await.len(), 9);
    assert_eq!(report(registry.root(), &[])["deleted_tags"], 0, "not within the lease: it may be pushed again");
    assert_eq!(report(registry.root(), &["--now", "--dry-run"])["deleted_tags"], 4);
    assert_eq!(registry.tags("team/app").await.len(), 9, "a dry run changes nothing");

    let answer = report(registry.root(), &["--now"]);
    assert_eq!((&answer["deleted_tags"], &answer["errors"]), (&4.into(), &json!([])), "{answer}");
    let mut left = vec![named(&new, ""), named(&new, ".att"), named(&new, ".sbom"), named(&new, ".sig"), "v2".into()];
    left.sort();
    assert_eq!(registry.tags("team/app").await, left);
    assert_eq!((referrers(&registry, "team/app", &old).await, referrers(&registry, "team/app", &new).await), (0, 1));
    assert_eq!(fsck(registry.root(), &["--read-data"]).clean().lines(), "");
    registry.read(format!("/v2/team/app/manifests/{}", named(&new, ".sig"))).await;

    delete(&registry, "team/app", &new).await;
    report(registry.root(), &["--now"]);
    assert!(catalog(&registry).await.is_empty());
    registry.get("/v2/team/app/tags/list").await.refused(404, "NAME_UNKNOWN");
    assert_eq!(fsck(registry.root(), &["--read-data"]).clean().summary["blobs"], 0);
}

#[tokio::test]
async fn deleting_an_image_without_attachments_removes_its_repository_at_once() {
    let registry = Registry::start().await;
    let (digest, _) = registry.push_image("app", "v1", "x").await;
    assert_eq!(catalog(&registry).await, ["app"]);
    registry.delete(format!("/v2/app/manifests/{digest}")).await.is(202);
    assert!(catalog(&registry).await.is_empty());
}

#[tokio::test]
async fn the_daily_collection_removes_attachments_once_the_lease_is_over_as_the_plan_says() {
    let registry = Registry::start().await;
    let (digest, _) = registry.push_image("app", "v1", "x").await;
    sign(&registry, "app", &digest).await;
    refer(&registry, "app", &digest, "a note").await;
    age_pushes(&registry, Duration::from_secs(30 * 3600));
    delete(&registry, "app", &digest).await;
    let answer = plan(&registry);
    assert!(deleted(&answer).is_empty(), "{answer:?}");
    let why = answer[0]["why"].as_str().unwrap();
    assert!(why.starts_with("its subject was deleted less than collection.lease_hours ago: sha256:"), "{why}");
    assert_eq!(report(registry.root(), &[])["deleted_tags"], 0);

    age_graves(&registry, Duration::from_secs(25 * 3600));
    let answer = plan(&registry);
    assert_eq!(deleted(&answer).len(), 7, "three tags, what they point to, and the note: {answer:?}");
    let dry = report(registry.root(), &["--dry-run"]);
    let done = report(registry.root(), &[]);
    for counted in [&dry, &done] {
        assert_eq!((&counted["deleted_tags"], &counted["condemned"]["revisions"]), (&3.into(), &4.into()), "{counted}");
    }
    assert!(catalog(&registry).await.is_empty());
    let again = report(registry.root(), &[]);
    assert_eq!((&again["deleted_tags"], &again["restored"]["revisions"]), (&0.into(), &0.into()), "{again}");
    assert_eq!(fsck(registry.root(), &[]).clean().lines(), "");
}

#[tokio::test]
async fn signatures_in_their_own_repository_and_referrers_without_a_subject_yet_stay() {
    let registry = Registry::start().await;
    let (digest, manifest) = registry.push_image("app", "v1", "x").await;
    sign(&registry, "signatures", &digest).await;
    refer(&registry, "app", &sha256(b"not pushed yet"), "early").await;
    refer(&registry, "signatures", &digest, "elsewhere").await;
    delete(&registry, "app", &digest).await;
    let answer = report(registry.root(), &["--now"]);
    assert_eq!((&answer["deleted_tags"], &answer["condemned"]["revisions"]), (&0.into(), &0.into()), "{answer}");
    assert_eq!(registry.tags("signatures").await.len(), 3);
    assert_eq!(referrers(&registry, "signatures", &digest).await, 1);
    assert_eq!(referrers(&registry, "app", &sha256(b"not pushed yet")).await, 1);
    registry.push_image("app", "v1", "x").await;
    assert_eq!(registry.read("/v2/app/manifests/v1").await.json(), manifest);
}

#[tokio::test]
async fn an_image_that_is_pushed_again_keeps_its_signatures() {
    let registry = Registry::start().await;
    let (digest, _) = registry.push_image("app", "v1", "x").await;
    sign(&registry, "app", &digest).await;
    refer(&registry, "app", &digest, "a note").await;
    delete(&registry, "app", &digest).await;
    registry.push_image("app", "v1", "x").await;
    assert_eq!(report(registry.root(), &["--now"])["deleted_tags"], 0);
    assert_eq!((registry.tags("app").await.len(), referrers(&registry, "app", &digest).await), (4, 1));
}

#[tokio::test]
async fn attachments_pushed_after_the_deletion_stay() {
    let registry = Registry::start().await;
    let (digest, _) = registry.push_image("app", "v1", "x").await;
    sign(&registry, "app", &digest).await;
    delete(&registry, "app", &digest).await;
    let again = signature(&registry, "app", &digest, "signed again").await;
    registry.put_manifest("app", &named(&digest, ".sig"), &again).await.is(201);
    refer(&registry, "app", &digest, "before its subject").await;
    report(registry.root(), &["--now"]);
    assert_eq!(registry.tags("app").await, [named(&digest, ".sig")]);
    assert_eq!(registry.read(format!("/v2/app/manifests/{}", named(&digest, ".sig"))).await.json(), again);
    assert_eq!(referrers(&registry, "app", &digest).await, 1);
}

#[tokio::test]
async fn attachments_with_their_own_tag_or_in_an_index_stay() {
    let registry = Registry::start().await;
    let (digest, _) = registry.push_image("app", "v1", "x").await;
    let signature = signature(&registry, "app", &digest, "kept").await;
    registry.put_manifest("app", &named(&digest, ".sig"), &signature).await.is(201);
    registry.put_manifest("app", "kept", &signature).await.is(201);
    let listed = refer(&registry, "app", &digest, "listed").await;
    let all = index(&[entry(&registry, "app", &listed).await]);
    registry.put_manifest("app", "all", &all).await.is(201);
    delete(&registry, "app", &digest).await;
    let answer = report(registry.root(), &["--now"]);
    assert_eq!((&answer["deleted_tags"], &answer["condemned"]["revisions"]), (&1.into(), &0.into()), "{answer}");
    assert_eq!(registry.tags("app").await, ["all", "kept"]);
    assert_eq!(registry.read("/v2/app/manifests/kept").await.json(), signature);
    registry.read(format!("/v2/app/manifests/{listed}")).await;
    assert_eq!(fsck(registry.root(), &[]).clean().lines(), "");
}

#[tokio::test]
async fn attachments_of_a_signature_are_removed_after_it() {
    let registry = Registry::start().await;
    let (digest, _) = registry.push_image("app", "v1", "x").await;
    let note = refer(&registry, "app", &digest, "a note").await;
    let on_note = refer(&registry, "app", &note, "a note on a note").await;
    sign(&registry, "app", &on_note).await;
    delete(&registry, "app", &digest).await;
    assert!(gc(registry.root(), &["--now"]).status.success());
    assert!(catalog(&registry).await.is_empty());
}
