//! `wharfinger init`, in directories of its own.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper fails the test it is called by")]

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output, Stdio},
};
use testing::{daemon::Daemon, people::password};

const PROGRAM: &str = env!("CARGO_BIN_EXE_wharfinger");

fn run(dir: &Path, args: &[&str], stdin: &str) -> Output {
    let mut command = Command::new(PROGRAM);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("REGISTRY_")) {
        command.env_remove(name);
    }
    command.args(args).current_dir(dir).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn a_new_configuration_serves_its_administrator_and_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let done = run(dir.path(), &["init"], "");
    assert!(done.status.success(), "{}", text(&done.stderr));
    let said = text(&done.stdout);
    let secret = said.lines().find_map(|line| line.strip_prefix("password  ")).unwrap();
    let secret = secret.split_whitespace().next().unwrap();
    for name in ["htpasswd", "access-control.json", "settings.toml", ".env"] {
        let file = dir.path().join(name);
        assert!(said.contains(&format!("created ./{name}")), "{said}");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o077, 0, "{name}");
        assert!(!fs::read_to_string(&file).unwrap().contains(secret), "{name}");
    }
    assert!(run(dir.path(), &["check"], "").status.success());
    let daemon = Daemon::start(PROGRAM, &dir.path().join("data"), &[]);
    let admin = daemon.authorized(password("admin", secret));
    admin.push_image("anything/app", "v1", "x").await;
    daemon.get("/v2/anything/app/manifests/v1").await.refused(401, "UNAUTHORIZED");
    // A user whom the administrator adds has their own namespace.
    assert!(run(dir.path(), &["htpasswd", "add", "alice", "--stdin"], "her password\n").status.success());
    let alice = daemon.authorized(password("alice", "her password"));
    let reads = async || alice.get("/v2/").await.status == 200;
    daemon.until(std::time::Duration::from_secs(10), "alice cannot log in", reads).await;
    alice.push_image("alice/app", "v1", "x").await;
    alice.get("/v2/anything/app/manifests/v1").await.refused(403, "DENIED");
}

#[test]
fn nothing_is_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("htpasswd"), "# mine\n").unwrap();
    let refused = run(dir.path(), &["init"], "");
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("./htpasswd exists already"), "{}", text(&refused.stderr));
    assert_eq!(fs::read_to_string(dir.path().join("htpasswd")).unwrap(), "# mine\n");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no other file was written");
}

#[test]
fn user_and_password_can_be_given_and_the_directory_is_created() {
    let dir = tempfile::tempdir().unwrap();
    let conf = dir.path().join("etc/my registry");
    let conf = conf.to_str().unwrap();
    let args = ["init", "--dir", conf, "--user", "al\"ice", "--password-file", "-"];
    let done = run(dir.path(), &args, "correct horse\n");
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert!(!text(&done.stdout).contains("password  ") && !text(&done.stdout).contains("correct horse"));
    let file = format!("{conf}/htpasswd");
    let args = ["htpasswd", "verify", "al\"ice", "--stdin", "--file", &file];
    assert!(run(dir.path(), &args, "correct horse\n").status.success());
    // Read in that directory, its .env names the other files.
    let checked = run(Path::new(conf), &["check"], "");
    assert!(checked.status.success(), "{}", text(&checked.stderr));
    for (user, secret) in [("alice", ""), ("alice", &*"x".repeat(72)), ("a:b", "secret"), ("*", "secret")] {
        let empty = tempfile::tempdir().unwrap();
        let refused = run(empty.path(), &["init", "--user", user, "--password-file", "-"], secret);
        assert_eq!(refused.status.code(), Some(1), "{user}");
        assert_eq!(fs::read_dir(empty.path()).unwrap().count(), 0, "{user}");
    }
}

#[test]
fn a_directory_that_is_given_by_a_relative_path_can_be_used_from_within() {
    let dir = tempfile::tempdir().unwrap();
    let done = run(dir.path(), &["init", "--dir", "conf"], "");
    assert!(done.status.success(), "{}", text(&done.stderr));
    let checked = run(&dir.path().join("conf"), &["check"], "");
    assert!(checked.status.success(), "{}{}", text(&checked.stdout), text(&checked.stderr));
}

#[tokio::test]
async fn wiping_needs_the_directory_typed_and_no_daemon() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("data");
    let daemon = Daemon::start(PROGRAM, &root, &[]);
    daemon.push_image("app", "v1", "x").await;
    let data = root.to_str().unwrap();
    let wipe =
        |confirm: &[&str]| run(dir.path(), &[&["init", "--wipe-data", "--storage-path", data], confirm].concat(), "");
    let locked = wipe(&["--confirm", data]);
    assert_eq!(locked.status.code(), Some(78), "{}", text(&locked.stderr));
    daemon.kill();
    assert_eq!(wipe(&[]).status.code(), Some(1));
    assert_eq!(wipe(&["--confirm", "data"]).status.code(), Some(1));
    assert!(root.join("repositories/app").exists());
    let wiped = wipe(&["--confirm", data]);
    assert!(wiped.status.success(), "{}", text(&wiped.stderr));
    assert!(!root.join("repositories/app").exists());
    let daemon = Daemon::start(PROGRAM, &root, &[]);
    daemon.get("/v2/app/manifests/v1").await.refused(404, "MANIFEST_UNKNOWN");
}
