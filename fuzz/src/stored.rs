//! What the store holds may be damaged, or written by another client: an answer or an error that
//! says so, never a panic, and never content under a digest that is not its own.

use super::{first_line, wait};
use bytes::Bytes;
use std::sync::Arc;
use wharfinger::{
    oci::{Algorithm, Digest, Hasher, ManifestType, Reference, RepositoryName, SavedHash, Span, Tag, UploadId},
    registry::{Chunk, Condition, Error, MissingReferences, Registry, Settings},
    storage::{self, Content as _, Durability, Facts as _, Key, Mem, Put},
    who::Subject,
};

/// A line that says where the rest of the input stands: `tag`, `revision`, `referrer`,
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

async fn holding(key: Key, bytes: Bytes) -> Registry {
    let store = Arc::new(Mem::default());
    store.put(vec![Put::any(key, bytes)], Durability::Process).await.unwrap();
    registry(store)
}

fn registry(store: Arc<Mem>) -> Registry {
    let settings = Settings { missing_references: MissingReferences::Accept, ..Settings::default() };
    Registry::new(store, Arc::new(settings))
}

fn is_damage(error: &Error) -> bool {
    matches!(error, Error::Storage(storage::Error::Damaged { .. }))
}

async fn tag(bytes: Bytes) {
    let tag: Tag = "v1".parse().unwrap();
    let registry = holding(Key::Tag(name(), tag.clone()), bytes.clone()).await;
    let reference = Reference::Tag(tag);
    match registry.manifest(&name(), &reference).await {
        // There is no such manifest; but the tag was read, so it is a digest and nothing else.
        Err(Error::ManifestUnknown(_)) => {
            let text = std::str::from_utf8(&bytes).unwrap();
            assert!(text.strip_suffix('\n').unwrap().parse::<Digest>().is_ok());
            registry.delete_manifest(&name(), &reference).await.unwrap();
            assert!(registry.tags(&name(), None, None).await.is_err(), "nothing is left");
        }
        Err(error) => assert!(is_damage(&error), "{error}"),
        Ok(_) => panic!("there is none"),
    }
}

async fn revision(bytes: Bytes) {
    let digest = sha256(b"{}");
    let registry = holding(Key::Revision(name(), digest.clone()), bytes.clone()).await;
    let reference = Reference::Digest(digest.clone());
    match registry.manifest(&name(), &reference).await {
        Ok(stored) => {
            // What nobody asks for is passed over, whatever it is made of.
            let json: serde_json::Value = serde_json::from_str(&String::from_utf8_lossy(&bytes)).unwrap();
            assert_eq!(json["mediaType"].as_str().and_then(ManifestType::of), Some(stored.media_type));
            assert_eq!(json["size"].as_u64(), Some(stored.len));
            assert!(matches!(registry.manifest_bytes(&digest).await, Err(Error::ManifestUnknown(_))));
            registry.delete_manifest(&name(), &reference).await.unwrap();
            assert!(matches!(registry.manifest(&name(), &reference).await, Err(Error::ManifestUnknown(_))));
        }
        Err(error) => {
            assert!(is_damage(&error), "{error}");
            if let Err(error) = registry.delete_manifest(&name(), &reference).await {
                assert!(is_damage(&error), "{error}");
            }
        }
    }
}

async fn referrer(bytes: Bytes) {
    let (subject, referrer) = (sha256(b"subject"), sha256(b"referrer"));
    let store = Arc::new(Mem::default());
    // Only what is there is listed.
    let revision = Put::any(Key::Revision(name(), referrer.clone()), Bytes::new());
    let entry = Put::any(Key::Referrer { repository: name(), subject: subject.clone(), referrer }, bytes);
    store.put(vec![revision, entry], Durability::Process).await.unwrap();
    let registry = registry(store);
    match registry.referrers(&name(), &subject, &[], None).await {
        Ok(page) => {
            assert!(page.next.is_none() && page.descriptors.len() == 1);
            let one: serde_json::Value = serde_json::from_str(page.descriptors[0].get()).unwrap();
            assert!(one["digest"].is_string() && one["mediaType"].is_string() && one["size"].is_u64());
        }
        Err(error) => assert!(is_damage(&error), "{error}"),
    }
}

/// What a client without the referrers API keeps under the fallback tag is up to that client.
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
    registry.put_manifest(&name(), &by_digest, &[], None, referrer, Condition::None).await.unwrap();
    let tag = Reference::Tag(subject.fallback_tag());
    let put = registry.put_manifest(&name(), &tag, &[], None, bytes, Condition::None).await;
    assert!(!matches!(put, Err(Error::Storage(_))), "{put:?}");
    // Neither twice nor displaced, and nothing beside it that does not refer to the subject.
    let page = registry.referrers(&name(), &subject, &[], None).await.unwrap();
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
    let nobody = Subject::Anonymous;
    let incoming = || futures_util::stream::iter([Ok(Bytes::from_static(b"some bytes"))]);
    let digest = sha256(b"some bytessome bytes");
    let appended = registry.append_upload(&name(), &nobody, &id, Chunk::default(), incoming()).await;
    match appended {
        Ok(upload) => {
            assert_eq!((upload.id, upload.len), (id, 10));
            assert_eq!(registry.upload(&name(), &nobody, &id).await.unwrap().len, 10);
            registry.finish_upload(&name(), &nobody, &id, &digest, Chunk::default(), incoming()).await.unwrap();
            let blob = registry.blob(&name(), &digest).await.unwrap();
            let content = blob.read(Span::whole(blob.len())).await.unwrap();
            assert_eq!(sha256(&content), digest);
            assert_eq!(registry.open_uploads(), 0);
        }
        Err(Error::UploadUnknown(_)) => {
            assert!(registry.upload(&name(), &nobody, &id).await.is_err());
            let finished = registry.finish_upload(&name(), &nobody, &id, &digest, Chunk::default(), incoming()).await;
            assert!(matches!(finished, Err(Error::UploadUnknown(_))));
        }
        Err(other) => panic!("{other}"),
    }
}

/// A hash set aside: taken up as it was, or not at all.
fn hash(bytes: &[u8]) {
    let Ok(saved) = serde_json::from_slice::<SavedHash>(bytes) else { return };
    let Some(mut hasher) = Hasher::resume(&saved) else { return };
    let again = Hasher::resume(&hasher.save()).expect("what was saved is taken up");
    hasher.update(&[0; 200]);
    let (algorithm, digest) = (hasher.algorithm(), hasher.finish());
    assert_eq!(digest.algorithm(), algorithm);
    let mut again = again;
    again.update(&[0; 200]);
    assert_eq!(again.finish(), digest);
}
