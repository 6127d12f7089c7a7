//! What a push that creates a repository records, and repositories that are created before the first push.

use super::{fact, inner, push, with_users};
use futures_util::future::join_all;
use serde_json::{Value, json};
use testing::{registry::Registry, session::*};
use wharfinger::{
    access::Visibility,
    registry::{NewRepository, RegistryError},
};

#[tokio::test]
async fn the_push_that_creates_a_repository_records_when_and_by_whom() {
    let registry = with_users(|settings| settings.owner_on_push = true).await;
    push(&registry, "alice", "team/app", "v1").await.is(201);
    let created: Value = serde_json::from_str(&fact(&registry, "team/app", "created").unwrap()).unwrap();
    assert_eq!(created["by"], "alice");
    assert!(created["created"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    assert_eq!(fact(&registry, "team/app", "owner").as_deref(), Some("alice\n"));

    push(&registry, "bob", "team/app", "v2").await.is(201);
    assert_eq!(fact(&registry, "team/app", "owner").as_deref(), Some("alice\n"), "only the push that creates it");
}

#[tokio::test]
async fn nobody_becomes_the_owner_of_a_repository_that_lost_its_last_manifest_or_was_there_before() {
    let registry = with_users(|settings| settings.owner_on_push = true).await;
    let digest = push(&registry, "alice", "team/app", "v1").await.is(201).header("docker-content-digest").to_owned();
    let delete = registry.ask(http::Method::DELETE, format!("/v2/team/app/manifests/{digest}"));
    delete.header("authorization", testing::people::basic("bob")).send().await.is(202);
    push(&registry, "bob", "team/app", "v1").await.is(201);
    assert_eq!(fact(&registry, "team/app", "owner").as_deref(), Some("alice\n"));

    // As an earlier version left it.
    push(&registry, "bob", "team/old", "v1").await.is(201);
    std::fs::remove_dir_all(registry.root().join("repositories/team/old/_facts")).unwrap();
    push(&registry, "bob", "team/old", "v2").await.is(201);
    assert_eq!((fact(&registry, "team/old", "owner"), fact(&registry, "team/old", "created")), (None, None));
}

#[tokio::test]
async fn without_the_setting_and_without_a_login_a_push_makes_nobody_the_owner() {
    let registry = with_users(|_| {}).await;
    push(&registry, "alice", "team/app", "v1").await.is(201);
    assert_eq!((fact(&registry, "team/app", "owner"), fact(&registry, "team/app", "created")), (None, None));

    let registry = Registry::with(|setup| setup.settings.owner_on_push = true).await;
    registry.push_empty_index("team/app", "v1").await;
    assert_eq!((fact(&registry, "team/app", "owner"), fact(&registry, "team/app", "created")), (None, None));
}

#[tokio::test]
async fn of_pushes_at_the_same_time_one_creates_the_repository() {
    let registry = with_users(|settings| settings.owner_on_push = true).await;
    let pushes = (0..32).map(|i| {
        let (registry, who) = (&registry, if i % 2 == 0 { "alice" } else { "bob" });
        async move { push(registry, who, "team/app", &format!("v{i}")).await.is(201) }
    });
    join_all(pushes).await;
    let created: Value = serde_json::from_str(&fact(&registry, "team/app", "created").unwrap()).unwrap();
    let owner = fact(&registry, "team/app", "owner").unwrap();
    assert_eq!(created["by"], json!(owner.trim()), "who created it owns it");
}

#[tokio::test]
async fn a_refused_push_creates_nothing() {
    let registry = with_users(|settings| settings.owner_on_push = true).await;
    let manifest = image(&descriptor(CONFIG, b"missing"), &[]);
    let put = registry.ask(http::Method::PUT, "/v2/team/app/manifests/v1").header("content-type", OCI_MANIFEST);
    let put = put.header("authorization", testing::people::basic("alice")).body(manifest.to_string());
    put.send().await.refused(400, "MANIFEST_BLOB_UNKNOWN");
    assert!(!registry.root().join("repositories/team/app/_facts").exists());
}

#[tokio::test]
async fn a_repository_can_be_created_before_anything_is_pushed() {
    let registry = Registry::start().await;
    let new = || NewRepository {
        visibility: Some(Visibility::Public),
        owner: Some("alice".parse().unwrap()),
        description: Some("The app.\nFor everybody.".parse().unwrap()),
    };
    let repository = inner(&registry, "alice", "team/app");
    registry.get("/v2/team/app/tags/list").await.refused(404, "NAME_UNKNOWN");
    repository.create(new()).await.unwrap();
    assert_eq!(registry.tags("team/app").await, [] as [&str; 0], "it exists, and holds nothing");
    assert_eq!(registry.get("/v2/_catalog").await.strings("repositories"), [] as [&str; 0]);
    assert_eq!(fact(&registry, "team/app", "visibility").as_deref(), Some("public\n"));
    assert_eq!(fact(&registry, "team/app", "owner").as_deref(), Some("alice\n"));
    assert_eq!(fact(&registry, "team/app", "description").as_deref(), Some("The app.\nFor everybody.\n"));
    assert!(matches!(repository.create(new()).await, Err(RegistryError::RepositoryExists(_))));

    registry.push_empty_index("team/app", "v1").await;
    assert_eq!(registry.get("/v2/_catalog").await.strings("repositories"), ["team/app"]);
    registry.push_empty_index("team/pushed", "v1").await;
    let pushed = inner(&registry, "alice", "team/pushed");
    assert!(matches!(pushed.create(new()).await, Err(RegistryError::RepositoryExists(_))));
    assert_eq!(fact(&registry, "team/pushed", "owner"), None);
}

#[tokio::test]
async fn facts_of_a_repository_change_and_a_deleted_user_owns_nothing() {
    let registry = Registry::start().await;
    for name in ["team/a", "team/b", "team/c"] {
        registry.push_empty_index(name, "v1").await;
    }
    let owner = |name: &str| name.parse().unwrap();
    for (name, user) in [("team/a", "alice"), ("team/b", "bob"), ("team/c", "alice")] {
        inner(&registry, "root", name).set_owner(Some(&owner(user))).await.unwrap();
    }
    let a = inner(&registry, "root", "team/a");
    a.set_visibility(Visibility::Public).await.unwrap();
    assert_eq!(fact(&registry, "team/a", "visibility").as_deref(), Some("public\n"));
    assert!(registry.root().join("repositories/_facts/team+a").exists(), "the catalog finds it by this");
    a.set_description(Some(&"For you".parse().unwrap())).await.unwrap();
    a.set_description(None).await.unwrap();
    assert_eq!(fact(&registry, "team/a", "description"), None);

    registry.inner().disown(&owner("alice")).await.unwrap();
    assert_eq!((fact(&registry, "team/a", "owner"), fact(&registry, "team/c", "owner")), (None, None));
    assert_eq!(fact(&registry, "team/b", "owner").as_deref(), Some("bob\n"));

    let missing = inner(&registry, "root", "team/none");
    assert!(matches!(missing.set_visibility(Visibility::Public).await, Err(RegistryError::NameUnknown(_))));
    assert!(!registry.root().join("repositories/team/none").exists());
}
