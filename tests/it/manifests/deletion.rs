//! Deleted tags and manifests, and what is deleted with them.

use testing::{registry::Registry, session::*};

#[tokio::test]
async fn a_deleted_tag_leaves_its_manifest_and_the_other_tags() {
    let registry = Registry::start().await;
    let (digest, manifest) = registry.push_image("app", "v1", "x").await;
    registry.put_manifest("app", "v2", &manifest).await.is(201);
    registry.delete("/v2/app/manifests/v1").await.is(202);
    registry.get("/v2/app/manifests/v1").await.refused(404, "MANIFEST_UNKNOWN");
    registry.delete("/v2/app/manifests/v1").await.refused(404, "MANIFEST_UNKNOWN");
    assert_eq!(registry.tags("app").await, ["v2"]);
    registry.read(format!("/v2/app/manifests/{digest}")).await;
    registry.delete("/v2/app/manifests/v2").await.is(202);
    assert!(registry.tags("app").await.is_empty(), "the repository is still there");
    registry.read(format!("/v2/app/manifests/{digest}")).await;
}

#[tokio::test]
async fn deleting_a_manifest_deletes_only_its_tags() {
    let registry = Registry::start().await;
    let (digest, manifest) = registry.push_image("app", "v1", "x").await;
    let (other, _) = registry.push_image("app", "other", "y").await;
    let target = format!("{digest}?{}", (0..50).map(|i| format!("tag=t{i}")).collect::<Vec<_>>().join("&"));
    registry.put_bytes("app", &target, OCI_MANIFEST, manifest.to_string()).await.is(201);
    registry.delete(format!("/v2/app/manifests/{digest}")).await.is(202);
    assert_eq!(registry.tags("app").await, ["other"]);
    for gone in ["v1", "t0", "t49", &digest] {
        registry.get(format!("/v2/app/manifests/{gone}")).await.refused(404, "MANIFEST_UNKNOWN");
    }
    registry.delete(format!("/v2/app/manifests/{digest}")).await.refused(404, "MANIFEST_UNKNOWN");
    registry.read(format!("/v2/app/manifests/{other}")).await;
    // Its blobs belong to the repository, not to it.
    let layer = manifest["layers"][0]["digest"].as_str().unwrap();
    registry.read(format!("/v2/app/blobs/{layer}")).await;
}

#[tokio::test]
async fn deleted_content_can_be_pushed_again() {
    let registry = Registry::start().await;
    for _ in 0..3 {
        let (digest, manifest) = registry.push_image("app", "v1", "x").await;
        assert_eq!(registry.read("/v2/app/manifests/v1").await.body, manifest.to_string());
        registry.delete(format!("/v2/app/manifests/{digest}")).await.is(202);
        for blob in [&manifest["config"], &manifest["layers"][0]] {
            let path = format!("/v2/app/blobs/{}", blob["digest"].as_str().unwrap());
            registry.delete(&path).await.is(202);
            registry.get(&path).await.refused(404, "BLOB_UNKNOWN");
        }
        let refused = registry.put_manifest("app", "v1", &manifest).await;
        refused.refused(400, "MANIFEST_BLOB_UNKNOWN");
    }
}

#[tokio::test]
async fn a_blob_can_be_deleted_even_if_a_manifest_needs_it() {
    let registry = Registry::start().await;
    let (_, manifest) = registry.push_image("app", "v1", "x").await;
    registry.push_image("other", "v1", "x").await;
    let layer = manifest["layers"][0]["digest"].as_str().unwrap();
    registry.delete(format!("/v2/app/blobs/{layer}")).await.is(202);
    registry.head(format!("/v2/app/blobs/{layer}")).await.is(404);
    registry.read("/v2/app/manifests/v1").await;
    registry.read(format!("/v2/other/blobs/{layer}")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_concurrent_push_and_deletion_leave_no_dangling_tag() {
    let registry = Registry::start().await;
    let (digest, manifest) = registry.push_image("app", "v1", "x").await;
    let path = format!("/v2/app/manifests/{digest}");
    for round in 0..40 {
        let tag = format!("t{}", round % 3);
        let push = registry.put_manifest("app", &tag, &manifest);
        let (pushed, deleted, again) =
            tokio::join!(push, registry.delete(&path), registry.put_manifest("app", "v1", &manifest));
        assert_eq!((pushed.status, again.status), (http::StatusCode::CREATED, http::StatusCode::CREATED));
        assert!(matches!(deleted.status.as_u16(), 202 | 404));
        let listed = registry.get("/v2/app/tags/list").await;
        let tags = if listed.status == 200 { listed.strings("tags") } else { Vec::new() };
        for tag in tags {
            let reply = registry.read(format!("/v2/app/manifests/{tag}")).await;
            assert_eq!(reply.header("docker-content-digest"), digest);
        }
        registry.put_manifest("app", "v1", &manifest).await.is(201);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tag_moved_while_its_old_manifest_is_deleted_stays() {
    let registry = Registry::start().await;
    let (new, moved) = registry.push_image("app", "new", "new").await;
    for round in 0..40 {
        let (old, _) = registry.push_image("app", "v1", &format!("old {round}")).await;
        let (moved, deleted) = tokio::join!(
            registry.put_manifest("app", "v1", &moved),
            registry.delete(format!("/v2/app/manifests/{old}"))
        );
        assert_eq!((moved.status.as_u16(), deleted.status.as_u16()), (201, 202));
        let now = registry.read("/v2/app/manifests/v1").await;
        assert_eq!(now.header("docker-content-digest"), new);
        registry.head(format!("/v2/app/manifests/{old}")).await.is(404);
    }
}
