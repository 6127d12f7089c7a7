//! The artifact store without HTTP, and garbage collection beside it.

mod faults;

use super::*;
use crate::{
    artifacts::{Artifact, ArtifactId, Properties},
    registry::{Chunk, Interruption, Settings},
    storage::{DirOf, Durability, Item, Mem, Presence, Put},
    upkeep::CollectionOptions,
    who::Subject,
};
use bytes::Bytes;
use futures_util::stream;
use oci::{Algorithm, Digest, Hasher};
use std::{sync::Arc, time::Duration};

const NOW: CollectionOptions = CollectionOptions { dry_run: false, now: true, force: true };

fn registry() -> Registry {
    let settings = Settings {
        artifacts: crate::registry::ArtifactSettings { trash: Duration::ZERO, ..Default::default() },
        ..Settings::default()
    };
    Registry::new(Arc::new(Mem::default()), Arc::new(settings)).asked_by(Subject::User("alice".into()))
}

async fn builds(registry: &Registry) -> ArtifactRepository {
    let repository = registry.artifacts(&"builds".parse().unwrap());
    repository.create(NewArtifactRepository::default()).await.unwrap();
    repository
}

fn new(version: &str, path: &str, properties: &[(&str, &str)]) -> NewArtifact {
    let mut all = Properties::default();
    properties.iter().for_each(|(key, value)| all.add(key, value).unwrap());
    NewArtifact {
        version: version.parse().unwrap(),
        path: path.parse().unwrap(),
        name: None,
        media_type: Default::default(),
        properties: all,
        metadata: Default::default(),
        overwrite: false,
        digest: None,
    }
}

async fn put(repository: &ArtifactRepository, new: NewArtifact, text: &str) -> Result<PublishedArtifact> {
    let bytes = stream::iter([Ok::<_, Interruption>(Bytes::from(text.to_owned()))]);
    repository.put(new, Chunk::default(), bytes).await
}

fn digest(text: &str) -> Digest {
    Hasher::digest(Algorithm::Sha256, text.as_bytes())
}

async fn collect(registry: &Registry) {
    registry.collect(NOW, &()).await.unwrap().unwrap();
}

async fn is_kept(registry: &Registry, text: &str) -> bool {
    registry.store().ensure(&[Item::Blob(digest(text))]).await.unwrap() != [Presence::Missing]
}

#[tokio::test]
async fn an_artifact_is_unique_by_version_path_and_properties() {
    let registry = registry();
    let builds = builds(&registry).await;
    let first = put(&builds, new("1.0", "app", &[]), "one").await.unwrap();
    assert_eq!((first.publication, first.artifact.digest.clone()), (Publication::Created, digest("one")));
    let again = put(&builds, new("1.0", "app", &[]), "one").await.unwrap();
    assert_eq!((again.publication, again.artifact), (Publication::Unchanged, first.artifact));
    assert!(matches!(put(&builds, new("1.0", "app", &[]), "two").await, Err(RegistryError::ArtifactExists(_))));
    for other in [new("1.1", "app", &[]), new("1.0", "bin/app", &[]), new("1.0", "app", &[("os", "linux")])] {
        assert_eq!(put(&builds, other, "two").await.unwrap().publication, Publication::Created);
    }
    let replaced = put(&builds, NewArtifact { overwrite: true, ..new("1.0", "app", &[]) }, "two").await.unwrap();
    assert_eq!((replaced.publication, replaced.artifact.digest), (Publication::Replaced, digest("two")));
    assert_eq!(builds.trash().await.unwrap().len(), 1, "what was replaced can be restored");
    assert_eq!(builds.load().await.unwrap().len(), 4);
    assert_eq!(registry.open_uploads(), 0);
}

#[tokio::test]
async fn of_many_uploads_of_one_artifact_at_once_one_wins() {
    let registry = registry();
    let builds = builds(&registry).await;
    let texts: Vec<String> = (0..8).map(|i| format!("content {i}")).collect();
    let all = texts.iter().map(|text| put(&builds, new("1.0", "app", &[]), text));
    let done = futures_util::future::join_all(all).await;
    let won: Vec<_> = done.iter().flatten().collect();
    assert_eq!(won.len(), 1);
    let stored = builds.load().await.unwrap();
    assert_eq!(stored, [won[0].artifact.clone()]);
}

