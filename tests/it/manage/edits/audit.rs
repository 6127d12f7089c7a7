//! The audit log: every write of the API, by whom, from where, and what it did to the files.

use super::{super::api_key_command::run, GOOD, start};
use http::Method;
use serde_json::{Value, json};
use std::process::Command;
use testing::{managed::Managed, session::sha256};

/// The newest entries, newest first.
async fn entries(registry: &Managed, query: &str) -> Vec<Value> {
    let list = registry.admin().get(&format!("/audit{query}")).await.is(200).json();
    list["items"].as_array().unwrap().clone()
}

/// Actor, action and target of the newest entry.
async fn newest(registry: &Managed) -> (String, String, String) {
    let entry = entries(registry, "?n=1").await[0].clone();
    let text = |key: &str| entry[key].as_str().unwrap().to_owned();
    (text("actor"), text("action"), text("target"))
}

fn hash(registry: &Managed, file: &str) -> String {
    sha256(registry.text(file).as_bytes()).trim_start_matches("sha256:")[..32].to_owned()
}

#[tokio::test]
async fn an_edit_of_files_is_recorded_with_the_hashes_before_and_after() {
    let registry = start();
    let admin = registry.admin();
    let before = (hash(&registry, "htpasswd"), hash(&registry, "access-control.json"));
    let new = json!({ "username": "carl", "password": GOOD, "groups": ["devs"] });
    let made = admin.post("/users", &new).await.is(201);
    let after = (hash(&registry, "htpasswd"), hash(&registry, "access-control.json"));
    let entry = entries(&registry, "").await[0].clone();
    assert_eq!((&entry["actor"], &entry["action"]), (&json!("admin"), &json!("create_user")));
    assert_eq!((&entry["target"], &entry["address"]), (&json!("carl"), &json!("127.0.0.1")));
    assert_eq!(entry["request_id"], made.header("x-request-id"));
    let file = |name: &str, before: &str, after: &str| json!({ "file": name, "before": before, "after": after });
    assert_eq!(
        entry["files"],
        json!([file("htpasswd", &before.0, &after.0), file("access-control", &before.1, &after.1)])
    );
    assert!(entry["time"].as_str().unwrap().ends_with('Z'));
    assert!(!registry.logged("changed through the API").contains(GOOD));

    // What is refused, read or only tried is no change.
    admin.post("/users", &new).await.refused(409, "NAME_TAKEN");
    let tried = json!({ "repository": "a", "actions": ["pull"], "dry_run": true });
    admin.post("/users/bob/access", &tried).await.is(200);
    admin.post("/config/check", &json!({ "file": "settings", "text": "" })).await.is(200);
    admin.get("/users").await.is(200);
    assert_eq!(entries(&registry, "").await.len(), 1);
}

#[tokio::test]
async fn every_kind_of_write_is_recorded_with_its_caller_and_target() {
    let registry = start();
    let admin = registry.admin();
    let expect = async |actor: &str, action: &str, target: &str| {
        assert_eq!(newest(&registry).await, (actor.to_owned(), action.to_owned(), target.to_owned()));
    };
    admin.post("/repositories", &json!({ "name": "lab/app" })).await.is(201);
    expect("admin", "create_repository", "lab/app").await;
    admin.put("/repositories/lab/app/-/visibility", &json!({ "visibility": "public" })).await.is(200);
    expect("admin", "set_visibility", "lab/app").await;
    let (digest, _) = admin.client.push_image("lab/app", "v1", "x").await;
    admin.put("/repositories/lab/app/-/tags/v2", &json!({ "digest": digest })).await.is(200);
    expect("admin", "set_tag", "lab/app:v2").await;
    let tags = |dry_run: bool| json!({ "tags": ["v2"], "dry_run": dry_run });
    admin.post("/repositories/lab/app/-/tags/delete", &tags(true)).await.is(200);
    expect("admin", "set_tag", "lab/app:v2").await;
    admin.post("/repositories/lab/app/-/tags/delete", &tags(false)).await.is(200);
    expect("admin", "delete_tags", "lab/app").await;
    admin.delete("/repositories/lab/app").await.is(202);
    expect("admin", "delete_repository", "lab/app").await;
    admin.post("/namespaces", &json!({ "name": "shed" })).await.is(201);
    expect("admin", "create_namespace", "shed").await;
    admin.delete("/namespaces/shed").await.is(204);
    expect("admin", "delete_namespace", "shed").await;

    let alice = registry.user("alice");
    let key = alice.post("/keys", &json!({ "name": "ci", "scopes": ["repository:a:pull"] })).await.is(201).json();
    let id = key["id"].as_str().unwrap();
    expect("alice", "create_key", id).await;
    alice.patch(&format!("/keys/{id}"), &json!({ "name": "build" })).await.is(200);
    expect("alice", "change_key", id).await;
    alice.delete(&format!("/keys/{id}")).await.is(204);
    expect("alice", "delete_key", id).await;

    let task = admin.post("/gc", &json!({ "dry_run": true })).await.is(202).json();
    expect("admin", "start_collection", task["task_id"].as_str().unwrap()).await;
    admin.post("/config/reload", &json!({})).await.is(200);
    expect("admin", "reload_config", "reload").await;
    admin.patch("/settings/operator", &json!({ "message": "moving" })).await.is(200);
    expect("admin", "update_settings", "operator").await;
}

