//! What a change would do, without making it: `?dry_run=true`.

use super::{GOOD, changed, start, with};
use http::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use testing::managed::Managed;

/// A request for each operation that has previews: its id, the request, and the file that would change.
fn requests() -> Vec<(&'static str, Method, &'static str, Option<Value>, &'static str)> {
    let user = json!({ "username": "carl", "password": GOOD });
    let rule = json!({ "repository": "x/*", "users": ["bob"], "permissions": ["pull"] });
    vec![
        ("create_user", Method::POST, "/users", Some(user), "htpasswd"),
        ("update_user", Method::PATCH, "/users/bob", Some(json!({ "locked": true })), "htpasswd"),
        ("delete_user", Method::DELETE, "/users/bob", None, "htpasswd"),
        ("set_user_groups", Method::PUT, "/users/bob/groups", Some(json!({ "groups": ["devs"] })), "access-control"),
        (
            "set_groups_of_user",
            Method::PUT,
            "/users/groups",
            Some(json!({ "username": "bob", "groups": ["devs"] })),
            "access-control",
        ),
        ("create_group", Method::POST, "/groups", Some(json!({ "name": "new" })), "access-control"),
        ("put_group", Method::PUT, "/groups/new", Some(json!({ "members": ["bob"] })), "access-control"),
        ("update_group", Method::PATCH, "/groups/devs", Some(json!({ "description": "x" })), "access-control"),
        ("delete_group", Method::DELETE, "/groups/managers", None, "access-control"),
        ("create_role", Method::POST, "/roles", Some(json!({ "name": "new" })), "access-control"),
        ("put_role", Method::PUT, "/roles/new", Some(json!({ "permissions": ["VIEW:USER"] })), "access-control"),
        ("update_role", Method::PATCH, "/roles/dev", Some(json!({ "add": ["VIEW:USER"] })), "access-control"),
        ("delete_role", Method::DELETE, "/roles/spare", None, "access-control"),
        ("insert_rule", Method::POST, "/rules", Some(rule.clone()), "access-control"),
        ("replace_rule", Method::PUT, "/rules/0", Some(rule), "access-control"),
        ("move_rule", Method::POST, "/rules/0/move", Some(json!({ "to": 1 })), "access-control"),
        ("delete_rule", Method::DELETE, "/rules/0", None, "access-control"),
        ("put_settings", Method::PUT, "/settings/manifests", Some(json!({ "max_bytes": "2 MiB" })), "settings"),
        ("update_settings", Method::PATCH, "/settings/operator", Some(json!({ "message": "x" })), "settings"),
        ("reset_settings", Method::POST, "/settings/manifests/reset", None, "settings"),
        ("put_config_file", Method::PUT, "/config/files/settings", None, "settings"),
    ]
}

fn texts(registry: &Managed) -> [String; 3] {
    ["htpasswd", "access-control.json", "settings.toml"].map(|name| registry.text(name))
}

#[tokio::test]
async fn every_change_of_a_file_can_be_previewed() {
    let registry = with(|files| {
        files.rules = files.rules.replace("\"roles\": {", "\"roles\": {\n    \"spare\": {\"permissions\": []},");
    });
    let (admin, before) = (registry.admin(), texts(&registry));
    let document = registry.nobody().get("/openapi.json").await.is(200).json();
    let operations =
        document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values());
    let previews = |operation: &&Value| {
        operation["parameters"].as_array().unwrap().iter().any(|parameter| parameter["name"] == "dry_run")
    };
    let documented: BTreeSet<_> =
        operations.filter(previews).map(|operation| operation["operationId"].as_str().unwrap()).collect();
    assert_eq!(documented, requests().iter().map(|request| request.0).collect());
    for (id, method, path, body, file) in requests() {
        let of_file = match file {
            "settings" => "/config/files/settings",
            _ => "/rules",
        };
        let mut ask = admin.ask(method, &format!("{path}?dry_run=true"));
        if path.starts_with("/rules") || path.starts_with("/config") {
            let etag = admin.get(of_file).await.is(200).header("etag").to_owned();
            ask = ask.header("if-match", etag);
        }
        ask = match body {
            Some(body) => ask.header("content-type", "application/json").body(body.to_string()),
            None if id == "put_config_file" => ask.header("content-type", "application/toml").body("# Empty.\n"),
            None => ask,
        };
        let preview = ask.send().await.is(200).json();
        let files: Vec<_> =
            preview["files"].as_array().unwrap().iter().map(|file| file["file"].as_str().unwrap()).collect();
        assert_eq!(files, [file], "{id}: {preview}");
        let diff = preview["files"][0]["diff"].as_str().unwrap();
        assert!(diff.starts_with("--- /") && diff.lines().count() > 3 && !diff.contains("$2"), "{id}: {diff}");
        assert_eq!(preview["files"][0]["read_only"], Value::Null);
        assert_eq!(texts(&registry), before, "{id} has written something");
    }
    assert_eq!(admin.get("/audit").await.is(200).json()["items"], json!([]));
    assert_eq!(admin.get("/users/bob").await.is(200).json()["locked"], false);
}

