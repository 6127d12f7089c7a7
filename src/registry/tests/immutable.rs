//! What a deletion beside immutable tags reads, and what it leaves alone.

use super::{
    super::{Chunk, Condition, Registry, RegistryError, Repository, Settings, settings::ImmutableTags},
    manifest, name, once, sha256,
};
use crate::storage::{
    Mem, Storage,
    faulty::{Fault, Faulty},
};
use bytes::Bytes;
use oci::{Digest, Reference};
use std::sync::Arc;

/// A registry in which tags that begin with `v` are immutable.
fn with_releases(store: Arc<dyn Storage>) -> Registry {
    let releases = ImmutableTags { repositories: vec!["**".parse().unwrap()].into(), tags: "v.*".parse().unwrap() };
    Registry::new(store, Arc::new(Settings { immutable: vec![releases], ..Settings::default() }))
}

/// Pushes the blobs of [`manifest`].
async fn push_blobs(repository: &Repository) {
    for blob in [b"{}".as_ref(), b"layer"] {
        repository.push_blob(&sha256(blob), Chunk::default(), once(blob)).await.unwrap();
    }
}

async fn push_tag(repository: &Repository, tag: &str, bytes: Bytes) -> Digest {
    let tag = Reference::Tag(tag.parse().unwrap());
    repository.put_manifest(&tag, &[], None, bytes, Condition::None).await.unwrap().digest
}

#[tokio::test]
async fn images_of_immutable_tags_are_read_once() {
    let counted = Faulty::new(Arc::new(Mem::default()), usize::MAX, Fault::Before);
    let repository = with_releases(counted.clone()).repository(&name());
    push_blobs(&repository).await;
    for i in 0..50 {
        push_tag(&repository, &format!("v{i}"), manifest(&format!("release {i}"), None)).await;
    }
    let mut costs = Vec::new();
    for tag in ["one", "two"] {
        let digest = push_tag(&repository, tag, manifest(tag, None)).await;
        let before = counted.calls();
        repository.delete_manifest(&Reference::Digest(digest)).await.unwrap();
        costs.push(counted.calls() - before);
    }
    assert_eq!(costs[0] - costs[1], 100, "the record and the bytes of each: {costs:?}");
}

#[tokio::test]
async fn an_index_protects_only_the_images_that_its_repository_has() {
    let registry = with_releases(Arc::new(Mem::default()));
    let [whole, sparse] = ["whole", "sparse"].map(|name| registry.repository(&name.parse().unwrap()));
    let image = manifest("image", None);
    let child =
        serde_json::json!({"mediaType": oci::media_type::OCI_MANIFEST, "digest": sha256(&image), "size": image.len()});
    let index = Bytes::from(serde_json::json!({"schemaVersion": 2, "manifests": [child]}).to_string());
    push_blobs(&whole).await;
    push_blobs(&sparse).await;
    push_tag(&whole, "image", image).await;
    for repository in [&whole, &sparse] {
        push_tag(repository, "v1", index.clone()).await;
    }
    for _ in 0..2 {
        let refused = whole.delete_blob(&sha256(b"layer")).await;
        assert!(matches!(refused, Err(RegistryError::ImmutableContent(_))), "{refused:?}");
    }
    sparse.delete_blob(&sha256(b"layer")).await.unwrap();
}
