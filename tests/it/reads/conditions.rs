//! Reads of what the client may have already, and of what never changes.

use http::Method;
use testing::{registry::Registry, session::*};

#[tokio::test]
async fn a_matching_etag_returns_304_without_a_body() {
    let registry = Registry::start().await;
    let (digest, manifest) = registry.push_image("app", "v1", "x").await;
    let layer = manifest["layers"][0]["digest"].as_str().unwrap();
    let other = sha256(b"another");
    for (path, digest) in [
        (format!("/v2/app/blobs/{layer}"), layer),
        ("/v2/app/manifests/v1".to_owned(), digest.as_str()),
        (format!("/v2/app/manifests/{digest}"), digest.as_str()),
    ] {
        let have = [
            format!("\"{digest}\""),
            digest.to_owned(),
            format!("W/\"{digest}\""),
            format!("\"{other}\", \"{digest}\""),
            format!("\"{other}\",{digest}"),
            "*".to_owned(),
        ];
        for method in [Method::GET, Method::HEAD] {
            for tags in &have {
                let reply = registry.ask(method.clone(), &path).header("if-none-match", tags).send().await.is(304);
                assert!(reply.body.is_empty());
                assert_eq!(reply.header("etag"), format!("\"{digest}\""));
                assert_eq!(reply.header("docker-content-digest"), digest);
                assert!(reply.has("cache-control"));
                assert!(!reply.has("content-length"), "0 would be said of the content: {reply:?}");
            }
            for tags in [format!("\"{other}\""), other.clone(), "\"\"".into(), "nonsense".into()] {
                registry.ask(method.clone(), &path).header("if-none-match", tags).send().await.is(200);
            }
        }
    }
    let absent = registry.ask(Method::GET, format!("/v2/app/blobs/{other}")).header("if-none-match", "*");
    absent.send().await.refused(404, "BLOB_UNKNOWN");
}

#[tokio::test]
async fn a_moved_tag_has_another_etag() {
    let registry = Registry::start().await;
    let (first, _) = registry.push_image("app", "v1", "one").await;
    let ask = || registry.ask(Method::GET, "/v2/app/manifests/v1").header("if-none-match", format!("\"{first}\""));
    ask().send().await.is(304);
    let (second, _) = registry.push_image("app", "v1", "two").await;
    let reply = ask().send().await.is(200);
    assert_eq!(reply.header("etag"), format!("\"{second}\""));
}

#[tokio::test]
async fn if_range_with_another_etag_returns_the_whole_blob() {
    let registry = Registry::start().await;
    let content = noise(1000, 1);
    let digest = registry.push_blob("app", content.clone()).await;
    let ask = |tag: &str| {
        let ask = registry.ask(Method::GET, format!("/v2/app/blobs/{digest}"));
        ask.header("range", "bytes=10-19").header("if-range", tag).send()
    };
    for tag in [format!("\"{digest}\""), digest.clone()] {
        assert_eq!(ask(&tag).await.is(206).body, content[10..20], "{tag}");
    }
    // A weak tag and a date do not guarantee the same bytes (RFC 9110 §13.1.5).
    for tag in [format!("\"{}\"", sha256(b"x")), format!("W/\"{digest}\""), "Sat, 01 Jan 2028 00:00:00 GMT".into()] {
        assert_eq!(ask(&tag).await.is(200).body, content, "{tag}");
    }
}

#[tokio::test]
async fn content_is_never_compressed() {
    let registry = Registry::start().await;
    let content = vec![b'a'; 100_000];
    let digest = registry.push_blob("app", content.clone()).await;
    registry.push_image("app", "v1", "x").await;
    for accepted in ["gzip", "zstd, gzip, deflate", "br;q=1.0, identity;q=0", "*"] {
        for path in [
            format!("/v2/app/blobs/{digest}"),
            "/v2/app/manifests/v1".into(),
            "/v2/app/tags/list".into(),
            "/v2/_catalog".into(),
        ] {
            let reply = registry.ask(Method::GET, &path).header("accept-encoding", accepted).send().await.is(200);
            assert!(!reply.has("content-encoding"), "{path}");
            assert_eq!(reply.header("content-length"), reply.body.len().to_string());
        }
    }
    assert_eq!(registry.read(format!("/v2/app/blobs/{digest}")).await.body, content);
}

#[tokio::test]
async fn a_digest_may_be_escaped_and_unknown_parameters_are_ignored() {
    let registry = Registry::start().await;
    let (digest, manifest) = registry.push_image("app", "v1", "x").await;
    let layer = manifest["layers"][0]["digest"].as_str().unwrap();
    for colon in ["%3A", "%3a"] {
        for (path, digest) in [("blobs", layer), ("manifests", digest.as_str())] {
            let escaped = digest.replace(':', colon);
            let reply = registry.read(format!("/v2/app/{path}/{escaped}")).await;
            assert_eq!(reply.header("docker-content-digest"), digest);
        }
        registry.read(format!("/v2/app/referrers/{}", digest.replace(':', colon))).await;
    }
    for query in ["?ns=docker.io", "?origin=x&n=7", "?", "?%00", "?a=%ff&=&&"] {
        registry.read(format!("/v2/app/manifests/v1{query}")).await;
        registry.read(format!("/v2/app/blobs/{layer}{query}")).await;
        registry.read(format!("/v2/app/referrers/{digest}{query}")).await;
    }
}

#[tokio::test]
async fn content_of_other_repositories_is_not_found() {
    let registry = Registry::start().await;
    let (digest, manifest) = registry.push_image("org/app", "v1", "x").await;
    let layer = manifest["layers"][0]["digest"].as_str().unwrap();
    for other in ["org", "org/other", "org/app/v1"] {
        registry.get(format!("/v2/{other}/blobs/{layer}")).await.refused(404, "BLOB_UNKNOWN");
        registry.get(format!("/v2/{other}/manifests/{digest}")).await.refused(404, "MANIFEST_UNKNOWN");
    }
}
