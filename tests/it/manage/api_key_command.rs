//! `wharfinger api-key`, beside a running daemon and before its first start.

use crate::PROGRAM;
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    process::{Command, Output},
    time::Duration,
};
use testing::{
    managed::Managed,
    people::{htpasswd, password},
};

#[tokio::test]
async fn keys_in_a_directory_of_the_operator_work_and_cannot_be_changed() {
    let registry = start();
    let made = run(&registry, &["api-key", "create", "alice", "--json"]);
    let made: Value = serde_json::from_str(&made.out).unwrap();
    let (id, secret) = (made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    let record = fs::read_to_string(registry.root().join(format!("identity/api-keys/{id}.json"))).unwrap();
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("0011223344556677.json"), "{}").unwrap();
    fs::write(dir.path().join("README"), "Keys of the pipelines.").unwrap();
    let other = Managed::start(PROGRAM, |files| {
        files.settings = "[reload]\npoll_seconds = 1\n".to_owned();
        files.vars.push(("REGISTRY_API_KEYS", dir.path().display().to_string()));
    });
    other.logged("0011223344556677.json");
    let client = other.caller(Some(password("alice", secret))).client;
    client.get("/v2/").await.refused(401, "UNAUTHORIZED");
    let path = dir.path().join(format!("{id}.json"));
    fs::write(&path, record).unwrap();
    let is_good = async || client.get("/v2/").await.status == 200;
    other.until(Duration::from_secs(10), "the key is not read", is_good).await;
    let admin = other.admin();
    let listed = admin.get("/keys?owner=*").await.is(200).json();
    assert_eq!((&listed["items"][0]["id"], &listed["items"][0]["read_only"]), (&json!(id), &json!(true)));
    admin.delete(&format!("/keys/{id}")).await.refused(409, "READ_ONLY_FILE");
    admin.patch(&format!("/keys/{id}"), &json!({ "name": "x" })).await.refused(409, "READ_ONLY_FILE");
    fs::remove_file(path).unwrap();
    let has_ended = async || client.get("/v2/").await.status == 401;
    other.until(Duration::from_secs(10), "the key is still good", has_ended).await;
}

pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub errors: String,
}

/// Runs a command with the configuration of a registry.
pub fn run(registry: &Managed, args: &[&str]) -> Ran {
    let file = |name: &str| registry.conf(name);
    let ran = Command::new(PROGRAM)
        .args(args)
        .current_dir(registry.dir())
        .env("REGISTRY_STORAGE_PATH", registry.root())
        .env("REGISTRY_AUTH_TYPE", "basic")
        .env("REGISTRY_AUTH_HTPASSWD", file("htpasswd"))
        .env("REGISTRY_ACCESS_CONTROL_ENABLED", "true")
        .env("REGISTRY_ACCESS_CONTROL_CONFIG", file("access-control.json"))
        .env("REGISTRY_SETTINGS", file("settings.toml"))
        .output()
        .unwrap();
    ran_of(&ran)
}

pub fn ran_of(ran: &Output) -> Ran {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    Ran { code: ran.status.code(), out: text(&ran.stdout), errors: text(&ran.stderr) }
}

fn start() -> Managed {
    Managed::start(PROGRAM, |files| {
        files.htpasswd = htpasswd(&["admin", "alice"]) + "ci:!\nlocked:!" + htpasswd(&["x"]).split_once(':').unwrap().1;
    })
}

