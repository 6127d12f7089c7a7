//! One's own account: the password, logins by API key, and accounts that strangers make.

use super::{Browser, html, shows};
use crate::PROGRAM;
use serde_json::json;
use testing::managed::Managed;

const GOOD: &str = "quay-side crane 9";

fn change<'p>(current: &'p str, new: &'p str, repeated: &'p str) -> [(&'static str, &'p str); 3] {
    [("current_password", current), ("new_password", new), ("repeated", repeated)]
}

#[tokio::test]
async fn a_user_changes_their_password_and_other_sessions_end() {
    let registry = Managed::start(PROGRAM, |_| {});
    let (here, elsewhere) = (Browser::of(&registry, "admin").await, Browser::of(&registry, "admin").await);
    let page = html(&here.get("/profile").await.is(200));
    shows(&page, &["10 to 71 bytes, and not your name. Common words", "autocomplete=\"new-password\""]);
    let changed = here.post("/profile/password", &change("admin!", GOOD, GOOD)).await.is(303);
    shows(&html(&here.get(changed.header("location")).await.is(200)), &["The password was changed."]);
    elsewhere.get("/profile").await.is(401);
    let log_in = |password: &'static str| [("username", "admin"), ("password", password)];
    Browser::new(&registry).post("/login", &log_in("admin!")).await.is(401);
    Browser::new(&registry).post("/login", &log_in(GOOD)).await.is(303);
}

#[tokio::test]
async fn a_password_is_refused_with_the_reason() {
    let registry = Managed::start(PROGRAM, |files| {
        files.settings = "[management]\nmax_wrong_passwords_per_user = 2\n".to_owned();
    });
    let (browser, before) = (Browser::of(&registry, "admin").await, registry.text("htpasswd"));
    for (form, status, why) in [
        (change("admin!", GOOD, "something else 7"), 400, "The two new passwords differ."),
        (change("admin!", "short", "short"), 400, "The new password must have at least 10 bytes, not 5"),
        (change("admin!", "admin!", "admin!"), 400, "must differ from the present one"),
        (change("wrong", GOOD, GOOD), 403, "The current password is wrong."),
        (change("wrong", GOOD, GOOD), 403, "The current password is wrong."),
    ] {
        let page = html(&browser.post("/profile/password", &form).await.is(status));
        shows(&page, &["role=\"alert\"", why]);
        assert!(!page.contains(GOOD), "{page}");
    }
    let slowed = browser.post("/profile/password", &change("wrong", GOOD, GOOD)).await.is(429);
    assert!(slowed.header("retry-after").parse::<u64>().is_ok(), "{slowed:?}");
    shows(&html(&slowed), &["The next try is answered after <b role=\"timer\" data-wait="]);
    assert_eq!(registry.text("htpasswd"), before);
    Browser::new(&registry).post("/profile/password", &change("admin!", GOOD, GOOD)).await.is(401);
}

#[tokio::test]
async fn a_session_that_an_api_key_opens_has_the_limits_of_the_key_and_ends_with_it() {
    let registry = Managed::start(PROGRAM, |_| {});
    let (admin, client) = (registry.admin(), registry.admin().client);
    client.push_image("team/app", "1.0", "a").await;
    client.push_image("other/app", "1.0", "b").await;
    let new = json!({ "name": "laptop", "scopes": ["repository:team/**:pull"] });
    let key = admin.post("/keys", &new).await.is(201).json();
    let (id, secret) = (key["id"].as_str().unwrap(), key["secret"].as_str().unwrap());
    let mut browser = Browser::new(&registry);
    shows(&html(&browser.get("/login").await), &["Password or API key"]);
    // A key is that of its owner.
    browser.post("/login", &[("username", "alice"), ("password", secret)]).await.is(401);
    let reply = browser.post("/login", &[("username", "admin"), ("password", secret)]).await.is(303);
    browser.keep(&reply);
    shows(&html(&browser.get("/repositories").await.is(200)), &["team/<wbr>"]);
    browser.get("/repositories/team/app").await.is(200);
    browser.get("/repositories/other/app").await.is(403);
    let profile = html(&browser.get("/profile").await.is(200));
    shows(&profile, &["Limited to", "repository:team/**:pull"]);
    assert!(!profile.contains("/profile/password"), "{profile}");
    // It changes nothing that the key does not cover: not the account either.
    browser.post("/repositories/team/app/-/tags/delete", &[("tag", "1.0"), ("confirm", "yes")]).await.is(403);
    browser.post("/profile/password", &change("admin!", GOOD, GOOD)).await.is(403);
    browser.post("/profile/keys", &[("name", "x"), ("scopes", "repository:**:*"), ("days", "1")]).await.is(403);
    browser.post("/profile/everywhere", &[]).await.is(403);
    browser.get("/users").await.is(403);
    browser.post("/users", &[("username", "mallory"), ("password", GOOD)]).await.is(403);
    admin.delete(&format!("/keys/{id}")).await.is(204);
    browser.get("/repositories/team/app").await.is(401);
    // A key that was revoked opens nothing.
    browser.post("/login", &[("username", "admin"), ("password", secret)]).await.is(401);
}

