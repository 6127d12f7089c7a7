//! Sources that fail, lie, stall and lead elsewhere.

use super::{copied, ended, image_of, migrate, request, start};
use serde_json::json;
use std::time::{Duration, Instant};
use testing::{
    content::{noise, sha256},
    source::{Fault, Source},
};

/// The message of the first image that failed.
fn failure(task: &serde_json::Value) -> &str {
    task["migration"]["failed"][0]["message"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn interruptions_are_survived_and_continued_where_they_ended() {
    let large = noise(17 << 20, 1);
    let digest = sha256(&large);
    let get_large = format!("GET /v2/app/blobs/{digest}");
    let asked_for = get_large.clone();
    let source = Source::start(move |asked| match (asked.line, asked.before) {
        // One that asks to wait, one that fails, and a body that breaks off twice.
        ("GET /v2/app/manifests/v1", 0) => Some(Fault::Status(429, vec![("retry-after", "1".to_owned())])),
        ("GET /v2/app/tags/list", 0) => Some(Fault::Status(503, Vec::new())),
        (line, 0 | 1) if line == asked_for => Some(Fault::Cut(5 << 20)),
        _ => None,
    })
    .await;
    source.put_image("app", "v1", std::slice::from_ref(&large));
    source.put_tags("app", &["v1"]);
    let here = start(|_| {});
    let began = Instant::now();
    let task = copied(&here, &request(&source.name(), &["app"])).await;
    assert!(began.elapsed() >= Duration::from_secs(1), "Retry-After is honoured");
    assert_eq!(here.admin().client.get(format!("/v2/app/blobs/{digest}")).await.is(200).body, large);
    assert_eq!(source.count(&get_large), 3);
    let fetched = task["migration"]["bytes_fetched"].as_u64().unwrap();
    assert!(fetched < (18 << 20), "what had arrived was not fetched again: {fetched}");
}

#[tokio::test]
async fn wrong_bytes_are_never_stored() {
    let layer = noise(30_000, 2);
    let large = noise(17 << 20, 3);
    let wrong = [sha256(&layer), sha256(&large)].map(|digest| format!("GET /v2/app/blobs/{digest}"));
    let source =
        Source::start(move |asked| wrong.iter().any(|line| line == asked.line).then_some(Fault::WrongBytes)).await;
    source.put_image("app", "small", std::slice::from_ref(&layer));
    source.put_image("app", "large", std::slice::from_ref(&large));
    source.put_image("app", "good", &[noise(10, 4)]);
    source.put_tags("app", &["small", "large", "good"]);
    let here = start(|files| files.settings.push_str("attempts = 2\n"));
    let admin = here.admin();
    let id = migrate(&admin, &request(&source.name(), &["app"])).await;
    let task = ended(&here, &admin, &id).await;
    assert_eq!(task["status"], "failed");
    assert_eq!(task["error"], "2 of 3 images could not be copied");
    assert!(failure(&task).contains("do not have the digest"), "{task:#}");
    assert_eq!(admin.client.tags("app").await, ["good"]);
    for blob in [&layer, &large] {
        admin.client.get(format!("/v2/app/blobs/{}", sha256(blob))).await.refused(404, "BLOB_UNKNOWN");
    }
}

#[tokio::test]
async fn what_the_source_does_not_have_is_reported_for_each_image() {
    let source = Source::start(|_| None).await;
    source.put_image("app", "v1", &[noise(10, 1)]);
    source.put_image("app", "v2", &[noise(10, 2)]);
    source.put("/v2/app/manifests/v3", "application/vnd.docker.distribution.manifest.v1+prettyjws", "{}");
    source.put("/v2/app/manifests/v4", "application/json", json!({ "schemaVersion": 1, "fsLayers": [] }).to_string());
    source.put("/v2/app/manifests/v5", "text/html", "<h1>welcome</h1>");
    let here = start(|_| {});
    let admin = here.admin();
    let asked = request(&source.name(), &["app:v1", "app:v2", "app:v3", "app:v4", "app:v5", "app:v6"]);
    let id = migrate(&admin, &asked).await;
    let task = ended(&here, &admin, &id).await;
    assert_eq!(task["error"], "4 of 6 images could not be copied");
    for (tag, words) in [("v3", "schema 1"), ("v4", "schema 1"), ("v5", "text/html"), ("v6", "404 Not Found")] {
        let image = image_of(&admin, &id, &format!("app:{tag}")).await;
        let message = image["message"].as_str().unwrap();
        assert!(image["status"] == "failed" && message.contains(words), "{image:#}");
    }
    assert_eq!(admin.client.tags("app").await, ["v1", "v2"]);
    // When the source has it, only that is copied.
    source.put_image("app", "v6", &[noise(10, 6)]);
    let before = source.count("GET /v2/app/manifests/v1");
    admin.post(&format!("/tasks/{id}/resume"), &json!({})).await.is(202);
    let task = ended(&here, &admin, &id).await;
    assert_eq!(task["error"], "3 of 6 images could not be copied");
    assert_eq!(admin.client.tags("app").await, ["v1", "v2", "v6"]);
    assert_eq!(source.count("GET /v2/app/manifests/v1"), before);
    // And it can end with the first failure.
    let mut asked = request(&source.name(), &["app:v3", "app:v4", "app:v5"]);
    asked["on_error"] = "stop".into();
    let id = migrate(&admin, &asked).await;
    let task = ended(&here, &admin, &id).await;
    assert!(task["error"].as_str().unwrap().contains("the others were not tried"), "{task:#}");
}

#[tokio::test]
async fn a_source_that_is_gone_is_given_up_soon() {
    let source = Source::start(|asked| match asked.line {
        line if line.contains("/manifests/") => Some(Fault::Status(401, Vec::new())),
        _ => None,
    })
    .await;
    let tags: Vec<String> = (0..200).map(|n| format!("v{n}")).collect();
    source.put_tags("app", &tags.iter().map(String::as_str).collect::<Vec<_>>());
    let here = start(|_| {});
    let admin = here.admin();
    let id = migrate(&admin, &request(&source.name(), &["app"])).await;
    let task = ended(&here, &admin, &id).await;
    assert!(task["error"].as_str().unwrap().starts_with("20 images in a row"), "{task:#}");
    assert!(source.asked().len() < 60, "{}", source.asked().len());
}

#[tokio::test]
async fn lists_without_an_end_are_not_read_for_ever() {
    let here = start(|files| files.settings.push_str("max_images = 100\n"));
    let admin = here.admin();
    // Too many tags.
    let source = Source::start(|_| None).await;
    let tags: Vec<String> = (0..101).map(|n| format!("v{n}")).collect();
    source.put_tags("app", &tags.iter().map(String::as_str).collect::<Vec<_>>());
    let id = migrate(&admin, &request(&source.name(), &["app"])).await;
    let task = ended(&here, &admin, &id).await;
    assert!(task["error"].as_str().unwrap().contains("migration.max_images"), "{task:#}");
    // A page whose link leads to itself.
    let next = ("link", "</v2/_catalog?n=1000>; rel=\"next\"".to_owned());
    let source = Source::start(move |asked| match asked.line {
        "GET /v2/_catalog" => Some(Fault::Status(200, vec![next.clone()])),
        _ => None,
    })
    .await;
    let id = migrate(&admin, &request(&source.name(), &["**"])).await;
    let task = ended(&here, &admin, &id).await;
    assert_eq!(task["status"], "failed", "{task:#}");
    assert!(source.asked().len() < 20, "{}", source.asked().len());
}

#[tokio::test]
async fn redirects_and_token_services_lead_nowhere_that_is_not_allowed() {
    // Where a request must not arrive: another address of this machine, which is not in the settings.
    let trap = std::net::TcpListener::bind("127.0.0.2:0").unwrap();
    trap.set_nonblocking(true).unwrap();
    let inside = trap.local_addr().unwrap();
    let here = start(|files| files.settings.push_str("attempts = 1\n"));
    let admin = here.admin();
    let to = format!("http://{inside}/secret");
    let realm = format!("Bearer realm=\"http://{inside}/token\",service=\"x\"");
    for (fault, at) in [
        (Fault::Status(307, vec![("location", to.clone())]), "/blobs/"),
        (Fault::Status(307, vec![("location", to)]), "/manifests/"),
        (Fault::Status(401, vec![("www-authenticate", realm)]), "/manifests/"),
    ] {
        let source = Source::start(move |asked| asked.line.contains(at).then(|| fault.clone())).await;
        source.put_image("app", "v1", &[noise(10, 1)]);
        let id = migrate(&admin, &request(&source.name(), &["app:v1"])).await;
        let task = ended(&here, &admin, &id).await;
        assert!(
            failure(&task).contains("127.0.0.2 must not be connected to") || failure(&task).contains("allow_private"),
            "{task:#}"
        );
    }
    // The source itself.
    let id = migrate(&admin, &request(&format!("http://{inside}"), &["app:v1"])).await;
    let task = ended(&here, &admin, &id).await;
    assert!(failure(&task).contains("migration.allow_private"), "{task:#}");
    let browsed = admin.post("/registry/browse", &json!({ "registry": format!("http://{inside}") })).await;
    browsed.refused(502, "OTHER_REGISTRY");
    assert_eq!(trap.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "nobody has come");
}

#[tokio::test]
async fn a_source_that_sends_a_byte_now_and_then_is_given_up() {
    let layer = noise(1 << 20, 1);
    let digest = sha256(&layer);
    let source =
        Source::start(move |asked| asked.line.ends_with(&digest).then_some(Fault::Drip(Duration::from_millis(100))))
            .await;
    source.put_image("app", "v1", &[layer]);
    source.put_image("app", "v2", &[noise(1 << 20, 2)]);
    let here = start(|files| files.settings.push_str("attempts = 2\nslow_source_seconds = 2\nparallel_blobs = 1\n"));
    let admin = here.admin();
    let began = Instant::now();
    let id = migrate(&admin, &request(&source.name(), &["app:v1", "app:v2"])).await;
    let task = ended(&here, &admin, &id).await;
    assert!(failure(&task).contains("sends less than 64 KiB in 2 seconds"), "{task:#}");
    // Both attempts, a pause between them, and the other image, which had to wait for its turn.
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    assert_eq!(admin.client.tags("app").await, ["v2"]);
}
