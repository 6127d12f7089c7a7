//! Who may copy, from where, and with which credentials.

use super::{copied, ended, image_of, migrate, request, start};
use crate::PROGRAM;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;
use std::{fs, path::Path, process::Command};
use testing::{
    content::noise,
    managed::Managed,
    registry::Registry,
    source::{Fault, Source},
};

const SECRET: &str = "correct-horse-battery";

/// A source that wants the user `mover` with [`SECRET`].
async fn locked_source() -> Source {
    let expected = format!("Basic {}", STANDARD.encode(format!("mover:{SECRET}")));
    let challenge = || Fault::Status(401, vec![("www-authenticate", "Basic realm=\"x\"".to_owned())]);
    let source = Source::start(move |asked| (asked.authorization != Some(&expected)).then(challenge)).await;
    source.put_image("app", "v1", &[noise(1000, 1)]);
    source.put_tags("app", &["v1"]);
    source.put_catalog(&["app", "other"]);
    source
}

/// Rules by which `alice` may migrate and push below `alice/`, and `bob` may push there only.
fn rules() -> String {
    json!({
        "adminUsers": ["admin"],
        "rules": [{ "repository": "alice/**", "users": ["alice", "bob"], "permissions": ["pull", "push"] }],
        "groups": { "movers": { "members": ["alice"], "roles": ["mover"] } },
        "roles": { "mover": { "permissions": ["MIGRATE:TASK"] } },
    })
    .to_string()
}

