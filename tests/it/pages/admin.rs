//! Users, groups, roles, rules and settings by forms: the files change, and nothing else does.

use super::{Browser, html, shows};
use crate::PROGRAM;
use serde_json::json;
use testing::managed::{Files, Managed};

pub fn with_groups(files: &mut Files) {
    files.rules = json!({
        "adminUsers": ["admin"],
        "rules": [{ "repository": "team/**", "users": ["@dev"], "permissions": ["pull"] }],
        "groups": { "dev": { "members": ["alice"], "roles": ["dev"] } },
        "roles": { "dev": { "permissions": ["LOGIN:WEBUI", "VIEW:USER"] } },
    })
    .to_string();
}

/// The entity tag in the first form of a page.
pub fn etag(page: &str) -> String {
    let written = page.split("name=\"etag\" value=\"").nth(1).expect("an entity tag").split('"').next().unwrap();
    super::unescaped(written)
}

#[tokio::test]
async fn an_administrator_creates_locks_and_deletes_a_user() {
    let registry = Managed::start(PROGRAM, with_groups);
    let browser = Browser::of(&registry, "admin").await;
    let weak = browser.post("/users", &[("username", "carol"), ("password", "short")]).await.is(400);
    shows(&html(&weak), &["role=\"alert\"", "value=\"carol\""]);
    let form = [("username", "carol"), ("password", "quay-side crane 9"), ("groups", "dev")];
    let made = browser.save("/users", &form).await.is(303);
    assert_eq!(made.header("location"), "/users/carol?done=saved");
    let page = html(&browser.get("/users/carol").await.is(200));
    shows(&page, &["carol", "value=\"dev\"", "team/**", "Delete this user"]);
    shows(&html(&browser.get("/users?q=caro").await.is(200)), &["/users/carol"]);
    assert!(registry.text("htpasswd").contains("carol:$2"));
    let lock =
        [("etag", etag(&page)), ("was_groups", "dev".into()), ("groups", "dev".into()), ("locked", "yes".into())];
    let lock: Vec<_> = lock.iter().map(|(name, value)| (*name, value.as_str())).collect();
    browser.save("/users/carol", &lock).await.is(303);
    assert!(registry.text("htpasswd").contains("carol:!"), "{}", registry.text("htpasswd"));
    // Somebody else has seen the user as it was.
    html(&browser.post("/users/carol", &lock[..3]).await.is(412));
    browser.post("/users/carol/delete", &[("confirm", "caro")]).await.is(400);
    browser.save("/users/carol/delete", &[("confirm", "carol")]).await.is(303);
    assert!(!registry.text("htpasswd").contains("carol") && !registry.text("access-control.json").contains("carol"));
    browser.get("/users/carol").await.is(404);
}

#[tokio::test]
async fn groups_and_roles_change_by_forms() {
    let registry = Managed::start(PROGRAM, with_groups);
    let browser = Browser::of(&registry, "admin").await;
    browser.save("/roles", &[("name", "ops")]).await.is(303);
    let page = html(&browser.get("/roles/ops").await.is(200));
    shows(&page, &["value=\"VIEW:SYSTEM\"", "value=\"PULL:IMAGE\""]);
    let tag = etag(&page);
    let grid = [
        ("etag", tag.as_str()),
        ("permission", "VIEW:SYSTEM"),
        ("permission", "PULL:IMAGE"),
        ("repositories", "team/**\r\nother/*"),
        ("description", "Those on call"),
    ];
    browser.save("/roles/ops", &grid).await.is(303);
    let page = html(&browser.get("/roles/ops").await.is(200));
    shows(&page, &["aria-label=\"VIEW SYSTEM\" checked", "team/**\nother/*", "Those on call"]);
    let group = [("name", "oncall"), ("members", "bob alice"), ("roles", "ops")];
    browser.save("/groups", &group).await.is(303);
    shows(&html(&browser.get("/groups").await.is(200)), &["oncall", "bob", "ops"]);
    // A role that a group has stays.
    shows(&html(&browser.post("/roles/ops/delete", &[]).await.is(409)), &["in use by"]);
    browser.save("/groups/oncall/delete", &[("confirm", "oncall")]).await.is(303);
    browser.save("/roles/ops/delete", &[]).await.is(303);
    browser.get("/roles/ops").await.is(404);
}

