//! Copies: between repositories, servers, directories and archives.

use crate::rig::{Person, password, registry};
use std::fs;

#[test]
fn an_image_goes_around_and_comes_back_byte_for_byte() {
    let (near, far) = (registry(|_| {}), registry(|_| {}));
    let alice = Person::logged_in(&near, "alice");
    let other = Person::new(&far).server().to_owned();
    alice.types_with(&password("alice"), &["login", &other, "-u", "alice", "--password-stdin"]).succeeds();
    let digest = alice.has_image("image", 10);
    // Now the current server is the far one.
    let here = format!("{}/alice/app", alice.server());
    alice.types(&["push", "image", &format!("{here}:v1")]).succeeds();
    alice.types(&["copy", &format!("{here}:v1"), "alice/copied"]).succeeds();
    assert_eq!(alice.types(&["digest", "alice/copied:v1"]).succeeds().trim(), digest);
    alice.types(&["copy", "alice/copied:v1", "oci:out:kept"]).succeeds();
    alice.types(&["copy", "oci:out:kept", &format!("{here}:back")]).succeeds();
    assert_eq!(alice.types(&["digest", &format!("{here}:back")]).succeeds().trim(), digest);
    alice.types(&["pull", "alice/copied:v1", "image.tar"]).succeeds();
    alice.types(&["push", "image.tar", "alice/archived:v1"]).succeeds();
    assert_eq!(alice.types(&["digest", "alice/archived:v1"]).succeeds().trim(), digest);
}

#[test]
fn what_is_there_is_not_sent_again() {
    let registry = registry(|_| {});
    let alice = Person::logged_in(&registry, "alice");
    alice.has_image("image", 11);
    alice.types(&["push", "image", "alice/app:v1"]).succeeds();
    let within = alice.types(&["copy", "alice/app:v1", "alice/copy:v1", "--json"]).json();
    assert_eq!((&within["blobs"]["linked"], &within["bytes"]), (&2.into(), &0.into()), "{within}");
    let again = alice.types(&["copy", "alice/app:v1", "alice/copy:v2", "--json"]).json();
    assert_eq!((&again["blobs"]["existed"], &again["blobs"]["linked"]), (&2.into(), &0.into()), "{again}");
}

#[test]
fn signatures_and_all_tags_come_along_if_they_are_asked_for() {
    let registry = registry(|_| {});
    let alice = Person::logged_in(&registry, "alice");
    alice.has("sbom.json", "{}");
    for (tag, seed) in [("v1", 12), ("v2", 13)] {
        alice.has_image(tag, seed);
        alice.types(&["push", tag, &format!("alice/app:{tag}")]).succeeds();
    }
    let digest = alice.types(&["attach", "alice/app:v1", "sbom.json", "--artifact-type", "text/x-sbom"]).succeeds();
    let subject = alice.types(&["digest", "alice/app:v1"]).succeeds().trim().replace(':', "-");
    alice.types(&["tag", "set", "alice/app:v2", &format!("{subject}.sig")]).succeeds();

    alice.types(&["copy", "alice/app", "alice/plain", "--all-tags"]).succeeds();
    assert_eq!(alice.types(&["tag", "ls", "alice/plain", "-q"]).succeeds(), "v1\nv2\n");
    assert_eq!(alice.types(&["referrers", "list", "alice/plain:v1", "-q"]).succeeds(), "");
    alice.types(&["copy", "alice/app:v1", "alice/signed:v1", "--referrers", "--digest-tags"]).succeeds();
    assert_eq!(alice.types(&["referrers", "list", "alice/signed:v1", "-q"]).succeeds(), digest);
    assert_eq!(alice.types(&["tag", "ls", "alice/signed", "-q"]).succeeds(), format!("{subject}.sig\nv1\n"));

    let kept = alice.types(&["copy", "alice/app:v2", "alice/plain:v1", "--no-clobber"]).err;
    assert!(kept.contains("v1 exists already"), "{kept}");
    assert_ne!(
        alice.types(&["digest", "alice/plain:v1"]).succeeds(),
        alice.types(&["digest", "alice/plain:v2"]).succeeds()
    );
}

