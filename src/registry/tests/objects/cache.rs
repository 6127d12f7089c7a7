//! A cache of blobs before the store: what clients may see stays the store's decision.

use super::*;
use crate::storage::{BlobCache, CacheStatus};

struct Behind {
    _dir: tempfile::TempDir,
    calls: Arc<FaultyObjects>,
    registry: Registry,
}

impl Behind {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let calls = FaultyObjects::new(Arc::new(MemObjects::default()), ObjectFaults::Never);
        let cache = BlobCache::open(dir.path(), 1 << 20).await.unwrap();
        let store = ObjectStorage::open(calls.clone(), true).await.unwrap().with_cache(Some(cache));
        Self { _dir: dir, calls, registry: registry(Arc::new(store)) }
    }

    fn status(&self) -> CacheStatus {
        self.registry.store_health().cache.unwrap()
    }

    async fn pull(&self) -> Result<(), RegistryError> {
        let blob = self.registry.repository(&name()).blob(&sha256(b"layer")).await?;
        assert_eq!(blob.read(Span::whole(5)).await?, "layer");
        Ok(())
    }

    /// Pulls the layer, and waits until it is in the cache.
    async fn cached(&self) {
        self.pull().await.unwrap();
        for _ in 0..1000 {
            if self.status().blobs == 1 {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        panic!("it is not cached");
    }

    async fn push(&self) {
        let repository = self.registry.repository(&name());
        for content in [b"{}".as_ref(), b"layer"] {
            repository.push_blob(&sha256(content), Chunk::default(), once(content)).await.unwrap();
        }
        let tag: Reference = "v1".parse().unwrap();
        repository.put_manifest(&tag, &[], None, manifest("image", None), Condition::None).await.unwrap();
    }
}

#[tokio::test]
async fn a_blob_that_was_deleted_is_gone_although_it_is_cached_and_there_again_when_it_is_pushed() {
    let one = Behind::new().await;
    one.push().await;
    one.cached().await;
    let repository = one.registry.repository(&name());
    repository.delete_manifest(&Reference::Digest(sha256(&manifest("image", None)))).await.unwrap();
    repository.delete_blob(&sha256(b"layer")).await.unwrap();
    assert!(matches!(one.pull().await, Err(RegistryError::BlobUnknown(_))));
    let other = one.registry.repository(&"other".parse().unwrap());
    assert!(other.blob(&sha256(b"layer")).await.is_err(), "knowing a digest grants nothing");
    one.push().await;
    one.pull().await.unwrap();
}

#[tokio::test]
async fn what_is_cached_can_be_pulled_while_the_store_is_away() {
    let one = Behind::new().await;
    one.push().await;
    let repository = one.registry.repository(&name());
    let by_tag = async || {
        let stored = repository.manifest(&"v1".parse().unwrap()).await?;
        one.registry.manifest_bytes(&stored.digest).await
    };
    by_tag().await.unwrap();
    one.cached().await;
    one.calls.be_away(true);
    by_tag().await.unwrap();
    one.pull().await.unwrap();
    let unseen = repository.manifest(&"v2".parse().unwrap()).await;
    assert!(matches!(unseen, Err(RegistryError::Storage(_))), "nothing is called absent: {unseen:?}");
    assert!(repository.blob(&sha256(b"{}")).await.is_err());
    let pushed = repository.push_blob(&sha256(b"new"), Chunk::default(), once(b"new")).await;
    assert!(matches!(pushed, Err(RegistryError::Storage(_))), "{pushed:?}");
    one.calls.be_away(false);
    repository.delete_manifest(&"v1".parse().unwrap()).await.unwrap();
    one.calls.be_away(true);
    assert!(by_tag().await.is_err(), "what this replica deleted is not shown again");
}
