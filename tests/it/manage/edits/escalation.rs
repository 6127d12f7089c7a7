//! Nobody gains rights by changing others, and the registry keeps an administrator.

use super::{GOOD, RULES, start, with};
use http::Method;
use serde_json::json;

#[tokio::test]
async fn who_manages_users_changes_only_those_who_may_do_no_more() {
    let registry = start();
    let (people, mia) = (registry.text("htpasswd"), registry.user("mia"));
    let patch = |user: &'static str, body: serde_json::Value| {
        let mia = registry.user("mia");
        async move { mia.patch(&format!("/users/{user}"), &body).await }
    };
    patch("alice", json!({ "groups": [] })).await.refused(403, "DENIED");
    for user in ["admin", "alice"] {
        for body in [json!({ "password": GOOD }), json!({ "locked": true }), json!({ "groups": ["managers"] })] {
            patch(user, body).await.refused(403, "DENIED");
        }
        mia.delete(&format!("/users/{user}")).await.refused(403, "DENIED");
    }
    // Nor themselves, and nobody into a group that may do more.
    patch("mia", json!({ "password": GOOD })).await.refused(403, "DENIED");
    patch("mia", json!({ "groups": ["managers", "devs"] })).await.refused(403, "DENIED");
    mia.put("/users/bob/groups", &json!({ "groups": ["devs"] })).await.refused(403, "DENIED");
    mia.delete("/users/mia").await.refused(403, "DENIED");
    let new = |groups: &[&str]| json!({ "username": "new", "password": GOOD, "groups": groups });
    mia.post("/users", &new(&["devs"])).await.refused(403, "DENIED");
    assert_eq!((registry.text("htpasswd"), registry.text("access-control.json")), (people, RULES.to_owned()));

    mia.post("/users", &new(&["managers"])).await.is(201);
    patch("bob", json!({ "password": GOOD, "groups": ["managers"] })).await.is(200);
    patch("bob", json!({ "locked": true })).await.is(200);
    mia.delete("/users/bob").await.is(204);
}

#[tokio::test]
async fn who_manages_groups_gives_no_rights_that_they_lack() {
    let registry = start();
    let mia = registry.user("mia");
    let group = |roles: &[&str], members: &[&str]| json!({ "roles": roles, "members": members });
    for (method, path, body) in [
        (Method::PUT, "/groups/managers", group(&["manage", "administrator"], &["mia"])),
        (Method::PATCH, "/groups/managers", json!({ "roles": ["administrator"] })),
        (Method::PATCH, "/groups/devs", json!({ "members": ["alice", "mia"] })),
        (Method::PATCH, "/groups/devs", json!({ "members": [] })),
        (Method::PUT, "/groups/new", group(&["administrator"], &["mia"])),
        // Whoever joins it later would have them.
        (Method::PUT, "/groups/new", group(&["administrator"], &[])),
        (Method::PUT, "/groups/new", group(&["dev"], &[])),
    ] {
        mia.json(method.clone(), path, &body).send().await.refused(403, "DENIED");
    }
    mia.delete("/groups/devs?force").await.refused(403, "DENIED");
    mia.post("/roles", &json!({ "name": "all", "permissions": ["ADMIN:SYSTEM"] })).await.refused(403, "DENIED");
    mia.patch("/roles/manage", &json!({ "add": ["ADMIN:SYSTEM"] })).await.refused(403, "DENIED");
    let tag = registry.admin().get("/rules").await.is(200).header("etag").to_owned();
    let rule = json!({ "repository": "**", "users": ["mia"], "permissions": ["push"] });
    mia.write_if(Method::POST, "/rules", &tag, &rule).await.refused(403, "DENIED");
    let whole = mia.ask(Method::PUT, "/config/files/access-control").header("content-type", "application/json");
    whole.header("if-match", &tag).body(r#"{"adminUsers": ["mia"]}"#).send().await.refused(403, "DENIED");
    assert_eq!(registry.text("access-control.json"), RULES);
    // What they may do themselves they may give.
    mia.put("/groups/helpers", &group(&["manage"], &["bob"])).await.is(200);
    mia.patch("/groups/devs", &json!({ "description": "Only a description" })).await.is(200);
}

#[tokio::test]
async fn a_rule_about_a_group_counts_too() {
    // Nobody else is in it: its rule is for whoever joins.
    let rules = RULES.replace(r#""alice""#, "").replace(r#""roles": ["dev"]"#, r#""roles": []"#);
    let registry = with(|files| files.rules = rules);
    let mia = registry.user("mia");
    mia.patch("/groups/devs", &json!({ "members": ["bob"] })).await.refused(403, "DENIED");
    mia.put("/users/bob/groups", &json!({ "groups": ["devs"] })).await.refused(403, "DENIED");
}

#[tokio::test]
async fn the_last_administrator_stays_whatever_is_changed() {
    let rules = RULES.replace(r#"["admin"]"#, "[]").replace(
        r#""managers":"#,
        r#""admins": {"members": ["admin", "bob"], "roles": ["administrator"]},
    "managers":"#,
    );
    let registry = with(|files| files.rules = rules);
    let admin = registry.admin();
    admin.patch("/users/bob", &json!({ "locked": true })).await.is(200);
    let text = registry.text("access-control.json");
    for (method, path, body) in [
        (Method::PATCH, "/groups/admins", json!({ "members": ["bob"] })),
        (Method::PATCH, "/groups/admins", json!({ "roles": ["manage"] })),
        (Method::DELETE, "/groups/admins", json!({})),
        (Method::PUT, "/roles/administrator", json!({ "permissions": ["VIEW:USER"] })),
    ] {
        admin.json(method.clone(), path, &body).send().await.refused(409, "LAST_ADMIN");
    }
    let tag = admin.get("/config/files/access-control").await.is(200).header("etag").to_owned();
    let whole = admin.ask(Method::PUT, "/config/files/access-control").header("content-type", "application/json");
    whole.header("if-match", &tag).body("{}").send().await.refused(409, "LAST_ADMIN");
    for body in [json!({ "locked": true }), json!({ "password": GOOD })] {
        admin.patch("/users/admin", &body).await.refused(403, "DENIED");
    }
    admin.delete("/users/admin").await.refused(403, "DENIED");
    admin.put("/users/admin/groups", &json!({ "groups": [] })).await.refused(403, "DENIED");
    assert_eq!(registry.text("access-control.json"), text);
    admin.patch("/users/bob", &json!({ "locked": false })).await.is(200);
    // Not by accident, as a user among others, but on purpose.
    admin.put("/users/admin/groups", &json!({ "groups": [] })).await.refused(403, "DENIED");
    admin.patch("/groups/admins", &json!({ "members": ["bob"] })).await.is(200);
    admin.get("/users").await.refused(403, "DENIED");
    registry.user("bob").get("/users").await.is(200);
}
