//! One kind of damage after the other: found, and healed by a repair, a push or both.

use super::{Checked, fsck};
use crate::{
    registry::Registry,
    session::{CONFIG, LAYER, OCI_INDEX, descriptor, image, index, sha256},
};
use serde_json::json;
use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

fn blob(registry: &Registry, digest: &str) -> PathBuf {
    let hex = digest.strip_prefix("sha256:").expect("sha256");
    registry.root().join(format!("blobs/sha256/{}/{hex}", &hex[..2]))
}

fn hex(digest: &str) -> &str {
    digest.strip_prefix("sha256:").expect("sha256")
}

/// Flips one bit.
fn flip(path: &PathBuf, at: usize) {
    let mut bytes = fs::read(path).expect("a file");
    bytes[at] ^= 0x10;
    fs::write(path, bytes).expect("a write");
}

#[track_caller]
fn finds(checked: &Checked, code: i32, wrong: &[(&str, &str)]) {
    assert_eq!(checked.kinds(), wrong, "{}", checked.told());
    assert_eq!(checked.code, code);
}

#[tokio::test]
async fn a_store_that_was_only_used_is_clean() {
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
async fn a_damaged_layer_is_found_quarantined_and_brought_again() {
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
    let aside = registry.root().join(repaired.summary["quarantine"].as_str().expect("a path"));
    assert!(aside.join(format!("blobs/sha256/{}.damaged", hex(&digest))).exists());
    registry.head(format!("/v2/app/blobs/{digest}")).await.is(404);
    registry.get(format!("/v2/app/blobs/{digest}")).await.is(404);
    // What is not there is damage all the same.
    assert_eq!(fsck(registry.root(), &[]).kinds()[0].0, "blob-missing");

    registry.push_blob("app", "layer of one").await;
    assert_eq!(registry.read(format!("/v2/app/blobs/{digest}")).await.body, "layer of one");
    fsck(registry.root(), &["--read-data"]).clean();
}

#[tokio::test]
async fn seven_parts_are_the_whole() {
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
async fn a_damaged_manifest_gives_way_and_is_whole_after_a_push() {
    let registry = Registry::start().await;
    let (digest, manifest) = registry.push_image("app", "v1", "one").await;
    flip(&blob(&registry, &digest), 30);
    let checked = fsck(registry.root(), &["--repair"]);
    assert_eq!(checked.kinds()[0].0, "manifest-damaged", "{}", checked.told());
    registry.head("/v2/app/manifests/v1").await.is(404);
    registry.head(format!("/v2/app/manifests/{digest}")).await.is(404);
    registry.put_manifest("app", "v1", &manifest).await.is(201);
    assert_eq!(registry.read("/v2/app/manifests/v1").await.json(), manifest);
    fsck(registry.root(), &["--read-data"]).clean();
}

#[tokio::test]
async fn a_manifest_whose_bytes_are_gone_is_told_before_it_is_asked_for() {
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

    // A copy that is the same damaged file is no copy.
    fs::remove_file(&copy).expect("a file");
    fs::hard_link(blob(&registry, &digest), &copy).expect("a link");
    flip(&blob(&registry, &digest), 3);
    fsck(registry.root(), &["--read-data", "--repair"]);
    registry.head(format!("/v2/app/blobs/{digest}")).await.is(404);
}

#[tokio::test]
async fn small_files_that_hold_nonsense_are_found_and_written_again_from_what_proves_them() {
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
    assert_eq!(repaired.summary["repaired"], 3, "{}", repaired.told());
    fsck(registry.root(), &["--read-data"]).clean();
    assert_eq!(registry.read("/v2/app/manifests/v1").await.json(), manifest);
    let listed = registry.read(format!("/v2/app/referrers/{digest}")).await.json();
    assert_eq!(listed["manifests"][0]["digest"], note_digest.as_str());

    // What the manifest contradicts is as wrong as what cannot be read.
    let text = fs::read_to_string(registry.root().join(&revision)).expect("text");
    fs::write(registry.root().join(&revision), text.replace("manifest.v1", "index.v1")).expect("a write");
    finds(&fsck(registry.root(), &["--repair"]), 2, &[("revision-disagrees", &revision)]);
    fs::remove_file(registry.root().join(&referrer)).expect("a file");
    let of_note = format!("{base}/revisions/sha256/{}", hex(&note_digest));
    finds(&fsck(registry.root(), &["--repair"]), 1, &[("referrer-missing", &of_note)]);
    fsck(registry.root(), &[]).clean();
}

#[tokio::test]
async fn garbled_and_dangling_tags_are_taken_aside() {
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
    let aside = registry.root().join(repaired.summary["quarantine"].as_str().expect("a path"));
    assert_eq!(fs::read(aside.join(&cut)).expect("a file"), &digest.as_bytes()[..40]);
    assert_eq!(registry.tags("app").await, ["v1"]);
    fsck(registry.root(), &[]).clean();

    // A tag proves that the repository had its manifest, if nobody deleted it.
    fs::remove_file(registry.root().join(format!("repositories/app/_manifests/revisions/sha256/{}", hex(&digest))))
        .expect("a file");
    registry.head("/v2/app/manifests/v1").await.is(404);
    let v1 = path("v1");
    finds(&fsck(registry.root(), &["--repair"]), 2, &[("tag-dangling", &v1)]);
    assert_eq!(registry.read("/v2/app/manifests/v1").await.json(), manifest);
    fsck(registry.root(), &[]).clean();
}

#[tokio::test]
async fn a_missing_right_is_given_again_unless_somebody_took_it_away() {
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
    let told = fsck(registry.root(), &["--repair"]);
    finds(&told, 1, &[("deleted", &revision)]);
    assert_eq!(told.summary["repaired"], 0);
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
    let told = fsck(registry.root(), &["--repair"]).clean();
    assert_eq!(told.findings[0]["kind"], "index-incomplete", "a client may delete it: {}", told.told());
    assert_eq!((&told.findings[0]["path"], told.findings.len()), (&of_index.into(), 1));
    registry.get(format!("/v2/app/manifests/{digest}")).await.is(404);
}

#[tokio::test]
async fn what_has_no_place_in_a_store_is_told_and_moved_only_on_demand() {
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
    let told = fsck(root, &[]);
    let mut paths: Vec<_> = told.kinds().into_iter().map(|(kind, path)| (kind, path.to_owned())).collect();
    paths.sort();
    assert_eq!(paths, strays.map(|path| ("stray", path.to_owned())));
    assert_eq!(told.code, 1);
    assert!(root.join("notes.txt").exists());
    let repaired = fsck(root, &["--repair"]);
    assert_eq!(repaired.summary["repaired"], strays.len());
    let aside = root.join(repaired.summary["quarantine"].as_str().expect("a path"));
    assert!(strays.iter().all(|stray| fs::symlink_metadata(aside.join(stray)).is_ok()));
    assert!(outside.path().join("secret").exists(), "links are not followed");
    fsck(root, &[]).clean();
}

#[tokio::test]
async fn modes_that_let_others_in_or_us_out_are_told() {
    let registry = Registry::start().await;
    registry.push_image("app", "v1", "one").await;
    let set = |path: &str, mode| {
        fs::set_permissions(registry.root().join(path), fs::Permissions::from_mode(mode)).expect("a mode");
    };
    set("repositories/app", 0o777);
    set("repositories/app/_manifests/tags/v1", 0o240);
    let told = fsck(registry.root(), &[]);
    let kinds: Vec<_> = told.kinds().into_iter().filter(|(kind, _)| *kind == "mode").map(|(_, path)| path).collect();
    assert_eq!(kinds, ["repositories/app", "repositories/app/_manifests/tags/v1"], "{}", told.told());
    assert_eq!(told.code, 1);
    set("repositories/app", 0o750);
    set("repositories/app/_manifests/tags/v1", 0o640);
    fsck(registry.root(), &[]).clean();
}

#[tokio::test]
async fn what_a_crash_leaves_is_noted_and_does_not_count() {
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
    let told = fsck(root, &[]).clean();
    let kinds: Vec<_> = told.findings.iter().map(|finding| finding["kind"].as_str().expect("text")).collect();
    assert_eq!(kinds, ["intent-garbled", "temporary-left", "upload-incomplete"], "{}", told.told());
}

#[tokio::test]
async fn a_manifest_that_lies_about_a_length_is_not_damage() {
    let registry = Registry::start().await;
    registry.push_blob("app", "{}").await;
    registry.push_blob("app", "layer").await;
    let mut lying = descriptor(LAYER, b"layer");
    lying["size"] = json!(4);
    registry.put_manifest("app", "v1", &image(&descriptor(CONFIG, b"{}"), &[lying])).await.is(201);
    let told = fsck(registry.root(), &[]).clean();
    assert_eq!(told.findings[0]["kind"], "length-disagrees");
    // A blob that lost its end is.
    let path = blob(&registry, &sha256(b"{}"));
    fs::write(&path, "{").expect("a write");
    assert_eq!(fsck(registry.root(), &[]).kinds()[0].0, "blob-damaged");
    registry.push_blob("app", "{}").await;
    fsck(registry.root(), &["--read-data"]).clean();
}

#[tokio::test]
async fn what_a_client_deleted_is_not_brought_back_by_an_older_copy_in_the_graveyard() {
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

#[tokio::test]
async fn people_are_told_in_lines_where_what_and_what_to_do() {
    let registry = Registry::start().await;
    registry.push_image("app", "v1", "one").await;
    fs::write(registry.root().join("evil\x1b[2Jname"), "x").expect("a write");
    let run = |args: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_wharfinger"))
            .arg("fsck")
            .args(args)
            .env("REGISTRY_STORAGE_PATH", registry.root())
            .output()
            .expect("fsck runs");
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stderr.is_empty(), "no progress where nobody sees it");
        String::from_utf8(output.stdout).expect("text")
    };
    let told = run(&[]);
    let lines: Vec<_> = told.lines().collect();
    assert_eq!(
        lines[0],
        "warning: evil\\u{1b}[2Jname: is a file that does not belong in a storage directory; move it away (it is not served)"
    );
    assert!(lines[1].starts_with("1 repositories, 1 manifests, 1 tags, 3 blobs (0 read in full, 0 B) in "), "{told}");
    assert_eq!(lines[2..], ["0 damaged, 1 warnings, 0 notes"]);
    let repaired = run(&["--repair"]);
    assert!(repaired.contains("; repaired: moved to quarantine/"), "{repaired}");
}

#[tokio::test]
async fn a_store_that_is_not_there_is_said_to_be_so() {
    let empty = tempfile::tempdir().expect("a directory");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_wharfinger"))
        .args(["fsck"])
        .env("REGISTRY_STORAGE_PATH", empty.path())
        .output()
        .expect("fsck runs");
    assert_eq!(output.status.code(), Some(78));
    assert_eq!(fs::read_dir(empty.path()).expect("a listing").count(), 0);
}
