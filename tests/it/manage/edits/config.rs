//! The configuration as a whole: its state, and the texts of its files.

use super::{RULES, SETTINGS, is_external, start, with};
use http::Method;
use serde_json::{Value, json};
use std::fs;
use testing::{
    managed::Managed,
    session::{Ask, Reply},
};

const RULES_FILE: &str = "/config/files/access-control";
const SETTINGS_FILE: &str = "/config/files/settings";

async fn put(registry: &Managed, path: &str, tag: &str, text: &str) -> Reply {
    let media_type = if path == SETTINGS_FILE { "application/toml" } else { "application/json" };
    let admin = registry.admin();
    let ask: Ask<'_> = admin.ask(Method::PUT, path).header("content-type", media_type);
    ask.header("if-match", tag).body(text.to_owned()).send().await
}

#[tokio::test]
async fn the_state_of_the_configuration_is_shown_and_reloaded() {
    let registry = start();
    let admin = registry.admin();
    let status = admin.get("/config").await.is(200).json();
    assert_eq!((&status["problems"], &status["number"].is_u64()), (&json!([]), &true));
    let files: Vec<_> = status["files"].as_array().unwrap().iter().map(|file| file["name"].as_str().unwrap()).collect();
    assert_eq!(files, ["htpasswd", "access-control", "settings"]);
    assert_eq!(status["files"][0]["path"], registry.conf("htpasswd").display().to_string());

    fs::write(registry.conf("access-control.json"), RULES.replace("\"deny\"", "\"perhaps\"")).unwrap();
    let broken = admin.post("/config/reload", &json!({})).await.is(200).json();
    let problem = &broken["problems"][0];
    assert_eq!((&problem["file"], &problem["line"]), (&json!(registry.conf("access-control.json")), &json!(2)));
    assert_eq!(broken["generation"], status["generation"], "the previous version is in force");
    fs::write(registry.conf("access-control.json"), RULES.replace("\"deny\"", "\"allow\"")).unwrap();
    let reloaded = admin.post("/config/reload", &json!({})).await.is(200).json();
    assert_eq!(reloaded["problems"], json!([]));
    assert_ne!(reloaded["generation"], status["generation"]);
    assert_eq!(admin.get("/config").await.is(200).json()["generation"], reloaded["generation"]);
    registry.user("bob").client.push_image("anything", "v1", "x").await;
    for session in [registry.user("mia"), registry.user("alice")] {
        session.get("/config").await.refused(403, "DENIED");
        session.post("/config/reload", &json!({})).await.refused(403, "DENIED");
    }
}

#[tokio::test]
async fn a_file_is_read_checked_and_replaced_as_text() {
    let registry = start();
    let admin = registry.admin();
    let read = admin.get(RULES_FILE).await.is(200);
    assert_eq!((&*read.body, read.header("content-type")), (RULES.as_bytes(), "text/plain; charset=utf-8"));
    let again = admin.ask(Method::GET, RULES_FILE).header("if-none-match", read.header("etag"));
    again.send().await.is(304);
    let changed = RULES.replace("\"team/*\", ", "\"team/**\",");
    let check = |file: &str, text: &str| {
        let (admin, body) = (registry.admin(), json!({ "file": file, "text": text }));
        async move { admin.post("/config/check", &body).await.is(200).json()["problems"].clone() }
    };
    assert_eq!(check("access-control", &changed).await, json!([]));
    let problems = check("settings", "[manifests]\nmax_byte = 1\n").await;
    assert_eq!((&problems[0]["line"], &problems[0]["file"]), (&json!(2), &json!(registry.conf("settings.toml"))));
    let unknown = admin.post("/config/check", &json!({ "file": "htpasswd", "text": "" })).await;
    unknown.refused(400, "INVALID_REQUEST");
    assert_eq!((registry.text("access-control.json"), registry.text("settings.toml")), (RULES.into(), SETTINGS.into()));

    let replaced = put(&registry, RULES_FILE, read.header("etag"), &changed).await.is(204);
    assert_eq!(registry.text("access-control.json"), changed);
    assert_eq!(admin.get(RULES_FILE).await.is(200).header("etag"), replaced.header("etag"));
    registry.user("alice").client.push_image("team/of/one", "v1", "x").await;
    let settings = admin.get(SETTINGS_FILE).await.is(200).header("etag").to_owned();
    put(&registry, SETTINGS_FILE, &settings, "# Nothing.\n").await.is(204);
    assert_eq!(registry.text("settings.toml"), "# Nothing.\n");
}

#[tokio::test]
async fn a_text_that_cannot_be_used_or_was_not_seen_is_refused_and_changes_nothing() {
    let registry = start();
    let admin = registry.admin();
    let tag = admin.get(RULES_FILE).await.is(200).header("etag").to_owned();
    let refused = put(&registry, RULES_FILE, &tag, &RULES.replace("\"@devs\"", "\"@developers\"")).await;
    refused.refused(400, "INVALID_REQUEST");
    let problem: Value = refused.json()["errors"][0]["detail"][0].clone();
    assert_eq!((&problem["line"], &problem["key"]), (&json!(17), &json!("rules[1].users")));
    put(&registry, RULES_FILE, "\"x\"", RULES).await.refused(412, "PRECONDITION_FAILED");
    let ask =
        |media_type: &'static str| admin.ask(Method::PUT, RULES_FILE).header("content-type", media_type).body(RULES);
    ask("application/json").send().await.refused(428, "PRECONDITION_REQUIRED");
    ask("text/plain").header("if-match", &tag).send().await.refused(415, "INVALID_REQUEST");
    let bytes = admin.ask(Method::PUT, RULES_FILE).header("content-type", "application/json").header("if-match", &tag);
    bytes.body(vec![0xff]).send().await.refused(400, "INVALID_REQUEST");
    // The hashes of passwords are nobody's business.
    admin.get("/config/files/htpasswd").await.refused(404, "NOT_FOUND");
    admin.get("/config/files/absent").await.refused(404, "NOT_FOUND");
    registry.user("mia").get(RULES_FILE).await.refused(403, "DENIED");
    assert_eq!(registry.text("access-control.json"), RULES);

    let external = with(|files| files.settings = "[management]\naccess_control_file = \"external\"\n".to_owned());
    is_external(&put(&external, RULES_FILE, &tag, RULES).await, &external, "access-control.json");
}

#[tokio::test]
async fn what_an_editor_writes_into_the_old_file_is_saved_and_reported() {
    let registry = start();
    // It has the file open, and writes into it after the API has replaced it.
    let mut file = fs::OpenOptions::new().append(true).open(registry.conf("settings.toml")).unwrap();
    registry.admin().patch("/settings/operator", &json!({ "message": "moving" })).await.is(200);
    std::io::Write::write_all(&mut file, b"# From the editor.\n").unwrap();
    let is_reported = async || registry.log().contains("somebody wrote to the previous version");
    registry.until(std::time::Duration::from_secs(20), "nothing is reported", is_reported).await;
    let mut files = fs::read_dir(registry.conf("")).unwrap().map(|entry| entry.unwrap().path());
    let saved = files.find(|path| path.display().to_string().contains(".settings.toml.lost-")).unwrap();
    assert_eq!(fs::read_to_string(saved).unwrap(), format!("{SETTINGS}# From the editor.\n"));
    assert!(registry.text("settings.toml").contains("moving"));
}
