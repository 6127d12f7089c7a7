//! What is copied, and that it stays what it is.

use super::{copied, ended, image_of, migrate, request, start};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use testing::{
    content::{CONFIG, LAYER, OCI_INDEX, OCI_MANIFEST, descriptor, image, index, noise, sha256},
    registry::Registry,
    source::Source,
};

/// The address of a registry in this process, as a request names it.
fn name_of(registry: &Registry) -> String {
    format!("http://{}", registry.address())
}

/// The bytes and the digest of a manifest.
async fn manifest(client: &testing::session::Client, name: &str, reference: &str) -> (Bytes, String) {
    let types = format!("{OCI_MANIFEST}, {OCI_INDEX}");
    let reply = client.ask(Method::GET, format!("/v2/{name}/manifests/{reference}")).header("accept", types);
    let reply = reply.send().await.is(200);
    (reply.body.clone(), reply.header("docker-content-digest").to_owned())
}

#[tokio::test]
async fn a_whole_registry_arrives_with_its_signatures_byte_for_byte() {
    let (source, here) = (Registry::start().await, start(|_| {}));
    let (amd64, _) = source.push_image("team/app", "amd64", "amd64").await;
    let (arm64, _) = source.push_image("team/app", "arm64", "arm64").await;
    let entry = async |digest: &str, architecture: &str| {
        let (bytes, _) = manifest(&source, "team/app", digest).await;
        let mut entry = descriptor(OCI_MANIFEST, &bytes);
        entry["platform"] = json!({ "os": "linux", "architecture": architecture });
        entry
    };
    let both = index(&[entry(&amd64, "amd64").await, entry(&arm64, "arm64").await]);
    // Not as a program would write it: the bytes must survive.
    let both = format!(" {both}\n");
    source.put_bytes("team/app", "1.0", OCI_INDEX, both.clone()).await.is(201);
    let both = sha256(both.as_bytes());
    // A signature by the referrers API, one on that, and one under a tag named after the digest.
    let empty = source.push_blob("team/app", "{}").await;
    assert_eq!(empty, sha256(b"{}"));
    let signature = |subject: &str, size: usize, note: &str| {
        let mut signature = image(&descriptor(CONFIG, b"{}"), &[]);
        signature["artifactType"] = "application/vnd.example.signature".into();
        signature["subject"] = json!({ "mediaType": OCI_INDEX, "digest": subject, "size": size });
        signature["annotations"] = json!({ "note": note });
        signature
    };
    let first = signature(&both, 7, "first");
    let first_digest = sha256(first.to_string().as_bytes());
    source.put_manifest("team/app", &first_digest, &first).await.is(201);
    let second = signature(&first_digest, 7, "on the signature");
    let second_digest = sha256(second.to_string().as_bytes());
    source.put_manifest("team/app", &second_digest, &second).await.is(201);
    let old_style = both.replace(':', "-") + ".sig";
    source.push_image("team/app", &old_style, "signature").await;
    source.push_image("other/tool", "latest", "tool").await;

    let task = copied(&here, &request(&name_of(&source), &["**"])).await;
    let admin = here.admin();
    let (mut tags, mut expected) = (admin.client.tags("team/app").await, vec!["1.0", "amd64", "arm64", &old_style]);
    tags.sort();
    expected.sort_unstable();
    assert_eq!(tags, expected);
    for (name, reference) in [
        ("team/app", "1.0"),
        ("team/app", "amd64"),
        ("team/app", amd64.as_str()),
        ("team/app", arm64.as_str()),
        ("team/app", first_digest.as_str()),
        ("team/app", second_digest.as_str()),
        ("team/app", old_style.as_str()),
        ("other/tool", "latest"),
    ] {
        assert_eq!(
            manifest(&source, name, reference).await,
            manifest(&admin.client, name, reference).await,
            "{reference}"
        );
    }
    let referrers = admin.client.get(format!("/v2/team/app/referrers/{both}")).await.is(200).json();
    assert_eq!(referrers["manifests"][0]["digest"], first_digest);
    assert_eq!(
        task["migration"]["images"],
        json!({
            "total": 4, "waiting": 0, "running": 0, "completed": 4, "skipped": 0, "failed": 0,
        })
    );
    assert_eq!((&task["progress"], &task["migration"]["can_resume"]), (&json!(100), &json!(false)));

    // Once more: nothing is left to do.
    let again = copied(&here, &request(&name_of(&source), &["**"])).await;
    assert_eq!(
        (&again["migration"]["images"]["skipped"], &again["migration"]["bytes_fetched"]),
        (&json!(4), &json!(0))
    );
}

