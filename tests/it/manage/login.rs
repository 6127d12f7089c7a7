//! Logins by password, the sessions they open, and how these end.

use crate::PROGRAM;
use http::Method;
use serde_json::{Value, json};
use std::{fs, time::Duration};
use testing::{
    managed::{ApiSession, Managed},
    people::{Service, access, basic, htpasswd, password},
    registry::Registry,
    session::Reply,
};

/// `admin` is the administrator. `alice` and `bob` may log in, `carol` may not.
const RULES: &str = r#"{
  "defaultPolicy": "deny",
  "adminUsers": ["admin"],
  "groups": {"people": {"members": ["alice", "bob"], "roles": ["web"]}},
  "roles": {"web": {"permissions": ["LOGIN:WEBUI", "VIEW:TASK"]}},
  "rules": [{"repository": "home/${user}/**", "users": ["*"], "permissions": ["pull", "push"]}]
}
"#;

fn start() -> Managed {
    with("# Our settings.\n")
}

fn with(settings: &str) -> Managed {
    Managed::start(PROGRAM, |files| {
        files.htpasswd = htpasswd(&["admin", "alice", "bob", "carol"]);
        files.rules = RULES.to_owned();
        files.settings = settings.to_owned();
    })
}

async fn login(registry: &Managed, user: &str, password: &str) -> Reply {
    registry.nobody().post("/auth/login", &json!({ "username": user, "password": password })).await
}

/// A session of a user who logged in with the right password.
async fn signed_in(registry: &Managed, user: &str) -> (ApiSession, Value) {
    let answer = login(registry, user, &format!("{user}!")).await.is(200).json();
    (bearer(registry, &answer), answer)
}

fn bearer(registry: &Managed, answer: &Value) -> ApiSession {
    registry.caller(Some(format!("Bearer {}", answer["token"].as_str().unwrap())))
}

async fn refresh(registry: &Managed, answer: &Value) -> Reply {
    registry.nobody().post("/auth/refresh", &json!({ "refresh_token": answer["refresh_token"] })).await
}

/// The session cookie of a reply, as a browser sends it back.
fn cookie(reply: &Reply) -> String {
    reply.header("set-cookie").split(';').next().unwrap().to_owned()
}

/// Moves the times of all sessions into the past.
fn age(registry: &Managed, seconds: i64) {
    for entry in fs::read_dir(registry.root().join("identity/sessions")).unwrap() {
        let path = entry.unwrap().path();
        let mut session: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        for field in ["created", "rotated", "refreshed", "expires"] {
            let time: jiff::Timestamp = session[field].as_str().unwrap().parse().unwrap();
            session[field] = json!(time - jiff::SignedDuration::from_secs(seconds));
        }
        let next = path.with_extension("new");
        fs::write(&next, session.to_string()).unwrap();
        fs::rename(next, path).unwrap();
    }
}

#[tokio::test]
async fn a_user_logs_in_and_asks_who_they_are() {
    let registry = start();
    let reply = login(&registry, "alice", "alice!").await.is(200);
    let answer = reply.json();
    assert_eq!((&answer["token"], &answer["success"]), (&answer["access_token"], &json!(true)));
    assert_eq!((&answer["username"], &answer["expires_in"]), (&json!("alice"), &json!(900)));
    assert_eq!(answer["groups"], json!(["people"]));
    assert_eq!(answer["user"], json!({ "id": "alice", "username": "alice", "role": "user", "is_admin": false }));
    assert_eq!(reply.header("cache-control"), "no-store");
    let me = bearer(&registry, &answer).get("/auth/me").await.is(200).json();
    assert_eq!((&me["username"], &me["role"], &me["roles"]), (&json!("alice"), &json!("user"), &json!(["web"])));
    assert_eq!(me["permissions"], json!(["VIEW:TASK", "LOGIN:WEBUI"]));
    assert_eq!((&me["auth"]["method"], &me["auth"]["ceiling"]), (&json!("session"), &Value::Null));
    assert!(me["auth"]["expires_at"].as_str().unwrap().ends_with('Z'));
    let (admin, _) = signed_in(&registry, "admin").await;
    assert_eq!(admin.get("/auth/me").await.is(200).json()["role"], "admin");
    let by_email = registry.nobody().post("/auth/login", &json!({ "email": "bob", "password": "bob!" })).await.is(200);
    assert_eq!(by_email.json()["username"], "bob");
    // The same token pulls and pushes.
    let client = bearer(&registry, &answer).client;
    client.push_image("home/alice/app", "v1", "x").await;
    client.put_manifest("home/bob/app", "v1", &testing::session::index(&[])).await.refused(403, "DENIED");
}

