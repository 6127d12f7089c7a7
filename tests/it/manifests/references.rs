//! What a manifest refers to, and which of it may be absent.

use serde_json::{Value, json};
use std::slice::from_ref;
use testing::{registry::Registry, session::*};
use wharfinger::registry::MissingReferences::{self, Accept, Children, Refuse};

async fn under(missing: MissingReferences) -> Registry {
    Registry::with(|setup| setup.settings.missing_references = missing).await
}

/// The digests a response reports as missing, one entry each.
fn missing(reply: &Reply) -> Vec<String> {
    reply.refused(400, "MANIFEST_BLOB_UNKNOWN");
    let errors = reply.json()["errors"].as_array().unwrap().clone();
    assert!(errors.iter().all(|error| error["code"] == "MANIFEST_BLOB_UNKNOWN"));
    errors.iter().map(|error| error["detail"]["digest"].as_str().unwrap().to_owned()).collect()
}

/// An image without its config and with one of three layers; one of the missing layers is listed twice.
async fn sparse_image(registry: &Registry) -> Value {
    registry.push_blob("app", "here").await;
    let layers = [b"here".as_slice(), b"absent", b"gone", b"absent"].map(|layer| descriptor(LAYER, layer));
    image(&descriptor(CONFIG, b"no config"), &layers)
}

#[tokio::test]
async fn every_missing_blob_of_an_image_is_named_once() {
    for policy in [Refuse, Children] {
        let registry = under(policy).await;
        let refused = registry.put_manifest("app", "v1", &sparse_image(&registry).await).await;
        assert_eq!(missing(&refused), [sha256(b"no config"), sha256(b"absent"), sha256(b"gone")]);
        registry.get("/v2/app/tags/list").await.refused(404, "NAME_UNKNOWN");
    }
    let registry = under(Accept).await;
    registry.put_manifest("app", "v1", &sparse_image(&registry).await).await.is(201);
}

#[tokio::test]
async fn the_children_of_an_index_may_be_absent_unless_that_is_refused() {
    let children = [b"one".as_slice(), b"two"].map(|child| descriptor(OCI_MANIFEST, child));
    for (policy, accepts) in [(Refuse, false), (Children, true), (Accept, true)] {
        let registry = under(policy).await;
        let reply = registry.put_manifest("app", "v1", &index(&children)).await;
        match accepts {
            true => assert_eq!(reply.is(201).status, 201),
            false => assert_eq!(missing(&reply), [sha256(b"one"), sha256(b"two")]),
        }
    }
}

#[tokio::test]
async fn content_of_another_repository_counts_as_missing() {
    let registry = under(Refuse).await;
    let (digest, manifest) = registry.push_image("org/other", "v1", "x").await;
    assert_eq!(missing(&registry.put_manifest("app", "v1", &manifest).await).len(), 2);
    let child = json!({ "mediaType": OCI_MANIFEST, "digest": digest, "size": 1 });
    assert_eq!(missing(&registry.put_manifest("app", "v1", &index(&[child])).await), [digest]);
}

#[tokio::test]
async fn the_children_of_an_index_may_be_blobs() {
    // As build caches are: an index of layers and a config.
    let registry = under(Refuse).await;
    registry.push_blob("app", "layer").await;
    registry.push_blob("app", "{}").await;
    let cache = index(&[descriptor(LAYER, b"layer"), descriptor("application/vnd.buildkit.cacheconfig.v0", b"{}")]);
    registry.put_manifest("app", "cache", &cache).await.is(201);
    // But a manifest is not a layer.
    let (digest, child) = registry.push_image("app", "v1", "x").await;
    let as_layer = image(&descriptor(CONFIG, b"{}"), &[descriptor(OCI_MANIFEST, child.to_string().as_bytes())]);
    assert_eq!(missing(&registry.put_manifest("app", "v2", &as_layer).await), [digest]);
}

#[tokio::test]
async fn nested_indexes_are_accepted() {
    let registry = under(Refuse).await;
    let (_, image) = registry.push_image("app", "v1", "x").await;
    let mut inner = image;
    for depth in 0..10 {
        let media_type = inner["mediaType"].as_str().unwrap().to_owned();
        inner = index(&[descriptor(&media_type, inner.to_string().as_bytes())]);
        registry.put_manifest("app", &format!("depth-{depth}"), &inner).await.is(201);
    }
}

#[tokio::test]
async fn foreign_layers_and_subjects_may_always_be_absent() {
    for policy in [Refuse, Children, Accept] {
        let registry = under(policy).await;
        registry.push_blob("app", "{}").await;
        let layers: Vec<_> = [
            "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
            "application/vnd.oci.image.layer.nondistributable.v1.tar",
            "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        ]
        .map(|media_type| {
            let mut layer = descriptor(media_type, media_type.as_bytes());
            layer["urls"] = json!(["https://store.example.com/layer"]);
            layer
        })
        .into();
        let mut manifest = image(&descriptor(CONFIG, b"{}"), &layers);
        manifest["subject"] = descriptor(OCI_MANIFEST, b"nobody pushed this");
        let reply = registry.put_manifest("app", "v1", &manifest).await.is(201);
        assert_eq!(reply.header("oci-subject"), sha256(b"nobody pushed this"));
        // `urls` do not make an ordinary layer a foreign one.
        let mut layer = descriptor(LAYER, b"absent");
        layer["urls"] = json!(["https://store.example.com/layer"]);
        let reply = registry.put_manifest("app", "v2", &image(&descriptor(CONFIG, b"{}"), &[layer])).await;
        assert_eq!(reply.status == 201, policy == Accept);
    }
}

#[tokio::test]
async fn a_reference_with_an_unknown_digest_algorithm_counts_as_missing() {
    let layer = json!({ "mediaType": LAYER, "digest": "blake3:00ff", "size": 1 });
    for (policy, status) in [(Refuse, 400), (Children, 400), (Accept, 201)] {
        let registry = under(policy).await;
        registry.push_blob("app", "{}").await;
        let reply = registry.put_manifest("app", "v1", &image(&descriptor(CONFIG, b"{}"), from_ref(&layer))).await;
        assert_eq!(reply.status, status);
        if status == 400 {
            assert_eq!(missing(&reply), ["blake3:00ff"]);
        }
    }
}