#[tokio::test]
async fn a_key_made_beside_the_daemon_works_at_once_and_ends_at_once() {
    let registry = start();
    let made = run(&registry, &["api-key", "create", "admin", "--scope", "repository:team/*:push", "--expires", "90d"]);
    assert_eq!((made.code, made.errors.as_str()), (Some(0), ""));
    let client = registry.caller(Some(password("admin", &made.out))).client;
    client.get("/v2/").await.is(200);
    client.push_empty_index("team/app", "v1").await;
    client.get("/v2/team/app/manifests/v1").await.refused(403, "DENIED");
    let listed = run(&registry, &["api-key", "list", "admin", "--json"]);
    let listed: Value = serde_json::from_str(&listed.out).unwrap();
    let id = listed[0]["id"].as_str().unwrap();
    assert!(made.out.starts_with(&format!("whf_{id}_")) && listed[0]["expires_at"].is_string());
    assert_eq!((&listed[0]["owner"], &listed[0]["scopes"]), (&json!("admin"), &json!(["repository:team/*:push"])));
    let by_api = registry.admin().get("/keys").await.is(200).json();
    assert_eq!(
        (&by_api["items"][0]["id"], &by_api["items"][0]["created_by"]),
        (&json!(id), &json!("the command line"))
    );
    assert!(run(&registry, &["api-key", "list"]).out.contains(id));
    assert_eq!(run(&registry, &["api-key", "list", "alice"]).out, "");
    assert_eq!(run(&registry, &["api-key", "delete", id]).code, Some(0));
    client.get("/v2/").await.refused(401, "UNAUTHORIZED");
    let again = run(&registry, &["api-key", "delete", id]);
    assert_eq!((again.code, again.errors), (Some(1), format!("wharfinger: there is no API key {id}")));
}

#[tokio::test]
async fn a_key_can_be_written_to_a_file_that_only_its_owner_reads() {
    let registry = start();
    let path = registry.dir().join("key");
    let file = path.to_str().unwrap();
    let made = run(&registry, &["api-key", "create", "ci", "--output-file", file]);
    assert_eq!(made.code, Some(0), "{}", made.errors);
    let secret = fs::read_to_string(&path).unwrap();
    assert!(!made.out.contains(secret.trim()));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    registry.caller(Some(password("ci", secret.trim()))).client.get("/v2/").await.is(200);
    let again = run(&registry, &["api-key", "create", "ci", "--output-file", file]);
    assert!(again.code == Some(1) && again.errors.contains("the file exists"), "{}", again.errors);
    let listed: Value = serde_json::from_str(&run(&registry, &["api-key", "list", "--json"]).out).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 1, "the key that nobody could read is gone");
}

#[tokio::test]
async fn a_first_key_may_come_before_the_first_start_and_mistakes_are_named() {
    let registry = start();
    let (root, moved) = (registry.root(), registry.dir().join("later"));
    let before = |args: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command.args(args).env("REGISTRY_STORAGE_PATH", &moved).env("REGISTRY_AUTH_TYPE", "basic");
        ran_of(&command.env("REGISTRY_AUTH_HTPASSWD", registry.conf("htpasswd")).output().unwrap())
    };
    assert_eq!(before(&["api-key", "list"]).code, Some(78), "there is no store to look at");
    let made = before(&["api-key", "create", "admin", "--scope", "ADMIN:SYSTEM", "--json"]);
    let made: Value = serde_json::from_str(&made.out).unwrap();
    assert_eq!((&made["scopes"], &made["expires_at"]), (&json!(["ADMIN:SYSTEM"]), &Value::Null));
    assert!(moved.join(format!("identity/api-keys/{}.json", made["id"].as_str().unwrap())).is_file());
    assert!(root.is_dir());
    for (args, code, error) in [
        (&["create", "nobody"][..], 1, "there is no user \"nobody\""),
        (&["create", "locked"], 1, "user \"locked\" is locked"),
        (&["create", "alice", "--scope", "repository:A:pull"], 2, "characters of repository names"),
        (&["create", "alice", "--expires", "90"], 2, "such as 90d"),
        (&["create", "alice", "--name", ""], 2, "a name has 1 to 100 bytes"),
        (&["delete", "x"], 2, "lowercase hexadecimal digits"),
    ] {
        let ran = run(&registry, &[&["api-key"], args].concat());
        assert!(ran.code == Some(code) && ran.errors.contains(error), "{args:?}: {:?} {}", ran.code, ran.errors);
    }
}
