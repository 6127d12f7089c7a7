//! The registry over failing storage: whatever call fails, nothing incomplete is visible, and a retry succeeds.

mod clock;
mod faults;
mod immutable;
mod objects;
mod referrers;
mod repeated;
mod sim;

use super::{Chunk, Condition, Everything, Registry, RegistryError, Result, Settings, Shows, Visible};
use crate::{
    files::{AtomicFiles, Real},
    storage::{
        self, Durability, FactKey, Mem, Put, Storage,
        faulty::{Fault, FaultPlan, Faulty, FaultySys},
        fs::{Fs, Init},
    },
};
use bytes::Bytes;
use oci::{Algorithm, Digest, Hasher, Reference, RepositoryName, UploadId};
use std::sync::Arc;

/// None of it.
struct Nothing;

impl Visible for Nothing {
    fn shows(&self, _: &RepositoryName) -> Shows {
        Shows::No
    }
    fn reaches(&self, _: &RepositoryName) -> bool {
        false
    }
}

pub(crate) fn name() -> RepositoryName {
    "org/app".parse().unwrap()
}

pub(crate) fn sha256(bytes: &[u8]) -> Digest {
    Hasher::digest(Algorithm::Sha256, bytes)
}

pub(crate) fn once(bytes: &'static [u8]) -> impl super::IncomingBytes {
    futures_util::stream::iter([Ok(Bytes::from_static(bytes))])
}

fn registry(store: Arc<dyn Storage>) -> Registry {
    Registry::new(store, Arc::new(Settings::default()))
}

pub(crate) fn manifest(annotation: &str, subject: Option<&Digest>) -> Bytes {
    let descriptor = |media_type: &str, content: &[u8]| serde_json::json!({"mediaType": media_type, "digest": sha256(content), "size": content.len()});
    let mut manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": oci::media_type::OCI_MANIFEST,
        "config": descriptor("application/vnd.oci.image.config.v1+json", b"{}"),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", b"layer")],
        "annotations": {"is": annotation},
    });
    if let Some(subject) = subject {
        manifest["subject"] = serde_json::json!({"mediaType": "a/b", "digest": subject, "size": 1});
    }
    manifest.to_string().into()
}

/// A session that uses every kind of write: blobs in one request and in chunks, a mount, manifests by tag with a
/// subject, a moved tag, and deletions of a tag, a manifest and a blob.
async fn session(registry: &Registry) -> Result<()> {
    let (name, tag) = (name(), Reference::Tag("v1".parse().unwrap()));
    let (repository, other) = (registry.repository(&name), registry.repository(&"org/other".parse().unwrap()));
    repository.push_blob(&sha256(b"{}"), Chunk::default(), once(b"{}")).await?;
    let upload = repository.begin_upload(Algorithm::Sha256).await?;
    repository.append_upload(&upload.id, Chunk::default(), once(b"lay")).await?;
    repository.finish_upload(&upload.id, &sha256(b"layer"), Chunk::default(), once(b"er")).await?;
    let first = manifest("first", None);
    let put = |bytes: Bytes| repository.put_manifest(&tag, &[], None, bytes, Condition::None);
    put(first.clone()).await?;
    let second = manifest("second", Some(&sha256(&first)));
    put(second.clone()).await?;
    other.mount(&sha256(b"layer"), Some(&name), &Everything).await?;
    other.delete_blob(&sha256(b"layer")).await?;
    repository.delete_manifest(&Reference::Digest(sha256(&first))).await?;
    Ok(())
}

/// Finishes a session as a caller who may read the resulting blob.
async fn finish(
    registry: &Registry,
    repository: &RepositoryName,
    id: &UploadId,
    digest: &Digest,
    chunk: Chunk,
    bytes: impl super::IncomingBytes,
) -> Result<()> {
    match registry.repository(repository).finish_upload(id, digest, chunk, bytes).await {
        Err(RegistryError::UploadUnknown(_)) if registry.repository(repository).was_finished(id, digest).await? => {
            Ok(())
        }
        finished => finished,
    }
}

