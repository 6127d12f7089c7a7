//! Mounts: a blob of another repository need not be sent again.

use testing::{registry::Registry, session::*};

fn mount(to: &str, digest: &str, from: &str) -> String {
    let from = if from.is_empty() { String::new() } else { format!("&from={from}") };
    format!("/v2/{to}/blobs/uploads/?mount={digest}{from}")
}

#[tokio::test]
async fn a_mounted_blob_exists_at_once() {
    let registry = Registry::start().await;
    for content in ["layer", ""] {
        let digest = registry.push_blob("org/base", content).await;
        for (to, from) in [("org/app", "org/base"), ("org/third", "org%2Fbase"), ("org/anybody", ""), ("org/base", "")]
        {
            let reply = registry.post(mount(to, &digest, from), "").await.is(201);
            assert_eq!(reply.header("location"), format!("/v2/{to}/blobs/{digest}"));
            assert_eq!(reply.header("docker-content-digest"), digest);
            assert_eq!(registry.read(reply.header("location")).await.body, content);
        }
        // Each repository has its own right to it.
        registry.delete(format!("/v2/org/base/blobs/{digest}")).await.is(202);
        assert_eq!(registry.read(format!("/v2/org/app/blobs/{digest}")).await.body, content);
    }
}

#[tokio::test]
async fn a_failed_mount_starts_an_upload_that_can_be_finished() {
    let registry = Registry::start().await;
    let (here, absent) = (registry.push_blob("org/base", "layer").await, sha256(b"absent"));
    let deleted = registry.push_blob("org/base", "deleted").await;
    registry.delete(format!("/v2/org/base/blobs/{deleted}")).await.is(202);
    for (digest, from) in [
        (&absent, "org/base"),
        (&absent, ""),
        (&here, "org/nowhere"),
        (&here, "No-Such-Name"),
        (&here, ".."),
        (&deleted, "org/base"),
        (&deleted, ""),
    ] {
        let reply = registry.post(mount("org/app", digest, from), "").await.is(202);
        let location = reply.header("location");
        assert!(location.starts_with("/v2/org/app/blobs/uploads/"), "{from}: {location}");
        assert_eq!(reply.header("range"), "0-0");
        assert!(!reply.has("docker-content-digest"));
        registry.head(format!("/v2/org/app/blobs/{digest}")).await.is(404);
        registry.delete(location).await.is(204);
    }
    let reply = registry.post(mount("org/app", &absent, "org/base"), "").await.is(202);
    registry.put(format!("{}?digest={absent}", reply.header("location")), "absent").await.is(201);
}

#[tokio::test]
async fn a_hint_for_a_mount_is_verified() {
    let registry = Registry::start().await;
    let digest = registry.push_blob("first", "layer").await;
    registry.post(mount("second", &digest, "first"), "").await.is(201);
    // The repository it was seen in last no longer has it, the one before does.
    registry.delete(format!("/v2/second/blobs/{digest}")).await.is(202);
    registry.post(mount("third", &digest, ""), "").await.is(201);
    for name in ["first", "third"] {
        registry.delete(format!("/v2/{name}/blobs/{digest}")).await.is(202);
    }
    registry.post(mount("fourth", &digest, ""), "").await.is(202);
    registry.head(format!("/v2/fourth/blobs/{digest}")).await.is(404);
}

#[tokio::test]
async fn an_invalid_digest_is_not_mounted() {
    let registry = Registry::start().await;
    for bad in ["", "sha256:x", "blake3:00", "latest"] {
        registry.post(mount("app", bad, "base"), "").await.refused(400, "DIGEST_INVALID");
    }
    let twice = format!("/v2/app/blobs/uploads/?mount={0}&mount={0}&from=a", sha256(b"x"));
    registry.post(twice, "").await.refused(400, "UNSUPPORTED");
    let twice = format!("/v2/app/blobs/uploads/?mount={}&from=a&from=b", sha256(b"x"));
    registry.post(twice, "").await.refused(400, "UNSUPPORTED");
}
