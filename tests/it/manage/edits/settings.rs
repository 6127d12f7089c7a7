//! Settings: one key of one table, whose comments stay.

use super::{SETTINGS, changed, is_external, problem, start, with};
use http::Method;
use serde_json::json;

#[tokio::test]
async fn a_setting_is_changed_and_given_back_its_default() {
    let registry = start();
    let admin = registry.admin();
    let shown = admin.get("/settings/manifests").await.is(200);
    let section = shown.json();
    assert_eq!((&section["section"], &section["values"]["max_bytes"]), (&json!("manifests"), &json!("1 MiB")));
    assert_eq!((&section["defaults"]["max_bytes"], &section["locked"]), (&json!("4 MiB"), &json!({})));
    assert_eq!(section["help"]["max_bytes"]["applies"], "reload");
    assert!(!section["help"]["max_bytes"]["text"].as_str().unwrap().is_empty());

    let patched = admin.patch("/settings/manifests", &json!({ "maxBytes": "2 MiB" })).await.is(200);
    assert_eq!(patched.json()["values"]["max_bytes"], "2 MiB");
    assert!(!patched.header("wharfinger-generation").is_empty());
    let line = |size: &str| format!("max_bytes = \"{size}\"   # enough for us");
    let expected = [format!("-{}", line("1 MiB")), format!("+{}", line("2 MiB"))];
    assert_eq!(changed(SETTINGS, &registry.text("settings.toml")), expected);
    assert_eq!(admin.get("/settings/manifests").await.is(200).header("etag"), patched.header("etag"));
    // It is in force.
    let long = testing::session::index(&[]).to_string() + &" ".repeat(3 << 20);
    let reply = admin.client.put_bytes("app", "v1", testing::session::OCI_INDEX, long).await;
    assert_eq!(reply.status, 413, "{reply:?}");

    admin.patch("/settings/manifests", &json!({ "max_bytes": null })).await.is(200);
    assert_eq!(changed(SETTINGS, &registry.text("settings.toml")), [format!("-{}", line("1 MiB"))]);
    // Text is taken for the type of the key, as a command line sends it.
    let typed = admin.patch("/settings/manifests", &json!({ "protect_children": "true" })).await.is(200).json();
    assert_eq!(typed["values"]["protect_children"], true);
    assert!(registry.text("settings.toml").contains("protect_children = true\n"));
    let whole = admin.put("/settings/manifests", &json!({ "missing_references": "children" })).await.is(200).json();
    assert_eq!((&whole["reset"], &whole["values"]["protect_children"]), (&json!(["protect_children"]), &json!(false)));
    let reset = admin.post("/settings/manifests/reset", &json!({})).await.is(200).json();
    assert_eq!(reset["values"], reset["defaults"]);
    let text = registry.text("settings.toml");
    assert!(text.contains("# Our settings.") && text.contains("# As docker wants it."), "{text}");
    assert!(text.contains("# releases"), "{text}");
}

#[tokio::test]
async fn a_repeatable_table_is_one_list() {
    let registry = start();
    let admin = registry.admin();
    let shown = admin.get("/settings/immutable").await.is(200).json();
    let first = json!({ "repositories": ["team/**"], "tags": "v.*" });
    assert_eq!(shown["values"]["immutable"], json!([first]));
    let two = json!({ "immutable": [first, { "repositories": ["lab/**"], "tags": ".*" }] });
    admin.put("/settings/immutable", &two).await.is(200);
    let lines = changed(SETTINGS, &registry.text("settings.toml"));
    assert!(lines.iter().all(|line| line.starts_with('+')), "{lines:?}");
    admin.client.push_image("lab/app", "v1", "x").await;
    admin.client.put_manifest("lab/app", "v1", &testing::session::index(&[])).await.refused(409, "DENIED");
    admin.put("/settings/immutable", &json!({ "immutable": [first] })).await.is(200);
    assert_eq!(registry.text("settings.toml"), SETTINGS);
    assert_eq!(problem(&admin.put("/settings/immutable", &json!({ "tags": [] })).await).0, "/immutable");
    assert_eq!(problem(&admin.put("/settings/immutable", &json!({ "immutable": [7] })).await).0, "/immutable/0");
    let wrong = json!({ "immutable": [{ "repositories": ["a**"], "tags": ".*" }] });
    let refused = admin.put("/settings/immutable", &wrong).await;
    refused.refused(400, "INVALID_REQUEST");
    assert_eq!(refused.json()["errors"][0]["detail"][0]["file"], registry.conf("settings.toml").display().to_string());
    assert_eq!(registry.text("settings.toml"), SETTINGS);
    admin.post("/settings/immutable/reset", &json!({})).await.is(200);
    assert!(!registry.text("settings.toml").contains("immutable"));
}