#[test]
fn what_docker_saves_is_pushed_and_what_docker_loads_is_written() {
    let registry = registry(|_| {});
    let alice = Person::logged_in(&registry, "alice");
    alice.has_image("image", 14);
    alice.types(&["push", "image", "alice/app:v1"]).succeeds();
    alice.types(&["image", "export", "alice/app:v1", "docker.tar", "--docker"]).succeeds();
    alice.types(&["image", "import", "docker.tar", "alice/back:v1"]).succeeds();
    let config = |image: &str| alice.types(&["image", "config", image, "--format", "raw"]).succeeds();
    assert_eq!(config("alice/app:v1"), config("alice/back:v1"));
    alice.types(&["validate", "alice/back:v1"]).succeeds();
}

#[test]
fn a_failed_export_leaves_no_file() {
    let registry = registry(|_| {});
    let alice = Person::logged_in(&registry, "alice");
    alice.types(&["image", "export", "alice/none:v1", "out.tar"]).fails(4);
    alice.has_image("image", 15);
    alice.types(&["push", "image", "alice/app:v1"]).succeeds();
    // A layer that the registry lost.
    let layer = alice.types(&["image", "layers", "alice/app:v1", "-q"]).succeeds();
    let hex = layer.trim().strip_prefix("sha256:").unwrap();
    fs::remove_file(registry.root().join("blobs/sha256").join(&hex[..2]).join(hex)).unwrap();
    assert_ne!(alice.types(&["image", "export", "alice/app:v1", "out.tar"]).status, 0);
    let left: Vec<_> = fs::read_dir(alice.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("out.tar")), "{left:?}");
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with(".wharf-")), "{left:?}");
}

#[test]
fn a_directory_that_was_damaged_is_not_pushed() {
    let registry = registry(|_| {});
    let alice = Person::logged_in(&registry, "alice");
    let digest = alice.has_image("image", 16);
    let manifest = alice.path(&format!("image/blobs/{}", digest.replace(':', "/")));
    let damaged = fs::read_to_string(&manifest).unwrap().replace("200000", "200001");
    fs::write(&manifest, damaged).unwrap();
    let refused = alice.types(&["push", "image", "alice/app:v1"]).fails(9);
    assert!(refused.contains("is damaged"), "{refused}");
}

#[test]
fn a_repository_is_copied_with_what_refers_to_its_images() {
    let registry = registry(|_| {});
    let admin = Person::logged_in(&registry, "admin");
    let digest = admin.has_image("image", 50);
    admin.types(&["push", "image", "team/app:v1"]).succeeds();
    admin.types(&["push", "image", "team/app:v2"]).succeeds();
    admin.has("sbom.json", "{}");
    admin.types(&["attach", "team/app:v1", "sbom.json", "--artifact-type", "application/spdx+json"]).succeeds();
    admin.types(&["repo", "copy", "team/app", "backup/app"]).succeeds();
    assert_eq!(admin.types(&["ls", "backup/app", "-q"]).succeeds(), "v1\nv2\n");
    assert_eq!(admin.types(&["digest", "backup/app:v2"]).succeeds().trim(), digest);
    assert!(admin.types(&["referrers", "list", "backup/app:v1"]).succeeds().contains("application/spdx+json"));
    // To a directory, and from there to another name.
    admin.types(&["repo", "copy", "team/app", "oci:saved"]).succeeds();
    admin.types(&["repo", "copy", "oci:saved", "restored/app"]).succeeds();
    assert_eq!(admin.types(&["ls", "restored/app", "-q"]).succeeds(), "v1\nv2\n");
    admin.types(&["repo", "copy", "team/nothing", "x/y"]).fails(4);
}

#[test]
fn a_registry_is_measured_and_left_clean() {
    let registry = registry(|_| {});
    let admin = Person::logged_in(&registry, "admin");
    let bench = ["bench", "scratch/bench", "--blobs", "3", "--size", "1", "--jobs", "2", "--json"];
    let results = admin.types(&bench).json();
    let operations: Vec<_> = results.as_array().unwrap().iter().map(|row| row["operation"].as_str().unwrap()).collect();
    assert_eq!(operations, ["push blob", "push manifest", "pull blob", "pull manifest"]);
    assert_eq!((&results[0]["count"], &results[0]["bytes"]), (&3.into(), &(3 << 20).into()));
    assert!(results[2]["bytes_per_second"].as_u64().unwrap() > 0);
    admin.types(&["ls", "scratch/bench", "-q"]).fails(4);
    admin.types(&["bench", "scratch/bench", "--blobs", "1", "--size", "1", "--keep"]).succeeds();
    assert_eq!(admin.types(&["ls", "scratch/bench", "-q"]).succeeds(), "wharf-bench\n");
    admin.types(&["bench", "scratch/bench", "--blobs", "0"]).fails(2);
}
