//! Accepted manifests are returned exactly as they were sent.

use http::Method;
use serde_json::{Value, json};
use std::slice::from_ref;
use testing::{registry::Registry, session::*};

const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const ARTIFACT: &str = "application/vnd.oci.artifact.manifest.v1+json";

/// One manifest of every accepted type, over a config and a layer that are pushed.
async fn every_type(client: &Client) -> [(&'static str, Value); 5] {
    client.push_blob("app", "{}").await;
    client.push_blob("app", "layer").await;
    let (config, layer) = (descriptor("application/vnd.example.any+json", b"{}"), descriptor("a/b", b"layer"));
    let child = image(&config, from_ref(&layer));
    client.put_manifest("app", "child", &child).await.is(201);
    let child = descriptor(OCI_MANIFEST, child.to_string().as_bytes());
    [
        (OCI_MANIFEST, image(&config, from_ref(&layer))),
        (OCI_INDEX, index(from_ref(&child))),
        (
            DOCKER_MANIFEST,
            json!({ "schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "config": config, "layers": [layer] }),
        ),
        (DOCKER_LIST, json!({ "schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": [child] })),
        (ARTIFACT, json!({ "mediaType": ARTIFACT, "artifactType": "a/b", "blobs": [layer] })),
    ]
}

#[tokio::test]
async fn every_manifest_is_returned_with_the_type_it_was_pushed_with() {
    let registry = Registry::start().await;
    for (media_type, manifest) in every_type(&registry).await {
        for said in [media_type.to_owned(), format!("{media_type}; charset=utf-8"), format!(" {media_type} ;q=1")] {
            registry.put_bytes("app", "v1", &said, manifest.to_string()).await.is(201);
            let reply = registry.read("/v2/app/manifests/v1").await;
            assert_eq!(reply.header("content-type"), media_type, "no parameters");
            assert_eq!(reply.body, manifest.to_string());
        }
    }
}

#[tokio::test]
async fn the_type_is_taken_from_the_body_if_the_request_has_none() {
    let registry = Registry::start().await;
    for (media_type, manifest) in every_type(&registry).await {
        for said in ["", "application/json", "application/octet-stream", "text/plain; charset=utf-8"] {
            registry.put_bytes("app", "v1", said, manifest.to_string()).await.is(201);
            assert_eq!(registry.head("/v2/app/manifests/v1").await.header("content-type"), media_type, "{said}");
        }
    }
    // And its structure, if not even the body names the type.
    for (mut manifest, media_type) in [(image(&descriptor(CONFIG, b"{}"), &[]), OCI_MANIFEST), (index(&[]), OCI_INDEX)]
    {
        manifest.as_object_mut().unwrap().remove("mediaType");
        for said in ["", media_type] {
            registry.put_bytes("app", "v1", said, manifest.to_string()).await.is(201);
            assert_eq!(registry.head("/v2/app/manifests/v1").await.header("content-type"), media_type);
        }
    }
}

#[tokio::test]
async fn unusual_spaces_keys_and_characters_are_kept() {
    let registry = Registry::start().await;
    registry.push_blob("app", "{}").await;
    let config = descriptor(CONFIG, b"{}").to_string();
    for text in [
        format!("\n\t {{ \"schemaVersion\" :2,\r\n\"config\":{config} ,\"layers\":[ ] }}\n\n  "),
        format!(r#"{{"layers":[],"z":1.10e5,"a":"\u00e9\/é","config":{config},"schemaVersion":2}}"#),
        format!(r#"{{"schemaVersion":2,"config":{config},"layers":null,"big":123456789012345678901234567890}}"#),
        format!(r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","config":{config},"layers":[],"x":{{"y":[[]]}}}}"#),
    ] {
        for digest in [sha256(text.as_bytes()), sha512(text.as_bytes())] {
            let reply = registry.put_bytes("app", &digest, OCI_MANIFEST, text.clone()).await.is(201);
            assert_eq!(reply.header("docker-content-digest"), digest);
            assert_eq!(reply.header("location"), format!("/v2/app/manifests/{digest}"));
            assert_eq!(registry.read(reply.header("location")).await.body, text);
        }
        registry.put_bytes("app", "v1", OCI_MANIFEST, text.clone()).await.is(201);
        let reply = registry.read("/v2/app/manifests/v1").await;
        assert_eq!(
            (reply.header("docker-content-digest"), &reply.body),
            (sha256(text.as_bytes()).as_str(), &text.into())
        );
    }
}

#[tokio::test]
async fn a_tag_set_through_a_sha512_push_answers_with_that_digest() {
    let registry = Registry::start().await;
    let manifest = index(&[]).to_string();
    let digest = sha512(manifest.as_bytes());
    registry.put_bytes("app", &format!("{digest}?tag=v1"), OCI_INDEX, manifest).await.is(201);
    for method in [Method::HEAD, Method::GET] {
        let reply = registry.ask(method, "/v2/app/manifests/v1").send().await.is(200);
        assert_eq!(reply.header("docker-content-digest"), digest);
    }
}

#[tokio::test]
async fn a_push_of_many_tags_sets_and_returns_each() {
    let registry = Registry::start().await;
    let manifest = index(&[]).to_string();
    for digest in [sha256(manifest.as_bytes()), sha512(manifest.as_bytes())] {
        let tags: Vec<String> = (0..12).map(|i| format!("{}.{i}", &digest[..6])).collect();
        let query: Vec<_> = tags.iter().map(|tag| format!("tag={tag}")).collect();
        let target = format!("{digest}?{}", query.join("&"));
        let reply = registry.put_bytes("app", &target, OCI_INDEX, manifest.clone()).await.is(201);
        assert_eq!(reply.items("oci-tag"), tags);
        for tag in &tags {
            let head = registry.head(format!("/v2/app/manifests/{tag}")).await.is(200);
            assert_eq!(head.header("docker-content-digest"), digest);
        }
    }
    assert_eq!(registry.tags("app").await.len(), 24);
    let bare = registry.put_bytes("app", "v1", OCI_INDEX, manifest.clone()).await.is(201);
    assert!(!bare.has("oci-tag"));
    let bad = format!("{}?tag=good&tag=-bad", sha256(manifest.as_bytes()));
    registry.put_bytes("app", &bad, OCI_INDEX, manifest).await.refused(400, "TAG_INVALID");
    registry.head("/v2/app/manifests/good").await.is(404);
}

#[tokio::test]
async fn after_a_tag_was_moved_the_old_manifest_can_be_pulled_by_digest() {
    let registry = Registry::start().await;
    let (old, manifest) = registry.push_image("app", "v1", "one").await;
    let (new, _) = registry.push_image("app", "v1", "two").await;
    assert_eq!(registry.head("/v2/app/manifests/v1").await.header("docker-content-digest"), new);
    assert_eq!(registry.read(format!("/v2/app/manifests/{old}")).await.body, manifest.to_string());
    // Nor does the tag belong to the old one any more: deleting that leaves the tag.
    registry.delete(format!("/v2/app/manifests/{old}")).await.is(202);
    assert_eq!(registry.head("/v2/app/manifests/v1").await.is(200).header("docker-content-digest"), new);
}

#[tokio::test]
async fn a_wrong_recorded_length_does_not_truncate_a_manifest() {
    let registry = Registry::start().await;
    let (digest, manifest) = registry.push_image("app", "v1", "x").await;
    let whole = manifest.to_string();
    let path = registry.root().join(format!("repositories/app/_manifests/revisions/sha256/{}", &digest[7..]));
    let note = std::fs::read_to_string(&path).unwrap();
    let size = format!("\"size\":{}", whole.len());
    assert!(note.contains(&size), "{note}");
    for wrong in [0, 10, whole.len() + 1] {
        std::fs::write(&path, note.replace(&size, &format!("\"size\":{wrong}"))).unwrap();
        for reference in ["v1", &digest] {
            let target = format!("/v2/app/manifests/{reference}");
            assert_eq!(registry.read(&target).await.body, whole, "{wrong}");
            assert_eq!(registry.head(&target).await.is(200).header("content-length"), whole.len().to_string());
        }
    }
}
