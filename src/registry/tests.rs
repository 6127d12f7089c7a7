//! The registry over storage that fails: whatever call goes wrong, nothing half done shows, and
//! doing it again succeeds.

mod clock;
mod collect;
mod faults;
mod repeated;
mod resume;
mod sim;

use super::{Chunk, Condition, Error, Registry, Result, Settings};
use crate::{
    files::{Files, Real},
    oci::{Algorithm, Digest, Hasher, Reference, RepositoryName},
    storage::{
        self, Durability, Key, Mem, Put, Storage,
        faulty::{Fault, Faulty, FaultySys, Plan},
        fs::{Fs, Init},
    },
    who::Subject,
};
use bytes::Bytes;
use std::sync::Arc;

fn name() -> RepositoryName {
    "org/app".parse().unwrap()
}

fn sha256(bytes: &[u8]) -> Digest {
    Hasher::digest(Algorithm::Sha256, bytes)
}

fn once(bytes: &'static [u8]) -> impl super::Incoming {
    futures_util::stream::iter([Ok(Bytes::from_static(bytes))])
}

fn registry(store: Arc<dyn Storage>) -> Registry {
    Registry::new(store, Arc::new(Settings::default()))
}

fn manifest(annotation: &str, subject: Option<&Digest>) -> Bytes {
    let descriptor = |media_type: &str, content: &[u8]| serde_json::json!({"mediaType": media_type, "digest": sha256(content), "size": content.len()});
    let mut manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": crate::oci::media_type::OCI_MANIFEST,
        "config": descriptor("application/vnd.oci.image.config.v1+json", b"{}"),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", b"layer")],
        "annotations": {"is": annotation},
    });
    if let Some(subject) = subject {
        manifest["subject"] = serde_json::json!({"mediaType": "a/b", "digest": subject, "size": 1});
    }
    manifest.to_string().into()
}

/// A session that uses every kind of write: blobs in one go and in chunks, a mount, manifests by
/// tag with a subject, a tag moved, a tag, a manifest and a blob deleted.
async fn session(registry: &Registry) -> Result<()> {
    let (name, nobody, tag) = (name(), Subject::Anonymous, Reference::Tag("v1".parse().unwrap()));
    registry.push_blob(&name, &nobody, &sha256(b"{}"), Chunk::default(), once(b"{}")).await?;
    let upload = registry.begin_upload(&name, &nobody, Algorithm::Sha256).await?;
    registry.append_upload(&name, &nobody, &upload.id, Chunk::default(), once(b"lay")).await?;
    registry.finish_upload(&name, &nobody, &upload.id, &sha256(b"layer"), Chunk::default(), once(b"er")).await?;
    let first = manifest("first", None);
    let put = |bytes: Bytes| registry.put_manifest(&name, &tag, &[], None, bytes, Condition::None);
    put(first.clone()).await?;
    let second = manifest("second", Some(&sha256(&first)));
    put(second.clone()).await?;
    let other: RepositoryName = "org/other".parse().unwrap();
    registry.mount(&other, &sha256(b"layer"), Some(&name), |_| true).await?;
    registry.delete_blob(&other, &sha256(b"layer")).await?;
    registry.delete_manifest(&name, &Reference::Digest(sha256(&first))).await?;
    Ok(())
}

