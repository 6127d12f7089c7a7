//! Each kind of damage: found, and repaired by a repair, a push or both.

use super::{blob, finds, fsck, hex};
use serde_json::json;
use std::{fs, path::PathBuf};
use testing::{
    registry::Registry,
    session::{OCI_INDEX, descriptor, image, index, sha256},
};

/// Flips one bit.
fn flip(path: &PathBuf, at: usize) {
    let mut bytes = fs::read(path).expect("a file");
    bytes[at] ^= 0x10;
    fs::write(path, bytes).expect("a write");
}

#[tokio::test]
async fn a_healthy_store_has_no_findings() {
    let registry = Registry::start().await;
    let (digest, manifest) = registry.push_image("org/app", "v1", "one").await;
    registry.push_image("org/app", "v1", "two").await;
    registry.push_image("org/app", "v2", "two").await;
    let child = json!({ "mediaType": manifest["mediaType"], "digest": digest, "size": manifest.to_string().len() });
    let absent = descriptor(manifest["mediaType"].as_str().expect("text"), b"not here");
    registry.put_manifest("org/app", "all", &index(&[child, absent])).await.is(201);
    let mut note = image(&manifest["config"], &[]);
    note["subject"] = json!({ "mediaType": manifest["mediaType"], "digest": digest, "size": 1 });
    registry.put_manifest("org/app", "note", &note).await.is(201);
    registry.begin("org/app").await;
    registry.delete("/v2/org/app/manifests/v2").await.is(202);
    let checked = fsck(registry.root(), &["--read-data"]).clean();
    assert!(checked.findings.is_empty(), "{:?}", checked.findings);
    let summary = &checked.summary;
    assert_eq!((&summary["repositories"], &summary["manifests"], &summary["tags"]), (&json!(1), &json!(4), &json!(3)));
    assert_eq!(summary["blobsRead"], summary["blobs"]);
    assert_eq!(fsck(registry.root(), &[]).clean().summary["blobsRead"], 0);
}

