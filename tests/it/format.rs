//! A store of format 1, kept as files in `tests/store-1`: every build must be able to read it.

use crate::PROGRAM;
use std::path::{Path, PathBuf};
use testing::{
    daemon::Daemon,
    session::{OCI_INDEX, OCI_MANIFEST, descriptor, image, index, sha256, sha512},
};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/store-1")
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => std::fs::copy(entry.path(), to).map(drop).unwrap(),
        }
    }
}

#[tokio::test]
async fn a_store_of_format_1_is_served_completely_and_can_be_written() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("data");
    copy(&golden(), &root);
    let daemon = Daemon::start(PROGRAM, &root, &[("REGISTRY_STORAGE_INIT", "never")]);

    assert_eq!(daemon.get("/v2/_catalog").await.strings("repositories"), ["library/hello"]);
    assert_eq!(daemon.tags("library/hello").await, ["1.0", "latest"]);
    let manifest = daemon.read("/v2/library/hello/manifests/1.0").await.is(200);
    assert_eq!(manifest.header("content-type"), OCI_MANIFEST);
    let digest = sha256(&manifest.body);
    assert_eq!(digest, "sha256:ee92d7a03691534412348938dd4e3df530d9a0d445e9a5c678a73cfb3572a672");
    let latest = daemon.read("/v2/library/hello/manifests/latest").await.is(200);
    assert_eq!(latest.header("content-type"), OCI_INDEX);
    for (digest, content) in [
        (sha256(b"{}"), "{}"),
        (sha256(b"Hello, wharf\n"), "Hello, wharf\n"),
        (sha512(b"by sha512\n"), "by sha512\n"),
        (sha256(b"condemned\n"), "condemned\n"),
    ] {
        let blob = daemon.read(format!("/v2/library/hello/blobs/{digest}")).await.is(200);
        assert_eq!(blob.body, content);
    }
    let referrers = daemon.get(format!("/v2/library/hello/referrers/{digest}")).await.json();
    assert_eq!(referrers["manifests"][0]["artifactType"], "application/vnd.example.note");
    daemon.get("/v2/library/hello/manifests/old").await.refused(404, "MANIFEST_UNKNOWN");

    // An unfinished upload continues, and condemned content is restored.
    let upload = "/v2/library/hello/blobs/uploads/a80b847f-777e-41c8-ab37-4031b6e75868";
    assert_eq!(daemon.get(upload).await.is(204).header("range"), "0-6");
    let whole = sha256(b"Hello, golden");
    daemon.put(format!("{upload}?digest={whole}"), "golden").await.is(201);
    let again = image(&descriptor("a/config", b"{}"), &[descriptor("a/layer", b"condemned\n")]);
    daemon.put_manifest("library/hello", "again", &again).await.is(201);
    let child = descriptor(OCI_MANIFEST, &manifest.body);
    daemon.put_manifest("library/hello", "more", &index(&[child])).await.is(201);
    assert!(root.join("blobs/sha256/88").read_dir().unwrap().next().is_some(), "restored under its own name");
}

#[test]
fn the_golden_store_has_the_current_format() {
    let root = std::fs::read_to_string(golden().join("ROOT.json")).unwrap();
    assert!(
        root.contains(&format!("\"format\":{}", wharfinger::storage::fs::root::FORMAT)),
        "add another golden store for the new format"
    );
}