#[tokio::test]
async fn rules_are_added_explained_and_deleted() {
    let registry = Managed::start(PROGRAM, with_groups);
    let browser = Browser::of(&registry, "admin").await;
    let page = html(&browser.get("/access").await.is(200));
    shows(&page, &["team/**", "@dev", "line 1", "default policy"]);
    let tag = etag(&page);
    let rule =
        [("etag", tag.as_str()), ("repository", "open/*"), ("users", "anonymous"), ("permission", "pull"), ("at", "1")];
    browser.save("/access", &rule).await.is(303);
    // The page was of the file before.
    html(&browser.post("/access", &rule).await.is(412));
    let asked = html(&browser.get("/access?user=alice&repository=team/app&action=push").await.is(200));
    shows(&asked, &["may not push", "class=\"hit\"", "wharfinger explain"]);
    let asked = html(&browser.get("/access?user=alice&repository=team/app&action=pull").await.is(200));
    shows(&asked, &["Yes."]);
    shows(&html(&browser.get("/access?user=alice&repository=UPPER&action=pull").await.is(200)), &["role=\"alert\""]);
    let tag = etag(&asked);
    let changed = [
        ("etag", tag.as_str()),
        ("repository", "team/**"),
        ("users", "@dev, bob"),
        ("permission", "pull"),
        ("permission", "push"),
    ];
    browser.save("/access/1", &changed).await.is(303);
    let page = html(&browser.get("/access").await.is(200));
    shows(&page, &["@dev, bob"]);
    browser.save("/access/0/delete", &[("etag", &etag(&page))]).await.is(303);
    assert!(!registry.text("access-control.json").contains("open/*"));
}

#[tokio::test]
async fn settings_are_saved_section_by_section() {
    let registry = Managed::start(PROGRAM, |_| {});
    let browser = Browser::of(&registry, "admin").await;
    html(&browser.get("/settings").await.is(200));
    let page = html(&browser.get("/settings/operator").await.is(200));
    shows(&page, &["read_only", "name=\"set.message\"", "default"]);
    let tag = etag(&page);
    let form = [
        ("etag", tag.as_str()),
        ("was.message", ""),
        ("set.message", "Sunday from six"),
        ("was.read_only", "false"),
        ("set.read_only", "false"),
    ];
    browser.save("/settings/operator", &form).await.is(303);
    let text = registry.text("settings.toml");
    assert!(
        text.contains("# Our settings.") && text.contains("Sunday from six") && !text.contains("read_only"),
        "{text}"
    );
    shows(&html(&browser.get("/settings/operator").await.is(200)), &["Sunday from six", "changed, default"]);
    let page = html(&browser.get("/settings/sessions").await.is(200));
    let tag = etag(&page);
    let wrong = [("etag", tag.as_str()), ("was.idle_hours", "336"), ("set.idle_hours", "soon")];
    html(&browser.post("/settings/sessions", &wrong).await.is(400));
    let page = html(&browser.get("/settings/operator").await.is(200));
    browser.save("/settings/operator/reset", &[("etag", &etag(&page))]).await.is(303);
    assert!(!registry.text("settings.toml").contains("Sunday"));
    shows(&html(&browser.get("/settings/startup").await.is(200)), &["REGISTRY_AUTH_TYPE", "environment"]);
    browser.get("/settings/nothing").await.is(404);
}

#[tokio::test]
async fn only_those_who_may_see_what_administrators_see() {
    let registry = Managed::start(PROGRAM, with_groups);
    let (stranger, alice, admin) =
        (Browser::new(&registry), Browser::of(&registry, "alice").await, Browser::of(&registry, "admin").await);
    for (path, for_alice) in [
        ("/users", 200),
        ("/users/bob", 200),
        ("/groups", 403),
        ("/groups/dev", 403),
        ("/roles", 403),
        ("/roles/dev", 403),
        ("/access", 403),
        ("/settings", 403),
        ("/settings/operator", 403),
        ("/settings/startup", 403),
    ] {
        html(&stranger.get(path).await.is(401));
        html(&alice.get(path).await.is(for_alice));
        html(&admin.get(path).await.is(200));
    }
    let home = html(&alice.get("/").await.is(200));
    assert!(home.contains("href=\"/users\"") && !home.contains("href=\"/settings\""), "{home}");
    for (path, form) in [
        ("/users", vec![("username", "mallory"), ("password", "quay-side crane 9")]),
        ("/users/bob", vec![("password", "quay-side crane 9")]),
        ("/users/bob/delete", vec![("confirm", "bob")]),
        ("/groups", vec![("name", "x")]),
        ("/groups/dev", vec![("members", "alice")]),
        ("/groups/dev/delete", vec![("confirm", "dev")]),
        ("/roles", vec![("name", "x")]),
        ("/roles/dev", vec![("permission", "ADMIN:SYSTEM")]),
        ("/roles/dev/delete", vec![]),
        ("/access", vec![("repository", "**"), ("users", "alice"), ("permission", "delete")]),
        ("/access/0", vec![("repository", "**"), ("users", "alice"), ("permission", "delete")]),
        ("/access/0/delete", vec![]),
        ("/access/0/move", vec![("to", "1")]),
        ("/system/reload", vec![]),
        ("/settings/operator", vec![("set.delete", "false")]),
        ("/settings/operator/reset", vec![]),
    ] {
        let before = (registry.text("htpasswd"), registry.text("access-control.json"), registry.text("settings.toml"));
        stranger.post(path, &form).await.is(401);
        html(&alice.post(path, &form).await.is(403));
        let after = (registry.text("htpasswd"), registry.text("access-control.json"), registry.text("settings.toml"));
        assert_eq!(before, after, "{path}");
    }
}

