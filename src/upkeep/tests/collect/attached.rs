//! What is attached to a deleted manifest, if a collection is interrupted or a client pushes meanwhile.

use super::*;
use crate::{
    registry::tests::is_sound,
    storage::{RunId, Why},
};
use oci::{Digest, Tag};
use std::sync::Mutex;

/// No lease, but the graveyard keeps its content.
fn at_once() -> Arc<Settings> {
    settings(|c| (c.lease, c.settle, c.retention) = (Duration::ZERO, Duration::ZERO, Duration::from_secs(3600)))
}

/// An image with the tag `v1`, its signature with the tag that cosign gives it, and a referrer; the image is deleted.
struct Signed {
    image: Bytes,
    signature: Bytes,
    referrer: Bytes,
    tag: Tag,
}

impl Signed {
    async fn push(registry: &Registry) -> Self {
        push_blobs(registry).await;
        let image = manifest("image", None);
        let (signature, referrer) = (manifest("signature", None), manifest("referrer", Some(&sha256(&image))));
        let tag: Tag = format!("{}.sig", sha256(&image).fallback_tag()).parse().unwrap();
        put(registry, "v1", image.clone()).await.unwrap();
        put(registry, tag.as_str(), signature.clone()).await.unwrap();
        put(registry, sha256(&referrer).as_str(), referrer.clone()).await.unwrap();
        registry.sweep().await.unwrap();
        Self { image, signature, referrer, tag }
    }

    async fn delete(&self, registry: &Registry) {
        // The clock of files ticks some hundred times a second.
        tokio::time::sleep(Duration::from_millis(20)).await;
        registry.repository(&name()).delete_manifest(&Reference::Digest(sha256(&self.image))).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    async fn is_signed(&self, registry: &Registry) -> bool {
        registry.repository(&name()).manifest(&Reference::Tag(self.tag.clone())).await.is_ok()
    }
}

async fn is_there(registry: &Registry, digest: Digest) -> bool {
    registry.repository(&name()).manifest(&Reference::Digest(digest)).await.is_ok()
}

#[tokio::test]
async fn the_entry_of_a_deleted_manifest_stays_until_its_attachments_are_gone() {
    each(|registry| async move {
        let registry = registry.under(settings(|c| (c.lease, c.settle, c.retention) = Default::default()));
        let signed = Signed::push(&registry).await;
        signed.delete(&registry).await;
        let first = collect(&registry, DAILY).await;
        assert_eq!((first.deleted_tags, first.condemned.revisions, first.purged.revisions), (1, 2, 0), "{first:?}");
        let second = collect(&registry, DAILY).await;
        assert_eq!((second.condemned.revisions, second.purged.revisions), (0, 3), "{second:?}");
        assert!(!signed.is_signed(&registry).await && !is_there(&registry, sha256(&signed.referrer)).await);
        assert!(registry.catalog(None, None, &crate::registry::Everything).await.unwrap().entries.is_empty());
        is_sound(&registry).await;
    })
    .await;
}

#[tokio::test]
async fn the_next_collection_removes_a_tag_that_a_killed_one_left() {
    each(|registry| async move {
        let registry = registry.under(at_once());
        let signed = Signed::push(&registry).await;
        signed.delete(&registry).await;
        let item = Item::Revision(name(), sha256(&signed.signature));
        registry.store().condemn(&item, RunId::fresh(), Why::Unreferenced, Duration::ZERO).await.unwrap();
        assert!(signed.is_signed(&registry).await, "what is condemned is still read");
        let next = collect(&registry, DAILY).await;
        assert_eq!((next.deleted_tags, next.restored.revisions), (0, 1), "the tag restores it: {next:?}");
        is_sound(&registry).await;
        let last = collect(&registry, DAILY).await;
        assert_eq!((last.deleted_tags, last.restored.revisions), (1, 0), "{last:?}");
        assert!(!signed.is_signed(&registry).await);
        is_sound(&registry).await;
    })
    .await;
}

/// Does something when a collection reaches a step.
struct Meanwhile<F>(CollectionStep, Mutex<Option<F>>);

#[async_trait]
impl<F: Future<Output = ()> + Send> Follow for Meanwhile<F> {
    async fn at(&self, step: CollectionStep, _: u64) {
        let action = if step == self.0 { self.1.lock().unwrap().take() } else { None };
        if let Some(action) = action {
            action.await;
        }
    }
}

#[tokio::test]
async fn content_pushed_while_a_collection_decides_stays() {
    each(|registry| async move {
        let registry = registry.under(at_once());
        for (what, is_signed) in [("image", true), ("signature", true), ("referrer", false)] {
            let signed = Signed::push(&registry).await;
            signed.delete(&registry).await;
            let pusher = registry.clone();
            let (to, bytes) = match what {
                "image" => ("v1".to_owned(), signed.image.clone()),
                "signature" => (signed.tag.to_string(), signed.signature.clone()),
                _ => (sha256(&signed.referrer).to_string(), signed.referrer.clone()),
            };
            let digest = sha256(&bytes);
            let push = Box::pin(async move { put(&pusher, &to, bytes).await.unwrap() });
            let follow = Meanwhile(CollectionStep::Count, Mutex::new(Some(push)));
            registry.collect(DAILY, &follow).await.unwrap().unwrap();
            assert!(is_there(&registry, digest).await, "{what}");
            assert_eq!(signed.is_signed(&registry).await, is_signed, "{what}");
            let next = collect(&registry, DAILY).await;
            assert_eq!(next.restored.revisions, 0, "it did not leave its place: {what}: {next:?}");
            is_sound(&registry).await;
            registry.repository(&name()).delete_manifest(&Reference::Digest(sha256(&signed.image))).await.ok();
            collect(&registry, NOW).await;
        }
    })
    .await;
}