#[tokio::test]
async fn collection_keeps_artifacts_the_trash_and_what_is_being_published() {
    let registry = registry();
    let builds = builds(&registry).await;
    let one = put(&builds, new("1.0", "one", &[]), "one").await.unwrap().artifact;
    let two = put(&builds, new("1.0", "two", &[]), "two").await.unwrap().artifact;
    let trashed = builds.stored(&two.version, &two.id).await.unwrap().unwrap();
    builds.delete_artifact(&trashed, None).await.unwrap();
    // A publication whose blob is there and whose record is not.
    let verified = crate::registry::verify::hash_bytes(&Bytes::from("three"));
    registry.store().put_blob(&verified, Bytes::from("three")).await.unwrap();
    let push = builds.declare(&digest("three")).await.unwrap();
    collect(&registry).await;
    for text in ["one", "two", "three"] {
        assert!(is_kept(&registry, text).await, "{text}");
    }
    builds.withdraw(push).await;
    assert_eq!(registry.empty_artifact_trash().await.unwrap(), (1, 0));
    collect(&registry).await;
    collect(&registry).await;
    let kept = [is_kept(&registry, "one").await, is_kept(&registry, "two").await, is_kept(&registry, "three").await];
    assert_eq!(kept, [true, false, false]);
    assert_eq!(builds.blob(&one).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_deleted_repository_is_gone_for_everybody_and_kept_until_it_is_removed_for_good() {
    let registry = registry();
    let builds = builds(&registry).await;
    put(&builds, new("1.0", "app", &[]), "one").await.unwrap();
    builds.delete().await.unwrap();
    assert!(!builds.exists().await.unwrap() && builds.facts().await.unwrap().origin.is_none());
    assert!(matches!(put(&builds, new("1.0", "b", &[]), "x").await, Err(RegistryError::ArtifactRepositoryUnknown(_))));
    let again = builds.create(NewArtifactRepository::default()).await;
    assert!(matches!(again, Err(RegistryError::ArtifactRepositoryInTrash(_))), "nobody takes what is in it");
    collect(&registry).await;
    assert!(is_kept(&registry, "one").await);
    assert_eq!(registry.empty_artifact_trash().await.unwrap(), (0, 1));
    collect(&registry).await;
    collect(&registry).await;
    assert!(!is_kept(&registry, "one").await);
    builds.create(NewArtifactRepository::default()).await.unwrap();
    assert_eq!(builds.load().await.unwrap(), []);
}

#[tokio::test]
async fn a_damaged_record_ends_a_collection_before_it_changes_anything() {
    let registry = registry();
    let builds = builds(&registry).await;
    let artifact = put(&builds, new("1.0", "app", &[]), "one").await.unwrap().artifact;
    let put = Put::any(builds.record_key(&artifact), "{");
    registry.store().put(vec![put], Durability::Durable).await.unwrap();
    let refused = registry.collect(NOW, &()).await.unwrap_err().to_string();
    assert!(refused.contains("versions/1.0/art-"), "{refused}");
    assert!(is_kept(&registry, "one").await);
}

#[tokio::test]
async fn the_store_states_that_it_has_artifacts_and_an_unknown_feature_ends_collections() {
    let registry = registry();
    let features = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).unwrap()["features"].clone();
    builds(&registry).await;
    let root = registry.store().get(&FactKey::Root).await.unwrap().unwrap();
    assert_eq!(features(&root.bytes), serde_json::json!([FEATURE]));
    collect(&registry).await;
    let newer = root.bytes.to_vec();
    let newer = String::from_utf8(newer).unwrap().replace("\"artifacts\"", "\"artifacts\",\"hologram\"");
    registry.store().put(vec![Put::any(FactKey::Root, newer)], Durability::Durable).await.unwrap();
    let refused = registry.collect(NOW, &()).await.unwrap_err().to_string();
    assert!(refused.contains("the feature \"hologram\""), "{refused}");
}

#[tokio::test]
async fn a_change_of_properties_makes_another_artifact_that_replaces_the_first() {
    let registry = registry();
    let builds = builds(&registry).await;
    let old = put(&builds, new("1.0", "app", &[]), "one").await.unwrap().artifact;
    let stored = builds.find(&old.id).await.unwrap();
    let properties = new("1.0", "app", &[("os", "linux")]).properties;
    let edited = builds.edit(&stored, ArtifactEdit::Properties(properties)).await.unwrap();
    assert_eq!((edited.replaces, edited.digest.clone()), (Some(old.id), old.digest.clone()));
    assert_eq!(builds.load().await.unwrap(), std::slice::from_ref(&edited));
    // A crash between the two would have left both.
    assert!(builds.write(&old, crate::storage::Expect::Absent).await.unwrap());
    assert_eq!(builds.load().await.unwrap(), std::slice::from_ref(&edited), "the first is ignored");
    assert_eq!(builds.variants(&old.version, &old.path, &Properties::default()).await.unwrap().len(), 1);
    // One that is stored again is another one.
    let stored = builds.find(&edited.id).await.unwrap();
    let edited = builds.edit(&stored, ArtifactEdit::Metadata(Default::default())).await.unwrap();
    assert_eq!(edited.replaces, None);
    put(&builds, new("1.0", "app", &[]), "two").await.unwrap();
    assert_eq!(builds.load().await.unwrap().len(), 2);
}

#[tokio::test]
async fn an_artifact_moves_and_is_restored_unless_another_has_taken_its_place() {
    let registry = registry();
    let builds = builds(&registry).await;
    let old = put(&builds, new("1.0", "app", &[]), "one").await.unwrap().artifact;
    put(&builds, new("2.0", "app", &[]), "two").await.unwrap();
    let place = |version: &str, path: Option<&str>| ArtifactEdit::Place {
        version: version.parse().unwrap(),
        path: path.map(|path| path.parse().unwrap()),
        name: None,
    };
    let stored = builds.find(&old.id).await.unwrap();
    let taken = builds.edit(&stored, place("2.0", None)).await;
    assert!(matches!(taken, Err(RegistryError::ArtifactExists(_))), "{taken:?}");
    let moved = builds.edit(&stored, place("1.0", Some("bin/tool"))).await.unwrap();
    assert_eq!((moved.path.as_str(), moved.name.as_str()), ("bin/tool", "tool"));
    assert!(matches!(builds.edit(&stored, place("3.0", None)).await, Err(RegistryError::ArtifactUnknown)));
    let stored = builds.find(&moved.id).await.unwrap();
    builds.delete_artifact(&stored, Some("max_versions")).await.unwrap();
    assert!(matches!(builds.delete_artifact(&stored, None).await, Err(RegistryError::ArtifactUnknown)));
    let trash = builds.trash().await.unwrap();
    assert_eq!((trash.len(), trash[0].1.rule.as_deref()), (1, Some("max_versions")));
    assert_eq!(trash[0].1.deleted_by.as_deref(), Some("alice"));
    let restored = builds.restore(&moved.id).await.unwrap();
    assert_eq!((restored.id, builds.trash().await.unwrap().len()), (moved.id, 0));
    assert!(matches!(builds.restore(&moved.id).await, Err(RegistryError::ArtifactUnknown)));
    let stored = builds.find(&moved.id).await.unwrap();
    builds.delete_artifact(&stored, None).await.unwrap();
    put(&builds, new("1.0", "bin/tool", &[]), "other").await.unwrap();
    assert!(matches!(builds.restore(&moved.id).await, Err(RegistryError::ArtifactExists(_))));
}

#[tokio::test]
async fn changes_are_noted_in_order() {
    let registry = registry();
    let builds = builds(&registry).await;
    let one = put(&builds, new("1.0", "one", &[]), "one").await.unwrap().artifact;
    let stored = builds.find(&one.id).await.unwrap();
    builds.delete_artifact(&stored, None).await.unwrap();
    let changes = builds.changes(None, 10).await.unwrap();
    let seen: Vec<_> = changes.entries.iter().map(|change| (change.id(), change.is_deletion())).collect();
    assert_eq!((seen, changes.more), (vec![(one.id, false), (one.id, true)], false));
    let first = changes.entries[0].entry.to_string();
    assert_eq!(builds.changes(Some(&first), 10).await.unwrap().entries, &changes.entries[1..]);
    let since = ArtifactRepository::changes_since(std::time::SystemTime::now() + Duration::from_secs(60));
    assert_eq!(builds.changes(Some(&since), 10).await.unwrap().entries, []);
}

#[tokio::test]
async fn an_upload_session_belongs_to_one_repository_and_one_user() {
    let registry = registry();
    let builds = builds(&registry).await;
    let upload = builds.begin_upload(None, Algorithm::Sha256).await.unwrap();
    let other = registry.artifacts(&"other".parse().unwrap());
    other.create(NewArtifactRepository::default()).await.unwrap();
    let images = registry.repository(&"builds".parse().unwrap());
    let mallory = registry.asked_by(Subject::User("mallory".into())).artifacts(builds.name());
    for unknown in [other.upload(&upload.id).await, images.upload(&upload.id).await, mallory.upload(&upload.id).await] {
        assert!(matches!(unknown, Err(RegistryError::UploadUnknown(_))), "{unknown:?}");
    }
    let chunk = |text: &'static str| stream::iter([Ok::<_, Interruption>(Bytes::from(text))]);
    builds.append_upload(&upload.id, Chunk::default(), chunk("Hello, ")).await.unwrap();
    let told = builds.append_upload(&upload.id, Chunk::default(), chunk("wharf")).await.unwrap();
    assert_eq!(told.len, 12);
    let wrong = NewArtifact { digest: Some(digest("other")), ..new("1.0", "hello", &[]) };
    assert!(matches!(builds.finish_upload(&upload.id, wrong).await, Err(RegistryError::DigestMismatch { .. })));
    let upload = builds.begin_upload(None, Algorithm::Sha256).await.unwrap();
    builds.append_upload(&upload.id, Chunk::default(), chunk("Hello, wharf")).await.unwrap();
    let done = builds.finish_upload(&upload.id, new("1.0", "hello", &[])).await.unwrap();
    assert_eq!((done.artifact.digest, done.artifact.size), (digest("Hello, wharf"), 12));
    let mut names = registry.store().names(DirOf::artifact_versions(builds.name()), 10);
    assert_eq!(names.next().await.unwrap().map(|version| version.to_string()).as_deref(), Some("1.0"));
}

#[tokio::test]
async fn the_settings_limit_size_types_and_properties() {
    let settings = Settings {
        artifacts: crate::registry::ArtifactSettings {
            file_bytes: 4,
            required_properties: vec!["build".parse().unwrap()],
            allowed_types: vec!["application/*".into()],
            ..Default::default()
        },
        ..Settings::default()
    };
    let registry = registry().under(Arc::new(settings));
    let builds = builds(&registry).await;
    let with = |build: &str| new("1.0", "app", &[("build", build)]);
    assert!(put(&builds, with("1"), "four").await.is_ok());
    assert!(matches!(put(&builds, with("2"), "five5").await, Err(RegistryError::ArtifactTooLarge(4))));
    assert!(matches!(put(&builds, new("1.0", "app", &[]), "four").await, Err(RegistryError::PropertyMissing(_))));
    let html = NewArtifact { media_type: "text/html".parse().unwrap(), ..with("3") };
    assert!(matches!(put(&builds, html, "four").await, Err(RegistryError::MediaTypeRefused(_))));
    let started = builds.begin_upload(Some(5), Algorithm::Sha256).await;
    assert!(matches!(started, Err(RegistryError::ArtifactTooLarge(4))));
    assert_eq!(registry.open_uploads(), 0, "nothing stays of what was refused");
    let all: Vec<Artifact> = builds.load().await.unwrap();
    let id: ArtifactId = all[0].id;
    assert_eq!((all.len(), builds.find(&id).await.unwrap().artifact), (1, all[0].clone()));
}