/// What must hold at every moment: whatever has a name can be read, whole.
async fn is_sound(registry: &Registry) {
    let name = name();
    let tags = match registry.tags(&name, None, None).await {
        Ok(page) => page.entries,
        Err(Error::NameUnknown(_)) => Vec::new(),
        Err(error) => panic!("{error}"),
    };
    for tag in tags {
        let stored = registry.manifest(&name, &tag.parse().unwrap()).await.expect("a tag points to a manifest");
        let bytes = registry.manifest_bytes(&stored.digest).await.expect("a manifest has its bytes");
        assert_eq!(stored.len, bytes.len() as u64);
    }
    for (digest, content) in [(sha256(b"{}"), b"{}".as_ref()), (sha256(b"layer"), b"layer")] {
        match registry.blob(&name, &digest).await {
            Ok(blob) => {
                let bytes = blob.read(crate::oci::Span::whole(blob.len())).await.unwrap();
                assert_eq!(bytes, content, "a blob is whole");
            }
            Err(Error::BlobUnknown(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

/// After the session everything is as it should be.
async fn is_complete(registry: &Registry) {
    is_sound(registry).await;
    let (name, first) = (name(), manifest("first", None));
    let tagged = registry.manifest(&name, &"v1".parse().unwrap()).await.unwrap();
    assert_eq!(tagged.digest, sha256(&manifest("second", Some(&sha256(&first)))));
    let gone = registry.manifest(&name, &Reference::Digest(sha256(&first))).await;
    assert!(matches!(gone, Err(Error::ManifestUnknown(_))));
    let referrers = registry.referrers(&name, &sha256(&first), &[], None).await.unwrap();
    assert_eq!(referrers.descriptors.len(), 1);
    assert_eq!(registry.catalog(None, None, &super::Everything).await.unwrap().entries, ["org/app"]);
}

/// A directory in memory where there is one: these tests sync thousands of times.
fn directory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// More calls than the session makes.
const MOST: usize = 500;

#[tokio::test]
async fn a_storage_call_that_fails_or_never_answers_leaves_nothing_half_done() {
    for fault in [Fault::Before, Fault::After, Fault::Dropped] {
        for on_disk in [false, true] {
            let mut at = 0;
            loop {
                let dir = directory();
                let store: Arc<dyn Storage> = match on_disk {
                    false => Arc::new(Mem::default()),
                    true => Arc::new(Fs::open(dir.path(), Init::EmptyDirectory).unwrap().0),
                };
                let faulty = Faulty::new(store.clone(), at, fault);
                let broken = registry(faulty.clone());
                let outcome = tokio::select! {
                    outcome = session(&broken) => Some(outcome),
                    () = faulty.reached.notified() => None,
                };
                if !faulty.was_reached() {
                    assert!(matches!(outcome, Some(Ok(()))), "{outcome:?}");
                    break;
                }
                let healthy = registry(store);
                is_sound(&healthy).await;
                // What was running to its end meanwhile is of no harm to doing it again.
                session(&healthy).await.unwrap_or_else(|e| panic!("{fault:?} at call {at}: {e}"));
                is_complete(&healthy).await;
                at += 1;
                assert!(at < MOST);
            }
            assert!(at > 20, "the session makes calls: {at}");
        }
    }
}

#[tokio::test]
async fn a_system_call_that_fails_leaves_nothing_half_done() {
    for kind in [std::io::ErrorKind::Other, std::io::ErrorKind::StorageFull] {
        let (mut at, mut refused) = (0, 0);
        loop {
            let dir = directory();
            drop(Fs::open(dir.path(), Init::EmptyDirectory).unwrap());
            let plan = Plan::new(at, kind);
            let sys = FaultySys::new(Real::open_root(dir.path()).unwrap(), plan.clone());
            let mut running = registry(Arc::new(Fs::new(Files::new(sys))));
            let outcome = session(&running).await;
            // A full disk is another matter: what is deleted finds another way.
            if kind == std::io::ErrorKind::Other && plan.failed().is_some_and(|call| call.starts_with("sync")) {
                outcome.as_ref().expect_err("what is not durable is not answered");
            }
            if !plan.was_reached() {
                assert!(outcome.is_ok(), "{outcome:?}");
                break;
            }
            plan.heal();
            is_sound(&running).await;
            if running.store_health().trouble.is_some() {
                refused += 1;
                let refused = session(&running).await.unwrap_err();
                assert!(matches!(refused, Error::Storage(storage::Error::ReadOnly { .. })), "{refused}");
                is_sound(&running).await;
                running = registry(Arc::new(Fs::open(dir.path(), Init::Never).unwrap().0));
            }
            session(&running).await.unwrap_or_else(|e| panic!("{kind} at call {at}: {e}"));
            is_complete(&running).await;
            at += 1;
            assert!(at < 4 * MOST);
        }
        assert!(at > 100, "the session makes calls: {at}");
        assert_eq!(refused > 5, kind == std::io::ErrorKind::Other, "{refused} syncs of directories failed");
    }
}

#[tokio::test]
async fn a_damaged_fact_is_an_error_and_not_an_absence() {
    let store: Arc<dyn Storage> = Arc::new(Mem::default());
    let registry = registry(store.clone());
    let (name, digest) = (name(), sha256(b"x"));
    let puts = vec![
        Put::any(Key::Tag(name.clone(), "cut".parse().unwrap()), "sha256:12"),
        Put::any(Key::Tag(name.clone(), "open".parse().unwrap()), digest.to_string()),
        Put::any(Key::Revision(name.clone(), digest.clone()), "{\"mediaType\":"),
    ];
    store.put(puts, Durability::Process).await.unwrap();
    for reference in ["cut", "open", digest.as_str()] {
        let error = registry.manifest(&name, &reference.parse().unwrap()).await.unwrap_err();
        assert!(matches!(error, Error::Storage(crate::storage::Error::Damaged { .. })), "{reference}: {error}");
    }
}

#[tokio::test]
async fn deleting_a_manifest_costs_no_more_where_there_are_many_tags() {
    let mut costs = Vec::new();
    for others in [0, 500] {
        let counted = Faulty::new(Arc::new(Mem::default()), usize::MAX, Fault::Before);
        let registry = registry(counted.clone());
        session(&registry).await.unwrap();
        let bytes = manifest("second", Some(&sha256(&manifest("first", None))));
        let elsewhere = manifest("elsewhere", None);
        for i in 0..others {
            let tag = Reference::Tag(format!("tag{i}").parse().unwrap());
            registry.put_manifest(&name(), &tag, &[], None, elsewhere.clone(), Condition::None).await.unwrap();
        }
        let before = counted.calls();
        registry.delete_manifest(&name(), &Reference::Digest(sha256(&bytes))).await.unwrap();
        costs.push(counted.calls() - before);
    }
    assert_eq!(costs[0], costs[1], "calls do not grow with the tags of other manifests");
}

#[tokio::test]
async fn a_mount_without_a_source_looks_at_no_more_than_a_few_places() {
    let counted = Faulty::new(Arc::new(Mem::default()), usize::MAX, Fault::Before);
    let registry = registry(counted.clone());
    let nobody = Subject::Anonymous;
    for i in 0..200 {
        let name: RepositoryName = format!("repository{i}").parse().unwrap();
        registry.push_blob(&name, &nobody, &sha256(b"layer"), Chunk::default(), once(b"layer")).await.unwrap();
    }
    let before = counted.calls();
    assert!(!registry.mount(&name(), &sha256(b"nowhere"), None, |_| true).await.unwrap());
    assert_eq!(counted.calls(), before, "a miss asks nothing of the store");
    assert!(!registry.mount(&name(), &sha256(b"layer"), None, |_| false).await.unwrap());
    assert_eq!(counted.calls(), before, "nor where nothing may be pulled");
    assert!(registry.mount(&name(), &sha256(b"layer"), None, |_| true).await.unwrap());
    assert!(counted.calls() - before <= 8);
}

#[tokio::test]
async fn what_is_absent_is_noted_once_however_often_it_is_referred_to() {
    let store: Arc<dyn Storage> = Arc::new(Mem::default());
    let registry = registry(store.clone());
    let child = |digest: &Digest| serde_json::json!({"mediaType": "a/b", "digest": digest, "size": 1});
    let (one, two) = (sha256(b"one"), sha256(b"two"));
    let index = serde_json::json!({"schemaVersion": 2, "manifests": [child(&one), child(&two), child(&one)]});
    let index = Bytes::from(index.to_string());
    let tag = "v1".parse().unwrap();
    let pushed = registry.put_manifest(&name(), &tag, &[], None, index, Condition::None).await.unwrap();
    let fact = store.get(&Key::Revision(name(), pushed.digest)).await.unwrap().unwrap();
    let noted: serde_json::Value = serde_json::from_slice(&fact.bytes).unwrap();
    assert_eq!(noted["absent"], serde_json::json!([one, two]));
}
