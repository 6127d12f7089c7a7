//! Artifacts outlive garbage collections and restarts, and fsck knows them.

use super::{create, registry, stored};
use serde_json::Value;
use std::{fs, process::Command};
use testing::session::sha256;

/// Runs a command of the program beside the daemon.
fn run(registry: &testing::managed::Managed, args: &[&str]) -> (i32, String) {
    let output = Command::new(crate::PROGRAM)
        .args(args)
        .env("REGISTRY_STORAGE_PATH", registry.root())
        .env("REGISTRY_SETTINGS", registry.conf("settings.toml"))
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(said).unwrap())
}

#[tokio::test]
async fn a_collection_keeps_artifacts_and_the_trash() {
    let registry = registry();
    let admin = registry.admin();
    create(&admin, "builds").await;
    stored(&admin, "builds/-/1.0/kept", "kept").await;
    let id = stored(&admin, "builds/-/1.0/trashed", "trashed").await["id"].as_str().unwrap().to_owned();
    admin.delete("/artifacts/builds/1.0/trashed").await.is(204);
    let (code, said) = run(&registry, &["gc", "--now", "--force"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(admin.get("/artifacts/builds/1.0/kept").await.is(200).body, "kept");
    admin.ask(http::Method::POST, &format!("/artifacts/builds/{id}/restore")).send().await.is(200);
    assert_eq!(admin.get("/artifacts/builds/1.0/trashed").await.is(200).body, "trashed");
}

#[tokio::test]
async fn a_program_that_does_not_know_a_feature_of_the_store_collects_nothing() {
    let registry = registry();
    let admin = registry.admin();
    create(&admin, "builds").await;
    stored(&admin, "builds/-/1.0/app", "one").await;
    let root = registry.root().join("ROOT.json");
    let stated = fs::read_to_string(&root).unwrap();
    let json: Value = serde_json::from_str(&stated).unwrap();
    assert_eq!(json["features"], serde_json::json!(["artifacts"]));
    // What a later version may add.
    fs::write(&root, stated.replace("\"artifacts\"", "\"artifacts\",\"holograms\"")).unwrap();
    let (code, said) = run(&registry, &["gc", "--now", "--force"]);
    assert!(code != 0 && said.contains("the feature \"holograms\", which this version does not know"), "{code} {said}");
    fs::write(&root, stated).unwrap();
    assert_eq!(run(&registry, &["gc", "--now", "--force"]).0, 0);
}

#[tokio::test]
async fn fsck_finds_a_damaged_record_and_missing_bytes() {
    let registry = registry();
    let admin = registry.admin();
    create(&admin, "builds").await;
    let id = stored(&admin, "builds/-/1.0/app", "one").await["id"].as_str().unwrap().to_owned();
    let other = stored(&admin, "builds/-/1.0/other", "two").await["id"].as_str().unwrap().to_owned();
    assert_eq!(run(&registry, &["fsck"]).0, 0);
    fs::write(registry.root().join(format!("artifacts/builds/versions/1.0/{id}.json")), "{}").unwrap();
    let digest = sha256(b"two");
    let hex = digest.strip_prefix("sha256:").unwrap();
    fs::remove_file(registry.root().join(format!("blobs/sha256/{}/{hex}", &hex[..2]))).unwrap();
    let (code, said) = run(&registry, &["fsck", "--json"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("artifact-garbled") && said.contains(&id), "{said}");
    assert!(said.contains("blob-missing") && said.contains(&other), "{said}");
    // Until somebody decides what becomes of it, nothing is deleted.
    let (code, said) = run(&registry, &["gc", "--now", "--force"]);
    assert!(code != 0 && said.contains(&id), "{said}");
    admin.get("/artifacts/builds/1.0/app").await.refused(404, "NOT_FOUND");
}
