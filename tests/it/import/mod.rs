//! `wharfinger import`: the data of another registry, read from its directory.

mod hostile;
mod peer;
mod trees;

use crate::PROGRAM;
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::Path,
    process::Command,
    time::{Duration, SystemTime},
};
use testing::{
    daemon::{Daemon, over},
    session::{Client, sha256},
};
use trees::{Tree, WRITERS, Writer, fill, snapshot};

/// What a run of the program printed.
struct Ran {
    code: Option<i32>,
    out: String,
    errors: String,
}

impl Ran {
    fn report(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("{}{}", self.out, self.errors))
    }

    fn problems(&self) -> Vec<String> {
        let line = |problem: &Value| {
            format!("{}: {}", problem["path"].as_str().unwrap(), problem["problem"].as_str().unwrap())
        };
        self.report()["problems"].as_array().unwrap().iter().map(line).collect()
    }
}

fn run(root: &Path, vars: &[(&str, &str)], args: &[&str]) -> Ran {
    let mut command = Command::new(PROGRAM);
    let out = over(&mut command, root, vars).args(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: out.status.code(), out: text(out.stdout), errors: text(out.stderr) }
}

fn import(root: &Path, dir: &Path, more: &[&str]) -> Ran {
    let args = [&["import", dir.to_str().unwrap(), "--json"], more].concat();
    run(root, &[], &args)
}

