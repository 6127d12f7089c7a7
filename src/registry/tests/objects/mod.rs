//! The registry on a store of objects: whatever call fails, and whichever replica serves a request, nothing that was
//! answered is lost.

mod cache;
mod fsck;
mod replicas;
mod requests;

use super::{MOST, finish, is_complete, is_sound, manifest, name, once, registry, session, sha256};
use crate::{
    registry::{Chunk, Condition, Registry, RegistryError},
    storage::{
        ObjectStorage, Storage,
        faulty::Fault,
        objects::{
            MemObjects, ObjectAbilities, Objects,
            faulty::{FaultyObjects, ObjectFaults},
        },
    },
};
use bytes::Bytes;
use oci::{Algorithm, Reference, Span};
use std::sync::Arc;

async fn over(objects: Arc<dyn Objects>) -> Registry {
    registry(store(objects).await)
}

async fn store(objects: Arc<dyn Objects>) -> Arc<dyn Storage> {
    Arc::new(ObjectStorage::open(objects, true).await.unwrap())
}

/// Servers that differ in what they can do.
fn servers() -> [ObjectAbilities; 3] {
    let all = ObjectAbilities::ALL;
    let single = ObjectAbilities { put_absent: false, put_match: false, delete_match: false, shared: false, ..all };
    [all, ObjectAbilities { delete_match: false, parts: false, ..all }, single]
}

#[tokio::test]
async fn a_call_to_the_object_store_that_fails_or_never_answers_leaves_nothing_half_done() {
    for abilities in servers() {
        for fault in [Fault::Before, Fault::After, Fault::Dropped] {
            let mut at = 0;
            loop {
                let objects: Arc<dyn Objects> = Arc::new(MemObjects::with(abilities));
                drop(store(objects.clone()).await);
                // Opening looks for ROOT.json.
                let faulty = FaultyObjects::new(objects.clone(), ObjectFaults::At(at + 1, fault));
                let broken = over(faulty.clone()).await;
                let outcome = tokio::select! {
                    outcome = session(&broken) => Some(outcome),
                    () = faulty.reached.notified() => None,
                };
                if faulty.count() <= at + 1 {
                    assert!(matches!(outcome, Some(Ok(()))), "{outcome:?}");
                    break;
                }
                let healthy = over(objects).await;
                is_sound(&healthy).await;
                session(&healthy).await.unwrap_or_else(|e| panic!("{fault:?} at call {at}: {e}"));
                is_complete(&healthy).await;
                at += 1;
                assert!(at < MOST);
            }
            assert!(at > 50, "the session makes calls: {at}");
        }
    }
}

/// Bytes that arrive in two batches.
fn two(first: &'static [u8], second: &'static [u8]) -> impl crate::registry::IncomingBytes {
    futures_util::stream::iter([Ok(Bytes::from_static(first)), Ok(Bytes::from_static(second))])
}

fn at(offset: u64) -> Chunk {
    Chunk { offset: Some(offset), ..Chunk::default() }
}

#[tokio::test]
async fn an_upload_goes_on_at_another_replica() {
    for abilities in servers().into_iter().filter(|abilities| abilities.shared) {
        let objects: Arc<dyn Objects> = Arc::new(MemObjects::with(abilities));
        let replicas = [over(objects.clone()).await, over(objects.clone()).await];
        let on = |i: usize| replicas[i % 2].repository(&name());
        let upload = on(0).begin_upload(Algorithm::Sha256).await.unwrap();
        let mut len = 0;
        for i in 1..6 {
            len = on(i).append_upload(&upload.id, at(len), two(b"abc", b"defgh")).await.unwrap().len;
            assert_eq!(on(i + 1).upload(&upload.id).await.unwrap().len, len, "the other replica knows its length");
        }
        // A request that is repeated at another replica cuts off what its predecessor brought.
        let digest = sha256(&b"abcdefgh".repeat(6));
        finish(&replicas[0], &name(), &upload.id, &digest, at(len), two(b"abcd", b"efgh")).await.unwrap();
        assert_eq!(len, 40);
        let blob = on(1).blob(&digest).await.unwrap();
        assert_eq!(blob.read(Span::whole(48)).await.unwrap(), b"abcdefgh".repeat(6));
        assert!(matches!(on(1).upload(&upload.id).await, Err(RegistryError::UploadUnknown(_))));
    }
}

