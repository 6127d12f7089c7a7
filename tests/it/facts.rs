//! Public repositories and owners: the recorded facts of a repository decide where no rule does.

use http::Method;
use serde_json::{Value, json};
use std::{fs, path::Path};
use testing::{
    people::{basic, htpasswd},
    registry::{Registry, Setup},
    session::*,
};

const DENY: &str = r#"{"defaultPolicy": "deny", "rules": [
    {"repository": "team/ruled", "users": ["*"], "permissions": ["pull"]}
]}"#;

/// Records a fact as docs/layout.md describes it.
pub fn record(root: &Path, repository: &str, fact: &str, value: &str) {
    let repositories = root.join("repositories");
    let facts = repositories.join(repository).join("_facts");
    let hints = repositories.join("_facts");
    fs::create_dir_all(&facts).unwrap();
    fs::create_dir_all(&hints).unwrap();
    fs::write(hints.join(repository.replace('/', "+")), "").unwrap();
    fs::write(facts.join(fact), value).unwrap();
}

fn with_users(setup: &mut Setup) {
    setup.htpasswd = Some(htpasswd(&["alice", "bob"]));
    setup.signing_key = Some(wharfinger::identity::new_signing_key().unwrap());
}

/// A registry that denies everything by default, with an image in some repositories.
async fn registry(rules: Option<&str>) -> Registry {
    let registry = Registry::with(|setup| {
        with_users(setup);
        setup.rules = rules.map(str::to_owned);
    })
    .await;
    for (owner, repository) in [("alice", "team/app"), ("alice", "team/ruled"), ("bob", "team/other")] {
        record(registry.root(), repository, "owner", &format!("{owner}\n"));
    }
    registry
}

/// Pushes an empty index; returns the status.
async fn push(registry: &Registry, who: &str, repository: &str) -> u16 {
    let put = registry.ask(Method::PUT, format!("/v2/{repository}/manifests/v1")).header("content-type", OCI_INDEX);
    put.header("authorization", basic(who)).body(index(&[]).to_string()).send().await.status.as_u16()
}

/// Pulls it again; returns the status.
async fn pull(registry: &Registry, who: Option<&str>, repository: &str) -> u16 {
    let get = registry.ask(Method::GET, format!("/v2/{repository}/manifests/v1"));
    let get = if let Some(who) = who { get.header("authorization", basic(who)) } else { get };
    get.send().await.status.as_u16()
}

async fn catalog(registry: &Registry, who: &str) -> Value {
    let list = registry.ask(Method::GET, "/v2/_catalog").header("authorization", basic(who));
    list.send().await.is(200).json()["repositories"].clone()
}

#[tokio::test]
async fn an_owner_pushes_and_everybody_pulls_what_is_public() {
    let registry = registry(Some(DENY)).await;
    assert_eq!(push(&registry, "alice", "team/app").await, 201);
    assert_eq!(push(&registry, "bob", "team/app").await, 403);
    assert_eq!(push(&registry, "bob", "team/other").await, 201);
    assert_eq!(push(&registry, "alice", "team/ruled").await, 403, "a rule matches, and is final");
    assert_eq!((pull(&registry, Some("bob"), "team/app").await, pull(&registry, None, "team/app").await), (403, 401));
    assert_eq!(catalog(&registry, "bob").await, json!(["team/other"]));

    record(registry.root(), "team/app", "visibility", "public\n");
    assert_eq!((pull(&registry, Some("bob"), "team/app").await, pull(&registry, None, "team/app").await), (200, 200));
    assert_eq!(push(&registry, "bob", "team/app").await, 403, "public repositories allow only pulls");
    assert_eq!(catalog(&registry, "bob").await, json!(["team/app", "team/other"]));

    record(registry.root(), "team/app", "visibility", "private\n");
    assert_eq!((pull(&registry, Some("bob"), "team/app").await, pull(&registry, None, "team/app").await), (403, 401));
    assert_eq!(pull(&registry, Some("alice"), "team/app").await, 200);
}

#[tokio::test]
async fn without_access_control_strangers_pull_what_is_public() {
    let registry = registry(None).await;
    assert_eq!(push(&registry, "bob", "team/app").await, 201, "without rules every user may do everything");
    assert_eq!(pull(&registry, None, "team/app").await, 401);
    record(registry.root(), "team/app", "visibility", "public\n");
    assert_eq!(pull(&registry, None, "team/app").await, 200);
}

#[tokio::test]
async fn tokens_and_mounts_respect_recorded_facts() {
    let registry = registry(Some(DENY)).await;
    assert_eq!(push(&registry, "alice", "team/app").await, 201);
    let scope_of = async |who: Option<&str>| {
        let ask = registry.ask(Method::GET, "/auth/token?scope=repository:team/app:pull,push,delete");
        let ask = if let Some(who) = who { ask.header("authorization", basic(who)) } else { ask };
        ask.send().await.is(200).json()["scope"].clone()
    };
    assert_eq!(scope_of(Some("alice")).await, "repository:team/app:pull,push,delete");
    assert_eq!((scope_of(Some("bob")).await, scope_of(None).await), (json!(""), json!("")));
    let blob = "layer";
    let digest = sha256(blob.as_bytes());
    let push = registry.ask(Method::POST, format!("/v2/team/app/blobs/uploads/?digest={digest}"));
    push.header("authorization", basic("alice")).body(blob).send().await.is(201);
    let mount = async || {
        let target = format!("/v2/team/other/blobs/uploads/?mount={digest}&from=team/app");
        registry.ask(Method::POST, target).header("authorization", basic("bob")).send().await.status.as_u16()
    };
    assert_eq!(mount().await, 202, "an ordinary upload");

    record(registry.root(), "team/app", "visibility", "public\n");
    assert_eq!(scope_of(Some("alice")).await, "repository:team/app:pull,push,delete");
    assert_eq!(scope_of(Some("bob")).await, "repository:team/app:pull");
    assert_eq!(scope_of(None).await, "repository:team/app:pull");
    assert_eq!(mount().await, 201);
}

#[tokio::test]
async fn malformed_facts_grant_nothing() {
    let registry = registry(Some(DENY)).await;
    assert_eq!(push(&registry, "alice", "team/app").await, 201);
    for value in ["public", "yes\n", ""] {
        record(registry.root(), "team/app", "visibility", value);
        assert_eq!(pull(&registry, None, "team/app").await, 401, "{value:?}");
    }
    record(registry.root(), "team/app", "owner", "alice bob \n");
    assert_eq!(pull(&registry, Some("alice"), "team/app").await, 403);
}