/// Files below a directory that contain a text.
fn files_with(dir: &Path, text: &str) -> Vec<String> {
    let found = Command::new("grep").args(["-rlF", text]).arg(dir).output().unwrap();
    String::from_utf8(found.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_migration_does_only_what_its_user_may_do() {
    let source = Registry::start().await;
    source.push_image("app", "v1", "x").await;
    source.push_image("tool", "v1", "y").await;
    let name = format!("http://{}", source.address());
    let here = start(|files| files.rules = rules());
    let (alice, bob) = (here.user("alice"), here.user("bob"));
    let mut asked = request(&name, &["app:v1"]);
    // Not without the permission, and not where the user may not push.
    bob.post("/registry/migrate", &asked).await.refused(403, "DENIED");
    bob.post("/registry/browse", &json!({ "registry": name })).await.refused(403, "DENIED");
    here.nobody().post("/registry/migrate", &asked).await.refused(401, "UNAUTHORIZED");
    let refused = alice.post("/registry/migrate", &asked).await;
    refused.refused(403, "DENIED");
    assert!(refused.message().contains("push to app"), "{}", refused.message());
    // What a pattern finds is checked when it is found.
    let id = migrate(&alice, &request(&name, &["**"])).await;
    let task = ended(&here, &alice, &id).await;
    assert_eq!(task["error"], "2 of 2 images could not be copied", "{task:#}");
    assert!(task["migration"]["failed"][0]["message"].as_str().unwrap().contains("you may not push to app"));
    asked["target_prefix"] = "alice".into();
    let id = migrate(&alice, &asked).await;
    assert_eq!(ended(&here, &alice, &id).await["status"], "completed");
    // Others do not see it; administrators do.
    bob.get("/tasks").await.refused(403, "DENIED");
    assert_eq!(here.admin().get(&format!("/tasks/{id}")).await.is(200).json()["owner"], "alice");
    here.admin().get("/audit").await.is(200);
    let audit = here.admin().get("/audit").await.json().to_string();
    assert!(audit.contains("start_migration") && audit.contains(&format!("{id} from {name}")), "{audit}");
    let admins = migrate(&here.admin(), &request(&name, &["app:v1"])).await;
    ended(&here, &here.admin(), &admins).await;
    alice.get(&format!("/tasks/{admins}")).await.refused(404, "NOT_FOUND");
    alice.get(&format!("/tasks/{admins}/images")).await.refused(404, "NOT_FOUND");
    alice.post(&format!("/tasks/{admins}/resume"), &json!({})).await.refused(404, "NOT_FOUND");
    alice.post(&format!("/tasks/{admins}/cancel"), &json!({})).await.refused(404, "NOT_FOUND");
}

#[tokio::test]
async fn private_addresses_are_refused_unless_the_operator_lists_them() {
    let source = Registry::start().await;
    source.push_image("app", "v1", "x").await;
    let here = Managed::start(PROGRAM, |_| {});
    let admin = here.admin();
    for name in [format!("http://{}", source.address()), format!("http://localhost:{}", source.address().port())] {
        let id = migrate(&admin, &request(&name, &["app:v1"])).await;
        let task = ended(&here, &admin, &id).await;
        let message = task["migration"]["failed"][0]["message"].as_str().unwrap();
        assert!(
            message.contains("is not at a public address") && message.contains("migration.allow_private"),
            "{message}"
        );
        admin.post("/registry/browse", &json!({ "registry": name })).await.refused(502, "OTHER_REGISTRY");
    }
    // No request can allow it.
    let mut asked = request("http://127.0.0.1:1", &["app:v1"]);
    asked["allow_private"] = json!(["127.0.0.0/8"]);
    admin.post("/registry/migrate", &asked).await.refused(400, "INVALID_REQUEST");
}

#[tokio::test]
async fn without_authentication_only_this_machine_may_start_one() {
    let source = Registry::start().await;
    source.push_image("app", "v1", "x").await;
    let here = start(|files| {
        files.vars.push(("REGISTRY_AUTH_TYPE", "none".into()));
        files.vars.push(("REGISTRY_ACCESS_CONTROL_ENABLED", "false".into()));
        files.vars.push(("REGISTRY_ACCESS_CONTROL_CONFIG", String::new()));
    });
    let asked = request(&format!("http://{}", source.address()), &["app:v1"]);
    let nobody = here.nobody();
    let from_outside =
        nobody.json(http::Method::POST, "/registry/migrate", &asked).header("x-forwarded-for", "198.51.100.7");
    from_outside.send().await.refused(403, "DENIED");
    let id = migrate(&nobody, &asked).await;
    assert_eq!(ended(&here, &nobody, &id).await["status"], "completed");
    let outside = nobody.ask(http::Method::GET, &format!("/tasks/{id}")).header("x-forwarded-for", "198.51.100.7");
    outside.send().await.refused(404, "NOT_FOUND");
    assert_eq!(nobody.client.tags("app").await, ["v1"]);
}

#[tokio::test]
async fn a_password_is_neither_stored_nor_shown() {
    let source = locked_source().await;
    let here = start(|_| {});
    let admin = here.admin();
    let mut asked = request(&source.name(), &["app"]);
    (asked["username"], asked["password"]) = ("mover".into(), SECRET.into());
    let task = copied(&here, &asked).await;
    assert_eq!(admin.client.tags("app").await, ["v1"]);
    // A wrong one is reported.
    asked["password"] = format!("{SECRET}-wrong").into();
    let id = migrate(&admin, &asked).await;
    let failed = ended(&here, &admin, &id).await;
    assert_eq!(failed["status"], "failed", "{failed:#}");
    let shown = [
        task.to_string(),
        failed.to_string(),
        admin.get(&format!("/tasks/{id}/images")).await.json().to_string(),
        admin.get("/audit").await.json().to_string(),
        here.log(),
    ];
    for text in shown {
        assert!(!text.contains(SECRET) && !text.contains(&STANDARD.encode(SECRET)), "{text}");
    }
    assert_eq!(files_with(here.dir(), SECRET), Vec::<String>::new());
    assert_eq!(files_with(here.dir(), "mover"), Vec::<String>::new());
    for (field, value) in [("username", json!(null)), ("password", json!(null)), ("credentials_ref", json!("hub"))] {
        let mut half = asked.clone();
        half[field] = value;
        admin.post("/registry/migrate", &half).await.refused(400, "INVALID_REQUEST");
    }
}

#[tokio::test]
async fn the_operators_credentials_go_only_to_their_registry() {
    let (source, elsewhere) = (locked_source().await, locked_source().await);
    let dir = tempfile::tempdir().unwrap();
    let file = json!({ "registry": source.name(), "username": "mover", "password": SECRET });
    fs::write(dir.path().join("near.json"), file.to_string()).unwrap();
    let path = dir.path().display().to_string();
    let here = start(|files| files.vars.push(("REGISTRY_CREDENTIALS", path)));
    let admin = here.admin();
    let mut asked = request(&source.name(), &["app"]);
    asked["credentials_ref"] = "near".into();
    copied(&here, &asked).await;
    for (source, name, words) in [
        (elsewhere.name(), "near", "for another registry"),
        (source.name(), "far", "no credentials named far"),
        (source.name(), "../near", "at most 64 characters"),
    ] {
        let mut asked = request(&source, &["app"]);
        asked["credentials_ref"] = name.into();
        let refused = admin.post("/registry/migrate", &asked).await;
        refused.refused(400, "INVALID_REQUEST");
        assert!(refused.message().contains(words), "{}", refused.message());
    }
    assert_eq!(elsewhere.asked(), Vec::<String>::new());
    // What an administrator sees of another registry.
    let listed = admin.post("/registry/browse", &json!({ "registry": source.name(), "credentials_ref": "near" })).await;
    assert_eq!(listed.is(200).json()["repositories"], json!(["app", "other"]));
    let tags = json!({ "registry": source.name(), "repository": "app", "credentials_ref": "near" });
    assert_eq!(admin.post("/registry/browse", &tags).await.is(200).json()["tags"], json!(["v1"]));
    admin.post("/registry/browse", &json!({ "registry": source.name() })).await.refused(502, "OTHER_REGISTRY");
    admin.post("/registry/browse", &json!({ "registry": "a b" })).await.refused(400, "INVALID_REQUEST");
}

#[tokio::test]
async fn immutable_tags_and_quotas_hold() {
    let source = Registry::start().await;
    source.push_image("app", "v1", "theirs").await;
    source.push_image("app", "v2", "more").await;
    let here = start(|files| {
        files.settings.push_str("[[immutable]]\nrepositories = [\"app\"]\ntags = \"v1\"\n");
        files.settings.push_str("[[quota]]\nrepositories = [\"app\"]\nmax_tags = 1\n");
    });
    let admin = here.admin();
    admin.client.push_image("app", "v1", "ours").await;
    let id = migrate(&admin, &request(&format!("http://{}", source.address()), &["app"])).await;
    ended(&here, &admin, &id).await;
    for (image, words) in [("app:v1", "immutable"), ("app:v2", "quota")] {
        let message = image_of(&admin, &id, image).await["message"].as_str().unwrap_or_default().to_owned();
        assert!(message.contains(words), "{message}");
    }
    assert_eq!(admin.client.tags("app").await, ["v1"]);
}

#[tokio::test]
async fn a_migration_does_not_outlive_the_api_key_that_started_it() {
    let layer = noise(3 << 20, 1);
    let digest = testing::content::sha256(&layer);
    let source = Source::start(move |asked| {
        let is_first = asked.line.ends_with(&digest) && asked.before == 0;
        is_first.then_some(Fault::Slow(std::time::Duration::from_millis(200)))
    })
    .await;
    source.put_image("app", "v1", &[layer]);
    let here = start(|files| files.rules = rules());
    let alice = here.user("alice");
    let scopes = ["MIGRATE:TASK", "VIEW:TASK", "repository:alice/**:pull,push"];
    let made = alice.post("/keys", &json!({ "name": "mover", "scopes": scopes })).await.is(201).json();
    let by_key = here.caller(Some(format!("Bearer {}", made["secret"].as_str().unwrap())));
    let mut asked = request(&source.name(), &["app:v1"]);
    asked["target_prefix"] = "alice".into();
    let id = migrate(&by_key, &asked).await;
    let path = format!("/tasks/{id}");
    let has_begun = async || alice.get(&path).await.json()["migration"]["bytes_fetched"].as_u64().unwrap() > 0;
    here.until(std::time::Duration::from_secs(30), "nothing arrives", has_begun).await;
    alice.delete(&format!("/keys/{}", made["id"].as_str().unwrap())).await.is(204);
    let task = ended(&here, &alice, &id).await;
    assert_eq!(task["status"], "paused", "{task:#}");
    assert!(task["error"].as_str().unwrap().contains("the API key with which it was started"), "{task:#}");
    by_key.post(&format!("{path}/resume"), &json!({})).await.refused(401, "UNAUTHORIZED");
    // With another login it continues.
    alice.post(&format!("{path}/resume"), &json!({})).await.is(202);
    assert_eq!(ended(&here, &alice, &id).await["status"], "completed");
}