#[tokio::test]
async fn images_are_chosen_by_tag_digest_and_pattern() {
    let (source, here) = (Registry::start().await, start(|_| {}));
    for (name, tag) in [("a/one", "v1.0"), ("a/one", "v1.1"), ("a/one", "v2.0"), ("a/b/two", "v1.0"), ("c", "v1.0")] {
        source.push_image(name, tag, &format!("{name}{tag}")).await;
    }
    let (_, digest) = manifest(&source, "c", "v1.0").await;
    let admin = here.admin();
    let listed = async |images: &[&str]| -> Vec<String> {
        let mut asked = request(&name_of(&source), images);
        asked["dry_run"] = true.into();
        let id = migrate(&admin, &asked).await;
        ended(&here, &admin, &id).await;
        let images = admin.get(&format!("/tasks/{id}/images")).await.is(200).json();
        images["items"].as_array().unwrap().iter().map(|image| image["source"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(listed(&["a/one:v1.0"]).await, ["a/one:v1.0"]);
    assert_eq!(listed(&["a/one"]).await, ["a/one:v1.0", "a/one:v1.1", "a/one:v2.0"]);
    assert_eq!(listed(&["a/*:v1.*"]).await, ["a/one:v1.0", "a/one:v1.1"]);
    assert_eq!(listed(&["**:v2*", "a/**:v1.0"]).await, ["a/b/two:v1.0", "a/one:v1.0", "a/one:v2.0"]);
    assert_eq!(listed(&[&format!("c@{digest}")]).await, [format!("c@{digest}")]);
    assert_eq!(admin.client.get("/v2/_catalog").await.json()["repositories"], json!([]), "a dry run copies nothing");
    let id = migrate(&admin, &request(&name_of(&source), &["absent/**"])).await;
    let task = ended(&here, &admin, &id).await;
    assert_eq!(task["status"], "failed");
    assert!(task["error"].as_str().unwrap().contains("no image matches"), "{task}");
    // What cannot be read is refused before anything is asked.
    let bad = json!({
        "source_registry": name_of(&source), "images": ["UPPER", "a:b c"], "platforms": ["linux"], "target_prefix": "/x",
    });
    let refused = admin.post("/registry/migrate", &bad).await;
    refused.refused(400, "INVALID_REQUEST");
    let fields: Vec<_> =
        refused.json()["errors"][0]["detail"].as_array().unwrap().iter().map(|p| p["at"].clone()).collect();
    assert_eq!(fields, ["/target_prefix", "/platforms/0", "/images/0", "/images/1"]);
}

#[tokio::test]
async fn a_dry_run_says_how_much_is_to_be_fetched() {
    let (source, here) = (Source::start(|_| None).await, start(|_| {}));
    let (shared, own) = (noise(50_000, 1), noise(20_000, 2));
    source.put_image("app", "v1", std::slice::from_ref(&shared));
    source.put_image("app", "v2", &[shared.clone(), own]);
    source.put_tags("app", &["v1", "v2"]);
    let mut asked = request(&source.name(), &["app"]);
    asked["dry_run"] = true.into();
    let task = copied(&here, &asked).await;
    let of_configs = 2 * "{\"of\":\"app:v1\"}".len() as u64;
    assert_eq!(task["migration"]["bytes_fetched"], 70_000 + of_configs, "shared layers count once: {task:#}");
    assert_eq!(task["migration"]["dry_run"], true);
    assert!(source.asked().iter().all(|line| !line.contains("/blobs/")), "{:?}", source.asked());
    here.admin().client.get("/v2/app/tags/list").await.refused(404, "NAME_UNKNOWN");
    // After the image with the shared layer is here, less is to be fetched.
    copied(&here, &request(&source.name(), &["app:v1"])).await;
    let task = copied(&here, &asked).await;
    assert_eq!(task["migration"]["bytes_fetched"], 20_000 + of_configs / 2, "{task:#}");
}

#[tokio::test]
async fn only_the_platforms_that_were_asked_for_are_fetched() {
    let (source, here) = (Source::start(|_| None).await, start(|_| {}));
    let mut entries = Vec::new();
    for architecture in ["amd64", "arm64"] {
        let layer = noise(1000, architecture.len() as u64 + entries.len() as u64);
        let config = format!("{{\"architecture\":\"{architecture}\"}}");
        source.put_blob("app", config.clone());
        source.put_blob("app", layer.clone());
        let manifest = image(&descriptor(CONFIG, config.as_bytes()), &[descriptor(LAYER, &layer)]);
        source.put_manifest("app", architecture, &manifest);
        let mut entry = descriptor(OCI_MANIFEST, manifest.to_string().as_bytes());
        entry["platform"] = json!({ "os": "linux", "architecture": architecture });
        entries.push(entry);
    }
    let both = source.put_manifest("app", "v1", &index(&entries));
    source.put_tags("app", &["v1"]);
    let mut asked = request(&source.name(), &["app:v1"]);
    (asked["platforms"], asked["target_prefix"]) = (json!(["linux/arm64"]), json!("mirror/hub"));
    copied(&here, &asked).await;
    let admin = here.admin();
    let (_, digest) = manifest(&admin.client, "mirror/hub/app", "v1").await;
    assert_eq!(digest, both, "the index stays what it is");
    let has = async |entry: &Value| {
        let digest = entry["digest"].as_str().unwrap();
        admin.client.get(format!("/v2/mirror/hub/app/manifests/{digest}")).await.status == 200
    };
    assert!(!has(&entries[0]).await && has(&entries[1]).await);
    asked["platforms"] = json!(["windows/amd64"]);
    let id = migrate(&admin, &asked).await;
    let task = ended(&here, &admin, &id).await;
    let failed = task["migration"]["failed"][0]["message"].as_str().unwrap();
    assert!(failed.contains("linux/amd64, linux/arm64"), "{failed}");
    // Now the rest.
    asked["platforms"] = json!([]);
    copied(&here, &asked).await;
    assert!(has(&entries[0]).await);
}

#[tokio::test]
async fn blobs_that_are_here_are_not_fetched() {
    let (source, here) = (Source::start(|_| None).await, start(|_| {}));
    let layer = noise(100_000, 7);
    let admin = here.admin();
    // In the repository itself, in another one of this user, and in none.
    admin.client.push_blob("one", layer.clone()).await;
    for repository in ["one", "two"] {
        source.put_image(repository, "v1", std::slice::from_ref(&layer));
        source.put_tags(repository, &["v1"]);
    }
    let task = copied(&here, &request(&source.name(), &["one:v1", "two:v1"])).await;
    assert_eq!(task["stats"]["layers_skipped"], 2, "{task:#}");
    let digest = sha256(&layer);
    assert_eq!(source.count(&format!("GET /v2/one/blobs/{digest}")), 0);
    assert_eq!(source.count(&format!("GET /v2/two/blobs/{digest}")), 0);
    assert_eq!(admin.client.get(format!("/v2/two/blobs/{digest}")).await.is(200).body, layer);
}

#[tokio::test]
async fn naming_a_digest_gives_nobody_the_blob_of_another() {
    let here = start(|files| {
        files.rules = json!({
            "adminUsers": ["admin"],
            "rules": [{ "repository": "alice/**", "users": ["alice"], "permissions": ["pull", "push"] }],
            "groups": { "movers": { "members": ["alice"], "roles": ["mover"] } },
            "roles": { "mover": { "permissions": ["MIGRATE:TASK"] } },
        })
        .to_string();
    });
    let secret = noise(5000, 3);
    here.admin().client.push_image("private/app", "v1", "x").await;
    let digest = here.admin().client.push_blob("private/app", secret.clone()).await;
    // Her registry lists the layer and does not have it.
    let source = Source::start(|_| None).await;
    let config = "{}";
    source.put_blob("app", config);
    let manifest = image(&descriptor(CONFIG, config.as_bytes()), &[descriptor(LAYER, &secret)]);
    source.put_manifest("app", "v1", &manifest);
    source.put_tags("app", &["v1"]);
    let alice = here.user("alice");
    let mut asked = request(&source.name(), &["app:v1"]);
    asked["target_prefix"] = "alice".into();
    let id = migrate(&alice, &asked).await;
    let task = ended(&here, &alice, &id).await;
    assert_eq!(task["status"], "failed", "{task:#}");
    assert!(image_of(&alice, &id, "app:v1").await["message"].as_str().unwrap().contains(&digest), "{task:#}");
    alice.client.get(format!("/v2/alice/app/blobs/{digest}")).await.refused(404, "BLOB_UNKNOWN");
}

#[tokio::test]
async fn tags_are_moved_unless_that_is_not_wanted() {
    let (source, here) = (Registry::start().await, start(|_| {}));
    let admin = here.admin();
    let (ours, _) = admin.client.push_image("app", "v1", "ours").await;
    let (theirs, _) = source.push_image("app", "v1", "theirs").await;
    let mut asked = request(&name_of(&source), &["app:v1"]);
    asked["overwrite"] = false.into();
    let task = copied(&here, &asked).await;
    assert_eq!(task["migration"]["images"]["skipped"], 1);
    assert_eq!(manifest(&admin.client, "app", "v1").await.1, ours);
    asked["overwrite"] = true.into();
    copied(&here, &asked).await;
    assert_eq!(manifest(&admin.client, "app", "v1").await.1, theirs);
}

#[tokio::test]
async fn progress_is_followed_by_events() {
    let (source, here) = (Registry::start().await, start(|_| {}));
    source.push_image("app", "v1", "x").await;
    let admin = here.admin();
    let id = migrate(&admin, &request(&name_of(&source), &["app"])).await;
    // The stream ends with the migration.
    let events = admin.get(&format!("/tasks/{id}/events")).await.is(200);
    let text = String::from_utf8(events.body.to_vec()).unwrap();
    let last = text.trim_end().rsplit("data: ").next().unwrap();
    let last: Value = serde_json::from_str(last).unwrap();
    assert_eq!((&last["id"], &last["status"]), (&json!(id), &json!("completed")), "{text}");
    let history = admin.get("/registry/migrate").await.is(200).json();
    assert_eq!(history["items"][0]["id"], *id);
    let by_alias = admin.get(&format!("/registry/migrate/status?task_id={id}")).await.is(200).json();
    assert_eq!((&by_alias["status"], &by_alias["progress"]), (&json!("completed"), &json!(100)));
    admin.post(&format!("/tasks/{id}/cancel"), &json!({})).await.refused(409, "AMBIGUOUS");
    admin.post(&format!("/tasks/{id}/resume"), &json!({})).await.refused(409, "AMBIGUOUS");
    let failed = admin.get(&format!("/tasks/{id}/images?status=failed")).await.is(200).json();
    assert_eq!(failed["items"], json!([]));
    admin.get(&format!("/tasks/{id}/images?status=odd")).await.refused(400, "INVALID_REQUEST");
}
