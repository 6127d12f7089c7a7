//! The check of a store of objects: a sound one has no findings, and what is damaged is found and moved away.

use super::*;
use crate::{
    storage::{Content as _, FactKey, Facts as _, Item, Verified, objects::PutWhen},
    upkeep::fsck::{CheckedStore, Finding, FindingKind, FsckOptions, PoolPart, Summary, Watch},
};
use std::time::Duration;

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Watch for Findings {
    fn at(&mut self, _: &Summary) {}
    fn found(&mut self, finding: &Finding) {
        self.0.push(finding.clone());
    }
}

struct Checked {
    objects: Arc<MemObjects>,
    store: Arc<ObjectStorage>,
}

impl Checked {
    /// A store with an image, a signature of it, and a blob that nothing refers to.
    async fn new() -> Self {
        let objects = Arc::new(MemObjects::default());
        let store = Arc::new(ObjectStorage::open(objects.clone(), true).await.unwrap());
        let registry = registry(store.clone());
        let repository = registry.repository(&name());
        for content in [b"{}".as_ref(), b"layer"] {
            repository.push_blob(&sha256(content), Chunk::default(), once(content)).await.unwrap();
        }
        let image = manifest("image", None);
        let signature = manifest("signature", Some(&sha256(&image)));
        for (tag, manifest) in [("v1", image), ("signature", signature)] {
            repository.put_manifest(&tag.parse().unwrap(), &[], None, manifest, Condition::None).await.unwrap();
        }
        store.put_blob(&Verified::vouch(sha256(b"orphan"), 6), "orphan".into()).await.unwrap();
        Self { objects, store }
    }

    async fn check(&self, repair: bool) -> (Summary, Vec<Finding>) {
        // As a process that has read nothing before.
        let store = Arc::new(ObjectStorage::open(self.objects.clone(), false).await.unwrap());
        let options =
            FsckOptions { read: Some(PoolPart::WHOLE), repair, patience: Duration::ZERO, ..FsckOptions::default() };
        let checked = CheckedStore::Objects(store).check(options, Findings::default()).await;
        let (summary, findings) = checked.unwrap();
        (summary, findings.0)
    }

    /// Writes over the only object below a prefix.
    async fn overwrite(&self, prefix: &str, bytes: &'static str) {
        let page = self.objects.list(prefix, None, 10).await.unwrap();
        let [object] = page.objects.as_slice() else { panic!("{:?}", page.objects) };
        self.objects.put(&object.key, vec![bytes.into()], PutWhen::Any).await.unwrap();
    }
}

#[tokio::test]
async fn a_sound_store_of_objects_has_no_findings() {
    let one = Checked::new().await;
    let (summary, findings) = one.check(false).await;
    assert_eq!(summary.worst(), None, "{findings:#?}");
    assert!(summary.manifests > 0 && summary.tags > 0 && summary.repositories > 0, "{summary:?}");
    assert_eq!(summary.blobs, summary.blobs_read, "{summary:?}");
}

#[tokio::test]
async fn what_is_damaged_in_a_store_of_objects_is_found_moved_away_and_written_again() {
    let one = Checked::new().await;
    let (tag, digest): (oci::Tag, _) = ("v1".parse().unwrap(), sha256(&manifest("image", None)));
    let key = FactKey::Tag(name(), tag.clone());
    one.overwrite(&format!("{}/", Item::Blob(sha256(b"orphan")).path()), "orphem").await;
    one.objects.delete(vec![FactKey::Tagged(name(), digest, tag).path()]).await.unwrap();
    let cut = FactKey::Tag(name(), "cut".parse().unwrap());
    for (key, bytes) in [(cut.path(), "sha256:12"), ("repositories/app/_manifests/strange".to_owned(), "?")] {
        one.objects.put(&key, vec![bytes.into()], PutWhen::Any).await.unwrap();
    }
    let expected = [FindingKind::BlobDamaged, FindingKind::HintMissing, FindingKind::TagGarbled, FindingKind::Stray];
    let (_, found) = one.check(false).await;
    for kind in expected {
        assert_eq!(found.iter().filter(|finding| finding.kind == kind).count(), 1, "{kind:?} in {found:#?}");
    }
    let (summary, found) = one.check(true).await;
    assert_eq!(summary.repaired, 4, "{found:#?}");
    let quarantine = summary.quarantine.unwrap();
    let moved = one.objects.list(&format!("{quarantine}/"), None, 10).await.unwrap();
    assert_eq!(moved.objects.len(), 3, "{moved:?}");
    let (summary, found) = one.check(false).await;
    assert_eq!(summary.worst(), None, "{found:#?}");
    assert_eq!(one.store.get(&cut).await.unwrap(), None);
    assert!(one.store.get(&key).await.unwrap().is_some());
}

#[tokio::test]
async fn a_repair_leaves_what_was_pushed_again_meanwhile() {
    let one = Checked::new().await;
    let key = FactKey::Tag(name(), "v9".parse().unwrap());
    one.objects.put(&key.path(), vec!["garbled".into()], PutWhen::Any).await.unwrap();
    let survey = crate::storage::ObjectSurvey::new(one.store.clone(), tokio::runtime::Handle::current());
    let (store, again) = (one.store.clone(), key.clone());
    let moved = tokio::task::spawn_blocking(move || {
        use crate::storage::{Durability, Put, RunId, StoreSurvey as _};
        let runtime = tokio::runtime::Handle::current();
        survey.quarantine(RunId::fresh(), &again.path(), |_| {
            runtime.block_on(store.put(vec![Put::any(again.clone(), "pushed")], Durability::Durable))?;
            Ok(true)
        })
    });
    assert_eq!(moved.await.unwrap().unwrap(), None);
    assert_eq!(one.store.get(&key).await.unwrap().unwrap().bytes, "pushed");
    assert!(one.objects.list("quarantine/", None, 1).await.unwrap().objects.is_empty());
}
