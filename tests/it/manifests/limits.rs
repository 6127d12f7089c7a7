//! The size limit of manifests and the limit on tags in a push: at the limit and one past it.

use http::Method;
use serde_json::json;
use testing::{registry::Registry, session::*};

const MOST: usize = 4 << 20;

/// A manifest of exactly this length.
fn of_length(len: usize) -> String {
    let mut manifest = index(&[]);
    manifest["annotations"] = json!({ "filler": "" });
    let filler = "x".repeat(len - manifest.to_string().len());
    manifest["annotations"]["filler"] = filler.into();
    assert_eq!(manifest.to_string().len(), len);
    manifest.to_string()
}

#[tokio::test]
async fn a_manifest_of_4_mib_is_accepted_and_one_byte_more_is_not() {
    let registry = Registry::start().await;
    for streamed in [false, true] {
        let put = |text: String| {
            let ask = registry.ask(Method::PUT, "/v2/app/manifests/v1").header("content-type", OCI_INDEX);
            match streamed {
                true => ask.stream(vec![text.into()]),
                false => ask.body(text),
            }
            .send()
        };
        let most = of_length(MOST);
        put(most.clone()).await.is(201);
        assert!(registry.read("/v2/app/manifests/v1").await.body == most);
        put(of_length(MOST + 1)).await.refused(413, "DENIED");
        assert!(registry.read("/v2/app/manifests/v1").await.body == most, "and the tag stays");
    }
}

#[tokio::test]
async fn as_many_tags_as_the_limit_are_set_and_one_more_is_refused() {
    let registry = Registry::with(|setup| setup.settings.tags_per_push = 10).await;
    let manifest = index(&[]).to_string();
    let target = |n: usize| {
        let tags: Vec<_> = (0..n).map(|i| format!("tag=t{i}")).collect();
        format!("{}?{}", sha256(manifest.as_bytes()), tags.join("&"))
    };
    let more = registry.put_bytes("app", &target(11), OCI_INDEX, manifest.clone()).await;
    more.refused(414, "TAG_INVALID");
    registry.get("/v2/app/tags/list").await.refused(404, "NAME_UNKNOWN");
    let most = registry.put_bytes("app", &target(10), OCI_INDEX, manifest.clone()).await.is(201);
    assert_eq!(most.items("oci-tag").len(), 10);
    assert_eq!(registry.tags("app").await.len(), 10);
}

#[tokio::test]
async fn nesting_and_the_number_of_descriptors_are_limited() {
    let registry = Registry::with(|setup| {
        setup.settings.manifest_depth = 8;
        setup.settings.manifest_descriptors = 5;
    })
    .await;
    let nested = |depth: usize| {
        let mut manifest = index(&[]).to_string();
        manifest.pop();
        format!("{manifest},\"x\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1))
    };
    registry.put_bytes("app", "v1", OCI_INDEX, nested(8)).await.is(201);
    registry.put_bytes("app", "v1", OCI_INDEX, nested(9)).await.refused(400, "MANIFEST_INVALID");
    let children = |n: usize| index(&vec![descriptor(OCI_MANIFEST, b"x"); n]);
    registry.put_manifest("app", "v1", &children(5)).await.is(201);
    registry.put_manifest("app", "v1", &children(6)).await.refused(400, "MANIFEST_INVALID");
}

#[tokio::test]
async fn names_and_tags_of_the_maximum_length_are_accepted_and_longer_ones_refused() {
    let registry = Registry::start().await;
    for (name, tag, error) in [(255, 128, ""), (256, 1, "NAME_INVALID"), (1, 129, "TAG_INVALID")] {
        let reply = registry.put_manifest(&"n".repeat(name), &"t".repeat(tag), &index(&[])).await;
        match error {
            "" => assert_eq!(reply.status, 201, "{reply:?}"),
            error => reply.refused(400, error),
        }
    }
    let deep = vec!["n"; 128].join("/");
    registry.put_manifest(&deep, "v1", &index(&[])).await.is(201);
    registry.read(format!("/v2/{deep}/manifests/v1")).await;
}
