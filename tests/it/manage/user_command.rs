//! `wharfinger user`, beside a running daemon and without one.

use crate::PROGRAM;
use serde_json::{Value, json};
use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt,
    process::{Command, Output, Stdio},
    time::Duration,
};
use testing::{managed::Managed, people::password};

const GOOD: &str = "tR4#kq9wLz";

const RULES: &str = r#"{
  "adminUsers": ["admin"],
  "groups": {
    "devs": {"members": ["alice"], "roles": ["dev"]}
  },
  "roles": {"dev": {"permissions": ["VIEW:TASK"]}},
  "rules": []
}
"#;

fn start() -> Managed {
    Managed::start(PROGRAM, |files| {
        files.htpasswd = format!("# Our people.\n{}", files.htpasswd);
        files.rules = RULES.to_owned();
    })
}

struct Ran {
    code: Option<i32>,
    out: String,
    errors: String,
}

/// Runs `wharfinger user` with the configuration of a registry and this standard input.
fn run(registry: &Managed, args: &[&str], stdin: &str) -> Ran {
    let mut child = Command::new(PROGRAM)
        .arg("user")
        .args(args)
        .current_dir(registry.dir())
        .env("REGISTRY_STORAGE_PATH", registry.root())
        .env("REGISTRY_AUTH_TYPE", "basic")
        .env("REGISTRY_AUTH_HTPASSWD", registry.conf("htpasswd"))
        .env("REGISTRY_ACCESS_CONTROL_ENABLED", "true")
        .env("REGISTRY_ACCESS_CONTROL_CONFIG", registry.conf("access-control.json"))
        .env("REGISTRY_SETTINGS", registry.conf("settings.toml"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may end without reading.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    Ran { code: status.code(), out: text(&stdout), errors: text(&stderr) }
}

fn done(registry: &Managed, args: &[&str], stdin: &str) -> String {
    let ran = run(registry, args, stdin);
    assert_eq!((ran.code, ran.errors.as_str()), (Some(0), ""), "{args:?}");
    ran.out
}

#[tokio::test]
async fn a_user_is_added_locked_and_unlocked_beside_the_daemon() {
    let registry = start();
    let people = registry.text("htpasswd");
    assert_eq!(done(&registry, &["add", "carl", "--group", "devs", "--stdin"], GOOD), "added the user carl");
    let text = registry.text("htpasswd");
    assert!(text.starts_with(&people) && text[people.len()..].starts_with("carl:$2"), "{text}");
    let expected = RULES.replace(r#"["alice"]"#, r#"["alice", "carl"]"#);
    assert_eq!(registry.text("access-control.json"), expected);
    let carl = registry.caller(Some(password("carl", GOOD)));
    let within = Duration::from_secs(5);
    registry.until(within, "carl is not read", async || carl.get("/tasks").await.status == 200).await;

    assert_eq!(done(&registry, &["lock", "carl"], ""), "locked carl");
    registry.until(within, "carl is not locked", async || carl.get("/tasks").await.status == 401).await;
    let listed: Value = serde_json::from_str(&done(&registry, &["list", "--json"], "")).unwrap();
    let of_carl = listed.as_array().unwrap().iter().find(|user| user["username"] == "carl").unwrap();
    assert_eq!((&of_carl["locked"], &of_carl["groups"]), (&json!(true), &json!(["devs"])));
    let lines = done(&registry, &["list"], "");
    assert_eq!(lines, "admin  administrator\nalice  @devs\nbob\ncarl  locked  @devs");
    assert_eq!(done(&registry, &["unlock", "carl"], ""), "unlocked carl");
    registry.until(within, "carl is still locked", async || carl.get("/tasks").await.status == 200).await;
    assert_eq!(registry.text("htpasswd"), text);
}

#[tokio::test]
async fn a_user_is_added_while_the_daemon_is_down_and_before_its_first_start() {
    let registry = start();
    registry.signal("KILL");
    let secret = registry.dir().join("secret");
    fs::write(&secret, format!("{GOOD}\n")).unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    done(&registry, &["add", "carl", "--password-file", secret.to_str().unwrap()], "");
    fs::remove_dir_all(registry.root()).unwrap();
    assert_eq!(done(&registry, &["add", "ci", "--robot"], ""), "added the robot ci");
    assert!(registry.text("htpasswd").ends_with("ci:!\n"));
    assert!(!registry.root().exists(), "only files are edited");
    done(&registry, &["lock", "carl"], "");
    assert!(done(&registry, &["list"], "").ends_with("carl  locked\nci  robot"));
}

#[tokio::test]
async fn the_name_of_a_deleted_user_is_given_again_only_on_purpose() {
    let registry = start();
    registry.admin().delete("/users/alice").await.is(204);
    let refused = run(&registry, &["add", "alice", "--stdin"], GOOD);
    assert_eq!(refused.code, Some(1));
    assert!(refused.errors.contains("a deleted user had the name \"alice\"; to give it again, add --reuse-name"));
    done(&registry, &["add", "alice", "--stdin", "--reuse-name"], GOOD);
    let alice = registry.caller(Some(password("alice", GOOD)));
    registry
        .until(Duration::from_secs(5), "alice is not read", async || alice.client.get("/v2/").await.status == 200)
        .await;
    registry.admin().delete("/users/alice").await.is(204);
    registry.admin().post("/users", &json!({ "username": "alice", "password": GOOD })).await.refused(409, "NAME_TAKEN");
}

#[tokio::test]
async fn mistakes_are_named_and_nothing_is_written() {
    let registry = start();
    let (people, rules) = (registry.text("htpasswd"), registry.text("access-control.json"));
    for (args, stdin, code, error) in [
        (&["add", "alice", "--stdin"][..], GOOD, 1, "user \"alice\" exists already"),
        (&["add", "carl", "--stdin"], "short", 1, "the password must have at least 10 bytes, not 5"),
        (&["add", "carl", "--stdin"], "", 1, "the password must have at least 10 bytes, not 0"),
        (&["add", "carl"], "", 2, "there is no terminal"),
        (&["add", "carl", "--group", "dev", "--stdin"], GOOD, 1, "there is no group \"dev\"; did you mean \"devs\"?"),
        (&["add", "a/b", "--stdin"], GOOD, 1, "must not contain /"),
        (&["add", "carl", "--password-file", "/absent"], "", 1, "cannot read /absent"),
        (&["add", "carl", "--password", GOOD], "", 2, "unexpected argument"),
        (&["add", "carl", "--robot", "--stdin"], "", 2, "cannot be used with"),
        (&["lock", "nobody"], "", 1, "there is no user \"nobody\""),
        (&["lock", "admin"], "", 1, "this would leave no administrator who can log in"),
    ] {
        let ran = run(&registry, args, stdin);
        assert!(ran.code == Some(code) && ran.errors.contains(error), "{args:?}: {:?} {}", ran.code, ran.errors);
        assert!(!ran.errors.contains(GOOD) || args.contains(&GOOD), "{}", ran.errors);
    }
    assert_eq!((registry.text("htpasswd"), registry.text("access-control.json")), (people, rules));
    fs::write(registry.conf("access-control.json"), "{").unwrap();
    let broken = run(&registry, &["lock", "bob"], "");
    assert!(broken.code == Some(78) && broken.errors.contains("access-control.json:1"), "{}", broken.errors);
}
