//! Upstreams that fail, lie, or send the mirror elsewhere.

use super::{Fake, Upstream, has_image, mirror, mirror_with};
use std::time::Duration;
use testing::session::{noise, sha256};

const MANIFEST: &str = "/v2/hub/app/manifests/v1";

#[tokio::test]
async fn a_tag_is_served_as_it_was_while_the_upstream_is_down() {
    for fault in [Fake::status(500), Fake::status(429).header("Retry-After", "60"), Fake::status(503)] {
        let upstream = Upstream::start().await;
        let (digest, layer) = has_image(&upstream, "app", "v1", vec![1; 100]);
        let stale = mirror(upstream.address(), "tag_ttl_seconds = 0");
        let strict = mirror(upstream.address(), "tag_ttl_seconds = 0\nserve_stale = false");
        for mirror in [&stale, &strict] {
            mirror.get(MANIFEST).await.is(200);
            mirror.get(format!("/v2/hub/app/blobs/{layer}")).await.is(200);
        }
        upstream.always(Some(fault));
        assert_eq!(sha256(&stale.get(MANIFEST).await.is(200).body), digest);
        strict.get(MANIFEST).await.refused(503, "UNAVAILABLE");
        for mirror in [&stale, &strict] {
            mirror.get(format!("/v2/hub/app/manifests/{digest}")).await.is(200);
            mirror.get(format!("/v2/hub/app/blobs/{layer}")).await.is(200);
        }
    }
}

#[tokio::test]
async fn an_upstream_that_wants_to_be_left_alone_is_left_alone() {
    let upstream = Upstream::start().await;
    upstream.always(Some(Fake::status(429).header("Retry-After", "3600")));
    let mirror = mirror(upstream.address(), "");
    let refused = mirror.get(MANIFEST).await;
    refused.refused(503, "UNAVAILABLE");
    let seconds: u64 = refused.header("retry-after").parse().unwrap();
    assert!((3590..=3600).contains(&seconds), "{seconds}");
    let asked = upstream.asked_in_all();
    for i in 0..20 {
        mirror.get(format!("/v2/hub/app{i}/manifests/v1")).await.refused(503, "UNAVAILABLE");
    }
    assert_eq!(upstream.asked_in_all(), asked);
}

#[tokio::test]
async fn what_the_upstream_does_not_have_or_show_is_not_here_and_not_asked_for_again_at_once() {
    for status in [404, 401, 403] {
        let upstream = Upstream::start().await;
        upstream.always(Some(Fake::status(status).header("WWW-Authenticate", "Basic realm=\"theirs\"")));
        let mirror = mirror(upstream.address(), "");
        let refused = mirror.get(MANIFEST).await;
        refused.refused(404, "MANIFEST_UNKNOWN");
        assert!(!refused.has("www-authenticate"), "{refused:?}");
        let asked = upstream.asked_in_all();
        mirror.get(MANIFEST).await.refused(404, "MANIFEST_UNKNOWN");
        let blob = format!("/v2/hub/app/blobs/{}", sha256(b"nothing"));
        mirror.get(&blob).await.refused(404, "BLOB_UNKNOWN");
        mirror.get(&blob).await.refused(404, "BLOB_UNKNOWN");
        assert!(upstream.asked_in_all() <= asked + asked, "{status}");
        mirror.get("/v2/").await.is(200);
    }
}

#[tokio::test]
async fn wrong_bytes_are_neither_served_whole_nor_stored() {
    let upstream = Upstream::start().await;
    let good = noise(2 << 20, 5).to_vec();
    let (_, layer) = has_image(&upstream, "app", "v1", good.clone());
    let mut wrong = good.clone();
    *wrong.last_mut().unwrap() ^= 1;
    let path = format!("/v2/app/blobs/{layer}");
    let target = format!("/v2/hub/app/blobs/{layer}");
    upstream.answer(&path, Fake::ok(wrong));
    let mirror = mirror(upstream.address(), "");
    let broken = mirror.ask(http::Method::GET, &target).try_send().await;
    assert!(broken.is_err() || !broken.unwrap().status.is_success());
    // A manifest of another digest.
    let digest = sha256(b"{}");
    upstream.answer(format!("/v2/app/manifests/{digest}"), Fake::ok("{ }"));
    mirror.get(format!("/v2/hub/app/manifests/{digest}")).await.refused(502, "UNKNOWN");
    // Once the upstream is right, all is well.
    upstream.answer(&path, Fake::ok(good));
    assert_eq!(sha256(&mirror.get(&target).await.is(200).body), layer);
}

