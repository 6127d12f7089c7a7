//! Users, groups, roles, keys, settings, and what administrators do.

use crate::rig::{Person, password, registry};

#[test]
fn users_groups_and_roles_are_managed() {
    let registry = registry(|_| {});
    let admin = Person::logged_in(&registry, "admin");
    admin.types_with("correct horse battery\n", &["user", "create", "carl", "--password-stdin"]).succeeds();
    let generated = admin.types(&["user", "create", "dora", "--generate"]).succeeds();
    assert_eq!(generated.trim().len(), 24);
    let dora = Person::new(&registry);
    dora.types_with(&generated, &["login", dora.server(), "-u", "dora", "--password-stdin"]).succeeds();
    admin.types(&["group", "create", "devs", "-d", "Who writes the code", "-r", "developer"]).succeeds();
    admin.types(&["user", "groups", "carl", "-g", "devs"]).succeeds();
    admin.types(&["group", "members", "devs", "--add", "dora"]).succeeds();
    assert_eq!(admin.types(&["group", "members", "devs", "-q"]).succeeds(), "carl\ndora\n");
    admin.types(&["user", "groups", "carl", "--remove", "devs"]).succeeds();
    assert_eq!(admin.types(&["user", "list", "--group", "devs", "-q"]).succeeds(), "dora\n");
    let role = ["role", "create", "pusher", "--add", "PUSH:IMAGE", "--repositories", "team/**"];
    admin.types(&role).succeeds();
    admin.types(&["role", "update", "pusher", "--add", "PULL:IMAGE", "--remove", "PUSH:IMAGE"]).succeeds();
    let pusher = admin.types(&["role", "show", "pusher", "--json"]).json();
    assert_eq!(pusher["permissions"], serde_json::json!(["PULL:IMAGE"]));
    let access = admin.types(&["user", "access", "carl", "--add", "team/app:push", "--dry-run"]).succeeds();
    assert!(access.contains("+") && access.contains("team/app"), "{access}");
    admin.types(&["user", "access", "carl", "--add", "team/app:push"]).succeeds();
    admin.types(&["can", "push", "team/app", "--user", "carl"]).succeeds();

    admin.types(&["user", "lock", "dora"]).succeeds();
    dora.types(&["whoami"]).fails(3);
    assert!(admin.types(&["user", "delete", "dora"]).fails(2).contains("Give --yes"));
    admin.types(&["user", "delete", "dora", "--yes"]).succeeds();
    admin.types(&["user", "show", "dora"]).fails(4);
    // The file is the operator's own.
    assert!(!registry.text("htpasswd").contains("dora:"));
    dora.types(&["user", "list"]).fails(3);
}

#[test]
fn a_key_works_until_it_is_deleted() {
    let registry = registry(|_| {});
    let alice = Person::logged_in(&registry, "alice");
    alice.types(&["key", "create", "ci", "--scope", "repository:alice/**:pull", "--output-file", "key"]).succeeds();
    let ci = Person::new(&registry);
    let key = std::fs::read_to_string(alice.path("key")).unwrap();
    ci.types_with(&key, &["login", ci.server(), "--key-stdin"]).succeeds();
    assert_eq!(ci.types(&["whoami", "-q"]).succeeds(), "alice\n");
    ci.has_image("image", 20);
    ci.types(&["push", "image", "alice/app:v1"]).fails(5);
    let id = alice.types(&["key", "list", "-q"]).succeeds();
    alice.types(&["key", "delete", id.trim(), "--yes"]).succeeds();
    ci.types(&["whoami"]).fails(3);
}

#[test]
fn settings_are_read_and_changed() {
    let registry = registry(|_| {});
    let admin = Person::logged_in(&registry, "admin");
    admin.types(&["settings", "update", "operator", "-s", "message=We move on Friday."]).succeeds();
    assert_eq!(admin.types(&["settings", "get", "operator", "message"]).succeeds(), "We move on Friday.\n");
    assert!(registry.text("settings.toml").starts_with("# Our settings.\n"), "{}", registry.text("settings.toml"));
    assert!(admin.types(&["settings", "update", "operator", "-s", "mesage=x"]).fails(1).contains("mesage"));
    admin.types(&["settings", "get", "operator", "nothing"]).fails(4);
    admin.types(&["settings", "reset", "operator", "--yes"]).succeeds();
    assert_eq!(admin.types(&["settings", "get", "operator", "message"]).succeeds(), "\n");
    Person::logged_in(&registry, "alice").types(&["settings", "get", "operator"]).fails(5);
}

