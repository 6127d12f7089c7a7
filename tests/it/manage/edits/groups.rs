//! Groups: their members and roles.

use super::{RULES, changed, is_external, problem, start, with};
use http::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn a_group_is_created_changed_replaced_and_deleted() {
    let registry = start();
    let admin = registry.admin();
    let asked = json!({ "name": "ops", "description": "On call", "members": ["bob"], "roles": ["dev"] });
    let made = admin.post("/groups", &asked).await.is(201);
    assert_eq!((made.header("location"), made.json()), ("/api/v1/groups/ops", asked.clone()));
    assert!(!made.header("wharfinger-generation").is_empty());
    let lines = changed(RULES, &registry.text("access-control.json"));
    assert!(lines.iter().filter(|line| line.starts_with('-')).count() <= 1, "{lines:?}");
    assert_eq!(registry.user("bob").get("/auth/me").await.is(200).json()["groups"], json!(["ops"]));
    registry.user("bob").get("/tasks").await.is(200);

    let shown = admin.get("/groups/ops").await.is(200);
    assert_eq!((shown.json(), shown.header("etag")), (asked, made.header("etag")));
    let before = registry.text("access-control.json");
    let described = admin.patch("/groups/ops", &json!({ "description": "" })).await.is(200).json();
    assert_eq!((&described["description"], &described["members"]), (&json!(""), &json!(["bob"])));
    assert!(changed(&before, &registry.text("access-control.json")).iter().any(|line| line.contains("On call")));
    let whole = json!({ "members": ["alice"], "roles": ["manage"] });
    let put = admin.put("/groups/ops", &whole).await.is(200).json();
    assert_eq!((&put["name"], &put["members"], &put["roles"]), (&json!("ops"), &json!(["alice"]), &json!(["manage"])));
    registry.user("bob").get("/tasks").await.refused(403, "DENIED");
    admin.delete("/groups/ops").await.is(204);
    assert_eq!(registry.text("access-control.json"), RULES);
    admin.get("/groups/ops").await.refused(404, "NOT_FOUND");
    admin.delete("/groups/ops").await.refused(404, "NOT_FOUND");
}

#[tokio::test]
async fn groups_are_listed_for_those_who_may_see_them() {
    let registry = start();
    let mia = registry.user("mia");
    let list = mia.get("/groups?n=1").await.is(200);
    assert_eq!((&list.json()["items"][0]["name"], &list.json()["next"]), (&json!("devs"), &json!("devs")));
    let rest = mia.get(list.next().unwrap().strip_prefix("/api/v1").unwrap()).await.is(200).json();
    assert_eq!((&rest["items"][0]["name"], &rest["next"]), (&json!("managers"), &Value::Null));
    registry.user("alice").get("/groups").await.refused(403, "DENIED");
    registry.user("alice").get("/groups/devs").await.refused(403, "DENIED");
    registry.nobody().get("/groups").await.refused(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn what_cannot_be_a_group_is_refused_and_changes_nothing() {
    let registry = start();
    let admin = registry.admin();
    let group =
        |name: &str, members: &[&str], roles: &[&str]| json!({ "name": name, "members": members, "roles": roles });
    for name in ["", "@devs", " devs", "a/b", "a%b", &"n".repeat(129)] {
        assert_eq!(problem(&admin.post("/groups", &group(name, &[], &[])).await).0, "/name", "{name:?}");
    }
    admin.post("/groups", &group("devs", &[], &[])).await.refused(409, "NAME_TAKEN");
    let unknown = admin.post("/groups", &group("ops", &["bob", "alcie"], &[])).await;
    assert_eq!(problem(&unknown), ("/members/1".to_owned(), json!("alice")));
    let unknown = admin.post("/groups", &group("ops", &[], &["mange"])).await;
    assert_eq!(problem(&unknown), ("/roles/0".to_owned(), json!("manage")));
    assert_eq!(problem(&admin.put("/groups/ops", &group("devs", &[], &[])).await).0, "/name");
    assert_eq!(problem(&admin.patch("/groups/devs", &json!({ "member": ["bob"] })).await).0, "/member");
    admin.patch("/groups/absent", &json!({ "description": "x" })).await.refused(404, "NOT_FOUND");
    let used = admin.delete("/groups/devs").await;
    used.refused(409, "IN_USE");
    assert_eq!(used.json()["errors"][0]["detail"], json!(["rule 2 (line 17)"]));
    assert_eq!(registry.text("access-control.json"), RULES);
    admin.delete("/groups/devs?force").await.is(204);
    assert!(!registry.text("access-control.json").contains("devs"));
}

#[tokio::test]
async fn a_group_is_changed_only_in_the_state_that_was_seen() {
    let registry = start();
    let admin = registry.admin();
    let tag = admin.get("/groups/devs").await.is(200).header("etag").to_owned();
    let of_managers = admin.get("/groups/managers").await.is(200).header("etag").to_owned();
    let change = json!({ "members": ["alice", "bob"] });
    admin.write_if(Method::PATCH, "/groups/devs", &tag, &change).await.is(200);
    admin.write_if(Method::PATCH, "/groups/devs", &tag, &change).await.refused(412, "PRECONDITION_FAILED");
    admin.write_if(Method::PATCH, "/groups/managers", &of_managers, &json!({ "description": "x" })).await.is(200);
    let create = |path: &str| {
        let ask = admin.json(Method::PUT, path, &json!({ "members": [] })).header("if-none-match", "*");
        ask.send()
    };
    create("/groups/devs").await.refused(412, "PRECONDITION_FAILED");
    create("/groups/new").await.is(200);
}

#[tokio::test]
async fn a_file_of_rules_that_is_edited_elsewhere_is_refused_with_its_path() {
    let registry = with(|files| files.settings = "[management]\naccess_control_file = \"external\"\n".to_owned());
    let (admin, file) = (registry.admin(), "access-control.json");
    let change = json!({ "description": "x" });
    is_external(&admin.patch("/groups/devs", &change).await, &registry, file);
    is_external(&admin.delete("/groups/managers").await, &registry, file);
    is_external(&admin.patch("/roles/dev", &change).await, &registry, file);
    is_external(&admin.put("/users/bob/groups", &json!({ "groups": ["devs"] })).await, &registry, file);
    let access = json!({ "repository": "a", "actions": ["pull"] });
    is_external(&admin.post("/users/bob/access", &access).await, &registry, file);
    let rules = admin.get("/rules").await.is(200);
    let rule = json!({ "repository": "a", "users": ["bob"], "permissions": ["pull"] });
    is_external(&admin.write_if(Method::POST, "/rules", rules.header("etag"), &rule).await, &registry, file);
    assert_eq!(registry.text(file), RULES);
}

#[tokio::test]
async fn a_file_that_is_broken_by_hand_must_be_repaired_first() {
    let registry = start();
    let admin = registry.admin();
    std::fs::write(registry.conf("access-control.json"), RULES.replace("\"rules\": [", "\"rules\": [[")).unwrap();
    let refused = admin.patch("/groups/devs", &json!({ "description": "x" })).await;
    refused.refused(409, "FILE_BROKEN");
    let detail = &refused.json()["errors"][0]["detail"][0];
    assert_eq!(detail["file"], registry.conf("access-control.json").display().to_string());
    assert!(detail["line"].as_u64().unwrap() >= 15, "{detail}");
    // The previous version is in force until then.
    registry.user("alice").client.push_image("team/app", "v1", "x").await;
    std::fs::write(registry.conf("access-control.json"), RULES).unwrap();
    admin.patch("/groups/devs", &json!({ "description": "x" })).await.is(200);
}
