//! Users: lines of the htpasswd file, and their entries in groups.

use super::{GOOD, RULES, SETTINGS, changed, is_external, problem, start, with};
use crate::PROGRAM;
use http::Method;
use serde_json::{Value, json};
use std::{fs, os::unix::fs::symlink};
use testing::{
    managed::Managed,
    people::{htpasswd, password},
};

#[tokio::test]
async fn a_user_is_created_and_is_one_line_and_one_entry() {
    let registry = start();
    let (people, admin) = (registry.text("htpasswd"), registry.admin());
    let asked = json!({ "username": "carl", "password": GOOD, "groups": ["devs"], "email": "carl@example.com" });
    let made = admin.post("/users", &asked).await.is(201);
    assert_eq!(made.header("location"), "/api/v1/users/carl");
    assert!(!made.header("wharfinger-generation").is_empty());
    let carl = made.json();
    assert_eq!((&carl["groups"], &carl["roles"]), (&json!(["devs"]), &json!(["dev"])));
    assert_eq!((&carl["is_admin"], &carl["locked"], &carl["robot"]), (&json!(false), &json!(false), &json!(false)));

    let lines = changed(&people, &registry.text("htpasswd"));
    assert!(lines.len() == 1 && lines[0].starts_with("+carl:$2"), "{lines:?}");
    let group = |members: &str| {
        format!(
            r#"    "devs":     {{"members": [{members}], "roles": ["dev"], "description": "Who writes the code"}},"#
        )
    };
    let expected = [format!("-{}", group(r#""alice""#)), format!("+{}", group(r#""alice", "carl""#))];
    assert_eq!(changed(RULES, &registry.text("access-control.json")), expected);

    // At once, and without a restart.
    let carl = registry.caller(Some(password("carl", GOOD)));
    assert_eq!(carl.get("/auth/me").await.is(200).json()["groups"], json!(["devs"]));
    carl.client.push_image("team/app", "v1", "x").await;
    let shown = admin.get("/users/carl").await.is(200);
    assert_eq!(shown.header("etag"), made.header("etag"));
    let user = shown.json();
    assert_eq!((&user["username"], &user["email"]), (&json!("carl"), &json!("carl@example.com")));
    assert!(user["created_at"].as_str().unwrap().ends_with('Z'));
    assert!(!String::from_utf8_lossy(&shown.body).contains("$2"), "nobody sees a hash");
}

#[tokio::test]
async fn users_are_listed_in_pages_by_name_and_by_group() {
    let registry = start();
    let mia = registry.user("mia");
    let names = |list: Value| -> Vec<String> {
        let items = list["items"].as_array().unwrap().iter();
        items.map(|item| item["username"].as_str().unwrap().to_owned()).collect()
    };
    let all = mia.get("/users").await.is(200).json();
    let robot = all["items"].as_array().unwrap().iter().find(|item| item["username"] == "ci").unwrap().clone();
    assert_eq!((&robot["robot"], &robot["groups"]), (&json!(true), &json!([])));
    assert_eq!(names(all), ["admin", "alice", "bob", "ci", "mia"]);
    let first = mia.get("/users?n=2&q=i").await.is(200);
    let next = first.next().unwrap().strip_prefix("/api/v1").unwrap().to_owned();
    assert_eq!(names(first.json()), ["admin", "alice"]);
    let second = mia.get(&next).await.is(200);
    assert_eq!((names(second.json()), second.next()), (vec!["ci".to_owned(), "mia".to_owned()], None));
    assert_eq!(names(mia.get("/users?group=devs").await.is(200).json()), ["alice"]);
    assert_eq!(names(mia.get("/users?group=nobodies").await.is(200).json()), [""; 0]);
    mia.get("/users/nobody").await.refused(404, "NOT_FOUND");
    registry.user("alice").get("/users").await.refused(403, "DENIED");
    registry.nobody().get("/users").await.refused(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn a_user_is_locked_unlocked_moved_between_groups_and_deleted() {
    let registry = start();
    let (people, admin) = (registry.text("htpasswd"), registry.admin());
    let bob = registry.user("bob");
    bob.get("/auth/me").await.is(200);
    let locked = admin.patch("/users/bob", &json!({ "locked": true })).await.is(200).json();
    assert_eq!((&locked["locked"], &locked["username"]), (&json!(true), &json!("bob")));
    let line = |text: &str| text.lines().find(|line| line.starts_with("bob:")).unwrap().to_owned();
    let (was, is) = (line(&people), line(&registry.text("htpasswd")));
    assert_eq!(is, was.replace("bob:", "bob:!"));
    assert_eq!(changed(&people, &registry.text("htpasswd")), [format!("-{was}"), format!("+{is}")]);
    bob.get("/auth/me").await.refused(401, "UNAUTHORIZED");
    admin.patch("/users/bob", &json!({ "locked": false })).await.is(200);
    assert_eq!(registry.text("htpasswd"), people);
    bob.get("/auth/me").await.is(200);

    let moved = admin.put("/users/bob/groups", &json!({ "groups": ["devs", "managers"] })).await.is(200);
    assert_eq!(moved.json()["groups"], json!(["devs", "managers"]));
    admin.put("/users/groups", &json!({ "username": "bob", "groups": ["managers"] })).await.is(200);
    let lines = changed(RULES, &registry.text("access-control.json"));
    assert_eq!(lines.len(), 2, "{lines:?}");
    admin.put("/users/bob/groups", &json!({ "groups": [] })).await.is(200);
    assert_eq!(registry.text("access-control.json"), RULES);
    admin.put("/users/groups", &json!({ "groups": [] })).await.refused(400, "INVALID_REQUEST");
    admin.put("/users/bob/groups", &json!({ "username": "mia", "groups": [] })).await.refused(400, "INVALID_REQUEST");

    let patched = admin.patch("/users/bob", &json!({ "email": "bob@example.com" })).await.is(200);
    let shown = admin.get("/users/bob").await.is(200);
    assert_eq!((patched.json(), patched.header("etag")), (shown.json(), shown.header("etag")));
    assert_eq!(shown.json()["email"], "bob@example.com");
    assert_eq!(admin.get("/users?q=bob").await.is(200).json()["items"], json!([shown.json()]));
    assert_eq!(problem(&admin.patch("/users/bob", &json!({ "email": "bob" })).await).0, "/email");

    for (name, owner) in [("lab/app", "alice"), ("lab/tool", "bob")] {
        admin.post("/repositories", &json!({ "name": name, "owner": owner })).await.is(201);
    }
    for (name, owner) in [("builds", "alice"), ("reports", "bob")] {
        admin.post("/artifacts/repos", &json!({ "name": name })).await.is(201);
        admin.patch(&format!("/artifacts/repos/{name}"), &json!({ "owner": owner })).await.is(200);
    }
    admin.delete("/users/alice").await.is(204);
    for (path, owner) in [
        ("/repositories/lab/app", json!(null)),
        ("/repositories/lab/tool", json!("bob")),
        ("/artifacts/repos/builds", json!(null)),
        ("/artifacts/repos/reports", json!("bob")),
    ] {
        assert_eq!(admin.get(path).await.is(200).json()["owner"], owner, "{path}");
    }
    registry.user("alice").get("/auth/me").await.refused(401, "UNAUTHORIZED");
    assert_eq!(changed(&people, &registry.text("htpasswd")).len(), 1);
    assert!(!registry.text("access-control.json").contains("alice"));
    admin.get("/users/alice").await.refused(404, "NOT_FOUND");
    admin.delete("/users/alice").await.refused(404, "NOT_FOUND");
    let again = json!({ "username": "alice", "password": GOOD });
    admin.post("/users", &again).await.refused(409, "NAME_TAKEN");
}

#[tokio::test]
async fn only_an_administrator_gives_the_name_of_a_deleted_user_again_and_nothing_comes_back_with_it() {
    let registry = with(|files| files.settings = format!("{SETTINGS}\n[auth]\nregistration = \"open\"\n"));
    let (admin, mia, nobody) = (registry.admin(), registry.user("mia"), registry.nobody());
    admin.client.push_image("alice/app", "v1", "x").await;
    admin.patch("/repositories/alice/app", &json!({ "owner": "alice" })).await.is(200);
    let key = registry.user("alice").post("/keys", &json!({ "name": "ci", "scopes": ["repository:**:*"] })).await;
    let key = key.is(201).json()["secret"].as_str().unwrap().to_owned();
    admin.delete("/users/alice").await.is(204);

    let named = |reuse: bool| json!({ "username": "alice", "password": GOOD, "reuse_name": reuse });
    for caller in [&mia, &nobody] {
        caller.post("/users", &named(true)).await.refused(403, "DENIED");
    }
    admin.post("/users", &named(false)).await.refused(409, "NAME_TAKEN");
    admin.post("/users", &json!({ "username": "alice", "password": "short", "reuse_name": true })).await.is(400);
    admin.post("/users", &named(false)).await.refused(409, "NAME_TAKEN");
    admin.post("/users", &named(true)).await.is(201);

    let alice = registry.caller(Some(password("alice", GOOD)));
    let me = alice.get("/auth/me").await.is(200).json();
    assert_eq!((&me["username"], &me["groups"]), (&json!("alice"), &json!([])));
    registry.caller(Some(password("alice", &key))).get("/auth/me").await.refused(401, "UNAUTHORIZED");
    assert_eq!(admin.get("/repositories/alice/app").await.is(200).json()["owner"], Value::Null);
    // It is an ordinary name now, and may be asked for with any other.
    admin.post("/users", &named(true)).await.refused(409, "NAME_TAKEN");
    admin.post("/users", &json!({ "username": "new", "password": GOOD, "reuse_name": true })).await.is(201);
}

#[tokio::test]
async fn a_password_that_an_administrator_sets_is_the_only_one_at_once() {
    let registry = start();
    let admin = registry.admin();
    let login = |password: &str| {
        let body = json!({ "username": "bob", "password": password });
        let nobody = registry.nobody();
        async move { nobody.post("/auth/login", &body).await }
    };
    admin.put("/users/bob/groups", &json!({ "groups": ["managers"] })).await.is(200);
    admin.patch("/roles/manage", &json!({ "add": ["LOGIN:WEBUI"] })).await.is(200);
    let session = login("bob!").await.is(200).json();
    let bob = registry.caller(Some(format!("Bearer {}", session["access_token"].as_str().unwrap())));
    bob.get("/auth/me").await.is(200);
    admin.patch("/users/bob", &json!({ "password": GOOD })).await.is(200);
    bob.get("/auth/me").await.refused(401, "UNAUTHORIZED");
    registry.user("bob").get("/auth/me").await.refused(401, "UNAUTHORIZED");
    let refresh = json!({ "refresh_token": session["refresh_token"] });
    registry.nobody().post("/auth/refresh", &refresh).await.refused(401, "UNAUTHORIZED");
    login(GOOD).await.is(200);
    // A robot has none, and stays one.
    assert_eq!(problem(&admin.patch("/users/ci", &json!({ "password": GOOD })).await).0, "");
}

#[tokio::test]
async fn what_cannot_be_a_user_is_refused_and_changes_nothing() {
    let registry = with(|files| files.rules = RULES.replace(r#"["admin"]"#, r#"["admin", "ghost"]"#));
    let (people, rules) = (registry.text("htpasswd"), registry.text("access-control.json"));
    let admin = registry.admin();
    admin.client.push_image("namespace/app", "v1", "x").await;
    admin.client.push_image("x", "v1", "x").await;
    admin.patch("/repositories/x", &json!({ "owner": "former" })).await.is(200);
    admin.post("/artifacts/repos", &json!({ "name": "builds" })).await.is(201);
    admin.patch("/artifacts/repos/builds", &json!({ "owner": "leaver" })).await.is(200);
    let named = |name: &str| json!({ "username": name, "password": GOOD });
    for name in ["", "me", "groups", "anonymous", "*", "@devs", "#x", "a:b", "a/b", "a%b", " a", &"n".repeat(129)] {
        assert_eq!(problem(&admin.post("/users", &named(name)).await).0, "/username", "{name:?}");
    }
    for name in ["alice", "ci", "ghost", "namespace", "former", "leaver"] {
        admin.post("/users", &named(name)).await.refused(409, "NAME_TAKEN");
    }
    for (body, at) in [
        (json!({ "username": "new" }), "/password"),
        (json!({ "username": "new", "password": "short" }), "/password"),
        (json!({ "username": "new", "password": "password123" }), "/password"),
        (json!({ "username": "newcomer-1", "password": "newcomer-1" }), "/password"),
        (json!({ "username": "new", "password": "x".repeat(72) }), "/password"),
        (json!({ "username": "new", "password": GOOD, "robot": true }), "/password"),
        (json!({ "username": "new", "password": GOOD, "email": "x" }), "/email"),
        (json!({ "username": "new", "password": GOOD, "admin": true }), "/admin"),
        (json!({ "username": 7, "password": GOOD }), "/username"),
    ] {
        assert_eq!(problem(&admin.post("/users", &body).await).0, at, "{body}");
    }
    let unknown = json!({ "username": "new", "password": GOOD, "groups": ["managers", "dev"] });
    assert_eq!(problem(&admin.post("/users", &unknown).await), ("/groups/1".to_owned(), json!("devs")));
    admin.patch("/users/nobody", &json!({ "locked": true })).await.refused(404, "NOT_FOUND");
    admin.put("/users/nobody/groups", &json!({ "groups": [] })).await.refused(404, "NOT_FOUND");
    assert_eq!((registry.text("htpasswd"), registry.text("access-control.json")), (people, rules));
}

#[tokio::test]
async fn a_user_is_changed_only_in_the_state_that_was_seen() {
    let registry = start();
    let admin = registry.admin();
    let tag = admin.get("/users/bob").await.is(200).header("etag").to_owned();
    let lock = json!({ "locked": true });
    let locked = admin.write_if(Method::PATCH, "/users/bob", &tag, &lock).await.is(200);
    let late = admin.write_if(Method::PATCH, "/users/bob", &tag, &json!({ "groups": ["devs"] })).await;
    late.refused(412, "PRECONDITION_FAILED");
    let current = late.json()["errors"][0]["detail"]["current"].as_str().unwrap().to_owned();
    assert_eq!(format!("\"{current}\""), locked.header("etag"));
    // Another user is another resource, though in the same file.
    let alice = admin.get("/users/alice").await.is(200).header("etag").to_owned();
    admin.write_if(Method::PATCH, "/users/bob", &format!("\"{current}\""), &json!({ "locked": false })).await.is(200);
    admin.write_if(Method::PATCH, "/users/alice", &alice, &lock).await.is(200);
    let delete = admin.ask(Method::DELETE, "/users/bob").header("if-match", "\"x\"").send().await;
    delete.refused(412, "PRECONDITION_FAILED");

    admin.patch("/settings/management", &json!({ "require_if_match": true })).await.is(200);
    admin.patch("/users/bob", &lock).await.refused(428, "PRECONDITION_REQUIRED");
    admin.delete("/users/bob").await.refused(428, "PRECONDITION_REQUIRED");
    admin.ask(Method::DELETE, "/users/bob").header("if-match", "*").send().await.is(204);
}

#[tokio::test]
async fn a_file_of_users_that_is_edited_elsewhere_is_refused_with_its_path() {
    let registry = with(|files| files.settings = "[management]\nhtpasswd_file = \"external\"\n".to_owned());
    let (people, admin) = (registry.text("htpasswd"), registry.admin());
    let new = json!({ "username": "carl", "password": GOOD });
    is_external(&admin.post("/users", &new).await, &registry, "htpasswd");
    is_external(&admin.patch("/users/bob", &json!({ "locked": true })).await, &registry, "htpasswd");
    is_external(&admin.delete("/users/bob").await, &registry, "htpasswd");
    assert_eq!(registry.text("htpasswd"), people);
    admin.put("/users/bob/groups", &json!({ "groups": ["devs"] })).await.is(200);

    // A ConfigMap is a link to a directory that is switched.
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("1")).unwrap();
    fs::write(dir.path().join("1/htpasswd"), htpasswd(&["admin", "bob"])).unwrap();
    symlink("1", dir.path().join("now")).unwrap();
    let path = dir.path().join("now/htpasswd");
    let mounted = Managed::start(PROGRAM, |files| {
        files.vars.push(("REGISTRY_AUTH_HTPASSWD", path.display().to_string()));
    });
    let refused = mounted.admin().patch("/users/bob", &json!({ "locked": true })).await;
    refused.refused(409, "READ_ONLY_FILE");
    assert_eq!(refused.json()["errors"][0]["detail"]["file"], path.display().to_string());
}