#[test]
fn work_of_the_server_is_started_and_watched() {
    let registry = registry(|_| {});
    let admin = Person::logged_in(&registry, "admin");
    let done = admin.types(&["admin", "gc", "--dry-run", "--json"]).json();
    assert_eq!((&done["status"], &done["kind"]), (&"completed".into(), &"collection".into()));
    let id = admin.types(&["admin", "fsck", "--detach"]).succeeds();
    let checked = admin.types(&["task", "watch", id.trim(), "--json"]).json();
    assert_eq!(checked["status"], "completed");
    assert!(admin.types(&["task", "list", "-q"]).succeeds().lines().count() >= 2);
    let audit = admin.types(&["admin", "audit", "-n", "1", "--json"]).json();
    assert_eq!(audit.as_array().unwrap().len(), 1);
    let config = admin.types(&["admin", "config", "access-control"]).succeeds();
    assert_eq!(config, registry.text("access-control.json"));
}

#[test]
fn repositories_are_created_changed_and_deleted_by_name() {
    let registry = registry(|_| {});
    let alice = Person::logged_in(&registry, "alice");
    alice.types(&["repo", "create", "alice/tool", "--public", "-d", "Checks things"]).succeeds();
    assert_eq!(
        Person::new(&registry).types(&["--server", alice.server(), "repo", "list", "-q"]).succeeds(),
        "alice/tool\n"
    );
    alice.types(&["repo", "edit", "alice/tool", "-d", ""]).succeeds();
    assert!(alice.types(&["repo", "show", "alice/tool", "--json"]).json()["description"].is_null());
    alice.types(&["image", "visibility", "alice/tool", "private"]).succeeds();
    alice.types(&["image", "visibility", "alice/tool", "secret"]).fails(2);
    alice.types(&["repo", "delete", "alice/tool", "--confirm", "alice/too"]).fails(2);
    alice.types(&["repo", "delete", "alice/tool"]).fails(2);
    alice.types(&["repo", "delete", "alice/tool", "--confirm", "alice/tool"]).succeeds();
    alice.types(&["repo", "show", "alice/tool"]).fails(4);
}

#[test]
fn any_request_can_be_sent() {
    let registry = registry(|_| {});
    let admin = Person::logged_in(&registry, "admin");
    let made = admin.types(&["api", "POST", "/groups", "-d", r#"{"name":"ops","roles":["reader"]}"#, "--json"]).json();
    assert_eq!(made["name"], "ops");
    assert_eq!(admin.types(&["api", "get", "/groups?n=10"]).json()["items"][0]["name"], "ops");
    assert_eq!(admin.types(&["api", "DELETE", "/groups/ops"]).succeeds(), "");
    admin.types(&["api", "GET", "/groups/ops"]).fails(4);
    admin.types(&["api", "POST", "/groups", "-d", "{"]).fails(2);
}

#[test]
fn images_are_migrated_from_another_registry() {
    let source = registry(|_| {});
    let here = registry(|files| files.settings = "[migration]\nallow_private = [\"127.0.0.1/32\"]\n".to_owned());
    let owner = Person::logged_in(&source, "admin");
    owner.has_image("image", 20);
    owner.types(&["push", "image", "team/app:v1"]).succeeds();
    let (admin, secret) = (Person::logged_in(&here, "admin"), password("admin"));
    let from = format!("http://{}", source.address());
    let login = ["-u", "admin", "--password-stdin"];
    let found = admin.types_with(&secret, &[&["migrate", "browse", &from], &login[..]].concat()).succeeds();
    assert!(found.contains("team/app"), "{found}");
    let start = ["migrate", "start", from.as_str(), "team/*"];
    let plan = admin.types_with(&secret, &[&start, &login[..], &["--dry-run"]].concat()).succeeds();
    assert!(plan.contains("team/app:v1"), "{plan}");
    admin.types(&["ls", "team/app"]).fails(4);
    admin.types_with(&secret, &[&start, &login[..], &["--prefix", "mirror"]].concat()).succeeds();
    assert!(admin.types(&["ls", "mirror/team/app"]).succeeds().contains("v1"));
    // Without a login there is nothing to see there.
    admin.types(&start).fails(1);
    let ids = admin.types(&["migrate", "list", "-q"]).succeeds();
    let ids: Vec<&str> = ids.lines().collect();
    assert_eq!(ids.len(), 3);
    let shown = admin.types(&["migrate", "status", ids[1], "--json"]).json();
    assert_eq!((&shown["status"], &shown["migration"]["images"]["total"]), (&"completed".into(), &1.into()));
    let images = admin.types(&["migrate", "status", ids[1], "--images", "--json"]).json();
    assert_eq!(images[0]["target"], "mirror/team/app:v1");
    admin.types(&["migrate", "resume", ids[1]]).fails(6);
    admin.types_with(&secret, &[&["migrate", "resume", ids[0]], &login[..]].concat()).succeeds();
    admin.types(&["migrate", "cancel", ids[0]]).fails(6);
    // The password of the source is an argument of nothing.
    admin.types(&[&start[..], &["--password", "x"]].concat()).fails(2);
}