#[tokio::test]
async fn an_administrator_sees_and_ends_the_keys_and_sessions_of_others() {
    let registry = Managed::start(PROGRAM, |files| {
        with_groups(files);
        files.htpasswd.push_str("ci:!\n");
    });
    let (admin, alice) = (Browser::of(&registry, "admin").await, Browser::of(&registry, "alice").await);
    let bad = [("name", "build"), ("scopes", "nonsense"), ("days", "30")];
    shows(&html(&admin.post("/users/ci/keys", &bad).await.is(400)), &["role=\"alert\"", "A scope is written"]);
    let made =
        admin.post("/users/ci/keys", &[("name", "build"), ("scopes", "repository:**:pull"), ("days", "30")]).await;
    let page = html(&made.is(201));
    shows(&page, &["Copy it now", "docker login", "-u ci"]);
    let secret = page.split("data-copy=\"whf_").nth(1).expect("the key").split('"').next().unwrap();
    let robot = registry.caller(Some(format!("Bearer whf_{secret}")));
    robot.client.get("/v2/").await.is(200);
    let page = html(&admin.get("/users/ci").await.is(200));
    assert!(!page.contains(secret) && page.contains("build"), "{page}");
    let key = page.split("/users/ci/keys/").nth(1).unwrap().split('/').next().unwrap();
    html(&alice.post(&format!("/users/ci/keys/{key}/delete"), &[]).await.is(404));
    admin.post(&format!("/users/ci/keys/{key}/delete"), &[]).await.is(303);
    robot.client.get("/v2/").await.is(401);
    let page = html(&admin.get("/users/alice").await.is(200));
    let session = page.split("/users/alice/sessions/").nth(1).expect("a session").split('/').next().unwrap();
    admin.post(&format!("/users/alice/sessions/{session}/end"), &[]).await.is(303);
    alice.get("/profile").await.is(401);
    // Whoever may only look at users sees neither.
    let alice = Browser::of(&registry, "alice").await;
    let page = html(&alice.get("/users/admin").await.is(200));
    assert!(!page.contains("id=\"keys\"") && !page.contains("id=\"sessions\""), "{page}");
    html(&alice.post("/users/ci/keys", &[("name", "x"), ("scopes", "repository:**:pull")]).await.is(403));
}

#[tokio::test]
async fn repeatable_settings_are_edited_as_json() {
    let registry = Managed::start(PROGRAM, |files| {
        files.settings =
            "# Ours.\n[[immutable]]\nrepositories = [\"team/**\"]  # releases\ntags = \"v.*\"\n".to_owned();
    });
    let browser = Browser::of(&registry, "admin").await;
    let page = html(&browser.get("/settings/immutable").await.is(200));
    shows(&page, &["name=\"list.immutable\"", "team/**", "<code>tags</code>"]);
    let was = page.split("name=\"was.immutable\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let was = super::unescaped(was);
    let more = "[{\"repositories\": [\"team/**\"], \"tags\": \"v.*\"}, {\"repositories\": [\"x\"], \"tags\": \".*\"}]";
    let tag = etag(&page);
    let form = |list: &'static str| {
        [("etag", tag.clone()), ("was.immutable", was.clone()), ("list.immutable", list.to_owned())]
    };
    for (list, status) in [("[{", 400), ("[1]", 400), ("[{\"tags\": \"(\"}]", 400)] {
        let form = form(list);
        let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        html(&browser.post("/settings/immutable", &form).await.is(status));
    }
    let form = form(more);
    let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    browser.save("/settings/immutable", &form).await.is(303);
    let text = registry.text("settings.toml");
    assert!(text.contains("# releases") && text.matches("[[immutable]]").count() == 2, "{text}");
}