fn fsck(root: &Path) {
    let ran = run(root, &[], &["fsck", "--read-data"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.errors);
}

/// The numbers of one kind of thing.
fn tally(report: &Value, what: &str) -> (u64, u64, u64) {
    let number = |key: &str| report[what][key].as_u64().unwrap();
    (number("imported"), number("present"), number("failed"))
}

/// The manifest at a tag, its bytes, and those of everything below it, are those that were written.
async fn serves(client: &Client, tree: &Tree, name: &str, reference: &str) {
    let reply = client.get(format!("/v2/{name}/manifests/{reference}")).await.is(200);
    let digest = sha256(&reply.body);
    assert_eq!(reply.header("docker-content-digest"), digest);
    assert_eq!(reply.body, fs::read(tree.blob(name, &digest)).unwrap());
    let manifest = reply.json();
    assert_eq!(reply.header("content-type"), manifest["mediaType"].as_str().unwrap());
    let blobs = manifest["layers"].as_array().into_iter().flatten().chain(manifest.get("config"));
    for blob in blobs {
        let digest = blob["digest"].as_str().unwrap();
        let reply = client.get(format!("/v2/{name}/blobs/{digest}")).await.is(200);
        assert_eq!(reply.body, fs::read(tree.blob(name, digest)).unwrap());
    }
}

#[tokio::test]
async fn repositories_of_every_layout_arrive_byte_for_byte() {
    for writer in WRITERS {
        let mut tree = Tree::of(writer);
        fill(&mut tree);
        let before = snapshot(tree.path());
        let home = tempfile::tempdir().unwrap();
        let root = home.path().join("data");
        let ran = import(&root, tree.path(), &[]);
        assert_eq!(ran.code, Some(0), "{writer:?} {}{}", ran.out, ran.errors);
        let report = ran.report();
        let layout = ["distribution", "deno", "zot"][WRITERS.iter().position(|w| *w == writer).unwrap()];
        assert_eq!(report["layout"], layout);
        assert_eq!(report["repositories"], 3);
        // Four images of three blobs each, and the empty config.
        assert_eq!(tally(&report, "blobs"), (13, 0, 0), "{writer:?}");
        assert_eq!(tally(&report, "manifests"), (9, 0, 0), "{writer:?}");
        assert_eq!(tally(&report, "tags"), (7, 0, 0), "{writer:?}");
        assert!(snapshot(tree.path()) == before, "{writer:?}: the source was changed");

        let daemon = Daemon::start(PROGRAM, &root, &[]);
        let catalog = daemon.get("/v2/_catalog").await.json();
        assert_eq!(catalog["repositories"], json!(["app", "team", "team/sub/app"]));
        let app = sha256(&daemon.get("/v2/app/manifests/v1").await.is(200).body);
        let signature = format!("{}.sig", app.replace(':', "-"));
        assert_eq!(daemon.tags("app").await, ["multi", &signature, "v1", "v2"]);
        assert_eq!(daemon.tags("team").await, ["1.0", "sparse"]);
        for (name, reference) in
            [("app", "v1"), ("app", "v2"), ("app", "multi"), ("app", &signature), ("team", "1.0"), ("team", "sparse")]
        {
            serves(&daemon, &tree, name, reference).await;
        }
        serves(&daemon, &tree, "team/sub/app", "latest").await;
        let referrers = daemon.get(format!("/v2/app/referrers/{app}")).await.json();
        assert_eq!(referrers["manifests"][0]["annotations"]["name"], "referrer");
        // The blobs of one repository are no right to read them in another.
        let other = daemon.get("/v2/team/manifests/1.0").await.json();
        let layer = other["layers"][0]["digest"].as_str().unwrap();
        daemon.get(format!("/v2/app/blobs/{layer}")).await.refused(404, "BLOB_UNKNOWN");
        drop(daemon);
        fsck(&root);

        let again = import(&root, tree.path(), &[]);
        assert_eq!(again.code, Some(0), "{}{}", again.out, again.errors);
        let report = again.report();
        let all = ["blobs", "manifests", "tags"].map(|what| tally(&report, what));
        assert_eq!(all, [(0, 13, 0), (0, 9, 0), (0, 7, 0)], "{writer:?}");
    }
}

#[tokio::test]
async fn a_dry_run_counts_and_writes_nothing() {
    let mut tree = Tree::of(Writer::Distribution);
    fill(&mut tree);
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("data");
    let ran = import(&root, tree.path(), &["--dry-run"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.errors);
    assert_eq!(tally(&ran.report(), "blobs"), (13, 0, 0));
    assert!(!root.exists());

    import(&root, tree.path(), &[]);
    tree.push_image("app", Some("v3"), 9);
    let before = snapshot(&root);
    let report = import(&root, tree.path(), &["--dry-run"]).report();
    let all = ["blobs", "manifests", "tags"].map(|what| tally(&report, what));
    assert_eq!(all, [(3, 13, 0), (1, 9, 0), (1, 7, 0)]);
    assert!(snapshot(&root) == before, "a dry run wrote something");
}

#[tokio::test]
async fn an_import_beside_a_running_daemon_is_served_at_once() {
    let mut tree = Tree::of(Writer::Distribution);
    fill(&mut tree);
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("data");
    let daemon = Daemon::start(PROGRAM, &root, &[]);
    daemon.push_image("app", "own", "pushed here").await;
    daemon.get("/v2/team/manifests/1.0").await.refused(404, "MANIFEST_UNKNOWN");
    let ran = import(&root, tree.path(), &[]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.errors);
    serves(&daemon, &tree, "team", "1.0").await;
    assert!(daemon.tags("app").await.contains(&"own".to_owned()));
    let catalog = daemon.get("/v2/_catalog").await.json();
    assert_eq!(catalog["repositories"], json!(["app", "team", "team/sub/app"]));
    let collected = run(&root, &[], &["gc", "--now"]);
    assert_eq!(collected.code, Some(0), "{}{}", collected.out, collected.errors);
    serves(&daemon, &tree, "app", "v1").await;
    // The audit log names it.
    let audit: String = fs::read_dir(root.join("state/audit"))
        .unwrap()
        .map(|file| fs::read_to_string(file.unwrap().path()).unwrap())
        .collect();
    assert!(audit.contains(r#""action":"import""#), "{audit}");
}

#[tokio::test]
async fn hard_links_share_the_file_with_the_old_registry() {
    let mut tree = Tree::of(Writer::Distribution);
    tree.push_image("app", Some("v1"), 1);
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("data");
    let ran = import(&root, tree.path(), &["--hardlink"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.errors);
    let report = ran.report();
    if !cfg!(portable) {
        assert_eq!(report["ways"]["hard_link"], 3, "{report}");
        let layer = testing::content::noise(100_000, 1);
        let digest = sha256(&layer);
        let hex = digest.strip_prefix("sha256:").unwrap();
        let here = fs::metadata(root.join("blobs/sha256").join(&hex[..2]).join(hex)).unwrap();
        assert_eq!(here.ino(), fs::metadata(tree.blob("app", &digest)).unwrap().ino());
    }
    let daemon = Daemon::start(PROGRAM, &root, &[]);
    serves(&daemon, &tree, "app", "v1").await;
    drop(daemon);
    fsck(&root);
}

#[tokio::test]
async fn of_two_targets_of_a_tag_the_later_one_stays() {
    let mut tree = Tree::of(Writer::Distribution);
    let first = tree.push_image("app", Some("moved-there"), 1);
    tree.tag("app", "moved-here", &first);
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("data");
    assert_eq!(import(&root, tree.path(), &[]).code, Some(0));
    let daemon = Daemon::start(PROGRAM, &root, &[]);
    let (here, _) = daemon.push_image("app", "moved-here", "pushed here").await;
    let there = tree.push_image("app", Some("moved-there"), 2);
    let link = tree.repository("app").join("_manifests/tags/moved-there/current/link");
    let later = SystemTime::now() + Duration::from_secs(1);
    fs::File::options().write(true).open(link).unwrap().set_modified(later).unwrap();

    let ran = import(&root, tree.path(), &[]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.errors);
    assert_eq!(ran.report()["kept_tags"], json!(["app:moved-here"]));
    let target = async |tag: &str| sha256(&daemon.get(format!("/v2/app/manifests/{tag}")).await.is(200).body);
    assert_eq!(target("moved-there").await, there);
    assert_eq!(target("moved-here").await, here);
}

#[tokio::test]
async fn tags_and_manifests_keep_the_time_at_which_they_were_pushed() {
    let mut tree = Tree::of(Writer::Distribution);
    let day = Duration::from_secs(86_400);
    let at = |path: std::path::PathBuf, days: u32| {
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + day * (19_000 + days)).unwrap();
    };
    // The newest comes first by name, and one has a time that cannot be.
    for (tag, days) in [("a-newest", 300), ("b-oldest", 100), ("c-middle", 200), ("d-future", 40_000)] {
        let digest = tree.push_image("app", Some(tag), u64::from(days));
        let manifests = tree.repository("app").join("_manifests");
        at(manifests.join(format!("tags/{tag}/current/link")), days);
        at(manifests.join(format!("revisions/{}/link", digest.replace(':', "/"))), days - 1);
    }
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("data");
    assert_eq!(import(&root, tree.path(), &[]).code, Some(0));
    let daemon = Daemon::start(PROGRAM, &root, &[]);
    let tags = daemon.get("/api/v1/repositories/app/-/tags?sort=pushed").await.is(200).json();
    let shown: Vec<_> = tags["items"].as_array().unwrap().iter().map(|tag| (&tag["name"], &tag["pushed_at"])).collect();
    let (names, times): (Vec<_>, Vec<_>) = shown.into_iter().unzip();
    assert_eq!(json!(names), json!(["d-future", "a-newest", "c-middle", "b-oldest"]));
    assert_eq!(json!(times[1..]), json!(["2022-11-04T00:00:00Z", "2022-07-27T00:00:00Z", "2022-04-18T00:00:00Z"]));
    let now: jiff::Timestamp = times[0].as_str().unwrap().parse().unwrap();
    assert!(now <= jiff::Timestamp::now(), "{now}");
    let manifest = daemon.get("/api/v1/repositories/app/-/manifests/c-middle").await.is(200).json();
    assert_eq!(manifest["pushed_at"], "2022-07-26T00:00:00Z");
    // Retention goes by it: the one that was pushed last stays.
    let old = home.path().join("settings.toml");
    fs::write(&old, "[[retention]]\nrepositories = [\"**\"]\nkeep_last = 1\n").unwrap();
    let plan = run(&root, &[("REGISTRY_SETTINGS", old.to_str().unwrap())], &["plan"]);
    assert!(
        plan.out.contains("delete  b-oldest") && plan.out.contains("keep    d-future"),
        "{}{}",
        plan.out,
        plan.errors
    );
    // A second import finds everything here.
    assert_eq!(tally(&import(&root, tree.path(), &[]).report(), "tags"), (0, 4, 0));
}

#[tokio::test]
async fn one_image_in_oci_layout_needs_a_name() {
    let mut tree = Tree::of(Writer::Zot);
    tree.push_image("x", Some("v1"), 1);
    let layout = tree.repository("x");
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("data");
    let refused = import(&root, &layout, &[]);
    assert!(refused.code == Some(78) && refused.errors.contains("--repository NAME"), "{}", refused.errors);
    let ran = import(&root, &layout, &["--repository", "tools/x"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.errors);
    let daemon = Daemon::start(PROGRAM, &root, &[]);
    assert_eq!(daemon.tags("tools/x").await, ["v1"]);
}

#[tokio::test]
async fn what_is_no_registry_is_refused_with_words() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("data");
    let empty = tempfile::tempdir().unwrap();
    let refused = import(&root, empty.path(), &[]);
    assert!(refused.code == Some(78) && refused.errors.contains("docker/registry/v2"), "{}", refused.errors);
    let refused = import(&root, &empty.path().join("missing"), &[]);
    assert!(refused.code == Some(78) && refused.errors.contains("no such file or directory"), "{}", refused.errors);
    assert!(!root.exists(), "a refused import makes no store");

    drop(Daemon::start(PROGRAM, &root, &[]));
    let refused = import(&root, &root, &[]);
    assert!(refused.code == Some(78) && refused.errors.contains("of wharfinger itself"), "{}", refused.errors);

    let mut tree = Tree::of(Writer::Distribution);
    tree.push_image("app", Some("v1"), 1);
    let refused = import(&root, tree.path(), &["--repository", "tools/x"]);
    assert!(refused.code == Some(78) && refused.errors.contains("names of their own"), "{}", refused.errors);
    let settings = home.path().join("settings.toml");
    fs::write(&settings, "[operator]\nread_only = true\n").unwrap();
    let dir = tree.path().to_str().unwrap();
    let refused = run(&root, &[("REGISTRY_SETTINGS", settings.to_str().unwrap())], &["import", dir]);
    assert!(refused.code == Some(78) && refused.errors.contains("operator.read_only"), "{}", refused.errors);
    // A daemon over such a directory names the command.
    let refused = run(tree.path(), &[], &["serve"]);
    let printed = refused.out + &refused.errors;
    assert!(printed.contains("wharfinger import DIRECTORY"), "{printed}");
}

#[tokio::test]
async fn the_rules_for_pushes_hold_for_an_import() {
    let mut tree = Tree::of(Writer::Distribution);
    tree.push_image("app", Some("v1"), 1);
    tree.push_image("app", Some("v2"), 2);
    let lost = sha256(&testing::content::noise(100_000, 2));
    fs::remove_file(tree.blob("app", &lost)).unwrap();
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("data");
    // Also where a push could not create the repository.
    let settings = home.path().join("settings.toml");
    fs::write(&settings, "[repositories]\nauto_create = \"never\"\n").unwrap();
    let vars = [("REGISTRY_SETTINGS", settings.to_str().unwrap())];
    let args = ["import", tree.path().to_str().unwrap(), "--json"];
    let ran = run(&root, &vars, &args);
    assert_eq!(ran.code, Some(1));
    assert_eq!(tally(&ran.report(), "manifests"), (1, 0, 1), "{}", ran.out);
    let problems = ran.problems();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems.iter().any(|p| p.contains("is missing")), "{problems:?}");
    assert!(problems.iter().any(|p| p.contains("was refused in app") && p.contains(&lost)), "{problems:?}");
    // A pull-through cache never had every layer.
    fs::write(&settings, "[manifests]\nmissing_references = \"accept\"\n").unwrap();
    let ran = run(&root, &vars, &args);
    assert_eq!(tally(&ran.report(), "manifests"), (1, 1, 0), "{}", ran.out);
}
