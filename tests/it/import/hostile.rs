//! Trees that somebody prepared, or that a crash left: everything that is sound arrives, everything else is named.

use super::{
    fsck, import,
    trees::{Tree, WRITERS, Writer, write},
};
use crate::PROGRAM;
use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
};
use testing::{
    content::{noise, sha256},
    daemon::Daemon,
};

#[tokio::test]
async fn everything_that_cannot_be_used_is_named_and_the_rest_arrives() {
    let mut tree = Tree::of(Writer::Distribution);
    tree.push_image("good", Some("v1"), 1);
    let secrets = tempfile::tempdir().unwrap();
    write(&secrets.path().join("secret"), "sha256:secret");

    // Wrong bytes, half of the bytes, a link to a file elsewhere, and no rights.
    for (name, seed) in [("changed", 10), ("cut", 11), ("aliased", 12), ("locked", 13)] {
        tree.push_image(name, Some("v1"), seed);
        let layer = tree.blob(name, &sha256(&noise(100_000, seed)));
        match name {
            "changed" => fs::write(&layer, noise(100_000, 999)).unwrap(),
            "cut" => fs::write(&layer, &noise(100_000, seed)[..50_000]).unwrap(),
            "aliased" => {
                fs::remove_file(&layer).unwrap();
                symlink(secrets.path().join("secret"), &layer).unwrap();
            }
            _ => fs::set_permissions(&layer, fs::Permissions::from_mode(0o000)).unwrap(),
        }
    }
    // A manifest that is no JSON, one of another time, and one that is too large.
    let tags = |tree: &Tree, name: &str| tree.repository(name).join("_manifests/tags");
    let garbage = sha256(b"garbage");
    write(&tree.blob("odd", &garbage), "garbage");
    let revision = |tree: &Tree, digest: &str| {
        let hex = digest.strip_prefix("sha256:").unwrap();
        tree.repository("odd").join("_manifests/revisions/sha256").join(hex).join("link")
    };
    write(&revision(&tree, &garbage), &garbage);
    tree.tag("odd", "garbage", &garbage);
    let old = br#"{"schemaVersion":1,"name":"odd","fsLayers":[]}"#;
    write(&tree.blob("odd", &sha256(old)), old);
    write(&revision(&tree, &sha256(old)), sha256(old));
    let huge = vec![b' '; (4 << 20) + 1];
    write(&tree.blob("odd", &sha256(&huge)), &huge);
    write(&revision(&tree, &sha256(&huge)), sha256(&huge));
    // Links that are empty, long, no digest, a directory, a symbolic link; tags and repositories with bad names.
    for (tag, content) in
        [("empty", Vec::new()), ("long", vec![b'a'; 1 << 20]), ("text", b"../../../etc/passwd".to_vec())]
    {
        write(&tags(&tree, "odd").join(tag).join("current/link"), content);
    }
    fs::create_dir_all(tags(&tree, "odd").join("dir/current/link")).unwrap();
    fs::create_dir_all(tags(&tree, "odd").join("symbolic/current")).unwrap();
    symlink(secrets.path().join("secret"), tags(&tree, "odd").join("symbolic/current/link")).unwrap();
    write(&tags(&tree, "odd").join("bad name/current/link"), &garbage);
    write(&tags(&tree, "odd").join("nowhere/current/link"), sha256(b"nowhere"));
    // Deleted, or never completed: no problem.
    fs::create_dir_all(tags(&tree, "odd").join("gone/current")).unwrap();
    write(&tags(&tree, "odd").join(".DS_Store"), "x");
    fs::create_dir_all(tree.repository("Upper/_manifests")).unwrap();
    fs::create_dir_all(tree.repository("\u{1b}[31mred/_manifests")).unwrap();
    // A loop, and a way out.
    symlink("..", tree.repository("loop")).unwrap();
    symlink("/", tree.repository("out")).unwrap();

    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("data");
    let ran = import(&root, tree.path(), &[]);
    assert_eq!(ran.code, Some(1), "{}", ran.errors);
    assert_eq!(fs::read_dir(root.join("state/tmp")).unwrap().count(), 0, "refused files stay behind");
    let problems = ran.problems();
    let mut expected = vec![
        ("data", "is damaged: its bytes have the digest"),
        ("data", "is a symbolic link"),
        ("data", "was refused in changed"),
        ("data", "was refused in cut"),
        ("data", "was refused in aliased"),
        ("data", "invalid manifest"),
        ("data", "Docker schema 1"),
        ("data", "more than the 4194304 it may have"),
        ("empty/current/link", "is empty"),
        ("long/current/link", "has 1048576 bytes"),
        ("text/current/link", "does not hold a digest"),
        ("dir/current/link", "is not a regular file"),
        ("symbolic/current/link", "is a symbolic link"),
        ("tags/bad name", "a tag must be"),
        ("nowhere/current/link", "which this repository does not have"),
        ("repositories/Upper", "a repository name must be"),
        ("red", "a repository name must be"),
        ("repositories/loop", "is a symbolic link"),
        ("repositories/out", "is a symbolic link"),
    ];
    // To root nothing is forbidden.
    let reads_all = fs::read(tree.blob("locked", &sha256(&noise(100_000, 13)))).is_ok();
    if !reads_all {
        expected.push(("data", "cannot be read: permission denied"));
    }
    for (path, problem) in expected {
        let is_named = problems
            .iter()
            .any(|line| line.split_once(": ").is_some_and(|(at, why)| at.ends_with(path) && why.contains(problem)));
        assert!(is_named, "{path}: {problem}\n{problems:#?}");
    }
    assert!(!ran.out.contains('\u{1b}'), "names are not written to a terminal as they are");
    assert!(!problems.iter().any(|line| line.contains("gone") || line.contains("DS_Store")), "{problems:#?}");

    let daemon = Daemon::start(PROGRAM, &root, &[]);
    let catalog = daemon.get("/v2/_catalog").await.strings("repositories");
    assert_eq!(catalog, if reads_all { vec!["good", "locked"] } else { vec!["good"] });
    daemon.get("/v2/good/manifests/v1").await.is(200);
    drop(daemon);
    fsck(&root);
}

