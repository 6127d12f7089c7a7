//! Artifacts: uploaded, found, downloaded, changed, deleted.

use crate::rig::{Person, registry};
use std::fs;

/// Somebody with a repository of artifacts.
fn owner(registry: &testing::managed::Managed) -> Person {
    let admin = Person::logged_in(registry, "admin");
    admin.types(&["artifact", "create", "builds", "-d", "What CI makes", "-p"]).succeeds();
    admin
}

#[test]
fn a_file_is_uploaded_found_downloaded_and_deleted() {
    let registry = registry(|_| {});
    let admin = owner(&registry);
    admin.has("app.bin", "one");
    let upload = ["artifact", "upload", "builds", "app.bin", "-v", "1.4.0", "-p", "bin/app", "-P", "os=linux,build=77"];
    admin.types(&upload).succeeds();
    // The same bytes again change nothing; others need to be asked for.
    admin.types(&upload).succeeds();
    admin.has("app.bin", "two");
    admin.types(&upload).fails(6);
    admin.types(&[&upload[..], &["--overwrite"]].concat()).succeeds();

    assert!(admin.types(&["artifact", "list"]).succeeds().contains("builds"));
    let found = admin.types(&["artifact", "search", "-P", "os=linux", "--json"]).json();
    assert_eq!((found.as_array().unwrap().len(), &found[0]["path"]), (1, &"bin/app".into()));
    assert_eq!(admin.types(&["artifact", "search", "-P", "os=plan9", "-q"]).succeeds(), "");
    admin.types(&["artifact", "download", "builds", "-v", "1.4.0", "-p", "bin/app", "-o", "got"]).succeeds();
    assert_eq!(fs::read_to_string(admin.path("got")).unwrap(), "two");
    let to_stdout = ["artifact", "download", "builds", "--version", "latest", "-P", "build=77", "-o", "-"];
    assert_eq!(admin.types(&to_stdout).succeeds(), "two");
    admin.types(&["artifact", "download", "builds", "-v", "9.9", "-p", "bin/app"]).fails(4);

    let id = found[0]["id"].as_str().unwrap().to_owned();
    let edited = admin.types(&["artifact", "edit", "builds", &id, "-P", "os=bsd", "--unset", "build", "-q"]).succeeds();
    assert_ne!(edited.trim(), id);
    let renamed = ["artifact", "rename", "builds", edited.trim(), "-v", "1.5.0", "--path", "app", "-q"];
    let id = admin.types(&renamed).succeeds();
    assert!(admin.types(&["artifact", "versions", "builds"]).succeeds().contains("1.5.0"));
    admin.types(&["artifact", "delete", "builds", "1.5.0", "app"]).succeeds();
    assert!(admin.types(&["artifact", "trash", "builds", "-q"]).succeeds().contains(id.trim()));
    admin.types(&["artifact", "restore", "builds", id.trim()]).succeeds();
    assert_eq!(admin.types(&["artifact", "search", "-v", "1.5.0", "-q"]).succeeds(), id);
    admin.types(&["artifact", "delete-repo", "builds"]).fails(2);
    admin.types(&["artifact", "delete-repo", "builds", "--confirm", "builds"]).succeeds();
    admin.types(&["artifact", "versions", "builds"]).fails(4);
}

#[test]
fn several_files_come_as_an_archive_or_unpacked() {
    let registry = registry(|_| {});
    let admin = owner(&registry);
    for name in ["a.txt", "b.txt"] {
        admin.has(name, name.repeat(1000));
    }
    admin.types(&["artifact", "upload", "builds", "a.txt", "b.txt", "-v", "1.0", "-p", "docs"]).succeeds();
    admin.types(&["artifact", "download", "builds", "-v", "1.0", "-o", "all.zip"]).succeeds();
    assert!(fs::read(admin.path("all.zip")).unwrap().starts_with(b"PK\x03\x04"));
    let tar = ["artifact", "download", "builds", "--archive", "--format", "tar.gz", "--output", "all.tar.gz"];
    admin.types(&tar).succeeds();
    assert!(fs::read(admin.path("all.tar.gz")).unwrap().starts_with(&[0x1f, 0x8b]));
    admin.types(&["artifact", "download", "builds", "--unpack", "-o", "out"]).succeeds();
    assert_eq!(fs::read_to_string(admin.path("out/1.0/docs/a.txt")).unwrap(), "a.txt".repeat(1000));
    assert!(admin.path("out/1.0/docs/b.txt").exists());
}

#[test]
fn a_large_file_is_uploaded_in_a_session() {
    let registry = registry(|_| {});
    let admin = owner(&registry);
    let content = testing::content::noise(9 << 20, 70);
    admin.has("large.bin", &content);
    let made = admin.types(&["artifact", "upload", "builds", "large.bin", "-P", "kind=image", "--json"]).json();
    assert_eq!((&made[0]["version"], &made[0]["path"]), (&"large.bin".into(), &"large.bin".into()));
    assert_eq!(made[0]["properties"]["kind"], "image");
    admin.types(&["artifact", "download", "builds", "-o", "back.bin"]).succeeds();
    assert!(fs::read(admin.path("back.bin")).unwrap() == content);
}

#[test]
fn a_private_repository_does_not_exist_for_others() {
    let registry = registry(|_| {});
    owner(&registry);
    let alice = Person::logged_in(&registry, "alice");
    assert_eq!(alice.types(&["artifact", "list", "-q"]).succeeds(), "");
    alice.types(&["artifact", "versions", "builds"]).fails(4);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_run_goes_on_with_an_upload_that_was_interrupted() {
    let registry = registry(|_| {});
    let admin = owner(&registry);
    let content = testing::content::noise(6 << 20, 90);
    let half = content.len() / 2;
    admin.has("large.bin", &content);
    // An earlier run sent the first half, and noted where it was.
    let begun = admin.types(&["api", "POST", &format!("/artifacts/builds/upload?size={}", content.len())]).json();
    let location = format!("/artifacts/builds/upload/{}", begun["upload_id"].as_str().unwrap());
    let api = registry.admin();
    let patch = api.ask(http::Method::PATCH, &location).header("content-range", format!("0-{}", half - 1));
    patch.body(content[..half].to_vec()).send().await.is(202);
    let key = format!("{} builds 1.0 large.bin {}", admin.server(), testing::content::sha256(&content));
    let notes = serde_json::json!({ key: format!("/api/v1{location}") }).to_string();
    admin.has(".config/wharf/uploads.json", &notes);

    let upload = ["--log-level", "trace", "artifact", "upload", "builds", "large.bin", "-v", "1.0"];
    let typed = admin.types(&upload);
    assert!(typed.err.contains(&format!("> content-range: {half}-{}", content.len() - 1)), "{}", typed.err);
    typed.succeeds();
    admin.types(&["artifact", "download", "builds", "-v", "1.0", "-o", "got"]).succeeds();
    assert!(fs::read(admin.path("got")).unwrap() == content[..]);
    assert_eq!(fs::read_to_string(admin.path(".config/wharf/uploads.json")).unwrap(), "{}");

    // What the server has forgotten begins again.
    admin.has(".config/wharf/uploads.json", notes.replace(" 1.0 ", " 2.0 "));
    admin.types(&["artifact", "upload", "builds", "large.bin", "-v", "2.0"]).succeeds();
}
