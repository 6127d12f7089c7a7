//! Registries where pushes create no repositories, or only in namespaces that exist.

use super::inner;
use http::Method;
use testing::{registry::Registry, session::*};
use wharfinger::registry::{AutoCreate, NewRepository, RegistryError};

async fn registry(auto_create: AutoCreate) -> Registry {
    Registry::with(|setup| setup.settings.auto_create = auto_create).await
}

/// Every request with which a push may begin is refused with these words.
async fn is_refused(registry: &Registry, name: &str, words: &str) {
    let digest = sha256(b"content");
    for target in [
        format!("/v2/{name}/blobs/uploads/"),
        format!("/v2/{name}/blobs/uploads/?digest={digest}"),
        format!("/v2/{name}/blobs/uploads/?mount={digest}&from=team/there"),
    ] {
        let reply = registry.post(target, "content").await;
        assert!(reply.message().contains(words), "{reply:?}");
        reply.refused(403, "DENIED");
    }
    registry.put_manifest(name, "v1", &index(&[])).await.refused(403, "DENIED");
    assert!(!registry.root().join("repositories").join(name).exists());
}

#[tokio::test]
async fn a_push_does_not_create_a_repository_if_none_is_to_be_created() {
    let registry = registry(AutoCreate::Never).await;
    is_refused(&registry, "team/app", "repository team/app does not exist, and a push does not create it").await;
    inner(&registry, "alice", "team/app").create(NewRepository::default()).await.unwrap();
    registry.push_image("team/app", "v1", "seed").await;

    registry.ask(Method::DELETE, "/v2/team/app/manifests/v1").send().await.is(202);
    let (digest, _) = registry.push_image("team/app", "v1", "seed").await;
    registry.delete(format!("/v2/team/app/manifests/{digest}")).await.is(202);
    registry.push_image("team/app", "v2", "seed").await;
}

#[tokio::test]
async fn a_push_creates_a_repository_only_in_a_namespace_that_exists() {
    let registry = registry(AutoCreate::InNamespaces).await;
    let team = "team".parse().unwrap();
    is_refused(&registry, "team/app", "namespace team does not exist, and a push does not create it").await;
    is_refused(&registry, "app", "has to be in a namespace, such as team/app").await;
    let created = inner(&registry, "alice", "team/app").create(NewRepository::default()).await;
    assert!(matches!(created, Err(RegistryError::NamespaceAbsent { .. })));

    registry.inner().create_namespace(&team).await.unwrap();
    registry.push_image("team/app", "v1", "seed").await;
    registry.push_image("team/deeper/app", "v1", "seed").await;
    is_refused(&registry, "teams/app", "namespace teams does not exist").await;
}

#[tokio::test]
async fn repositories_from_before_make_their_namespace_exist() {
    let before = registry(AutoCreate::Anywhere).await;
    before.push_image("team/app", "v1", "seed").await;
    before.push_image("app", "v1", "seed").await;
    let mut setup = testing::registry::Setup::default();
    setup.settings.auto_create = AutoCreate::InNamespaces;
    let registry = before.restart(setup).await;
    registry.push_image("app", "v2", "seed").await;
    registry.push_image("team/other", "v1", "seed").await;
    is_refused(&registry, "app/other", "namespace app does not exist").await;
}

#[tokio::test]
async fn a_namespace_is_created_once_and_deleted_when_it_is_empty() {
    let registry = Registry::start().await;
    let team = "team".parse().unwrap();
    let inside = registry.inner();
    assert!(matches!(inside.delete_namespace(&team).await, Err(RegistryError::NamespaceUnknown(_))));
    inside.create_namespace(&team).await.unwrap();
    assert!(matches!(inside.create_namespace(&team).await, Err(RegistryError::NamespaceExists(_))));
    assert!(inside.namespace_exists(&team).await.unwrap());
    assert!(!inner(&registry, "alice", "team").exists().await.unwrap(), "a namespace is no repository");

    registry.push_empty_index("team/app", "v1").await;
    assert!(matches!(inside.delete_namespace(&team).await, Err(RegistryError::NamespaceInUse(_))));
    inner(&registry, "alice", "team/app").delete().await.unwrap();
    inside.delete_namespace(&team).await.unwrap();
    assert!(!inside.namespace_exists(&team).await.unwrap());
}
