//! API keys: made, used as a password and as a token, limited, and ended.

use crate::PROGRAM;
use http::Method;
use serde_json::{Value, json};
use std::fs;
use testing::{
    managed::{ApiSession, Managed},
    people::{htpasswd, password},
    session::{Client, Reply, index},
};

/// `alice` may do anything below `team`, `robot` too. `bob` and `mona` are ordinary users; `mona` manages users.
const RULES: &str = r#"{
  "defaultPolicy": "deny",
  "adminUsers": ["admin"],
  "groups": {"managers": {"members": ["mona"], "roles": ["managers"]}},
  "roles": {"managers": {"permissions": ["VIEW:USER", "UPDATE:USER"]}},
  "rules": [
    {"repository": "open/**", "users": ["anonymous", "*"], "permissions": ["pull"]},
    {"repository": "team/**", "users": ["alice", "robot"], "permissions": ["pull", "push", "delete"]}
  ]
}
"#;

fn start(vars: &[(&'static str, &str)]) -> Managed {
    Managed::start(PROGRAM, |files| {
        files.htpasswd = htpasswd(&["admin", "alice", "bob", "mona"]) + "robot:!\n";
        files.rules = RULES.to_owned();
        files.vars.extend(vars.iter().map(|(name, value)| (*name, (*value).to_owned())));
    })
}

async fn create(session: &ApiSession, scopes: &[&str]) -> Value {
    session.post("/keys", &json!({ "name": "ci", "scopes": scopes })).await.is(201).json()
}

fn secret(key: &Value) -> &str {
    key["secret"].as_str().unwrap()
}

/// A client with a key as its token.
fn with_key(registry: &Managed, key: &Value) -> ApiSession {
    registry.caller(Some(format!("Bearer {}", secret(key))))
}

async fn push(client: &Client, name: &str) -> Reply {
    client.put_manifest(name, "v1", &index(&[])).await
}

async fn pull(client: &Client, name: &str) -> Reply {
    client.get(format!("/v2/{name}/manifests/v1")).await
}

#[tokio::test]
async fn a_key_is_shown_once_and_listed_without_its_secret() {
    let registry = start(&[]);
    let alice = registry.user("alice");
    let body = json!({ "name": "ci", "scopes": ["repository:team/*:push,pull"], "expires_in": 3600 });
    let made = alice.post("/keys", &body).await.is(201);
    let key = made.json();
    let id = key["id"].as_str().unwrap();
    assert_eq!(made.header("location"), format!("/api/v1/keys/{id}"));
    assert_eq!(made.header("cache-control"), "no-store");
    assert!(secret(&key).starts_with(&format!("whf_{id}_")));
    assert_eq!((&key["owner"], &key["created_by"], &key["expired"]), (&json!("alice"), &json!("alice"), &json!(false)));
    let list = alice.get("/keys").await.is(200);
    assert!(!String::from_utf8_lossy(&list.body).contains(secret(&key)));
    let item = &list.json()["items"][0];
    assert_eq!((&item["id"], &item["scopes"]), (&key["id"], &json!(["repository:team/*:pull,push"])));
    assert_eq!(item["last_used_at"], Value::Null);
    with_key(&registry, &key).get("/auth/me").await.is(200);
    assert!(alice.get("/keys").await.json()["items"][0]["last_used_at"].is_string());
    let changed =
        alice.patch(&format!("/keys/{id}"), &json!({ "name": "cd", "expires_in": null })).await.is(200).json();
    assert_eq!((&changed["name"], &changed["expires_at"]), (&json!("cd"), &Value::Null));
    assert_eq!(changed["scopes"], item["scopes"]);
    alice.delete(&format!("/keys/{id}")).await.is(204);
    with_key(&registry, &key).get("/auth/me").await.refused(401, "UNAUTHORIZED");
    alice.delete(&format!("/keys/{id}")).await.refused(404, "NOT_FOUND");
    assert_eq!(alice.get("/keys").await.json()["items"], json!([]));
    for path in ["/keys/x", &format!("/keys/{id}")] {
        alice.patch(path, &json!({})).await.refused(404, "NOT_FOUND");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_key_is_named() {
    let registry = start(&[]);
    let alice = registry.user("alice");
    let long = "x".repeat(101);
    for (body, at) in [
        (json!({ "name": "", "scopes": ["VIEW:USER"] }), "/name"),
        (json!({ "name": " ci", "scopes": ["VIEW:USER"] }), "/name"),
        (json!({ "name": long, "scopes": ["VIEW:USER"] }), "/name"),
        (json!({ "name": "ci", "scopes": [] }), "/scopes"),
        (json!({ "name": "ci", "scopes": vec!["VIEW:USER"; 101] }), "/scopes"),
        (json!({ "name": "ci", "scopes": ["VIEW:USER", "repository:A:pull"] }), "/scopes/1"),
        (json!({ "name": "ci", "scopes": ["VIEW:USER"], "expires_in": 0 }), "/expires_in"),
        (json!({ "name": "ci", "scopes": ["VIEW:USER"], "expires_in": 315_360_001 }), "/expires_in"),
        (json!({ "name": "ci", "scopes": ["VIEW:USER"], "secret": "mine" }), "/secret"),
    ] {
        let refused = alice.post("/keys", &body).await;
        refused.refused(400, "INVALID_REQUEST");
        assert_eq!(refused.json()["errors"][0]["detail"][0]["at"], at, "{body}");
    }
    let longest = json!({ "name": "x".repeat(100), "scopes": vec!["VIEW:USER"; 100], "expires_in": 315_360_000 });
    alice.post("/keys", &longest).await.is(201);
    registry.nobody().post("/keys", &longest).await.refused(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn a_key_logs_in_to_docker_as_its_owner() {
    let registry = start(&[]);
    let key = create(&registry.user("alice"), &["repository:team/app:pull,push"]).await;
    let login = |user: &str| registry.caller(Some(password(user, secret(&key)))).client;
    login("alice").get("/v2/").await.is(200);
    for user in ["bob", "nobody", "_"] {
        login(user).get("/v2/").await.refused(401, "UNAUTHORIZED");
    }
    for client in [login("alice"), with_key(&registry, &key).client] {
        push(&client, "team/app").await.is(201);
        pull(&client, "team/app").await.is(200);
        client.delete("/v2/team/app/manifests/v1").await.refused(403, "DENIED");
        push(&client, "team/other").await.refused(403, "DENIED");
        // Not even what everybody may do.
        pull(&client, "open/app").await.refused(403, "DENIED");
    }
    let mistyped = secret(&key).replace("whf_", "whf_0");
    let wrong = registry.caller(Some(password("alice", &mistyped))).client;
    wrong.get("/v2/").await.refused(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn a_key_lists_only_what_it_is_for() {
    let registry = start(&[]);
    let alice = registry.user("alice");
    for name in ["team/app", "team/other"] {
        push(&alice.client, name).await.is(201);
    }
    let catalog = async |scope: &str| {
        let key = create(&registry.user("alice"), &[scope]).await;
        with_key(&registry, &key).client.get("/v2/_catalog").await
    };
    assert_eq!(catalog("repository:team/app:pull").await.is(200).strings("repositories"), ["team/app"]);
    assert_eq!(catalog("PULL:IMAGE").await.is(200).strings("repositories"), ["team/app", "team/other"]);
    catalog("repository:team/app:push").await.refused(403, "DENIED");
}

#[tokio::test]
async fn a_key_never_does_more_than_its_owner() {
    let registry = start(&[]);
    let of_bob = create(&registry.user("bob"), &["repository:**:*", "ADMIN:SYSTEM"]).await;
    let bob = with_key(&registry, &of_bob);
    push(&bob.client, "team/app").await.refused(403, "DENIED");
    bob.get("/tasks").await.refused(403, "SCOPE_TOO_NARROW");
    let of_admin = create(&registry.admin(), &["VIEW:TASK", "repository:team/app:push"]).await;
    let admin = with_key(&registry, &of_admin);
    push(&admin.client, "team/app").await.is(201);
    admin.get("/tasks").await.is(200);
    admin.post("/gc", &json!({ "dry_run": true })).await.refused(403, "SCOPE_TOO_NARROW");
    let me = admin.get("/auth/me").await.is(200).json();
    assert_eq!(me["auth"]["ceiling"], json!(["VIEW:TASK", "repository:team/app:push"]));
    assert_eq!(me["auth"]["method"], "api_key");
    let everything = create(&registry.admin(), &["ADMIN:SYSTEM"]).await;
    with_key(&registry, &everything).post("/gc", &json!({ "dry_run": true })).await.is(202);
}

#[tokio::test]
async fn a_key_makes_no_keys_and_ends_no_sessions_unless_its_scopes_say_so() {
    let registry = start(&[]);
    let key = create(&registry.user("alice"), &["repository:**:*"]).await;
    let alice = with_key(&registry, &key);
    let new = json!({ "name": "more", "scopes": ["repository:team/app:pull"] });
    alice.post("/keys", &new).await.refused(403, "SCOPE_TOO_NARROW");
    alice.post("/auth/logout", &json!({ "everywhere": true })).await.refused(403, "SCOPE_TOO_NARROW");
    let id = key["id"].as_str().unwrap();
    alice.patch(&format!("/keys/{id}"), &json!({ "scopes": ["ADMIN:SYSTEM"] })).await.refused(403, "SCOPE_TOO_NARROW");
    alice.delete(&format!("/keys/{id}")).await.refused(403, "SCOPE_TOO_NARROW");
    // Her roles let her open no session, so a key of hers opens none either.
    let login = json!({ "username": "alice", "password": secret(&key) });
    registry.nobody().post("/auth/login", &login).await.refused(403, "DENIED");
    // One that may make others makes none that can do more.
    let maker = create(&registry.user("alice"), &["UPDATE:USER", "repository:team/*:pull"]).await;
    let maker = with_key(&registry, &maker);
    maker.post("/keys", &new).await.is(201);
    for scope in ["repository:team/app:push", "repository:**:pull", "ADMIN:SYSTEM"] {
        let more = json!({ "name": "more", "scopes": [scope] });
        maker.post("/keys", &more).await.refused(403, "SCOPE_TOO_NARROW");
    }
}

#[tokio::test]
async fn a_token_of_a_key_keeps_its_limits_and_ends_with_it() {
    let registry = start(&[("REGISTRY_AUTH_TOKEN_SIGNINGKEY", "auto")]);
    let alice = registry.user("alice");
    let key = create(&alice, &["repository:team/app:pull,push", "repository:open/**:pull"]).await;
    let token = async |query: &str, authorization: String| {
        let ask = registry.ask(Method::GET, format!("/auth/token?{query}"));
        let answer = ask.header("authorization", authorization).send().await.is(200).json();
        (registry.caller(Some(format!("Bearer {}", answer["token"].as_str().unwrap()))), answer)
    };
    let by_password = || password("alice", secret(&key));
    let (identity, _) = token("", by_password()).await;
    push(&identity.client, "team/app").await.is(201);
    push(&identity.client, "team/other").await.refused(401, "UNAUTHORIZED");
    identity.post("/keys", &json!({ "name": "x", "scopes": ["ADMIN:SYSTEM"] })).await.refused(403, "SCOPE_TOO_NARROW");
    assert_eq!(identity.get("/auth/me").await.is(200).json()["auth"]["ceiling"].as_array().unwrap().len(), 2);
    let asked = "scope=repository:team/app:pull,delete&scope=repository:team/other:pull&scope=registry:catalog:*";
    let (scoped, answer) = token(asked, format!("Bearer {}", secret(&key))).await;
    assert_eq!(answer["scope"], "repository:team/app:pull registry:catalog:*");
    pull(&scoped.client, "team/app").await.is(200);
    push(&scoped.client, "team/app").await.refused(401, "UNAUTHORIZED");
    assert_eq!(scoped.client.get("/v2/_catalog").await.is(200).strings("repositories"), ["team/app"]);
    // A key that is narrowed narrows its tokens, and one that is deleted ends them.
    let path = format!("/keys/{}", key["id"].as_str().unwrap());
    alice.patch(&path, &json!({ "scopes": ["repository:open/**:pull"] })).await.is(200);
    pull(&scoped.client, "team/app").await.refused(401, "UNAUTHORIZED");
    identity.client.get("/v2/").await.is(200);
    alice.delete(&path).await.is(204);
    identity.client.get("/v2/").await.refused(401, "UNAUTHORIZED");
    let ask = registry.ask(Method::GET, "/auth/token").header("authorization", by_password());
    ask.send().await.refused(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn a_refresh_token_of_a_key_ends_with_the_key() {
    let registry = Managed::start(PROGRAM, |files| {
        files.rules = RULES.to_owned();
        files.settings = "[tokens]\nrefresh_days = 1\n".to_owned();
        files.vars.push(("REGISTRY_AUTH_TOKEN_SIGNINGKEY", "auto".to_owned()));
    });
    let alice = registry.user("alice");
    let key = create(&alice, &["repository:team/app:pull"]).await;
    let ask = registry.ask(Method::GET, "/auth/token?offline_token=true");
    let answer = ask.header("authorization", password("alice", secret(&key))).send().await.is(200).json();
    let form = format!(
        "grant_type=refresh_token&refresh_token={}&scope=repository:team/app:pull,push",
        answer["refresh_token"].as_str().unwrap()
    );
    let refreshed = registry.post("/auth/token", form.clone()).await.is(200).json();
    assert_eq!(refreshed["scope"], "repository:team/app:pull");
    alice.delete(&format!("/keys/{}", key["id"].as_str().unwrap())).await.is(204);
    registry.post("/auth/token", form).await.refused(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn a_robot_has_keys_and_no_password() {
    let registry = start(&[]);
    let admin = registry.admin();
    let body = json!({ "name": "ci", "scopes": ["repository:team/**:push"], "owner": "robot" });
    let key = admin.post("/keys", &body).await.is(201).json();
    assert_eq!((&key["owner"], &key["created_by"]), (&json!("robot"), &json!("admin")));
    let robot = registry.caller(Some(password("robot", secret(&key)))).client;
    push(&robot, "team/app").await.is(201);
    for guess in ["", "!", "robot!"] {
        registry.caller(Some(password("robot", guess))).client.get("/v2/").await.refused(401, "UNAUTHORIZED");
    }
    let nobody = json!({ "name": "ci", "scopes": ["VIEW:USER"], "owner": "nobody" });
    admin.post("/keys", &nobody).await.refused(400, "INVALID_REQUEST");
}

#[tokio::test]
async fn a_key_ends_when_its_owner_is_locked_or_gone() {
    let registry = start(&[]);
    let key = create(&registry.user("alice"), &["repository:team/**:*"]).await;
    let client = with_key(&registry, &key).client;
    let text = registry.text("htpasswd");
    let gone: String =
        text.lines().filter(|line| !line.starts_with("alice:")).map(|line| format!("{line}\n")).collect();
    for ended in [text.replace("alice:", "alice:!"), gone] {
        client.get("/v2/").await.is(200);
        fs::write(registry.conf("htpasswd"), ended).unwrap();
        let has_ended = async || client.get("/v2/").await.status == 401;
        registry.until(std::time::Duration::from_secs(5), "the key is still good", has_ended).await;
        fs::write(registry.conf("htpasswd"), &text).unwrap();
        let is_good = async || client.get("/v2/").await.status == 200;
        registry.until(std::time::Duration::from_secs(5), "the key is not good again", is_good).await;
    }
    let path = registry.root().join(format!("identity/api-keys/{}.json", key["id"].as_str().unwrap()));
    fs::remove_file(path).unwrap();
    client.get("/v2/").await.refused(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn keys_of_others_are_for_those_who_manage_users() {
    let registry = start(&[]);
    let of_alice = create(&registry.user("alice"), &["VIEW:USER"]).await;
    let path = format!("/keys/{}", of_alice["id"].as_str().unwrap());
    let bob = registry.user("bob");
    bob.get("/keys?owner=alice").await.refused(403, "DENIED");
    bob.get("/keys?owner=*").await.refused(403, "DENIED");
    bob.patch(&path, &json!({ "name": "mine" })).await.refused(404, "NOT_FOUND");
    bob.delete(&path).await.refused(404, "NOT_FOUND");
    let for_alice = json!({ "name": "ci", "scopes": ["VIEW:USER"], "owner": "alice" });
    bob.post("/keys", &for_alice).await.refused(403, "DENIED");
    let admin = registry.admin();
    assert_eq!(admin.get("/keys?owner=alice").await.is(200).json()["items"][0]["id"], of_alice["id"]);
    create(&bob, &["VIEW:USER"]).await;
    assert_eq!(admin.get("/keys?owner=*").await.is(200).json()["items"].as_array().unwrap().len(), 2);
    let first = admin.get("/keys?owner=*&n=1").await.is(200).json();
    let next = format!("/keys?owner=*&last={}", first["next"].as_str().unwrap());
    assert_eq!(admin.get(&next).await.is(200).json()["items"].as_array().unwrap().len(), 1);
    // Who manages users may end keys, but a new one would give them its owner's rights.
    let mona = registry.user("mona");
    mona.post("/keys", &for_alice).await.refused(403, "DENIED");
    mona.patch(&path, &json!({ "scopes": ["repository:**:*"] })).await.refused(403, "DENIED");
    mona.delete(&path).await.is(204);
    admin.delete("/keys/").await.refused(404, "NOT_FOUND");
}

#[tokio::test]
async fn a_user_has_at_most_a_hundred_keys() {
    let registry = start(&[]);
    let alice = registry.user("alice");
    for _ in 0..100 {
        create(&alice, &["VIEW:USER"]).await;
    }
    alice.post("/keys", &json!({ "name": "one more", "scopes": ["VIEW:USER"] })).await.refused(409, "AMBIGUOUS");
    create(&registry.user("bob"), &["VIEW:USER"]).await;
}
