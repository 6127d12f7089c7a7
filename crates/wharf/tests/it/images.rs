//! Images: pushed, listed, inspected, compared, deleted.

use crate::rig::{Person, registry};
use serde_json::Value;

#[test]
fn an_image_is_pushed_looked_at_and_deleted() {
    let registry = registry(|_| {});
    let alice = Person::logged_in(&registry, "alice");
    let digest = alice.has_image("image", 1);
    alice.types(&["push", "image", "alice/app:v1"]).succeeds();
    assert_eq!(alice.types(&["image", "digest", "alice/app:v1"]).succeeds().trim(), digest);
    assert_eq!(alice.types(&["image", "list", "-q"]).succeeds(), "alice/app\n");
    let tags = alice.types(&["image", "tags", "alice/app", "--json"]).json();
    assert_eq!((&tags[0]["name"], &tags[0]["digest"]), (&"v1".into(), &digest.clone().into()));
    let image = alice.types(&["image", "inspect", "alice/app:v1", "--json"]).json();
    assert_eq!(image["platforms"], serde_json::json!(["linux/amd64"]));
    assert_eq!(image["config"]["config"]["Cmd"][0], "/hello");
    let history = alice.types(&["image", "history", "alice/app:v1", "--json"]).json();
    assert_eq!((&history[0]["created_by"], &history[0]["size"]), (&"COPY hello /".into(), &200_000.into()));
    assert_eq!(alice.types(&["validate", "alice/app:v1"]).succeeds(), "");

    alice.types(&["tag", "set", "alice/app:v1", "stable"]).succeeds();
    alice.types(&["image", "delete", "alice/app", "v1"]).succeeds();
    alice.types(&["image", "delete", "alice/app:v1"]).fails(4);
    alice.types(&["image", "delete", "alice/app:v1", "--ignore-missing"]).succeeds();
    assert_eq!(alice.types(&["ls", "alice/app"]).succeeds(), alice.types(&["tag", "ls", "alice/app"]).succeeds());
    assert_eq!(alice.types(&["tag", "ls", "alice/app", "-q"]).succeeds(), "stable\n");
    alice.types(&["image", "delete", "alice/app"]).fails(2);
    alice.types(&["image", "delete", &format!("alice/app@{digest}")]).succeeds();
    // A repository without images is gone.
    alice.types(&["tag", "ls", "alice/app"]).fails(4);
}

#[test]
fn tags_are_chosen_by_patterns_and_deleted_together() {
    let registry = registry(|_| {});
    let alice = Person::logged_in(&registry, "alice");
    alice.has_image("image", 2);
    for tag in ["1.5.1", "1.5.2", "1.10.0", "latest"] {
        alice.types(&["push", "image", &format!("alice/app:{tag}")]).succeeds();
    }
    let listed = |args: &[&str]| alice.types(&[&["tag", "list", "alice/app", "-q"], args].concat()).succeeds();
    assert_eq!(listed(&["--include", "1.5.*"]), "1.5.1\n1.5.2\n");
    assert_eq!(listed(&["--exclude", "1.*"]), "latest\n");
    assert_eq!(listed(&["--sort", "version", "--include", "1.*", "--num", "2"]).lines().count(), 2);
    let chosen = alice.types(&["tag", "delete", "alice/app:1.5.*", "--dry-run"]).succeeds();
    assert_eq!(chosen, "alice/app:1.5.1\nalice/app:1.5.2\n");
    let unasked = alice.types(&["tag", "delete", "alice/app:1.5.*"]).fails(2);
    assert!(unasked.contains("Give --yes"), "{unasked}");
    alice.types(&["tag", "delete", "alice/app:1.5.*", "--yes"]).succeeds();
    alice.types(&["tag", "delete", "alice/app:1.5.*", "--yes"]).fails(4);
    assert_eq!(listed(&[]), "1.10.0\nlatest\n");
}

#[test]
fn two_images_are_compared_by_layers_and_configuration() {
    let registry = registry(|_| {});
    let alice = Person::logged_in(&registry, "alice");
    for (directory, seed) in [("one", 3), ("two", 4)] {
        alice.has_image(directory, seed);
        alice.types(&["push", directory, &format!("alice/app:{directory}")]).succeeds();
    }
    assert_eq!(alice.types(&["image", "diff", "alice/app:one", "alice/app:one", "-q"]).succeeds(), "");
    let differ = alice.types(&["image", "diff", "alice/app:one", "alice/app:two", "--json"]);
    assert_eq!(differ.status, 1);
    let rows: Vec<Value> = serde_json::from_str(&differ.out).unwrap();
    let of = |sign: &str| rows.iter().filter(|row| row["what"] == "layer" && row["sign"] == sign).count();
    assert_eq!((of("-"), of("+")), (1, 1), "{rows:?}");
    let diff = alice.types(&["manifest", "diff", "alice/app:one", "alice/app:two"]);
    assert!(diff.status == 1 && diff.out.starts_with("--- alice/app:one"), "{}", diff.out);
}

