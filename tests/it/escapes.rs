//! Paths with escapes: the same paths, content and permissions (RFC 9110 §4.2.3).

use http::Method;
use testing::{people::*, registry::Registry, session::*};

#[tokio::test]
async fn escaped_and_plain_paths_are_equivalent() {
    let registry = Registry::start().await;
    let layer = noise(1000, 1);
    let digest = sha256(&layer);
    let begun = registry.post("/v2/te%61m%2Fapp/bl%6fbs/uplo%61ds/", "").await.is(202);
    assert!(
        begun.header("location").starts_with("/v2/team/app/blobs/uploads/"),
        "locations are not escaped: {begun:?}"
    );
    let session = begun.header("location").replace("team/app", "team%2fapp");
    registry.put(format!("{session}?digest={digest}"), layer.clone()).await.is(201);
    let manifest = index(&[]).to_string();
    let put = registry.put_bytes("team%2Fapp", "v%31", OCI_INDEX, manifest.clone()).await.is(201);
    assert_eq!(put.header("location"), format!("/v2/team/app/manifests/{}", sha256(manifest.as_bytes())));

    assert_eq!(registry.read("/v2/team/app/manifests/v1").await.body, manifest);
    assert_eq!(registry.read(format!("/v2/team/app/blobs/{digest}")).await.body, layer);
    assert_eq!(registry.read("/v2/te%61m%2Fapp/m%61nifests/v1").await.body, manifest);
    let escaped = digest.replace(':', "%3A");
    assert_eq!(registry.read(format!("/%762/team%2fapp/blobs/{escaped}")).await.body, layer);
    assert_eq!(registry.get("/v2/%5Fcatalog").await.strings("repositories"), ["team/app"]);
    let page = registry.get("/v2/team%2Fapp/tags/list?n=1").await.is(200);
    assert_eq!((page.strings("tags"), &page.json()["name"]), (vec!["v1".to_owned()], &"team/app".into()));
    registry.delete("/v2/team%2Fapp/manifests/v%31").await.is(202);
    registry.get("/v2/team/app/manifests/v1").await.refused(404, "MANIFEST_UNKNOWN");
}

#[tokio::test]
async fn escapes_are_decoded_once_and_an_escaped_slash_only_separates_name_components() {
    let registry = Registry::start().await;
    registry.push_image("a/b", "v1", "x").await;
    registry.get("/v2/a/b/manifests/%2576%31").await.refused(400, "TAG_INVALID");
    registry.get("/v2/a%252Fb/manifests/v1").await.refused(400, "NAME_INVALID");
    registry.get("/v2/a/b%2Fmanifests/v1").await.refused(404, "UNSUPPORTED");
    registry.get("/v2/a/b/manifests%2Fv1").await.refused(404, "UNSUPPORTED");
    for name in ["a%2F", "%2Fa", "a%2F%2Fb", "a%2F..%2Fb", "%2E%2E", "a%00", "a%0A", "a%", "a%zz", "%C3%A9", "%ff"] {
        registry.get(format!("/v2/{name}/manifests/v1")).await.refused(400, "NAME_INVALID");
    }
}

#[tokio::test]
async fn no_escape_bypasses_rules_or_reaches_an_unserved_path() {
    let registry = Registry::with(|setup| {
        setup.htpasswd = Some(htpasswd(&["alice", "bob"]));
        let rule = |who: &str| serde_json::json!({ "repository": format!("{who}/**"), "users": [who], "permissions": ["pull", "push"] });
        setup.rules = Some(serde_json::json!({ "rules": [rule("alice"), rule("bob")] }).to_string());
        setup.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let ask = |target: &str, user: &str| {
        let ask = registry.ask(Method::GET, target).header("x-forwarded-for", "203.0.113.9");
        if user.is_empty() { ask } else { ask.header("authorization", basic(user)) }
    };
    for target in ["/v2/bob/app/tags/list", "/v2/b%6fb/app/tags/list", "/v2/bob%2Fapp/tags/list"] {
        ask(target, "alice").send().await.refused(403, "DENIED");
        ask(target, "bob").send().await.refused(404, "NAME_UNKNOWN");
        ask(target, "").send().await.refused(401, "UNAUTHORIZED");
    }
    // There is no token service, and strangers see nothing of the daemon's internals.
    for target in ["/auth/token", "/auth/tok%65n", "/%61uth/token"] {
        ask(target, "").send().await.refused(404, "UNSUPPORTED");
    }
    ask("/m%65trics", "").send().await.refused(401, "UNAUTHORIZED");
}
