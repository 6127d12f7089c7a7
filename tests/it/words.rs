//! The messages of refusals, since many clients show a message or a status line and nothing else; and help for people
//! who write requests by hand.

use http::Method;
use serde_json::json;
use testing::{
    people::{basic, htpasswd},
    registry::{Registry, Setup},
    session::*,
    wire::exchange,
};

/// The messages of a refusal.
fn messages(reply: &Reply) -> Vec<String> {
    let errors = reply.json()["errors"].as_array().unwrap().clone();
    errors.iter().map(|error| error["message"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn every_json_response_ends_with_a_newline() {
    let registry = Registry::start().await;
    let (digest, manifest) = registry.push_image("app", "v1", "x").await;
    for target in [
        "/v2/",
        "/v2/_catalog",
        "/v2/app/tags/list",
        &format!("/v2/app/referrers/{digest}"),
        "/health",
        "/health/ready",
    ] {
        let reply = registry.read(target).await;
        assert!(reply.body.ends_with(b"}\n"), "{target}: {reply:?}");
        let head = registry.head(target).await;
        assert_eq!(head.header("content-length"), reply.body.len().to_string(), "{target}");
    }
    assert_eq!(
        registry.read("/v2/app/manifests/v1").await.body,
        manifest.to_string(),
        "but content is as it was pushed"
    );
}

#[tokio::test]
async fn a_parameter_without_a_value_counts_as_absent() {
    let registry = Registry::start().await;
    let (digest, manifest) = registry.push_image("app", "v1", "x").await;
    for target in ["/v2/_catalog?n=&last=", "/v2/app/tags/list?n=", "/v2/app/tags/list?last=&n=&n="] {
        let reply = registry.read(target).await;
        let list = if target.contains("catalog") { "repositories" } else { "tags" };
        assert_eq!(reply.strings(list).len(), 1, "{target}");
    }
    registry.get("/v2/app/tags/list?n=x").await.refused(400, "PAGINATION_NUMBER_INVALID");
    let filtered = registry.read(format!("/v2/app/referrers/{digest}?artifactType=")).await;
    assert!(!filtered.has("oci-filters-applied"), "{filtered:?}");
    for query in ["digest-algorithm=", "from="] {
        let begun = registry.post(format!("/v2/app/blobs/uploads/?{query}"), "").await;
        assert!(begun.is(202).has("location"), "an ordinary upload: {query}");
    }
    let guess = registry.post(format!("/v2/app/blobs/uploads/?mount={}&from=", sha256(b"layer of x")), "").await;
    guess.is(201);
    registry.put_manifest("app", &format!("{digest}?tag="), &manifest).await.is(201);
    assert_eq!(registry.tags("app").await, ["v1"]);
    // A parameter that selects the operation is not optional: an empty one is a mistake.
    let location = registry.begin("app").await;
    registry.put(format!("{location}?digest="), "x").await.refused(400, "DIGEST_INVALID");
    for query in ["digest=", "mount="] {
        registry.post(format!("/v2/app/blobs/uploads/?{query}"), "x").await.refused(400, "DIGEST_INVALID");
    }
}

#[tokio::test]
async fn the_refusal_of_a_compressed_manifest_says_what_is_accepted() {
    let registry = Registry::start().await;
    let manifest = index(&[]).to_string();
    let put = |coding: &str| {
        let ask = registry.ask(Method::PUT, "/v2/app/manifests/v1").header("content-type", OCI_INDEX);
        ask.header("content-encoding", coding).body(manifest.clone()).send()
    };
    for coding in ["gzip", "GZIP", "identity, br"] {
        let reply = put(coding).await;
        reply.refused(415, "UNSUPPORTED");
        assert_eq!(reply.header("accept-encoding"), "identity", "{coding}");
    }
    registry.get("/v2/app/tags/list").await.refused(404, "NAME_UNKNOWN");
    put("identity").await.is(201);
}

#[tokio::test]
async fn a_refused_manifest_names_the_field_and_the_digest() {
    let registry = Registry::start().await;
    registry.push_blob("app", "{}").await;
    let config = descriptor(CONFIG, b"{}");
    let absent = descriptor(LAYER, b"never pushed");
    let mut nameless = descriptor(LAYER, b"x");
    nameless["mediaType"] = json!(7);
    for (manifest, says) in [
        (image(&config, &[nameless]), "layers[0].mediaType: expected a string, found 7".to_owned()),
        (
            image(&config, &[config.clone(), absent]),
            format!("layers[1]: blob {} is not in this repository", sha256(b"never pushed")),
        ),
    ] {
        let reply = registry.put_manifest("app", "v1", &manifest).await.is(400);
        assert!(messages(&reply)[0].contains(&says), "{reply:?}");
    }
}

#[tokio::test]
async fn a_refusal_names_the_action_and_the_repository_but_not_why() {
    let registry = Registry::with(|setup| {
        let rules = r#"{"defaultPolicy": "deny",
            "rules": [{"repository": "team/**", "users": ["alice"], "permissions": ["pull", "push"]}]}"#;
        *setup = Setup { htpasswd: Some(htpasswd(&["alice", "bob"])), rules: Some(rules.into()), ..Setup::default() };
    })
    .await;
    let ask = |method: Method, target: &str| registry.ask(method, target).header("authorization", basic("bob")).send();
    for (method, target, says) in [
        (Method::GET, "/v2/team/app/manifests/v1", "access denied: user bob may not pull from team/app"),
        (Method::PUT, "/v2/team/app/manifests/v1", "access denied: user bob may not push to team/app"),
        (Method::DELETE, "/v2/nowhere/manifests/v1", "access denied: user bob may not delete from nowhere"),
    ] {
        let reply = ask(method, target).await;
        reply.refused(403, "DENIED");
        assert_eq!(messages(&reply), [says]);
    }
}

/// docker's engine, podman and containerd show only the status line of such a response; after HEAD there is nothing
/// else.
#[tokio::test]
async fn the_status_line_says_why_on_http_1_and_the_body_on_http_2() {
    let registry = Registry::with(|setup| {
        (setup.settings.reserve_bytes, setup.settings.manifest_bytes) = (Some(u64::MAX), 1000);
    })
    .await;
    let full = "the registry's storage is full (no space left on device); pulls still work";
    let large = "the manifest is larger than this registry's limit of 1000 B";
    let long = "x".repeat(1001);
    for (line, body, status, says) in
        [("POST /v2/app/blobs/uploads/", "", 507, full), ("PUT /v2/app/manifests/v1", long.as_str(), 413, large)]
    {
        let head = format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
        let answer = exchange(registry.address(), &format!("{head}{body}")).await;
        let answer = str::from_utf8(&answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} {says}\r\n")), "{answer}");
        assert!(answer.contains(&format!(r#""message":"{says}""#)), "{answer}");
        let (method, target) = line.split_once(' ').unwrap();
        let over_h2 = Client::over_h2(registry.address());
        let reply = over_h2.ask(method.parse().unwrap(), target).body(body.to_owned()).send().await;
        reply.refused(status, "DENIED");
        assert_eq!(messages(&reply), [says]);
    }
    // Clients act on these by themselves.
    let answer =
        exchange(registry.address(), "GET /v2/app/tags/list HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with(b"HTTP/1.1 404 Not Found\r\n"), "{answer:?}");
}
