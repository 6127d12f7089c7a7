//! Quotas: what repositories may hold together.

use crate::PROGRAM;
use serde_json::json;
use testing::{managed::Managed, session::*};

const SETTINGS: &str = "\
[[quota]]
repositories = [\"team/**\"]
max_bytes = \"64 KiB\"
max_tags = 3

[[quota]]
repositories = [\"**\"]
max_repositories = 2
";

#[tokio::test]
async fn bytes_beyond_a_quota_are_refused_before_they_are_taken() {
    let registry = Managed::start(PROGRAM, |files| files.settings = SETTINGS.into());
    let admin = registry.admin();
    admin.client.push_image("team/app", "v1", "x").await;
    let blob = noise(40 << 10, 1);
    let digest = admin.client.push_blob("team/app", blob.clone()).await;
    let more = noise(40 << 10, 2);
    let refused = admin.client.post(format!("/v2/team/b/blobs/uploads/?digest={}", sha256(&more)), more.clone()).await;
    refused.refused(413, "DENIED");
    assert!(refused.message().contains("the repositories team/** may hold 64 KiB together"), "{refused:?}");
    // In chunks without a length, it is refused when the blob would be complete.
    let place = admin.client.locate("team/b").await;
    let half = admin.client.patch(&place, more.slice(..20 << 10)).await.is(202);
    admin.client.patch(half.header("location"), more.slice(20 << 10..)).await.refused(413, "DENIED");
    // The same blob again costs nothing in its repository, and counts in another.
    admin.client.push_blob("team/app", blob.clone()).await;
    let mounted = admin.client.post(format!("/v2/team/b/blobs/uploads/?mount={digest}&from=team/app"), "").await;
    mounted.refused(413, "DENIED");
    // Other repositories are not concerned.
    admin.client.push_blob("other/app", noise(100 << 10, 3)).await;
    let listed = admin.get("/quotas").await.is(200).json();
    let quota = &listed["items"][0];
    assert_eq!((&quota["repositories"], &quota["max_bytes"]), (&json!(["team/**"]), &json!(64 << 10)));
    assert!(quota["used_bytes"].as_u64().unwrap() > 40 << 10 && quota["used_tags"] == 1, "{quota}");
}

#[tokio::test]
async fn tags_and_repositories_are_counted() {
    let registry = Managed::start(PROGRAM, |files| files.settings = SETTINGS.into());
    let admin = registry.admin();
    let (_, manifest) = admin.client.push_image("team/app", "v1", "x").await;
    for tag in ["v2", "v3", "v1"] {
        admin.client.put_manifest("team/app", tag, &manifest).await.is(201);
    }
    let refused = admin.client.put_manifest("team/app", "v4", &manifest).await;
    refused.refused(403, "DENIED");
    assert!(refused.message().contains("may have 3 tags"), "{refused:?}");
    admin.client.push_image("one/app", "v1", "x").await;
    admin.client.push_image("one/app", "v2", "y").await;
    let refused = admin.client.put_manifest("two/app", "v1", &index(&[])).await;
    refused.refused(403, "DENIED");
    assert!(refused.message().contains("there may be 2 repositories **"), "{refused:?}");
    registry.user("alice").get("/quotas").await.is(200);
}