#[tokio::test]
async fn logins_and_the_ends_of_sessions_are_recorded_by_their_users() {
    let registry = start();
    let nobody = registry.nobody();
    let login = |user: &str| json!({ "username": user, "password": format!("{user}!") });
    let answer = nobody.post("/auth/login", &login("admin")).await.is(200).json();
    assert_eq!(newest(&registry).await, ("admin".into(), "login".into(), "admin".into()));
    nobody.post("/auth/refresh", &json!({ "refresh_token": answer["refresh_token"] })).await.is(200);
    nobody.post("/auth/logout", &json!({})).await.is(204);
    assert_eq!(entries(&registry, "").await.len(), 1, "nothing ended, and a refresh is no change");
    let session = registry.caller(Some(format!("Bearer {}", answer["token"].as_str().unwrap())));
    session.post("/auth/logout", &json!({})).await.is(204);
    assert_eq!(newest(&registry).await, ("admin".into(), "logout".into(), "admin".into()));
    nobody.post("/auth/login", &login("admin")).await.is(200);
    let sessions = registry.admin().get("/auth/sessions").await.is(200).json();
    let sid = sessions["items"][0]["sid"].as_str().unwrap().to_owned();
    registry.admin().delete(&format!("/auth/sessions/{sid}")).await.is(204);
    assert_eq!(newest(&registry).await, ("admin".into(), "end_session".into(), sid));
    nobody.post("/auth/login", &json!({ "username": "admin", "password": "guess" })).await.refused(401, "UNAUTHORIZED");
    assert_eq!(entries(&registry, "").await.len(), 4);
}

#[tokio::test]
async fn commands_are_recorded_beside_the_daemon_with_the_user_of_the_system() {
    let registry = start();
    let admin = registry.admin();
    let me = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
    let done = |args: &[&str]| {
        let ran = run(&registry, args);
        assert_eq!((ran.code, ran.errors.as_str()), (Some(0), ""), "{args:?}");
        ran.out
    };
    let expect = async |action: &str, target: &str| {
        let entry = entries(&registry, "?n=1").await[0].clone();
        assert_eq!((&entry["actor"], &entry["from"]), (&json!(me.trim()), &json!("command line")));
        assert_eq!((&entry["action"], &entry["target"]), (&json!(action), &json!(target)));
        assert!(entry["address"].is_null() && entry["request_id"].is_null(), "{entry}");
        entry
    };
    admin.put("/groups/g0", &json!({})).await.is(200);
    assert!(entries(&registry, "?n=1").await[0]["from"].is_null());

    let before = hash(&registry, "htpasswd");
    done(&["user", "add", "bot", "--robot"]);
    let added = expect("create_user", "bot").await;
    let after = hash(&registry, "htpasswd");
    assert_eq!(added["files"], json!([{ "file": "htpasswd", "before": before, "after": after }]));
    done(&["user", "lock", "alice"]);
    expect("update_user", "alice").await;
    let key: Value = serde_json::from_str(&done(&["api-key", "create", "bot", "--json"])).unwrap();
    let id = key["id"].as_str().unwrap();
    expect("create_key", id).await;
    done(&["api-key", "delete", id]);
    expect("delete_key", id).await;
    done(&["repo", "create", "lab/app"]);
    expect("create_repository", "lab/app").await;
    // Between two commands the daemon appends to the same file.
    admin.put("/groups/g1", &json!({})).await.is(200);
    done(&["repo", "delete", "lab/app", "--confirm", "lab/app"]);
    expect("delete_repository", "lab/app").await;

    // What is refused or only read is no change.
    let count = entries(&registry, "").await.len();
    assert_eq!(run(&registry, &["user", "add", "bot", "--robot"]).code, Some(1));
    assert_eq!(run(&registry, &["repo", "delete", "lab/app", "--confirm", "lab/app"]).code, Some(1));
    done(&["user", "list"]);
    done(&["api-key", "list"]);
    done(&["repo", "list"]);
    assert_eq!((entries(&registry, "").await.len(), count), (8, 8));
    let audit = std::fs::read_dir(registry.root().join("state/audit")).unwrap();
    let text: String = audit.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect();
    assert!(!text.contains(key["secret"].as_str().unwrap()) && text.lines().count() == 8, "{text}");
}

#[tokio::test]
async fn the_log_is_read_in_pages_by_administrators_only() {
    let registry = start();
    let admin = registry.admin();
    for n in 0..5 {
        admin.put(&format!("/groups/g{n}"), &json!({})).await.is(200);
    }
    let first = admin.get("/audit?n=2").await.is(200);
    let second = admin.get(first.next().unwrap().strip_prefix("/api/v1").unwrap()).await.is(200);
    let third = admin.get(second.next().unwrap().strip_prefix("/api/v1").unwrap()).await.is(200);
    let targets: Vec<_> = [&first, &second, &third]
        .iter()
        .flat_map(|page| page.json()["items"].as_array().unwrap().clone())
        .map(|entry| entry["target"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!((targets.join(" "), third.next()), ("g4 g3 g2 g1 g0".to_owned(), None));
    registry.user("mia").get("/audit").await.refused(403, "DENIED");
    registry.nobody().get("/audit").await.refused(401, "UNAUTHORIZED");
    admin.ask(Method::DELETE, "/audit").send().await.refused(405, "UNSUPPORTED");
}