#[tokio::test]
async fn malformed_sessions_and_keys_and_those_that_others_can_read_are_reported() {
    use std::os::unix::fs::PermissionsExt;
    let registry = Registry::start().await;
    let dir = registry.root().join("identity/api-keys");
    fs::create_dir_all(&dir).expect("a directory");
    let path = dir.join("0011223344556677.json");
    fs::write(&path, r#"{"name":"ci","owner":"alice","scopes":["pull everything"]}"#).expect("a write");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("a mode");
    finds(
        &fsck(registry.root(), &[]),
        1,
        &[
            ("mode", "identity/api-keys/0011223344556677.json"),
            ("fact-garbled", "identity/api-keys/0011223344556677.json"),
        ],
    );
}

#[tokio::test]
async fn a_damaged_layer_is_found_quarantined_and_replaced_by_a_push() {
    let registry = Registry::start().await;
    registry.push_image("app", "v1", "one").await;
    let digest = sha256(b"layer of one");
    flip(&blob(&registry, &digest), 3);
    let path = format!("blobs/sha256/{}/{}", &hex(&digest)[..2], hex(&digest));
    fsck(registry.root(), &[]).clean();
    finds(&fsck(registry.root(), &["--read-data"]), 2, &[("blob-damaged", &path)]);
    registry.head(format!("/v2/app/blobs/{digest}")).await.is(200);

    let repaired = fsck(registry.root(), &["--read-data", "--repair"]);
    finds(&repaired, 2, &[("blob-damaged", &path)]);
    assert_eq!(repaired.summary["repaired"], 1);
    let quarantine = registry.root().join(repaired.summary["quarantine"].as_str().expect("a path"));
    assert!(quarantine.join(format!("blobs/sha256/{}.damaged", hex(&digest))).exists());
    registry.head(format!("/v2/app/blobs/{digest}")).await.is(404);
    registry.get(format!("/v2/app/blobs/{digest}")).await.is(404);
    // A missing blob is damage too.
    assert_eq!(fsck(registry.root(), &[]).kinds()[0].0, "blob-missing");

    registry.push_blob("app", "layer of one").await;
    assert_eq!(registry.read(format!("/v2/app/blobs/{digest}")).await.body, "layer of one");
    fsck(registry.root(), &["--read-data"]).clean();
}

#[tokio::test]
async fn seven_parts_cover_the_whole_pool() {
    let registry = Registry::start().await;
    for seed in 0..20 {
        let digest = registry.push_blob("app", format!("blob {seed}")).await;
        flip(&blob(&registry, &digest), 0);
    }
    let mut found = 0;
    for part in 1..=7 {
        let checked = fsck(registry.root(), &["--read-data-subset", &format!("{part}/7"), "--rate", "100MiB"]);
        assert!(checked.summary["blobsRead"].as_u64() < Some(20));
        found += checked.kinds().len();
    }
    assert_eq!(found, 20);
}

#[tokio::test]
async fn a_damaged_manifest_is_quarantined_and_replaced_by_a_push() {
    let registry = Registry::start().await;
    let (digest, manifest) = registry.push_image("app", "v1", "one").await;
    flip(&blob(&registry, &digest), 30);
    let checked = fsck(registry.root(), &["--repair"]);
    assert_eq!(checked.kinds()[0].0, "manifest-damaged", "{}", checked.lines());
    registry.head("/v2/app/manifests/v1").await.is(404);
    registry.head(format!("/v2/app/manifests/{digest}")).await.is(404);
    registry.put_manifest("app", "v1", &manifest).await.is(201);
    assert_eq!(registry.read("/v2/app/manifests/v1").await.json(), manifest);
    fsck(registry.root(), &["--read-data"]).clean();
}

#[tokio::test]
async fn a_manifest_without_bytes_is_reported() {
    let registry = Registry::start().await;
    let (digest, manifest) = registry.push_image("app", "v1", "one").await;
    fs::remove_file(blob(&registry, &digest)).expect("a file");
    registry.head("/v2/app/manifests/v1").await.is(404);
    let path = format!("repositories/app/_manifests/revisions/sha256/{}", hex(&digest));
    finds(&fsck(registry.root(), &[]), 2, &[("manifest-missing", &path)]);
    registry.put_manifest("app", "v1", &manifest).await.is(201);
    fsck(registry.root(), &[]).clean();
}

#[tokio::test]
async fn a_sound_copy_in_the_graveyard_takes_the_place_of_a_damaged_blob() {
    let registry = Registry::start().await;
    registry.push_image("app", "v1", "one").await;
    let digest = sha256(b"layer of one");
    let grave = format!("graveyard/{}/blobs/sha256", ulid::Ulid::new());
    fs::create_dir_all(registry.root().join(&grave)).expect("a directory");
    let copy = registry.root().join(format!("{grave}/{}.unreferenced", hex(&digest)));
    fs::copy(blob(&registry, &digest), &copy).expect("a copy");
    flip(&blob(&registry, &digest), 3);
    let repaired = fsck(registry.root(), &["--read-data", "--repair"]);
    assert_eq!(repaired.kinds()[0].0, "blob-damaged");
    assert_eq!(registry.read(format!("/v2/app/blobs/{digest}")).await.body, "layer of one");
    fsck(registry.root(), &["--read-data"]).clean();

    // A copy that is the same damaged file is not a copy.
    fs::remove_file(&copy).expect("a file");
    fs::hard_link(blob(&registry, &digest), &copy).expect("a link");
    flip(&blob(&registry, &digest), 3);
    fsck(registry.root(), &["--read-data", "--repair"]);
    registry.head(format!("/v2/app/blobs/{digest}")).await.is(404);
}

#[tokio::test]
async fn invalid_small_files_are_found_and_rebuilt() {
    let registry = Registry::start().await;
    let (digest, manifest) = registry.push_image("app", "v1", "one").await;
    let mut note = image(&manifest["config"], &[]);
    note["subject"] = json!({ "mediaType": manifest["mediaType"], "digest": digest, "size": 1 });
    let note_digest = sha256(note.to_string().as_bytes());
    registry.put_manifest("app", &note_digest, &note).await.is(201);
    let base = "repositories/app/_manifests";
    let revision = format!("{base}/revisions/sha256/{}", hex(&digest));
    let referrer = format!("{base}/referrers/sha256/{}/sha256-{}", hex(&digest), hex(&note_digest));
    let hint = format!("{base}/tagged/sha256/{}/v1", hex(&digest));

    fs::write(registry.root().join(&revision), "{\"mediaType\":").expect("a write");
    flip(&registry.root().join(&referrer), 20);
    fs::remove_file(registry.root().join(&hint)).expect("a file");
    let tag = format!("{base}/tags/v1");
    let wrong = [("referrer-disagrees", &*referrer), ("revision-garbled", &*revision), ("hint-missing", &*tag)];
    let mut found = fsck(registry.root(), &[]);
    found.findings.sort_by_key(|finding| finding["path"].as_str().map(str::to_owned));
    finds(&found, 2, &wrong);
    let repaired = fsck(registry.root(), &["--repair"]);
    assert_eq!(repaired.summary["repaired"], 3, "{}", repaired.lines());
    fsck(registry.root(), &["--read-data"]).clean();
    assert_eq!(registry.read("/v2/app/manifests/v1").await.json(), manifest);
    let listed = registry.read(format!("/v2/app/referrers/{digest}")).await.json();
    assert_eq!(listed["manifests"][0]["digest"], note_digest.as_str());

    // A record that contradicts the manifest is as wrong as an unreadable one.
    let text = fs::read_to_string(registry.root().join(&revision)).expect("text");
    fs::write(registry.root().join(&revision), text.replace("manifest.v1", "index.v1")).expect("a write");
    finds(&fsck(registry.root(), &["--repair"]), 2, &[("revision-disagrees", &revision)]);
    // And a list of its values is not a record.
    let record: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let list = json!([record["mediaType"], record["size"], record["pushed"], null, []]);
    fs::write(registry.root().join(&revision), list.to_string()).expect("a write");
    registry.head("/v2/app/manifests/v1").await.is(500);
    finds(&fsck(registry.root(), &["--repair"]), 2, &[("revision-garbled", &revision)]);
    fs::remove_file(registry.root().join(&referrer)).expect("a file");
    let of_note = format!("{base}/revisions/sha256/{}", hex(&note_digest));
    finds(&fsck(registry.root(), &["--repair"]), 1, &[("referrer-missing", &of_note)]);
    fsck(registry.root(), &[]).clean();
}

#[tokio::test]
async fn garbled_and_dangling_tags_are_quarantined() {
    let registry = Registry::start().await;
    let (digest, manifest) = registry.push_image("app", "v1", "one").await;
    let tags = registry.root().join("repositories/app/_manifests/tags");
    fs::write(tags.join("cut"), &digest[..40]).expect("a write");
    fs::write(tags.join("long"), vec![b'x'; 10_000]).expect("a write");
    fs::write(tags.join("dangling"), format!("{}\n", sha256(b"nowhere"))).expect("a write");
    let path = |tag: &str| format!("repositories/app/_manifests/tags/{tag}");
    let (cut, dangling, long) = (path("cut"), path("dangling"), path("long"));
    let wrong = [("tag-garbled", &*cut), ("tag-dangling", &*dangling), ("tag-garbled", &*long)];
    finds(&fsck(registry.root(), &[]), 2, &wrong);
    let repaired = fsck(registry.root(), &["--repair"]);
    finds(&repaired, 2, &wrong);
    let quarantine = registry.root().join(repaired.summary["quarantine"].as_str().expect("a path"));
    assert_eq!(fs::read(quarantine.join(&cut)).expect("a file"), &digest.as_bytes()[..40]);
    assert_eq!(registry.tags("app").await, ["v1"]);
    fsck(registry.root(), &[]).clean();

    // A tag proves that the repository had its manifest, unless that was deleted.
    fs::remove_file(registry.root().join(format!("repositories/app/_manifests/revisions/sha256/{}", hex(&digest))))
        .expect("a file");
    registry.head("/v2/app/manifests/v1").await.is(404);
    let v1 = path("v1");
    finds(&fsck(registry.root(), &["--repair"]), 2, &[("tag-dangling", &v1)]);
    assert_eq!(registry.read("/v2/app/manifests/v1").await.json(), manifest);
    fsck(registry.root(), &[]).clean();
}

#[tokio::test]
async fn a_missing_link_is_restored_unless_a_client_deleted_it() {
    let registry = Registry::start().await;
    let (digest, manifest) = registry.push_image("app", "v1", "one").await;
    let layer = sha256(b"layer of one");
    let revision = format!("repositories/app/_manifests/revisions/sha256/{}", hex(&digest));
    let link = registry.root().join(format!("repositories/app/_layers/sha256/{}", hex(&layer)));
    fs::remove_file(&link).expect("a file");
    registry.get(format!("/v2/app/blobs/{layer}")).await.is(404);
    finds(&fsck(registry.root(), &["--repair"]), 2, &[("link-missing", &revision)]);
    registry.read(format!("/v2/app/blobs/{layer}")).await;
    fsck(registry.root(), &[]).clean();

    registry.delete(format!("/v2/app/blobs/{layer}")).await.is(202);
    let printed = fsck(registry.root(), &["--repair"]);
    finds(&printed, 1, &[("deleted", &revision)]);
    assert_eq!(printed.summary["repaired"], 0);
    registry.get(format!("/v2/app/blobs/{layer}")).await.is(404);

    // The same with the manifests of an index.
    registry.push_blob("app", "layer of one").await;
    let child = json!({ "mediaType": manifest["mediaType"], "digest": digest, "size": manifest.to_string().len() });
    let all = index(&[child]);
    registry.put_manifest("app", "all", &all).await.is(201);
    registry.delete("/v2/app/manifests/v1").await.is(202);
    let of_index = format!("repositories/app/_manifests/revisions/sha256/{}", hex(&sha256(all.to_string().as_bytes())));
    assert_eq!(all["mediaType"], OCI_INDEX);
    fs::remove_file(registry.root().join(&revision)).expect("a file");
    finds(&fsck(registry.root(), &["--repair"]), 2, &[("child-missing", &of_index)]);
    registry.read(format!("/v2/app/manifests/{digest}")).await;
    registry.delete(format!("/v2/app/manifests/{digest}")).await.is(202);
    let printed = fsck(registry.root(), &["--repair"]).clean();
    assert_eq!(printed.findings[0]["kind"], "index-incomplete", "a client deleted it: {}", printed.lines());
    assert_eq!((&printed.findings[0]["path"], printed.findings.len()), (&of_index.into(), 1));
    registry.get(format!("/v2/app/manifests/{digest}")).await.is(404);
}

#[tokio::test]
async fn deleted_content_is_not_restored_from_an_older_copy_in_the_graveyard() {
    let registry = Registry::start().await;
    let (_, manifest) = registry.push_image("app", "v1", "one").await;
    let layer = sha256(b"layer of one");
    let link = registry.root().join(format!("repositories/app/_layers/sha256/{}", hex(&layer)));
    let grave = registry.root().join(format!("graveyard/{}/links/app/_/sha256", ulid::Ulid::new()));
    fs::create_dir_all(&grave).expect("a directory");
    fs::copy(&link, grave.join(format!("{}.unreferenced", hex(&layer)))).expect("a copy");
    registry.delete(format!("/v2/app/blobs/{layer}")).await.is(202);
    registry.get(format!("/v2/app/blobs/{layer}")).await.is(404);
    registry.put_manifest("app", "v2", &manifest).await.refused(400, "MANIFEST_BLOB_UNKNOWN");
    registry.head(format!("/v2/app/blobs/{layer}")).await.is(404);
}