#[tokio::test]
async fn a_login_is_refused_in_the_same_words_whoever_it_is_for() {
    let registry = start();
    let wrong = [("alice", "wrong"), ("nobody", "nobody!"), ("", ""), ("alice", "")];
    for (user, password) in wrong {
        let reply = login(&registry, user, password).await;
        reply.refused(401, "UNAUTHORIZED");
        assert_eq!(reply.message(), "wrong user name or password");
    }
    login(&registry, "carol", "carol!").await.refused(403, "DENIED");
    let nobody = registry.nobody();
    for body in [
        json!({ "password": "x" }),
        json!({ "username": "alice" }),
        json!({ "username": "alice", "email": "alice", "password": "alice!" }),
        json!({ "username": "al\nice", "password": "alice!" }),
        json!({ "username": "alice", "password": "alice!", "remember": true }),
    ] {
        nobody.post("/auth/login", &body).await.refused(400, "INVALID_REQUEST");
    }
    nobody.get("/auth/login").await.refused(405, "UNSUPPORTED");
    nobody.get("/auth/me").await.refused(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn who_guesses_passwords_waits_and_who_knows_one_does_not() {
    let registry = start();
    for _ in 0..5 {
        login(&registry, "alice", "guess").await.refused(401, "UNAUTHORIZED");
    }
    let reply = login(&registry, "alice", "guess").await;
    reply.refused(429, "TOOMANYREQUESTS");
    assert!(reply.header("retry-after").parse::<u64>().unwrap() > 0);
    login(&registry, "alice", "alice!").await.is(200);
    for _ in 0..4 {
        login(&registry, "bob", "guess").await.refused(401, "UNAUTHORIZED");
    }
    // Five, four, and one of the others that were refused: the address is at its limit.
    login(&registry, "carol", "guess").await.refused(429, "TOOMANYREQUESTS");
    login(&registry, "bob", "bob!").await.is(200);
}

#[tokio::test]
async fn a_refresh_token_is_exchanged_once_and_a_second_tab_goes_on() {
    let registry = start();
    let (_, first) = signed_in(&registry, "alice").await;
    let second = refresh(&registry, &first).await.is(200).json();
    assert_ne!(second["refresh_token"], first["refresh_token"]);
    let tab = refresh(&registry, &first).await.is(200).json();
    assert_eq!(tab.get("refresh_token"), None);
    bearer(&registry, &tab).get("/auth/me").await.is(200);
    let third = refresh(&registry, &second).await.is(200).json();
    refresh(&registry, &first).await.refused(401, "UNAUTHORIZED");
    for text in ["", "x", "whr_00112233445566778899aabbccddeeff_00_00000000"] {
        refresh(&registry, &json!({ "refresh_token": text })).await.refused(401, "UNAUTHORIZED");
    }
    registry.nobody().post("/auth/refresh", &json!({})).await.refused(401, "UNAUTHORIZED");
    refresh(&registry, &third).await.is(200);
}

#[tokio::test]
async fn a_stolen_refresh_token_ends_the_session_for_thief_and_owner() {
    let registry = start();
    let (alice, first) = signed_in(&registry, "alice").await;
    let thief = refresh(&registry, &first).await.is(200).json();
    age(&registry, 11);
    refresh(&registry, &first).await.refused(401, "UNAUTHORIZED");
    refresh(&registry, &thief).await.refused(401, "UNAUTHORIZED");
    alice.get("/auth/me").await.refused(401, "UNAUTHORIZED");
    bearer(&registry, &thief).get("/auth/me").await.refused(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn twenty_tabs_refresh_at_once_and_all_stay_signed_in() {
    let registry = start();
    let (_, answer) = signed_in(&registry, "alice").await;
    let replies = futures_util::future::join_all((0..20).map(|_| refresh(&registry, &answer))).await;
    let next: Vec<_> = replies.iter().map(|reply| reply.json()).filter(|answer| answer["success"] == true).collect();
    assert_eq!(next.len(), 20);
    let rotated: Vec<_> = next.iter().filter(|answer| answer.get("refresh_token").is_some()).collect();
    assert_eq!(rotated.len(), 1);
    refresh(&registry, rotated[0]).await.is(200);
}

#[tokio::test]
async fn a_browser_has_a_cookie_that_scripts_cannot_read() {
    let registry = start();
    let reply = login(&registry, "alice", "alice!").await.is(200);
    let set = reply.header("set-cookie");
    assert!(set.starts_with("wharf=whc_") && set.contains("; HttpOnly") && set.contains("; SameSite=Lax"), "{set}");
    let cookie = cookie(&reply);
    let browser = registry.nobody();
    let ask = |method: Method, path: &str| {
        browser.ask(method, path).header("cookie", &cookie).header("sec-fetch-site", "same-origin")
    };
    let me = ask(Method::GET, "/auth/me").send().await.is(200).json();
    assert_eq!((&me["username"], &me["auth"]["method"]), (&json!("alice"), &json!("session")));
    let answer = ask(Method::POST, "/auth/refresh").send().await.is(200).json();
    assert_eq!(answer.get("refresh_token"), None);
    bearer(&registry, &answer).get("/auth/me").await.is(200);
    // Another site's page may make the browser send it, so it cannot write.
    let elsewhere = browser.ask(Method::POST, "/auth/logout").header("cookie", &cookie);
    elsewhere.header("origin", "https://evil.example.com").send().await.refused(403, "DENIED");
    // The distribution protocol does not know it.
    let pull = registry.ask(Method::GET, "/v2/").header("cookie", &cookie).send().await;
    pull.refused(401, "UNAUTHORIZED");
    let out = ask(Method::POST, "/auth/logout").send().await.is(204);
    assert!(out.header("set-cookie").starts_with("wharf=; ") && out.header("set-cookie").contains("Max-Age=0"));
    ask(Method::GET, "/auth/me").send().await.refused(401, "UNAUTHORIZED");
    ask(Method::POST, "/auth/logout").send().await.is(204);
    let from_afar = browser.json(Method::POST, "/auth/login", &json!({ "username": "alice", "password": "alice!" }));
    let from_afar = from_afar.header("host", "registry.example.com").send().await.is(200);
    assert!(!from_afar.has("set-cookie"), "anybody in between could read it");
}

#[tokio::test]
async fn a_logout_ends_one_session_or_all() {
    let registry = start();
    let (laptop, of_laptop) = signed_in(&registry, "alice").await;
    let (phone, _) = signed_in(&registry, "alice").await;
    let (bob, _) = signed_in(&registry, "bob").await;
    laptop.post("/auth/logout", &json!({})).await.is(204);
    laptop.get("/auth/me").await.refused(401, "UNAUTHORIZED");
    refresh(&registry, &of_laptop).await.refused(401, "UNAUTHORIZED");
    phone.get("/auth/me").await.is(200);
    let (_, expired) = signed_in(&registry, "alice").await;
    let nobody = registry.nobody();
    nobody.post("/auth/logout", &json!({ "refresh_token": expired["refresh_token"] })).await.is(204);
    refresh(&registry, &expired).await.refused(401, "UNAUTHORIZED");
    let (tablet, _) = signed_in(&registry, "alice").await;
    tablet.post("/auth/logout", &json!({ "everywhere": true })).await.is(204);
    for session in [&tablet, &phone] {
        session.get("/auth/me").await.refused(401, "UNAUTHORIZED");
    }
    bob.get("/auth/me").await.is(200);
    signed_in(&registry, "alice").await.0.get("/auth/me").await.is(200);
    nobody.post("/auth/logout", &json!({})).await.is(204);
    nobody.post("/auth/logout", &json!({ "everywhere": true })).await.refused(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn a_session_ends_with_the_line_of_its_user() {
    let registry = start();
    let (alice, answer) = signed_in(&registry, "alice").await;
    let (bob, of_bob) = signed_in(&registry, "bob").await;
    let text = registry.text("htpasswd");
    let locked = text.replace("alice:", "alice:!");
    let changed = htpasswd(&["bob"]);
    let without_bob: String =
        locked.lines().filter(|line| !line.starts_with("bob:")).map(|l| format!("{l}\n")).collect();
    fs::write(registry.conf("htpasswd"), format!("{without_bob}{changed}")).unwrap();
    let within = Duration::from_secs(5);
    for (session, answer) in [(&alice, &answer), (&bob, &of_bob)] {
        let has_ended = async || session.get("/auth/me").await.status == 401;
        registry.until(within, "the session goes on", has_ended).await;
        refresh(&registry, answer).await.refused(401, "UNAUTHORIZED");
    }
    login(&registry, "alice", "alice!").await.refused(401, "UNAUTHORIZED");
    login(&registry, "bob", "bob!").await.is(200);
}

#[tokio::test]
async fn sessions_are_listed_and_ended_by_their_user_and_by_an_administrator() {
    let registry = start();
    let (laptop, _) = signed_in(&registry, "alice").await;
    let (phone, _) = signed_in(&registry, "alice").await;
    let list = laptop.get("/auth/sessions").await.is(200).json();
    let items = list["items"].as_array().unwrap();
    assert_eq!(items.iter().filter(|item| item["current"] == true).count(), 1);
    assert_eq!((items.len(), items[0]["address"].as_str()), (2, Some("127.0.0.1")));
    let other = items.iter().find(|item| item["current"] == false).unwrap()["sid"].as_str().unwrap().to_owned();
    let (bob, _) = signed_in(&registry, "bob").await;
    bob.delete(&format!("/auth/sessions/{other}")).await.refused(404, "NOT_FOUND");
    bob.get("/auth/sessions?user=alice").await.refused(403, "DENIED");
    laptop.delete(&format!("/auth/sessions/{other}")).await.is(204);
    phone.get("/auth/me").await.refused(401, "UNAUTHORIZED");
    laptop.delete(&format!("/auth/sessions/{other}")).await.refused(404, "NOT_FOUND");
    laptop.delete("/auth/sessions/x").await.refused(404, "NOT_FOUND");
    let admin = registry.admin();
    let list = admin.get("/auth/sessions?user=alice&n=1").await.is(200).json();
    let left = list["items"][0]["sid"].as_str().unwrap();
    admin.delete(&format!("/auth/sessions/{left}")).await.is(204);
    laptop.get("/auth/me").await.refused(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn a_session_that_is_not_used_expires() {
    let registry = with("[sessions]\nidle_hours = 1\nmax_days = 1\n");
    let (alice, answer) = signed_in(&registry, "alice").await;
    age(&registry, 3500);
    alice.get("/auth/me").await.is(200);
    let answer = refresh(&registry, &answer).await.is(200).json();
    age(&registry, 3601);
    alice.get("/auth/me").await.refused(401, "UNAUTHORIZED");
    refresh(&registry, &answer).await.refused(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn a_user_asks_what_they_may_do_and_why() {
    let registry = start();
    let alice = registry.user("alice");
    let own = alice.get("/auth/can?action=push&repository=home/alice/app").await.is(200).json();
    assert_eq!((&own["allowed"], &own["rule"]), (&json!(true), &json!({ "line": 6, "index": 0 })));
    let steps: Vec<_> = own["steps"].as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(steps, ["ceiling", "admin", "rules"]);
    let other = alice.get("/auth/can?action=pull&repository=home/bob/app").await.is(200).json();
    assert_eq!((&other["allowed"], &other["rule"]), (&json!(false), &Value::Null));
    assert_eq!(alice.get("/auth/can?action=VIEW:TASK").await.is(200).json()["allowed"], true);
    assert_eq!(alice.get("/auth/can?action=VIEW:USER&user=alice").await.is(200).json()["allowed"], false);
    alice.get("/auth/can?action=pull&repository=home/bob/app&user=bob").await.refused(403, "DENIED");
    let admin = registry.admin();
    let of_bob = admin.get("/auth/can?action=pull&repository=home/bob/app&user=bob").await.is(200).json();
    assert_eq!(of_bob["allowed"], true);
    let stranger = admin.get("/auth/can?action=pull&repository=home/bob/app&user=anonymous").await.is(200).json();
    assert_eq!(stranger["allowed"], false);
    for query in ["", "action=look", "action=pull", "action=VIEW:USER&repository=a"] {
        alice.get(&format!("/auth/can?{query}")).await.refused(400, "INVALID_REQUEST");
    }
    alice.get("/auth/can?action=pull&repository=A").await.refused(400, "NAME_INVALID");
}

#[tokio::test]
async fn without_access_control_every_user_may_log_in() {
    let registry = Managed::start(PROGRAM, |files| {
        files.htpasswd = htpasswd(&["carol"]);
        files.vars.push(("REGISTRY_ACCESS_CONTROL_ENABLED", "false".to_owned()));
        files.vars.push(("REGISTRY_ACCESS_CONTROL_CONFIG", String::new()));
    });
    let (carol, _) = signed_in(&registry, "carol").await;
    let me = carol.get("/auth/me").await.is(200).json();
    assert_eq!((&me["role"], &me["groups"]), (&json!("user"), &json!([])));
}

#[tokio::test]
async fn sessions_work_beside_the_token_service_and_outlive_a_restart() {
    let registry = Managed::start(PROGRAM, |files| {
        files.rules = RULES.to_owned();
        files.vars.push(("REGISTRY_AUTH_TOKEN_SIGNINGKEY", "auto".to_owned()));
    });
    let (alice, _) = signed_in(&registry, "alice").await;
    alice.get("/auth/me").await.is(200);
    let token = |query: &str| {
        let ask = registry.ask(Method::GET, format!("/auth/token?{query}"));
        ask.header("authorization", basic("alice")).send()
    };
    let identity = token("service=wharfinger").await.is(200).json();
    assert_eq!(bearer(&registry, &identity).get("/auth/me").await.is(200).json()["auth"]["method"], "token");
    let scoped = token("scope=repository:home/alice/app:pull").await.is(200).json();
    bearer(&registry, &scoped).get("/auth/me").await.refused(403, "SCOPE_TOO_NARROW");
    // What was issued before is void, what is issued at once after it is good.
    alice.post("/auth/logout", &json!({ "everywhere": true })).await.is(204);
    bearer(&registry, &identity).get("/auth/me").await.refused(401, "UNAUTHORIZED");
    let identity = token("service=wharfinger").await.is(200).json();
    bearer(&registry, &identity).get("/auth/me").await.is(200);
}

#[tokio::test]
async fn users_of_others_and_of_nobody_cannot_log_in_here() {
    let open = Registry::start().await;
    let body = json!({ "username": "alice", "password": "alice!" }).to_string();
    let post = async |registry: &Registry, path: &str| {
        let ask = registry.ask(Method::POST, format!("/api/v1{path}")).body(body.clone());
        ask.header("content-type", "application/json").send().await
    };
    for path in ["/auth/login", "/auth/refresh", "/auth/logout"] {
        post(&open, path).await.refused(403, "MANAGEMENT_DISABLED");
    }
    let service = Service::new();
    let elsewhere = Registry::with(|setup| setup.elsewhere = Some(service.verifier())).await;
    post(&elsewhere, "/auth/login").await.refused(409, "EXTERNAL_USERS");
    let token = service.token("alice", &json!([access("a", &["pull"])]));
    let me = elsewhere.ask(Method::GET, "/api/v1/auth/me").header("authorization", format!("Bearer {token}"));
    me.send().await.refused(403, "SCOPE_TOO_NARROW");
    let wrong = password("alice", "alice!");
    let me = elsewhere.ask(Method::GET, "/api/v1/auth/me").header("authorization", wrong);
    me.send().await.refused(401, "UNAUTHORIZED");
}
