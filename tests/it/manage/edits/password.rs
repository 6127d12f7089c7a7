//! A user's own password: what it takes to change it, and what ends with the old one.

use super::{GOOD, problem, start, with};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use testing::{
    managed::{ApiSession, Managed},
    people::password,
    session::Reply,
};

/// Lets everybody log in who is in a group.
fn with_logins() -> Managed {
    with(|files| {
        files.rules = files.rules.replace(r#"["VIEW:TASK"]"#, r#"["VIEW:TASK", "LOGIN:WEBUI"]"#);
        files.vars.push(("REGISTRY_AUTH_TOKEN_SIGNINGKEY", "auto".to_owned()));
    })
}

async fn change(session: &ApiSession, current: &str, new: &str) -> Reply {
    session.put("/auth/password", &json!({ "current_password": current, "new_password": new })).await
}

fn bearer(registry: &Managed, token: &Value) -> ApiSession {
    registry.caller(Some(format!("Bearer {}", token.as_str().unwrap())))
}

async fn login(registry: &Managed, secret: &str) -> Value {
    let body = json!({ "username": "alice", "password": secret });
    registry.nobody().post("/auth/login", &body).await.is(200).json()
}

async fn refresh(registry: &Managed, session: &Value) -> Reply {
    registry.nobody().post("/auth/refresh", &json!({ "refresh_token": session["refresh_token"] })).await
}

#[tokio::test]
async fn a_changed_password_ends_all_tokens_and_the_other_sessions_at_once() {
    let registry = with_logins();
    let (own, other) = (login(&registry, "alice!").await, login(&registry, "alice!").await);
    let ask = registry.ask(http::Method::GET, "/auth/token?service=wharfinger&scope=repository:team/app:pull,push");
    let docker = ask.header("authorization", password("alice", "alice!")).send().await.is(200).json();
    let docker = bearer(&registry, &docker["token"]);
    docker.client.push_image("team/app", "v1", "x").await;

    let before = registry.text("htpasswd");
    let changed = change(&bearer(&registry, &own["token"]), "alice!", GOOD).await.is(204);
    assert!(!changed.header("wharfinger-generation").is_empty());
    let begun = Instant::now();
    docker.client.get("/v2/team/app/manifests/v1").await.refused(401, "UNAUTHORIZED");
    for session in [&own, &other] {
        bearer(&registry, &session["token"]).get("/auth/me").await.refused(401, "UNAUTHORIZED");
    }
    registry.user("alice").get("/auth/me").await.refused(401, "UNAUTHORIZED");
    refresh(&registry, &other).await.refused(401, "UNAUTHORIZED");
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    // Whoever has changed it stays logged in.
    let next = refresh(&registry, &own).await.is(200).json();
    bearer(&registry, &next["token"]).get("/auth/me").await.is(200);
    let sessions = bearer(&registry, &next["token"]).get("/auth/sessions").await.is(200).json();
    assert_eq!(sessions["items"].as_array().unwrap().len(), 1);
    login(&registry, GOOD).await;
    let lines = super::changed(&before, &registry.text("htpasswd"));
    assert!(lines.len() == 2 && lines.iter().all(|line| line[1..].starts_with("alice:$2")), "{lines:?}");
    let entry = registry.admin().get("/audit?n=2").await.is(200).json()["items"][1].clone();
    assert_eq!((&entry["actor"], &entry["action"]), (&json!("alice"), &json!("change_password")));
    assert_eq!(entry["files"][0]["file"], "htpasswd");
}

#[tokio::test]
async fn a_lock_and_a_deletion_end_tokens_and_sessions_at_once() {
    for delete in [false, true] {
        let registry = with_logins();
        let session = login(&registry, "alice!").await;
        let ask = registry.ask(http::Method::GET, "/auth/token?service=wharfinger&scope=repository:team/app:push");
        let docker = ask.header("authorization", password("alice", "alice!")).send().await.is(200).json();
        let key = json!({ "name": "ci", "scopes": ["repository:**:*"] });
        let key = registry.user("alice").post("/keys", &key).await.is(201).json();
        let callers = [&session["token"], &docker["token"], &key["secret"]].map(|token| bearer(&registry, token));
        for caller in &callers {
            assert_ne!(caller.client.get("/v2/").await.status, 401);
        }
        match delete {
            true => registry.admin().delete("/users/alice").await.is(204),
            false => registry.admin().patch("/users/alice", &json!({ "locked": true })).await.is(200),
        };
        let begun = Instant::now();
        for caller in &callers {
            caller.client.get("/v2/").await.refused(401, "UNAUTHORIZED");
        }
        refresh(&registry, &session).await.refused(401, "UNAUTHORIZED");
        registry.user("alice").client.get("/v2/").await.refused(401, "UNAUTHORIZED");
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        if !delete {
            // The key was not touched, and the sessions are gone for good.
            registry.admin().patch("/users/alice", &json!({ "locked": false })).await.is(200);
            assert_ne!(callers[2].client.get("/v2/").await.status, 401);
            refresh(&registry, &session).await.refused(401, "UNAUTHORIZED");
        }
    }
}

#[tokio::test]
async fn it_takes_the_present_password_and_a_good_new_one() {
    let registry = start();
    let (before, alice) = (registry.text("htpasswd"), registry.user("alice"));
    change(&registry.nobody(), "alice!", GOOD).await.refused(401, "UNAUTHORIZED");
    for (new, at) in [
        ("short", "/new_password"),
        ("password123", "/new_password"),
        (&*"x7R#".repeat(18), "/new_password"),
        ("alice!", "/new_password"),
    ] {
        assert_eq!(problem(&change(&alice, "alice!", new).await).0, at, "{new}");
    }
    assert_eq!(problem(&alice.put("/auth/password", &json!({ "new_password": GOOD })).await).0, "");
    let key = json!({ "name": "ci", "scopes": ["repository:**:*"] });
    let key = alice.post("/keys", &key).await.is(201).json();
    let by_key = bearer(&registry, &key["secret"]);
    change(&by_key, "alice!", GOOD).await.refused(403, "SCOPE_TOO_NARROW");
    // An API key is no password.
    change(&alice, key["secret"].as_str().unwrap(), GOOD).await.refused(403, "DENIED");
    for _ in 0..4 {
        change(&alice, "guess", GOOD).await.refused(403, "DENIED");
    }
    let waits = change(&alice, "guess", GOOD).await;
    waits.refused(429, "TOOMANYREQUESTS");
    assert!(waits.header("retry-after").parse::<u64>().unwrap() > 0);
    assert_eq!(registry.text("htpasswd"), before);
    change(&alice, "alice!", GOOD).await.is(204);

    let lax = with(|files| {
        files.settings = "[auth]\npassword_min_length = 4\ncommon_passwords = \"accept\"\n".to_owned();
    });
    change(&lax.user("alice"), "alice!", "1234").await.is(204);
}

#[tokio::test]
async fn without_access_control_a_user_changes_their_own_password_too() {
    let registry = with(|files| {
        files.vars.push(("REGISTRY_ACCESS_CONTROL_ENABLED", "false".to_owned()));
        files.vars.push(("REGISTRY_ACCESS_CONTROL_CONFIG", String::new()));
    });
    change(&registry.user("bob"), "bob!", GOOD).await.is(204);
    registry.user("bob").get("/auth/me").await.refused(401, "UNAUTHORIZED");
    registry.caller(Some(password("bob", GOOD))).get("/auth/me").await.is(200);
    registry.user("alice").get("/users").await.refused(409, "ACCESS_CONTROL_DISABLED");
    let external = with(|files| files.settings = "[management]\nhtpasswd_file = \"external\"\n".to_owned());
    super::is_external(&change(&external.user("bob"), "bob!", GOOD).await, &external, "htpasswd");
}
