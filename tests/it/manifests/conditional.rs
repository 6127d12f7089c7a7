//! Tags that are set only if they have not changed since the client read them.

use futures_util::future::join_all;
use http::Method;
use serde_json::{Value, json};
use testing::{registry::Registry, session::*};

fn numbered(i: usize) -> Value {
    let mut manifest = index(&[]);
    manifest["annotations"] = json!({ "number": i.to_string() });
    manifest
}

fn digest(manifest: &Value) -> String {
    sha256(manifest.to_string().as_bytes())
}

async fn put(client: &Client, reference: &str, manifest: &Value, header: &str, tags: &str) -> Reply {
    let ask = client.ask(Method::PUT, format!("/v2/app/manifests/{reference}")).header("content-type", OCI_INDEX);
    ask.header(header, tags).body(manifest.to_string()).send().await
}

#[tokio::test]
async fn a_tag_is_created_only_if_it_does_not_exist() {
    let registry = Registry::start().await;
    put(&registry, "v1", &numbered(1), "if-none-match", "*").await.is(201);
    for manifest in [numbered(1), numbered(2)] {
        put(&registry, "v1", &manifest, "if-none-match", "*").await.refused(412, "DENIED");
    }
    assert_eq!(registry.read("/v2/app/manifests/v1").await.body, numbered(1).to_string());
    registry.head(format!("/v2/app/manifests/{}", digest(&numbered(2)))).await.is(404);
    registry.delete("/v2/app/manifests/v1").await.is(202);
    put(&registry, "v1", &numbered(2), "if-none-match", "*").await.is(201);
}

#[tokio::test]
async fn a_tag_is_moved_only_if_it_still_points_to_the_expected_manifest() {
    let registry = Registry::start().await;
    let (one, two) = (digest(&numbered(1)), digest(&numbered(2)));
    put(&registry, "v1", &numbered(1), "if-match", "*").await.refused(412, "DENIED");
    put(&registry, "v1", &numbered(1), "if-match", &format!("\"{one}\"")).await.refused(412, "DENIED");
    registry.put_manifest("app", "v1", &numbered(1)).await.is(201);
    put(&registry, "v1", &numbered(2), "if-match", &format!("\"{two}\"")).await.refused(412, "DENIED");
    put(&registry, "v1", &numbered(2), "if-match", "\"nonsense\"").await.refused(412, "DENIED");
    put(&registry, "v1", &numbered(2), "if-match", &format!("\"{one}\"")).await.is(201);
    put(&registry, "v1", &numbered(3), "if-match", &format!("\"{one}\"")).await.refused(412, "DENIED");
    put(&registry, "v1", &numbered(3), "if-match", &format!("\"{one}\", {two}")).await.is(201);
    put(&registry, "v1", &numbered(4), "if-match", "*").await.is(201);
    assert_eq!(registry.read("/v2/app/manifests/v1").await.body, numbered(4).to_string());
}

#[tokio::test]
async fn a_condition_on_a_digest_applies_to_that_manifest() {
    let registry = Registry::start().await;
    let one = digest(&numbered(1));
    put(&registry, &one, &numbered(1), "if-match", "*").await.refused(412, "DENIED");
    put(&registry, &one, &numbered(1), "if-none-match", "*").await.is(201);
    put(&registry, &one, &numbered(1), "if-none-match", "*").await.refused(412, "DENIED");
    put(&registry, &one, &numbered(1), "if-match", &one).await.is(201);
}

#[tokio::test]
async fn an_unsupported_condition_is_refused_and_not_ignored() {
    let registry = Registry::start().await;
    registry.put_manifest("app", "v1", &numbered(1)).await.is(201);
    let other = format!("\"{}\"", sha256(b"x"));
    put(&registry, "v1", &numbered(2), "if-none-match", &other).await.refused(400, "UNSUPPORTED");
    let ask = registry.ask(Method::PUT, "/v2/app/manifests/v1").header("content-type", OCI_INDEX);
    let both = ask.header("if-match", "*").header("if-none-match", "*").body(numbered(2).to_string());
    both.send().await.refused(400, "UNSUPPORTED");
    assert_eq!(registry.read("/v2/app/manifests/v1").await.body, numbered(1).to_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exactly_one_of_many_clients_creates_a_tag() {
    let registry = Registry::start().await;
    for round in 0..5 {
        let tag = format!("v{round}");
        let manifests: Vec<_> = (0..16).map(|i| numbered(round * 100 + i)).collect();
        let replies = join_all(manifests.iter().map(|m| put(&registry, &tag, m, "if-none-match", "*"))).await;
        let won: Vec<_> = (0..16).filter(|i| replies[*i].status == 201).collect();
        assert_eq!(won.len(), 1);
        for (i, reply) in replies.iter().enumerate() {
            // A push that lost left nothing behind.
            let head = registry.head(format!("/v2/app/manifests/{}", digest(&manifests[i]))).await;
            assert_eq!(head.status, if won.contains(&i) { 200 } else { 404 });
            assert!(won.contains(&i) || reply.status == 412);
        }
        assert_eq!(registry.read(format!("/v2/app/manifests/{tag}")).await.body, manifests[won[0]].to_string());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_updates_of_one_index_are_not_lost() {
    let registry = Registry::start().await;
    registry.put_manifest("app", "list", &index(&[])).await.is(201);
    let add = async |i: usize| loop {
        let now = registry.read("/v2/app/manifests/list").await;
        let mut list = now.json();
        list["manifests"].as_array_mut().unwrap().push(descriptor(OCI_MANIFEST, format!("child {i}").as_bytes()));
        let reply = put(&registry, "list", &list, "if-match", now.header("etag")).await;
        match reply.status.as_u16() {
            201 => return,
            _ => reply.refused(412, "DENIED"),
        }
    };
    join_all((0..12).map(add)).await;
    let list = registry.read("/v2/app/manifests/list").await.json();
    assert_eq!(list["manifests"].as_array().unwrap().len(), 12);
}