#[tokio::test]
async fn a_token_of_such_a_session_has_the_limits_too() {
    let registry = Managed::start(PROGRAM, |_| {});
    let (admin, client) = (registry.admin(), registry.admin().client);
    client.push_image("team/app", "1.0", "a").await;
    client.push_image("other/app", "1.0", "b").await;
    let key = admin.post("/keys", &json!({ "name": "x", "scopes": ["repository:team/**:pull"] })).await.is(201).json();
    let login = json!({ "username": "admin", "password": key["secret"] });
    let session = registry.nobody().post("/auth/login", &login).await.is(200).json();
    let bearer =
        |session: &serde_json::Value| registry.caller(Some(format!("Bearer {}", session["token"].as_str().unwrap())));
    let refreshed = json!({ "refresh_token": session["refresh_token"] });
    let next = registry.nobody().post("/auth/refresh", &refreshed).await.is(200).json();
    for caller in [bearer(&session), bearer(&next)] {
        caller.client.get("/v2/team/app/manifests/1.0").await.is(200);
        caller.client.get("/v2/other/app/manifests/1.0").await.refused(403, "DENIED");
        caller.client.delete("/v2/team/app/manifests/1.0").await.refused(403, "DENIED");
        caller
            .post("/keys", &json!({ "name": "y", "scopes": ["repository:**:*"] }))
            .await
            .refused(403, "SCOPE_TOO_NARROW");
    }
    let out = json!({ "refresh_token": next["refresh_token"], "everywhere": true });
    registry.nobody().post("/auth/logout", &out).await.refused(403, "SCOPE_TOO_NARROW");
    admin.delete(&format!("/keys/{}", key["id"].as_str().unwrap())).await.is(204);
    bearer(&next).client.get("/v2/").await.refused(401, "UNAUTHORIZED");
    let refreshed = json!({ "refresh_token": next["refresh_token"] });
    let later = registry.nobody().post("/auth/refresh", &refreshed).await;
    if later.status == 200 {
        bearer(&later.json()).client.get("/v2/").await.refused(401, "UNAUTHORIZED");
    }
}

#[tokio::test]
async fn strangers_make_an_account_where_the_operator_lets_them() {
    let closed = Managed::start(PROGRAM, |_| {});
    let stranger = Browser::new(&closed);
    assert!(!html(&stranger.get("/login").await).contains("/register"));
    html(&stranger.get("/register").await.is(404));
    html(&stranger.post("/register", &[("username", "carol"), ("password", GOOD), ("repeated", GOOD)]).await.is(404));
    let registry = Managed::start(PROGRAM, |files| {
        files.settings = "[auth]\nregistration = \"open\"\n".to_owned();
    });
    let stranger = Browser::new(&registry);
    shows(&html(&stranger.get("/login").await), &["href=\"/register\""]);
    shows(&html(&stranger.get("/register").await.is(200)), &["The password again", "10 to 71 bytes"]);
    let form = |name: &'static str, password: &'static str, repeated: &'static str| {
        [("username", name), ("password", password), ("repeated", repeated)]
    };
    let differs = stranger.post("/register", &form("carol", GOOD, "x")).await.is(400);
    shows(&html(&differs), &["The two passwords differ.", "value=\"carol\""]);
    shows(&html(&stranger.post("/register", &form("carol", "short", "short")).await.is(400)), &["at least 10 bytes"]);
    shows(&html(&stranger.post("/register", &form("alice", GOOD, GOOD)).await.is(409)), &["exists already"]);
    let made = stranger.post("/register", &form("carol", GOOD, GOOD)).await.is(303);
    shows(&html(&stranger.get(made.header("location")).await.is(200)), &["The account was made."]);
    assert!(registry.text("htpasswd").contains("carol:$2"));
    let mut last = stranger.post("/register", &form("dora", GOOD, GOOD)).await;
    for name in ["erin", "frank", "grace", "heidi", "ivan"] {
        last = stranger.post("/register", &form(name, GOOD, GOOD)).await;
    }
    let last = last.is(429);
    assert!(last.header("retry-after").parse::<u64>().is_ok());
    shows(&html(&last), &["Too many accounts", "The next try is answered after"]);
}
