//! Stored values that are damaged or were written by another program: the result is a response or an error, never a
//! panic, and never content under a wrong digest.

use super::{first_line, wait};
use bytes::Bytes;
use oci::{Algorithm, Digest, Hasher, ManifestType, Reference, RepositoryName, SavedHash, Span, Tag, UploadId};
use std::sync::Arc;
use wharfinger::{
    registry::{Chunk, Condition, MissingReferences, Registry, RegistryError, Settings},
    storage::{self, Content as _, Durability, FactKey, Facts as _, Mem, Put},
};

/// A line that says where the rest of the input is stored: `tag`, `revision`, `referrer`,
/// `fallback`, `session` or `hash`.
pub fn stored(data: &[u8]) {
    let Some((kind, bytes)) = first_line(data) else { return };
    let bytes = Bytes::copy_from_slice(bytes);
    match kind {
        "tag" => wait(tag(bytes)),
        "revision" => wait(revision(bytes)),
        "referrer" => wait(referrer(bytes)),
        "fallback" => wait(fallback(bytes)),
        "session" => wait(session(bytes)),
        "hash" => hash(&bytes),
        _ => {}
    }
}

fn name() -> RepositoryName {
    "a".parse().unwrap()
}

fn sha256(bytes: &[u8]) -> Digest {
    Hasher::digest(Algorithm::Sha256, bytes)
}

async fn holding(key: FactKey, bytes: Bytes) -> Registry {
    let store = Arc::new(Mem::default());
    store.put(vec![Put::any(key, bytes)], Durability::Process).await.unwrap();
    registry(store)
}

fn registry(store: Arc<Mem>) -> Registry {
    let settings = Settings { missing_references: MissingReferences::Accept, ..Settings::default() };
    Registry::new(store, Arc::new(settings))
}

fn is_damage(error: &RegistryError) -> bool {
    matches!(error, RegistryError::Storage(storage::StorageError::Damaged { .. }))
}

async fn tag(bytes: Bytes) {
    let tag: Tag = "v1".parse().unwrap();
    let registry = holding(FactKey::Tag(name(), tag.clone()), bytes.clone()).await;
    let reference = Reference::Tag(tag);
    match registry.repository(&name()).manifest(&reference).await {
        // The manifest does not exist, but the tag could be read, so its content is exactly a digest.
        Err(RegistryError::ManifestUnknown(_)) => {
            let text = std::str::from_utf8(&bytes).unwrap();
            assert!(text.strip_suffix('\n').unwrap().parse::<Digest>().is_ok());
            registry.repository(&name()).delete_manifest(&reference).await.unwrap();
            assert!(registry.repository(&name()).tags(None, None).await.is_err(), "the repository has no tags");
        }
        Err(error) => assert!(is_damage(&error), "{error}"),
        Ok(_) => panic!("there is no manifest"),
    }
}

async fn revision(bytes: Bytes) {
    let digest = sha256(b"{}");
    let registry = holding(FactKey::Revision(name(), digest.clone()), bytes.clone()).await;
    let reference = Reference::Digest(digest.clone());
    match registry.repository(&name()).manifest(&reference).await {
        Ok(stored) => {
            // Unknown parts are ignored, whatever they contain.
            let json: serde_json::Value = serde_json::from_str(&String::from_utf8_lossy(&bytes)).unwrap();
            assert_eq!(json["mediaType"].as_str().and_then(ManifestType::of), Some(stored.media_type));
            assert_eq!(json["size"].as_u64(), Some(stored.noted_len));
            assert!(matches!(registry.manifest_bytes(&digest).await, Err(RegistryError::ManifestUnknown(_))));
            registry.repository(&name()).delete_manifest(&reference).await.unwrap();
            assert!(matches!(
                registry.repository(&name()).manifest(&reference).await,
                Err(RegistryError::ManifestUnknown(_))
            ));
        }
        Err(error) => {
            assert!(is_damage(&error), "{error}");
            if let Err(error) = registry.repository(&name()).delete_manifest(&reference).await {
                assert!(is_damage(&error), "{error}");
            }
        }
    }
}

