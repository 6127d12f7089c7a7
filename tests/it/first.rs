//! The main purpose: push, pull, delete; and a kill in between.

use crate::PROGRAM;
use http::{Method, StatusCode};
use testing::{daemon::Daemon, registry::Registry, session::*};

#[tokio::test]
async fn an_image_is_pushed_pulled_and_deleted() {
    let registry = Registry::start().await;
    let (digest, manifest) = registry.push_image("org/app", "v1", "one").await;
    let pulled = registry.get("/v2/org/app/manifests/v1").await;
    assert_eq!(pulled.status, StatusCode::OK);
    assert_eq!(pulled.body, manifest.to_string());
    assert_eq!(pulled.header("content-type"), OCI_MANIFEST);
    assert_eq!(pulled.header("docker-content-digest"), digest);
    for layer in manifest["layers"].as_array().unwrap() {
        let layer_digest = layer["digest"].as_str().unwrap();
        let blob = registry.get(format!("/v2/org/app/blobs/{layer_digest}")).await;
        assert_eq!(sha256(&blob.body), layer_digest);
    }
    assert_eq!(registry.tags("org/app").await, ["v1"]);
    assert_eq!(registry.get("/v2/_catalog").await.strings("repositories"), ["org/app"]);
    assert_eq!(registry.delete(format!("/v2/org/app/manifests/{digest}")).await.status, StatusCode::ACCEPTED);
    registry.get("/v2/org/app/manifests/v1").await.refused(404, "MANIFEST_UNKNOWN");
    registry.get("/v2/org/app/tags/list").await.refused(404, "NAME_UNKNOWN");
    assert!(registry.get("/v2/_catalog").await.strings("repositories").is_empty(), "no ghosts");
}

#[tokio::test]
async fn half_a_blob_survives_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("data");
    std::fs::create_dir(&root).unwrap();
    let (content, digest) = (noise(3_000_000, 1), sha256(&noise(3_000_000, 1)));
    let daemon = Daemon::start(PROGRAM, &root, &[]);
    let location = daemon.begin("app").await;
    let half = daemon.patch(&location, content.slice(..1_500_000)).await;
    assert_eq!(half.header("range"), "0-1499999");
    daemon.kill();

    let daemon = Daemon::start(PROGRAM, &root, &[]);
    let status = daemon.get(&location).await;
    assert_eq!((status.status, status.header("range")), (StatusCode::NO_CONTENT, "0-1499999"));
    let rest = daemon.ask(Method::PATCH, &location).header("content-range", "1500000-2999999");
    assert_eq!(rest.body(content.slice(1_500_000..)).send().await.status, StatusCode::ACCEPTED);
    assert_eq!(daemon.put(format!("{location}?digest={digest}"), "").await.status, StatusCode::CREATED);
    assert_eq!(daemon.get(format!("/v2/app/blobs/{digest}")).await.body, content);
}