#[tokio::test]
async fn a_preview_shows_what_the_change_then_does() {
    let registry = start();
    let (admin, before) = (registry.admin(), registry.text("access-control.json"));
    let group = json!({ "members": ["bob"], "roles": ["dev"] });
    let preview = admin.put("/groups/devs?dry_run=true", &group).await.is(200).json();
    admin.put("/groups/devs?dry_run=false", &group).await.is(200);
    let shown = preview["files"][0]["diff"].as_str().unwrap().lines().skip(2);
    let shown: Vec<_> = shown.filter(|line| line.starts_with(['-', '+'])).map(str::to_owned).collect();
    assert_eq!(shown, changed(&before, &registry.text("access-control.json")));
    // A user who gets groups and a lock: two files, each with all that happens to it.
    let both = json!({ "groups": ["managers"], "locked": true });
    let preview = admin.patch("/users/bob?dry_run", &both).await.is(200).json();
    let files: Vec<_> = preview["files"].as_array().unwrap().iter().map(|file| file["file"].clone()).collect();
    assert_eq!(files, ["htpasswd", "access-control"]);
    let diff = preview["files"][1]["diff"].as_str().unwrap();
    assert!(diff.contains("-    \"devs\"") && diff.contains("-    \"managers\""), "{diff}");
}

#[tokio::test]
async fn a_preview_is_refused_like_the_change() {
    let registry = start();
    let (admin, mia, before) = (registry.admin(), registry.user("mia"), texts(&registry));
    admin.post("/groups?dry_run=true", &json!({ "name": "devs" })).await.refused(409, "NAME_TAKEN");
    admin.post("/groups?dry_run=true", &json!({ "name": "a/b" })).await.refused(400, "INVALID_REQUEST");
    admin.delete("/rules/0?dry_run=true").await.refused(428, "PRECONDITION_REQUIRED");
    admin.patch("/users/admin?dry_run=true", &json!({ "locked": true })).await.refused(403, "DENIED");
    mia.patch("/users/admin?dry_run=true", &json!({ "password": GOOD })).await.refused(403, "DENIED");
    mia.post("/roles?dry_run=true", &json!({ "name": "x" })).await.refused(403, "DENIED");
    registry.nobody().delete("/users/bob?dry_run=true").await.refused(401, "UNAUTHORIZED");
    let late = admin.write_if(Method::PUT, "/groups/devs?dry_run=true", "\"old\"", &json!({ "members": [] })).await;
    late.refused(412, "PRECONDITION_FAILED");
    // What is misspelt must not become a change.
    for query in ["dry_run=yes", "dry_run=1", "dry_run=true&dry_run=false"] {
        admin.post(&format!("/groups?{query}"), &json!({ "name": "new" })).await.is(400);
    }
    // Whoever may not read the files sees no line of them.
    let preview = mia.patch("/users/bob?dry_run=true", &json!({ "locked": true })).await.is(200).json();
    let file = &preview["files"][0];
    assert_eq!((&file["path"], &file["diff"]), (&Value::Null, &Value::Null), "{preview}");
    assert_eq!((&file["added"], &file["removed"]), (&json!(1), &json!(1)));
    assert_eq!(texts(&registry), before);
}

#[tokio::test]
async fn a_preview_of_a_read_only_file_says_why_it_cannot_be_written() {
    let registry = with(|files| files.settings.push_str("[management]\naccess_control_file = \"external\"\n"));
    let admin = registry.admin();
    let preview = admin.post("/groups?dry_run=true", &json!({ "name": "new" })).await.is(200).json();
    let file = &preview["files"][0];
    assert!(file["read_only"].as_str().unwrap().contains("edited elsewhere"), "{preview}");
    assert!(file["diff"].as_str().unwrap().contains("+    \"new\""), "{preview}");
    admin.post("/groups", &json!({ "name": "new" })).await.refused(409, "READ_ONLY_FILE");
}