async fn referrer(bytes: Bytes) {
    let (subject, referrer) = (sha256(b"subject"), sha256(b"referrer"));
    let store = Arc::new(Mem::default());
    // Only existing referrers are listed.
    let revision = Put::any(FactKey::Revision(name(), referrer.clone()), Bytes::new());
    let entry = Put::any(FactKey::Referrer { repository: name(), subject: subject.clone(), referrer }, bytes);
    store.put(vec![revision, entry], Durability::Process).await.unwrap();
    let registry = registry(store);
    match registry.repository(&name()).referrers(&subject, &[], None).await {
        Ok(page) => {
            assert!(page.next.is_none() && page.descriptors.len() == 1);
            let one: serde_json::Value = serde_json::from_str(page.descriptors[0].get()).unwrap();
            assert!(one["digest"].is_string() && one["mediaType"].is_string() && one["size"].is_u64());
        }
        Err(error) => assert!(is_damage(&error), "{error}"),
    }
}

/// The fallback tag may hold anything that a client writes.
async fn fallback(bytes: Bytes) {
    let registry = registry(Arc::default());
    let subject = sha256(b"subject");
    let referrer = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": ManifestType::OciImage.as_str(),
        "config": {"mediaType": "a/b", "digest": sha256(b"{}"), "size": 2},
        "layers": [],
        "subject": {"mediaType": "a/b", "digest": &subject, "size": 7},
    });
    let referrer = Bytes::from(referrer.to_string());
    let own = sha256(&referrer);
    let by_digest = Reference::Digest(own.clone());
    registry.repository(&name()).put_manifest(&by_digest, &[], None, referrer, Condition::None).await.unwrap();
    let tag = Reference::Tag(subject.fallback_tag());
    let put = registry.repository(&name()).put_manifest(&tag, &[], None, bytes, Condition::None).await;
    assert!(!matches!(put, Err(RegistryError::Storage(_))), "{put:?}");
    // It is listed once, in its place, and nothing that does not refer to the subject is listed.
    let page = registry.repository(&name()).referrers(&subject, &[], None).await.unwrap();
    let listed = |i: usize| serde_json::from_str::<serde_json::Value>(page.descriptors[i].get()).unwrap();
    let own = page.descriptors.iter().enumerate().filter(|(i, _)| listed(*i)["digest"] == own.as_str());
    assert_eq!(own.count(), 1);
    let bytes = put.is_ok_and(|pushed| pushed.subject.as_ref() == Some(&subject));
    assert_eq!(page.descriptors.len(), 1 + usize::from(bytes));
}

/// The note of an upload session.
async fn session(bytes: Bytes) {
    let store = Arc::new(Mem::default());
    let id = UploadId::random();
    store.begin(&id, bytes).await.unwrap();
    let registry = registry(store);
    let incoming = || futures_util::stream::iter([Ok(Bytes::from_static(b"some bytes"))]);
    let digest = sha256(b"some bytessome bytes");
    let appended = registry.repository(&name()).append_upload(&id, Chunk::default(), incoming()).await;
    match appended {
        Ok(upload) => {
            assert_eq!((upload.id, upload.len), (id, 10));
            assert_eq!(registry.repository(&name()).upload(&id).await.unwrap().len, 10);
            registry.repository(&name()).finish_upload(&id, &digest, Chunk::default(), incoming()).await.unwrap();
            let blob = registry.repository(&name()).blob(&digest).await.unwrap();
            let content = blob.read(Span::whole(blob.len())).await.unwrap();
            assert_eq!(sha256(&content), digest);
            assert_eq!(registry.open_uploads(), 0);
        }
        Err(RegistryError::UploadUnknown(_)) => {
            assert!(registry.repository(&name()).upload(&id).await.is_err());
            let finished = registry.repository(&name()).finish_upload(&id, &digest, Chunk::default(), incoming()).await;
            assert!(matches!(finished, Err(RegistryError::UploadUnknown(_))));
        }
        Err(other) => panic!("{other}"),
    }
}

/// A saved hash state: it is restored exactly, or not at all.
fn hash(bytes: &[u8]) {
    let Ok(saved) = serde_json::from_slice::<SavedHash>(bytes) else { return };
    let Some(mut hasher) = Hasher::resume(&saved) else { return };
    let again = Hasher::resume(&hasher.save()).expect("a saved state is restored");
    hasher.update(&[0; 200]);
    let (algorithm, digest) = (hasher.algorithm(), hasher.finish());
    assert_eq!(digest.algorithm(), algorithm);
    let mut again = again;
    again.update(&[0; 200]);
    assert_eq!(again.finish(), digest);
}