#[test]
fn an_index_is_made_of_images_and_changed() {
    let registry = registry(|_| {});
    let alice = Person::logged_in(&registry, "alice");
    alice.has_image("image", 5);
    alice.types(&["push", "image", "alice/app:amd64"]).succeeds();
    alice.types(&["index", "create", "alice/app:all", "alice/app:amd64"]).succeeds();
    let image = alice.types(&["image", "inspect", "alice/app:all", "--json"]).json();
    assert_eq!(image["platforms"], serde_json::json!(["linux/amd64"]));
    let chosen = ["image", "digest", "alice/app:all", "--platform", "linux/amd64"];
    let single = alice.types(&["image", "digest", "alice/app:amd64"]).succeeds();
    assert_eq!(alice.types(&chosen).succeeds(), single);
    let other = alice.types(&["image", "digest", "alice/app:all", "--platform", "linux/arm64"]).fails(4);
    assert!(other.contains("linux/amd64"), "{other}");
    alice.types(&["index", "delete", "alice/app:all", "linux/riscv64"]).fails(4);
    alice.types(&["index", "delete", "alice/app:all", "linux/amd64"]).succeeds();
    let image = alice.types(&["image", "inspect", "alice/app:all", "--json"]).json();
    assert_eq!(image["platforms"], serde_json::json!([]));
}

#[test]
fn a_file_is_attached_and_found_again() {
    let registry = registry(|_| {});
    let alice = Person::logged_in(&registry, "alice");
    alice.has_image("image", 6);
    alice.has("sbom.json", "{\"spdx\": true}");
    alice.types(&["push", "image", "alice/app:v1"]).succeeds();
    let kind = ["--artifact-type", "application/spdx+json"];
    let attached = alice.types(&[&["attach", "alice/app:v1", "sbom.json"][..], &kind].concat()).succeeds();
    let listed = alice.types(&["referrers", "list", "alice/app:v1", "-q"]).succeeds();
    assert_eq!(listed, attached);
    let got = alice.types(&[&["referrers", "get", "alice/app:v1"][..], &kind].concat()).succeeds();
    assert_eq!(got, "{\"spdx\": true}");
    alice.types(&["referrers", "get", "alice/app:v1", "--artifact-type", "text/x-none"]).fails(4);
    let tree = alice.types(&["tree", "alice/app:v1"]).succeeds();
    assert!(tree.contains(&format!("  application/spdx+json  {}", attached.trim())), "{tree}");
}

#[test]
fn blobs_and_manifests_are_put_and_got_as_they_are() {
    let registry = registry(|_| {});
    let alice = Person::logged_in(&registry, "alice");
    let digest = alice.has_image("image", 7);
    alice.types(&["push", "image", "alice/app:v1"]).succeeds();
    let manifest = alice.types(&["manifest", "get", "alice/app:v1"]).succeeds();
    assert_eq!(testing::content::sha256(manifest.as_bytes()), digest);
    let put = alice.types_with(&manifest, &["manifest", "put", "alice/app:again"]).succeeds();
    assert_eq!(put.trim(), digest);
    let blob = alice.types_with("hello", &["blob", "put", "alice/app"]).succeeds();
    let name = format!("alice/app@{}", blob.trim());
    assert_eq!(alice.types(&["blob", "get", &name]).succeeds(), "hello");
    alice.types(&["blob", "get", &name, "-o", "out"]).succeeds();
    assert_eq!(std::fs::read(alice.path("out")).unwrap(), b"hello");
    alice.types(&["blob", "copy", &name, "alice/other"]).succeeds();
    alice.types(&["blob", "head", &name.replace("app", "other")]).succeeds();
    alice.types(&["blob", "delete", &name]).succeeds();
    alice.types(&["blob", "head", &name]).fails(4);
}

#[test]
fn what_is_forbidden_has_a_status_of_its_own() {
    let registry = registry(|_| {});
    let alice = Person::logged_in(&registry, "alice");
    alice.has_image("image", 8);
    alice.types(&["push", "image", "bob/app:v1"]).fails(5);
    assert_eq!(alice.types(&["can", "push", "bob/app"]).status, 1);
    alice.types(&["can", "push", "alice/app"]).succeeds();
}
