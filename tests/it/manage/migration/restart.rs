//! Migrations that are interrupted: by their users, by a restart, by a power cut of the process.

use super::{ended, leaves, migrate, request, start};
use crate::PROGRAM;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde_json::{Value, json};
use std::time::Duration;
use testing::{
    content::{noise, sha256},
    managed::{ApiSession, Managed},
    source::{Fault, Source},
};

/// A source with images of several layers, of which one is shared and the last of each arrives slowly.
async fn slow_source(images: usize, pause: Duration) -> (Source, Vec<Bytes>) {
    let layers: Vec<Bytes> = (0..images as u64).map(|n| noise(400_000, 100 + n)).collect();
    let slow: Vec<String> = layers.iter().map(|layer| sha256(layer)).collect();
    let source = Source::start(move |asked| {
        let is_slow = asked.line.starts_with("GET") && slow.iter().any(|digest| asked.line.ends_with(digest.as_str()));
        is_slow.then_some(Fault::Slow(pause))
    })
    .await;
    let shared = noise(50_000, 1);
    let mut all = vec![shared.clone()];
    for (n, layer) in layers.iter().enumerate() {
        let own = noise(30_000, 200 + n as u64);
        let repository = format!("app{n}");
        source.put_image(&repository, "v1", &[shared.clone(), own.clone(), layer.clone()]);
        source.put_tags(&repository, &["v1"]);
        all.extend([own, layer.clone()]);
    }
    let names: Vec<String> = (0..images).map(|n| format!("app{n}")).collect();
    source.put_catalog(&names.iter().map(String::as_str).collect::<Vec<_>>());
    (source, all)
}

/// How often each blob was fetched, over all repositories.
fn fetches(source: &Source, blob: &[u8]) -> usize {
    let digest = sha256(blob);
    source.asked().iter().filter(|line| line.starts_with("GET") && line.ends_with(&digest)).count()
}

/// Waits until something of the migration has arrived.
async fn until_fetched(here: &Managed, caller: &ApiSession, id: &str, bytes: u64) {
    let path = format!("/tasks/{id}");
    let has_arrived =
        async || caller.get(&path).await.json()["migration"]["bytes_fetched"].as_u64().unwrap_or_default() >= bytes;
    here.until(Duration::from_secs(30), "nothing arrives", has_arrived).await;
}

async fn task_of(caller: &ApiSession, id: &str) -> Value {
    caller.get(&format!("/tasks/{id}")).await.is(200).json()
}

#[tokio::test]
async fn a_cancelled_migration_can_be_resumed() {
    let (source, blobs) = slow_source(3, Duration::from_millis(100)).await;
    let here = start(|files| files.settings.push_str("parallel_images = 1\n"));
    let admin = here.admin();
    let id = migrate(&admin, &request(&source.name(), &["**"])).await;
    until_fetched(&here, &admin, &id, 90_000).await;
    admin.post(&format!("/tasks/{id}/cancel"), &json!({})).await.is(202);
    let task = ended(&here, &admin, &id).await;
    assert_eq!((&task["status"], &task["migration"]["can_resume"]), (&json!("cancelled"), &json!(true)), "{task:#}");
    let asked = source.asked().len();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(source.asked().len(), asked, "it does nothing any more");
    admin.post(&format!("/tasks/{id}/resume"), &json!({})).await.is(202);
    assert_eq!(ended(&here, &admin, &id).await["status"], "completed");
    assert_eq!(fetches(&source, &blobs[0]), 1, "the shared layer");
    for n in 0..3 {
        assert_eq!(admin.client.tags(&format!("app{n}")).await, ["v1"]);
    }
}

#[tokio::test]
async fn no_more_is_copied_at_once_than_the_settings_allow() {
    let (source, blobs) = slow_source(3, Duration::from_millis(60)).await;
    let here = start(|files| {
        files.settings.push_str("parallel_migrations = 1\nparallel_images = 2\nparallel_blobs = 1\n");
    });
    let admin = here.admin();
    let first = migrate(&admin, &request(&source.name(), &["**"])).await;
    until_fetched(&here, &admin, &first, 1).await;
    let second = migrate(&admin, &request(&source.name(), &["app0"])).await;
    let (mut images, mut status) = (0, json!("running"));
    while status == "running" {
        // In this order: as long as the first is seen running after it, the second had to wait.
        let waiting = task_of(&admin, &second).await;
        let task = task_of(&admin, &first).await;
        images = images.max(task["migration"]["images"]["running"].as_u64().unwrap());
        status = task["status"].clone();
        assert!(status != "running" || waiting["status"] == "pending", "{waiting:#}");
        assert_eq!(source.most_at_once(), 1, "blobs");
    }
    assert_eq!((status, images), (json!("completed"), 2));
    assert_eq!(ended(&here, &admin, &second).await["status"], "completed");
    assert!(blobs.iter().all(|blob| fetches(&source, blob) == 1));
}