#[tokio::test]
async fn a_layout_with_a_bad_index_is_named_and_the_others_arrive() {
    let mut tree = Tree::of(Writer::Zot);
    tree.push_image("good", Some("v1"), 1);
    tree.push_image("bad", Some("v1"), 2);
    tree.push_image("tagless", Some("docker.io/library/x:v1"), 3);
    fs::write(tree.repository("bad").join("index.json"), "{").unwrap();
    write(&tree.repository("none").join("oci-layout"), "{}");
    write(&tree.repository("Bad.Name").join("oci-layout"), "{}");
    symlink(tree.path(), tree.repository("loop")).unwrap();
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("data");
    let ran = import(&root, tree.path(), &[]);
    assert_eq!(ran.code, Some(1), "{}", ran.errors);
    let problems = ran.problems();
    for start in
        ["bad/index.json: ", "none/index.json: is missing", "Bad.Name: ", "loop: is a symbolic", "tagless/index.json: "]
    {
        assert!(problems.iter().any(|line| line.starts_with(start)), "{start}\n{problems:#?}");
    }
    assert_eq!(problems.len(), 5, "{problems:#?}");
    let daemon = Daemon::start(PROGRAM, &root, &[]);
    assert_eq!(daemon.get("/v2/_catalog").await.strings("repositories"), ["good", "tagless"]);
}

/// A list of children can be as deep as the tree has files.
#[tokio::test]
async fn indexes_that_list_one_another_a_hundred_deep_arrive() {
    for writer in WRITERS {
        let mut tree = Tree::of(writer);
        let mut digest = tree.push_image("deep", Some("bottom"), 1);
        for i in 0..100 {
            let child = serde_json::json!({
                "mediaType": if i == 0 { testing::content::OCI_MANIFEST } else { testing::content::OCI_INDEX },
                "digest": digest, "size": 1,
            });
            let tag = (i == 99).then_some("top");
            digest = tree.push_manifest("deep", tag, &testing::content::index(&[child]));
        }
        let home = tempfile::tempdir().unwrap();
        let ran = import(&home.path().join("data"), tree.path(), &[]);
        assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.errors);
        assert_eq!(super::tally(&ran.report(), "manifests"), (101, 0, 0));
    }
}
