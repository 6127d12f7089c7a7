//! Views of what strangers pushed.

use super::*;
use crate::{
    registry::{Condition, Registry, Repository, Settings},
    storage::{
        Storage,
        faulty::{Fault, Faulty},
        fs::{Fs, Init},
    },
};
use oci::{Algorithm, Hasher, Reference};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use serde_json::json;
use std::sync::Arc;

fn registry() -> Registry {
    Registry::new(Arc::new(crate::storage::Mem::default()), Arc::new(Settings::default()))
}

#[tokio::test]
async fn a_configuration_that_the_repository_does_not_have_is_not_read() {
    let registry = registry();
    let push = async |name: &str, blob: Option<&'static str>, config: &'static str| {
        let repository = registry.repository(&name.parse().unwrap());
        if let Some(blob) = blob {
            let bytes = futures_util::stream::iter([Ok(bytes::Bytes::from_static(blob.as_bytes()))]);
            let digest = Hasher::digest(Algorithm::Sha256, blob.as_bytes());
            repository.push_blob(&digest, crate::registry::Chunk::default(), bytes).await.unwrap();
        }
        let digest = Hasher::digest(Algorithm::Sha256, config.as_bytes());
        let manifest = json!({
            "schemaVersion": 2, "mediaType": oci::media_type::OCI_MANIFEST, "layers": [],
            "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": config.len() },
        });
        let tag = Reference::Tag("v1".parse().unwrap());
        let settings =
            Settings { missing_references: crate::registry::MissingReferences::Accept, ..Settings::default() };
        let lenient = registry.under(Arc::new(settings)).repository(repository.name());
        lenient
            .put_manifest(&tag, &[], Some(oci::media_type::OCI_MANIFEST), manifest.to_string().into(), Condition::None)
            .await
            .unwrap();
        repository.one_tag_detail(&"v1".parse().unwrap()).await.unwrap().unwrap()
    };
    let secret = r#"{"os":"linux","architecture":"amd64"}"#;
    let owners = push("secret/app", Some(secret), secret).await;
    assert_eq!(owners.platforms.iter().map(PlatformName::as_str).collect::<Vec<_>>(), ["linux/amd64"]);
    let strangers = push("stranger/app", None, secret).await;
    assert_eq!((strangers.platforms.len(), strangers.kind), (0, ManifestKind::Image));
}

/// A repository with many tags of few manifests, and the store that counts calls.
async fn tagged(store: Arc<dyn Storage>, tags: usize) -> (Arc<Faulty>, Repository) {
    let counted = Faulty::new(store, usize::MAX, Fault::Before);
    let settings = Settings { missing_references: crate::registry::MissingReferences::Accept, ..Settings::default() };
    let registry = Registry::new(counted.clone(), Arc::new(settings));
    let repository = registry.repository(&"team/app".parse().unwrap());
    for n in 0..tags {
        let tag = Reference::Tag(format!("1.0.{n}").parse().unwrap());
        let index = json!({ "schemaVersion": 2, "mediaType": oci::media_type::OCI_INDEX, "manifests": [],
            "annotations": { "n": (n % 3).to_string() } });
        let put = repository.put_manifest(
            &tag,
            &[],
            Some(oci::media_type::OCI_INDEX),
            index.to_string().into(),
            Condition::None,
        );
        put.await.unwrap();
    }
    (counted, repository)
}

/// The calls of the store for a page of this length.
async fn cost(store: &Faulty, repository: &Repository, most: usize) -> usize {
    let before = store.calls();
    let listing = TagListing { order: TagOrder::Version, descending: true, most, ..TagListing::default() };
    let (details, more) = repository.tag_details(&listing).await.unwrap();
    assert_eq!((details.len(), more), (most, true));
    assert!(details.iter().all(|detail| detail.aliases.len() == 20));
    store.calls() - before
}

#[tokio::test]
async fn a_tag_on_a_page_costs_its_own_files_and_its_manifest_is_looked_at_once() {
    let (store, repository) = tagged(Arc::new(crate::storage::Mem::default()), 300).await;
    let (few, many) = (cost(&store, &repository, 10).await, cost(&store, &repository, 100).await);
    // The tag, and who set it.
    assert_eq!(many - few, 2 * 90);
}

#[tokio::test]
async fn a_page_that_was_seen_is_not_read_again_until_something_changes() {
    let dir = tempfile::tempdir().unwrap();
    let (fs, ..) = Fs::open(dir.path(), Init::EmptyDirectory).unwrap();
    let (store, repository) = tagged(Arc::new(fs), 120).await;
    let settle = |seconds| {
        let mut dirs = vec![dir.path().join("repositories")];
        while let Some(dir) = dirs.pop() {
            let subs = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path());
            dirs.extend(subs.filter(|path| path.is_dir()));
            let time = Timespec { tv_sec: seconds, tv_nsec: 0 };
            utimensat(CWD, &dir, &Timestamps { last_access: time, last_modification: time }, AtFlags::empty()).unwrap();
        }
    };
    settle(1_000_000);
    let first = cost(&store, &repository, 100).await;
    let again = cost(&store, &repository, 100).await;
    assert!(again < 40 && first > again + 200, "{first}, then {again}");
    let newest = async || {
        let listing = TagListing { order: TagOrder::Version, descending: true, most: 1, ..TagListing::default() };
        repository.tag_details(&listing).await.unwrap().0.pop().unwrap().tag.to_string()
    };
    assert_eq!(newest().await, "1.0.119");
    let index = json!({ "schemaVersion": 2, "mediaType": oci::media_type::OCI_INDEX, "manifests": [] });
    let tag = Reference::Tag("2.0".parse().unwrap());
    repository
        .put_manifest(&tag, &[], Some(oci::media_type::OCI_INDEX), index.to_string().into(), Condition::None)
        .await
        .unwrap();
    assert_eq!(newest().await, "2.0", "changed a moment ago");
    settle(2_000_000);
    assert_eq!((newest().await.as_str(), newest().await.as_str()), ("2.0", "2.0"));
    let names = repository.newest_tags(2).await.unwrap();
    assert_eq!(names.iter().map(oci::Tag::as_str).collect::<Vec<_>>(), ["1.0.119", "2.0"]);
}