#[tokio::test]
async fn a_migration_continues_after_an_orderly_restart() {
    let (source, _) = slow_source(2, Duration::from_millis(100)).await;
    let here = start(|_| {});
    let id = migrate(&here.admin(), &request(&source.name(), &["**"])).await;
    until_fetched(&here, &here.admin(), &id, 90_000).await;
    let here = here.restarted(PROGRAM);
    let admin = here.admin();
    assert_eq!(ended(&here, &admin, &id).await["status"], "completed", "{}", here.log());
    assert_eq!(task_of(&admin, &id).await["owner"], "admin");
    // It is still there after the next one.
    let here = here.restarted(PROGRAM);
    assert_eq!(task_of(&here.admin(), &id).await["status"], "completed");
    let history = here.admin().get("/registry/migrate").await.is(200).json();
    assert_eq!(history["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn after_a_restart_the_password_is_asked_for_again() {
    let expected = format!("Basic {}", STANDARD.encode("mover:secret-of-mover"));
    let challenge = || Fault::Status(401, vec![("www-authenticate", "Basic realm=\"x\"".to_owned())]);
    let layer = noise(2 << 20, 1);
    let slow = sha256(&layer);
    let source = Source::start(move |asked| {
        if asked.authorization != Some(&expected) {
            return Some(challenge());
        }
        asked.line.ends_with(&slow).then_some(Fault::Slow(Duration::from_millis(50)))
    })
    .await;
    source.put_image("app", "v1", &[layer]);
    source.put_tags("app", &["v1"]);
    let here = start(|_| {});
    let mut asked = request(&source.name(), &["app"]);
    (asked["username"], asked["password"]) = ("mover".into(), "secret-of-mover".into());
    let id = migrate(&here.admin(), &asked).await;
    until_fetched(&here, &here.admin(), &id, 1).await;
    let here = here.killed_and_restarted(PROGRAM);
    let admin = here.admin();
    let task = leaves(&here, &admin, &id, &["pending", "running"]).await;
    assert_eq!(task["status"], "needs_credentials", "{task:#}");
    admin.post(&format!("/tasks/{id}/resume"), &json!({})).await.refused(409, "AMBIGUOUS");
    let given = json!({ "username": "mover", "password": "secret-of-mover" });
    admin.post(&format!("/tasks/{id}/resume"), &given).await.is(202);
    assert_eq!(ended(&here, &admin, &id).await["status"], "completed");
    assert_eq!(admin.client.tags("app").await, ["v1"]);
    // One that waits for it can be given up.
    let id = migrate(&admin, &request("http://127.0.0.1:1", &["app"])).await;
    ended(&here, &admin, &id).await;
    admin.post(&format!("/tasks/{id}/cancel"), &json!({})).await.refused(409, "AMBIGUOUS");
}

#[tokio::test]
async fn a_large_blob_continues_after_a_kill_where_it_was() {
    let layer = noise(20 << 20, 1);
    let digest = sha256(&layer);
    let slow = digest.clone();
    let source = Source::start(move |asked| {
        (asked.line.ends_with(&slow) && asked.before == 0).then_some(Fault::Slow(Duration::from_millis(30)))
    })
    .await;
    source.put_image("app", "v1", std::slice::from_ref(&layer));
    source.put_tags("app", &["v1"]);
    let here = start(|_| {});
    let id = migrate(&here.admin(), &request(&source.name(), &["app"])).await;
    until_fetched(&here, &here.admin(), &id, 8 << 20).await;
    let here = here.killed_and_restarted(PROGRAM);
    let admin = here.admin();
    assert_eq!(ended(&here, &admin, &id).await["status"], "completed", "{}", here.log());
    assert_eq!(admin.client.get(format!("/v2/app/blobs/{digest}")).await.is(200).body, layer);
    assert_eq!(fetches(&source, &layer), 2);
}

/// Kills the daemon this often during a migration; nothing that was finished is fetched again.
async fn kill_again_and_again(kills: usize) {
    let images = kills.clamp(4, 40);
    let (source, blobs) = slow_source(images, Duration::from_millis(20)).await;
    let mut here = start(|files| files.settings.push_str("parallel_images = 2\nparallel_blobs = 2\n"));
    let id = migrate(&here.admin(), &request(&source.name(), &["**"])).await;
    let mut state = 0x9E37_79B9_u64;
    for _ in 0..kills {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        tokio::time::sleep(Duration::from_millis(50 + (state >> 33) % 250)).await;
        here = here.killed_and_restarted(PROGRAM);
    }
    let admin = here.admin();
    assert_eq!(ended(&here, &admin, &id).await["status"], "completed", "{}", here.log());
    // Each kill can interrupt the blobs that are being fetched, and no others.
    let all: usize = blobs.iter().map(|blob| fetches(&source, blob)).sum();
    assert!(all <= blobs.len() + 2 * kills, "{all} fetches of {} blobs with {kills} kills", blobs.len());
    for n in 0..images {
        assert_eq!(admin.client.tags(&format!("app{n}")).await, ["v1"]);
    }
    for blob in &blobs {
        assert!(fetches(&source, blob) >= 1);
    }
}

#[tokio::test]
async fn kills_do_not_make_it_fetch_finished_blobs_again() {
    kill_again_and_again(4).await;
}

#[tokio::test]
#[ignore = "a campaign of some minutes: just migration-kills"]
async fn a_campaign_of_kills_does_not_make_it_fetch_finished_blobs_again() {
    let kills = std::env::var("MIGRATION_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(200);
    let began = std::time::Instant::now();
    kill_again_and_again(kills).await;
    println!("{kills} kills in {} seconds", began.elapsed().as_secs());
}