#[tokio::test]
async fn a_large_upload_survives_its_replica_and_is_one_object() {
    let objects = Arc::new(MemObjects::default());
    let piece: Bytes = (0..=250u8).cycle().take(1 << 20).collect::<Vec<_>>().into();
    let body = |pieces: usize| futures_util::stream::iter(vec![Ok(piece.clone()); pieces]);
    let digest = sha256(&piece.repeat(40));
    let first = over(objects.clone()).await;
    let upload = first.repository(&name()).begin_upload(Algorithm::Sha256).await.unwrap();
    first.repository(&name()).append_upload(&upload.id, at(0), body(40)).await.unwrap();
    let second = over(objects.clone()).await;
    second.repository(&name()).finish_upload(&upload.id, &digest, at(40 << 20), once(b"")).await.unwrap();
    let data = objects.list("data/", None, 10).await.unwrap().objects;
    assert_eq!(data.iter().map(|object| object.len).collect::<Vec<_>>(), [40 << 20], "nothing was copied");
    let blob = first.repository(&name()).blob(&digest).await.unwrap();
    let (start, len) = ((16 << 20) - 5, 100);
    let span = Span { start, len };
    assert_eq!(blob.read(span).await.unwrap(), piece.repeat(17)[start as usize..][..len as usize]);
}

#[tokio::test]
async fn a_blob_that_is_longer_than_an_object_may_be_becomes_several() {
    let objects = Arc::new(MemObjects::default());
    let piece: Bytes = (0..=250u8).cycle().take(1 << 20).collect::<Vec<_>>().into();
    let body = futures_util::stream::iter(vec![Ok(piece.clone()); 81]);
    let digest = sha256(&piece.repeat(81));
    let first = over(objects.clone()).await;
    let upload = first.repository(&name()).begin_upload(Algorithm::Sha256).await.unwrap();
    first.repository(&name()).append_upload(&upload.id, at(0), body).await.unwrap();
    let second = store(objects.clone()).await;
    registry(second.clone())
        .repository(&name())
        .finish_upload(&upload.id, &digest, at(81 << 20), once(b""))
        .await
        .unwrap();
    let data = objects.list("data/", None, 10).await.unwrap().objects;
    assert!(data.len() > 1 && data.iter().map(|object| object.len).sum::<u64>() == 81 << 20, "{data:?}");
    let blob = first.repository(&name()).blob(&digest).await.unwrap();
    let span = Span { start: data[0].len.min(data[1].len) - 5, len: 100 };
    assert_eq!(blob.read(span).await.unwrap(), piece.repeat(81)[span.start as usize..span.end() as usize]);
    let examined = second.examine(&digest, crate::storage::RunId::fresh()).await.unwrap();
    assert_eq!(examined, crate::storage::Examined::Sound);
}

#[tokio::test]
async fn two_replicas_do_not_mix_the_bytes_of_an_upload() {
    let objects: Arc<dyn Objects> = Arc::new(MemObjects::default());
    let replicas = [over(objects.clone()).await, over(objects.clone()).await];
    let on = |i: usize| replicas[i].repository(&name());
    let upload = on(0).begin_upload(Algorithm::Sha256).await.unwrap();
    // The first request has not ended when its client repeats it elsewhere.
    let (go, gate) = tokio::sync::oneshot::channel::<()>();
    let late = futures_util::StreamExt::chain(
        futures_util::stream::iter([Ok(Bytes::from_static(b"old "))]),
        Box::pin(futures_util::stream::once(async move {
            gate.await.unwrap();
            Ok(Bytes::from_static(b"bytes"))
        })),
    );
    let (id, first) = (upload.id, on(0));
    let first = tokio::spawn(async move { first.append_upload(&id, at(0), late).await });
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    let len = on(1).append_upload(&upload.id, at(0), once(b"new bytes")).await.unwrap().len;
    go.send(()).unwrap();
    assert!(matches!(first.await.unwrap(), Err(RegistryError::OutOfOrder { .. })), "its turn is over");
    assert_eq!(on(0).upload(&upload.id).await.unwrap().len, len);
    on(0).finish_upload(&upload.id, &sha256(b"new bytes"), at(len), once(b"")).await.unwrap();
}

#[tokio::test]
async fn of_two_replicas_one_creates_a_tag_and_the_other_learns_that_it_exists() {
    let objects: Arc<dyn Objects> = Arc::new(MemObjects::default());
    let slow = FaultyObjects::by_chance(objects.clone(), ObjectFaults::Never, 7);
    let replicas = [over(slow.clone()).await, over(slow).await];
    for registry in &replicas {
        for content in [b"{}".as_ref(), b"layer"] {
            registry.repository(&name()).push_blob(&sha256(content), Chunk::default(), once(content)).await.unwrap();
        }
    }
    for round in 0..10 {
        let tag: Reference = format!("v{round}").parse().unwrap();
        let push = |i: usize| {
            let (repository, tag) = (replicas[i].repository(&name()), tag.clone());
            let bytes = manifest(&format!("{round} {i}"), None);
            async move { repository.put_manifest(&tag, &[], None, bytes, Condition::Absent).await }
        };
        let (one, other) = tokio::join!(push(0), push(1));
        let refused = |result: &Result<_, RegistryError>| matches!(result, Err(RegistryError::PreconditionFailed));
        assert!(one.is_ok() != other.is_ok() && (refused(&one) || refused(&other)), "{one:?} {other:?}");
    }
}
