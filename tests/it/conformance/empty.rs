//! An empty registry, and requests for what does not exist.

use super::*;
use testing::registry::Registry;

#[tokio::test]
async fn the_version_check_succeeds() {
    let registry = Registry::start().await;
    for path in ["/v2/", "/v2"] {
        let reply = registry.read(path).await;
        assert_eq!(reply.header("docker-distribution-api-version"), "registry/2.0");
    }
}

#[tokio::test]
async fn an_unknown_repository_has_no_tags_and_no_referrers() {
    let registry = Registry::start().await;
    registry.get(format!("/v2/{REPO}/tags/list")).await.refused(404, "NAME_UNKNOWN");
    for naming in NAMINGS {
        let reply = registry.read(format!("/v2/{REPO}/referrers/{}", naming(b"nobody"))).await;
        assert_eq!(reply.header("content-type"), OCI_INDEX);
        assert_eq!(reply.json(), index(&[]));
    }
}

#[tokio::test]
async fn an_absent_manifest_is_not_found() {
    let registry = Registry::start().await;
    for naming in NAMINGS {
        registry.get(format!("/v2/{REPO}/manifests/{}", naming(b"x"))).await.refused(404, "MANIFEST_UNKNOWN");
    }
    registry.get(format!("/v2/{REPO}/manifests/missing")).await.refused(404, "MANIFEST_UNKNOWN");
}

#[tokio::test]
async fn an_invalid_digest_is_a_client_error() {
    let registry = Registry::start().await;
    let (digest, manifest) = registry.push_image(REPO, "v1", "x").await;
    for bad in ["sha256:baddigeststring", "sha512:00", "sha256:"] {
        registry.put_manifest(REPO, bad, &manifest).await.refused(400, "DIGEST_INVALID");
        registry.get(format!("/v2/{REPO}/manifests/{bad}")).await.refused(400, "DIGEST_INVALID");
        registry.get(format!("/v2/{REPO}/blobs/{bad}")).await.refused(400, "DIGEST_INVALID");
        registry.get(format!("/v2/{REPO}/referrers/{bad}")).await.refused(400, "DIGEST_INVALID");
    }
    registry.read(format!("/v2/{REPO}/manifests/{digest}")).await;
}

#[tokio::test]
async fn a_manifest_pushed_under_another_digest_is_refused() {
    let registry = Registry::start().await;
    let (_, manifest) = registry.push_image(REPO, "v1", "x").await;
    for naming in NAMINGS {
        let digest = naming(manifest.to_string().as_bytes());
        let longer = format!("{manifest}  ");
        registry.put_bytes(REPO, &digest, OCI_MANIFEST, longer).await.refused(400, "DIGEST_INVALID");
    }
    assert_eq!(registry.tags(REPO).await, ["v1"]);
}