#[tokio::test]
async fn a_transfer_that_breaks_off_goes_on_or_ends_with_an_error() {
    let upstream = Upstream::start().await;
    let content = noise(2 << 20, 6).to_vec();
    let digest = sha256(&content);
    let path = format!("/v2/app/blobs/{digest}");
    let mut cut = Fake::ok(content.clone());
    cut.cut = Some(1 << 20);
    upstream.answer(&path, cut);
    let mirror = mirror(upstream.address(), "");
    let target = format!("/v2/hub/app/blobs/{digest}");
    let broken = mirror.ask(http::Method::GET, &target).try_send().await;
    assert!(broken.is_err() || !broken.unwrap().status.is_success());
    upstream.answer(&path, Fake::ok(content.clone()));
    // The upstream rests a while after it broke off.
    mirror.until(Duration::from_secs(15), "it is pulled", async || mirror.get(&target).await.status.is_success()).await;
    assert_eq!(mirror.get(&target).await.is(200).body, content);
}

#[tokio::test]
async fn neither_the_upstream_nor_a_redirect_of_it_may_be_at_a_private_address() {
    let upstream = Upstream::start().await;
    has_image(&upstream, "app", "v1", vec![1; 100]);
    let refused = mirror_with(upstream.address(), "");
    let answer = refused.get(MANIFEST).await;
    answer.refused(502, "UNKNOWN");
    assert!(!answer.message().contains("allow_private"), "clients need not know: {}", answer.message());
    refused
        .until(Duration::from_secs(5), "the log names the setting", async || {
            refused.log().contains("mirror.allow_private")
        })
        .await;
    assert_eq!(upstream.asked_in_all(), 0);

    // The upstream itself is allowed, but not where it sends us.
    let inside = Upstream::start().await;
    let digest = inside.has_blob("app", "inside");
    let address = upstream.address().to_string();
    let mirror = mirror_with(upstream.address(), "allow_private = [\"127.0.0.1\"]");
    for elsewhere in [
        format!("http://127.0.0.2:{}/v2/app/blobs/{digest}", inside.address().port()),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        format!("http://[::1]:{}/", inside.address().port()),
    ] {
        upstream.answer(format!("/v2/app/blobs/{digest}"), Fake::status(307).header("Location", &elsewhere));
        let answer = mirror.get(format!("/v2/hub/app/blobs/{digest}")).await;
        assert!(matches!(answer.status.as_u16(), 502 | 503), "{elsewhere}: {answer:?}");
    }
    assert_eq!(inside.asked_in_all(), 0, "{address}");

    // The same for a token service.
    let realm = format!("Bearer realm=\"http://127.0.0.2:{}/token\",service=\"x\"", inside.address().port());
    upstream.answer("/v2/app/manifests/v2", Fake::status(401).header("WWW-Authenticate", realm));
    let answer = mirror.get("/v2/hub/app/manifests/v2").await;
    assert!(!answer.status.is_success() && !answer.has("www-authenticate"), "{answer:?}");
    assert_eq!(inside.asked_in_all(), 0);
}

#[tokio::test]
async fn a_read_only_registry_serves_what_it_has_and_fetches_nothing() {
    let upstream = Upstream::start().await;
    has_image(&upstream, "app", "v1", vec![1; 100]);
    let mirror = mirror(upstream.address(), "\n[operator]\nread_only = true");
    mirror.get(MANIFEST).await.refused(404, "MANIFEST_UNKNOWN");
    assert_eq!(upstream.asked_in_all(), 0);
}