/// What must hold at every moment: whatever has a name can be read completely.
pub(crate) async fn is_sound(registry: &Registry) {
    let name = name();
    let tags = match registry.repository(&name).tags(None, None).await {
        Ok(page) => page.entries,
        Err(RegistryError::NameUnknown(_)) => Vec::new(),
        Err(error) => panic!("{error}"),
    };
    for tag in tags {
        let stored =
            registry.repository(&name).manifest(&Reference::Tag(tag)).await.expect("a tag points to a manifest");
        let bytes = registry.manifest_bytes(&stored.digest).await.expect("a manifest has its bytes");
        assert_eq!(registry.manifest_len(&stored).await.unwrap(), bytes.len() as u64);
    }
    for (digest, content) in [(sha256(b"{}"), b"{}".as_ref()), (sha256(b"layer"), b"layer")] {
        match registry.repository(&name).blob(&digest).await {
            Ok(blob) => {
                let bytes = blob.read(oci::Span::whole(blob.len())).await.unwrap();
                assert_eq!(bytes, content, "a blob is whole");
            }
            Err(RegistryError::BlobUnknown(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

/// After the session everything is as it should be.
async fn is_complete(registry: &Registry) {
    is_sound(registry).await;
    let (name, first) = (name(), manifest("first", None));
    let tagged = registry.repository(&name).manifest(&"v1".parse().unwrap()).await.unwrap();
    assert_eq!(tagged.digest, sha256(&manifest("second", Some(&sha256(&first)))));
    let gone = registry.repository(&name).manifest(&Reference::Digest(sha256(&first))).await;
    assert!(matches!(gone, Err(RegistryError::ManifestUnknown(_))));
    let referrers = registry.repository(&name).referrers(&sha256(&first), &[], None).await.unwrap();
    assert_eq!(referrers.descriptors.len(), 1);
    assert_eq!(registry.catalog(None, None, &super::Everything).await.unwrap().entries, [self::name()]);
}

/// A directory in memory where there is one: these tests sync thousands of times.
pub(crate) fn directory() -> tempfile::TempDir {
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
                // Work that was completing in the background does not disturb the retry.
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
            let plan = FaultPlan::new(at, kind);
            let sys = FaultySys::new(Real::open_root(dir.path()).unwrap(), plan.clone());
            let mut running = registry(Arc::new(Fs::new(AtomicFiles::new(sys))));
            let outcome = session(&running).await;
            // A full disk is different: deletions find another way.
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
                assert!(matches!(refused, RegistryError::Storage(storage::StorageError::ReadOnly { .. })), "{refused}");
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
async fn a_damaged_fact_is_an_error_and_not_missing() {
    let store: Arc<dyn Storage> = Arc::new(Mem::default());
    let registry = registry(store.clone());
    let (name, digest) = (name(), sha256(b"x"));
    let puts = vec![
        Put::any(FactKey::Tag(name.clone(), "cut".parse().unwrap()), "sha256:12"),
        Put::any(FactKey::Tag(name.clone(), "open".parse().unwrap()), digest.to_string()),
        Put::any(FactKey::Revision(name.clone(), digest.clone()), "{\"mediaType\":"),
    ];
    store.put(puts, Durability::Process).await.unwrap();
    for reference in ["cut", "open", digest.as_str()] {
        let error = registry.repository(&name).manifest(&reference.parse().unwrap()).await.unwrap_err();
        assert!(
            matches!(error, RegistryError::Storage(crate::storage::StorageError::Damaged { .. })),
            "{reference}: {error}"
        );
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
            registry
                .repository(&name())
                .put_manifest(&tag, &[], None, elsewhere.clone(), Condition::None)
                .await
                .unwrap();
        }
        let before = counted.calls();
        registry.repository(&name()).delete_manifest(&Reference::Digest(sha256(&bytes))).await.unwrap();
        costs.push(counted.calls() - before);
    }
    assert_eq!(costs[0], costs[1], "calls do not grow with the tags of other manifests");
}

#[tokio::test]
async fn a_mount_without_a_source_searches_only_a_few_repositories() {
    let counted = Faulty::new(Arc::new(Mem::default()), usize::MAX, Fault::Before);
    let registry = registry(counted.clone());
    for i in 0..200 {
        let name: RepositoryName = format!("repository{i}").parse().unwrap();
        registry.repository(&name).push_blob(&sha256(b"layer"), Chunk::default(), once(b"layer")).await.unwrap();
    }
    let before = counted.calls();
    assert!(!registry.repository(&name()).mount(&sha256(b"nowhere"), None, &Everything).await.unwrap());
    assert_eq!(counted.calls(), before, "a miss asks nothing of the store");
    assert!(!registry.repository(&name()).mount(&sha256(b"layer"), None, &Nothing).await.unwrap());
    assert_eq!(counted.calls(), before, "nor where nothing may be pulled");
    assert!(registry.repository(&name()).mount(&sha256(b"layer"), None, &Everything).await.unwrap());
    assert!(counted.calls() - before <= 8);
}

#[tokio::test]
async fn a_missing_reference_is_recorded_once() {
    let store: Arc<dyn Storage> = Arc::new(Mem::default());
    let registry = registry(store.clone());
    let child = |digest: &Digest| serde_json::json!({"mediaType": "a/b", "digest": digest, "size": 1});
    let (one, two) = (sha256(b"one"), sha256(b"two"));
    let index = serde_json::json!({"schemaVersion": 2, "manifests": [child(&one), child(&two), child(&one)]});
    let index = Bytes::from(index.to_string());
    let tag = "v1".parse().unwrap();
    let pushed = registry.repository(&name()).put_manifest(&tag, &[], None, index, Condition::None).await.unwrap();
    let fact = store.get(&FactKey::Revision(name(), pushed.digest)).await.unwrap().unwrap();
    let noted: serde_json::Value = serde_json::from_slice(&fact.bytes).unwrap();
    assert_eq!(noted["absent"], serde_json::json!([one, two]));
}