#[tokio::test]
async fn what_is_no_setting_or_cannot_be_set_is_refused_and_changes_nothing() {
    let registry = with(|files| files.vars.push(("REGISTRY_LOG_LEVEL", "debug".to_owned())));
    let admin = registry.admin();
    let unknown = admin.patch("/settings/manifests", &json!({ "max_byte": 1 })).await;
    assert_eq!(problem(&unknown), ("/max_byte".to_owned(), json!("max_bytes")));
    for body in [
        json!({ "max_bytes": "7 potatoes" }),
        json!({ "max_bytes": 1 }),
        json!({ "max_bytes": [] }),
        json!({ "max_bytes": "1 MiB", "maxBytes": "2 MiB" }),
        json!({ "missing_references": "perhaps" }),
        json!({ "protect_children": 7 }),
    ] {
        admin.patch("/settings/manifests", &body).await.refused(400, "INVALID_REQUEST");
        admin.put("/settings/manifests", &body).await.refused(400, "INVALID_REQUEST");
    }
    admin.get("/settings/absent").await.refused(404, "NOT_FOUND");
    admin.patch("/settings/absent", &json!({})).await.refused(404, "NOT_FOUND");
    admin.post("/settings/absent/reset", &json!({})).await.refused(404, "NOT_FOUND");

    let section = admin.get("/settings/logging").await.is(200).json();
    assert_eq!(
        (&section["locked"], &section["values"]["level"]),
        (&json!({ "level": "REGISTRY_LOG_LEVEL" }), &json!("debug"))
    );
    let locked = admin.patch("/settings/logging", &json!({ "level": "warn" })).await;
    locked.refused(409, "LOCKED_BY_ENVIRONMENT");
    assert_eq!(locked.json()["errors"][0]["detail"], json!({ "variable": "REGISTRY_LOG_LEVEL" }));
    admin.patch("/settings/logging", &json!({ "level": "debug" })).await.is(200);
    assert_eq!(registry.text("settings.toml"), SETTINGS);
    registry.user("mia").get("/settings").await.refused(403, "DENIED");
    registry.user("mia").patch("/settings/manifests", &json!({})).await.refused(403, "DENIED");
}

#[tokio::test]
async fn a_section_is_changed_only_in_the_state_that_was_seen() {
    let registry = start();
    let admin = registry.admin();
    let tag = admin.get("/settings/manifests").await.is(200).header("etag").to_owned();
    let of_operator = admin.get("/settings/operator").await.is(200).header("etag").to_owned();
    let change = json!({ "protect_children": true });
    admin.write_if(Method::PATCH, "/settings/manifests", &tag, &change).await.is(200);
    admin.write_if(Method::PUT, "/settings/manifests", &tag, &json!({})).await.refused(412, "PRECONDITION_FAILED");
    let reset = admin.ask(Method::POST, "/settings/manifests/reset").header("if-match", &tag);
    reset.send().await.refused(412, "PRECONDITION_FAILED");
    // Another section is another resource.
    admin.write_if(Method::PATCH, "/settings/operator", &of_operator, &json!({ "message": "moving" })).await.is(200);
    admin.patch("/settings/operator", &json!({ "read_only": true })).await.is(200);
    admin.patch("/users/bob", &json!({ "locked": true })).await.refused(405, "UNSUPPORTED");
    admin.patch("/settings/operator", &json!({ "read_only": false })).await.is(200);
    admin.patch("/users/bob", &json!({ "locked": true })).await.is(200);
}

#[tokio::test]
async fn all_settings_and_the_startup_settings_are_shown_without_secrets() {
    let registry = with(|files| files.settings += "\n[management]\nsettings_file = \"external\"\n");
    let admin = registry.admin();
    let list = admin.get("/settings").await.is(200).json();
    let names: Vec<_> =
        list["items"].as_array().unwrap().iter().map(|item| item["section"].as_str().unwrap()).collect();
    for section in ["operator", "auth", "sessions", "management", "manifests", "collection", "quota", "immutable"] {
        assert!(names.contains(&section), "{names:?}");
    }
    let boot = admin.get("/settings/config").await.is(200).json();
    let value = |name: &str| boot["values"][name].clone();
    assert_eq!(value("REGISTRY_AUTH_TYPE"), json!({ "value": "basic", "source": "environment" }));
    assert_eq!(value("REGISTRY_LOG_LEVEL")["source"], "default");
    is_external(
        &admin.patch("/settings/manifests", &json!({ "protect_children": true })).await,
        &registry,
        "settings.toml",
    );
    is_external(&admin.post("/settings/manifests/reset", &json!({})).await, &registry, "settings.toml");
}
