//! `HEAD` is answered wherever `GET` is, with the same headers and no body.

use http::Method;
use serde_json::Value;
use testing::{registry::Registry, session::*, wire::exchange};

/// The headers of a response that are the same each time.
fn lasting(reply: &Reply) -> Vec<(String, String)> {
    let names = reply.headers.iter().filter(|(name, _)| !matches!(name.as_str(), "date" | "x-request-id"));
    let mut headers: Vec<_> =
        names.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    headers.sort();
    headers
}

/// A registry with content at every address, and those addresses.
async fn furnished() -> (Registry, Vec<String>) {
    let registry = Registry::start().await;
    let (digest, manifest) = registry.push_image("org/app", "v1", "x").await;
    let layer = manifest["layers"][0]["digest"].as_str().unwrap().to_owned();
    let upload = registry.begin("org/app").await;
    registry.patch(&upload, "some").await.is(202);
    let addresses = vec![
        "/v2/".into(),
        "/v2".into(),
        "/v2/_catalog".into(),
        "/v2/_catalog?n=0".into(),
        "/v2/org/app/tags/list".into(),
        format!("/v2/org/app/referrers/{digest}"),
        format!("/v2/org/app/referrers/{digest}?artifactType=a%2Fb"),
        "/v2/org/app/manifests/v1".into(),
        format!("/v2/org/app/manifests/{digest}"),
        format!("/v2/org/app/blobs/{layer}"),
        upload,
        "/health".into(),
        "/health/ready".into(),
    ];
    (registry, addresses)
}

#[tokio::test]
async fn head_has_the_headers_of_get_and_its_length() {
    let (registry, addresses) = furnished().await;
    for client in [registry.clone(), Client::over_h2(registry.address())] {
        for address in &addresses {
            let get = client.get(address).await;
            assert!(get.status.is_success(), "{address}: {get:?}");
            let head = client.head(address).await;
            assert_eq!(head.status, get.status);
            assert_eq!(lasting(&head), lasting(&get), "{address}");
            assert!(head.body.is_empty(), "{address}");
            let expected = if get.status == 204 { "" } else { &get.body.len().to_string() };
            assert_eq!(head.header("content-length"), expected, "{address}");
        }
    }
    registry.head("/metrics").await.is(200);
}

#[tokio::test]
async fn head_of_a_range_is_as_long_as_the_range() {
    let (registry, addresses) = furnished().await;
    let blob = addresses.iter().find(|address| address.contains("/blobs/sha256")).unwrap();
    for range in ["bytes=1-3", "bytes=0-0,2-", "bytes=90000-"] {
        let ask = |method| registry.ask(method, blob).header("range", range).send();
        let (head, get) = (ask(Method::HEAD).await, ask(Method::GET).await);
        assert_eq!(head.status, get.status);
        assert_eq!(head.header("content-length"), get.body.len().to_string(), "{range}");
        assert_eq!(head.header("content-range"), get.header("content-range"));
        assert!(head.body.is_empty());
    }
}

#[tokio::test]
async fn a_refused_head_has_no_body() {
    let registry = Registry::start().await;
    let absent = sha256(b"absent");
    for client in [registry.clone(), Client::over_h2(registry.address())] {
        for address in [
            format!("/v2/app/blobs/{absent}"),
            format!("/v2/app/manifests/{absent}"),
            "/v2/app/manifests/v1".into(),
            "/v2/app/manifests/not:a-digest".into(),
            "/v2/UPPER/manifests/v1".into(),
            "/v2/app/tags/list".into(),
            "/v2/app/tags/list?n=x".into(),
            format!("/v2/app/blobs/uploads/{}", uuid()),
            "/nowhere".into(),
            "/v2/app/blobs/uploads/".into(),
        ] {
            let (head, get) = (client.head(&address).await, client.get(&address).await);
            assert!(head.status.is_client_error());
            assert_eq!(lasting(&head), lasting(&get), "{address}");
            assert!(head.body.is_empty(), "{address}");
            assert_eq!(head.header("content-length"), get.body.len().to_string(), "{address}");
        }
    }
    // An extra byte would be taken for the next response.
    let request = format!("HEAD /v2/app/blobs/{absent} HTTP/1.1\r\nHost: r\r\nConnection: close\r\n\r\n");
    let answer = exchange(registry.address(), &request).await;
    assert!(answer.ends_with(b"\r\n\r\n"), "{answer:?}");
}

fn uuid() -> &'static str {
    "00000000-0000-4000-8000-000000000000"
}

#[tokio::test]
async fn a_manifest_is_described_as_it_was_pushed() {
    let registry = Registry::start().await;
    let (digest, manifest) = registry.push_image("app", "v1", "x").await;
    for (reference, cached) in [("v1", "no-cache"), (digest.as_str(), "max-age=31536000, immutable")] {
        for accept in ["", "*/*", "text/html", "application/vnd.docker.distribution.manifest.v1+json"] {
            let ask = registry.ask(Method::GET, format!("/v2/app/manifests/{reference}")).header("accept", accept);
            let reply = ask.send().await.is(200);
            assert_eq!(reply.header("content-type"), OCI_MANIFEST);
            assert_eq!(reply.header("docker-content-digest"), digest);
            assert_eq!(reply.header("etag"), format!("\"{digest}\""));
            assert_eq!(reply.header("cache-control"), cached);
            assert_eq!(serde_json::from_slice::<Value>(&reply.body).unwrap(), manifest);
        }
    }
}
