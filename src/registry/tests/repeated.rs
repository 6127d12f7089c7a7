//! Requests that are repeated while earlier ones are still running: whatever the order of their steps, the bytes of a
//! blob match its digest.

use super::{directory, finish, name, registry, sha256};
use crate::{
    registry::{Chunk, IncomingBytes, Interruption, Registry, RegistryError},
    storage::{
        Mem, ObjectStorage, Storage,
        fs::{Fs, Init},
        objects::MemObjects,
    },
};
use bytes::Bytes;
use futures_util::{future::join, stream};
use oci::{Algorithm, Digest, Span};
use std::{future::Future, pin::pin, sync::Arc};
use tokio::sync::oneshot;

/// An open session, on each backend.
async fn each<F: Future<Output = ()>>(session: impl Fn(Registry) -> F) {
    let dir = directory();
    let objects = ObjectStorage::open(Arc::new(MemObjects::default()), true).await.unwrap();
    let stores: [Arc<dyn Storage>; 3] =
        [Arc::new(Mem::default()), Arc::new(Fs::open(dir.path(), Init::EmptyDirectory).unwrap().0), Arc::new(objects)];
    for store in stores {
        session(registry(store)).await;
    }
}

fn bytes(parts: &[&'static str]) -> impl IncomingBytes {
    stream::iter(parts.iter().map(|part| Ok(Bytes::from_static(part.as_bytes()))).collect::<Vec<_>>())
}

fn cut_off(part: &'static str) -> impl IncomingBytes {
    stream::iter([Ok(Bytes::from_static(part.as_bytes())), Err(Interruption::Cut)])
}

/// Bytes that arrive when they are released, and a signal that they are awaited.
fn held_back(part: &'static str) -> (oneshot::Sender<()>, oneshot::Receiver<()>, impl IncomingBytes) {
    let ((go, gate), (sign, waited_for)) = (oneshot::channel(), oneshot::channel());
    let part = async move {
        sign.send(()).unwrap();
        gate.await.unwrap();
        Ok(Bytes::from_static(part.as_bytes()))
    };
    (go, waited_for, Box::pin(stream::once(part)))
}

/// Lets a request continue until it waits for its bytes.
async fn until_it_waits(request: impl Future<Output = Result<(), RegistryError>>, waited_for: oneshot::Receiver<()>) {
    tokio::select! {
        done = request => panic!("{done:?}"),
        waits = waited_for => waits.unwrap(),
    }
}

fn at(offset: u64) -> Chunk {
    Chunk { offset: Some(offset), ..Chunk::default() }
}

async fn is_served(registry: &Registry, digest: &Digest, content: &str) {
    let blob = registry.repository(&name()).blob(digest).await.unwrap();
    assert_eq!(blob.read(Span::whole(blob.len())).await.unwrap(), content);
}

#[tokio::test]
async fn an_append_after_replaced_bytes_is_refused() {
    each(|registry| async move {
        let repository = registry.repository(&name());
        let id = repository.begin_upload(Algorithm::Sha256).await.unwrap().id;
        // Their hash is noted, and taken up by a request that says no place.
        let cut = repository.append_upload(&id, at(0), cut_off("theirs")).await;
        assert!(matches!(cut, Err(RegistryError::Interrupted(_))), "{cut:?}");
        let (go, waited_for, rest) = held_back(" and more");
        let digest = sha256(b"theirs and more");
        let mut slow = pin!(repository.finish_upload(&id, &digest, Chunk::default(), rest));
        until_it_waits(slow.as_mut(), waited_for).await;
        repository.append_upload(&id, at(0), bytes(&["othe", "rs"])).await.unwrap();
        go.send(()).unwrap();
        let late = slow.await;
        assert!(matches!(late, Err(RegistryError::OutOfOrder { len: 6, .. })), "{late:?}");
        assert!(matches!(repository.blob(&digest).await, Err(RegistryError::BlobUnknown(_))));
        let done = repository.finish_upload(&id, &sha256(b"others"), at(6), bytes(&[])).await;
        done.unwrap();
        is_served(&registry, &sha256(b"others"), "others").await;
    })
    .await;
}

#[tokio::test]
async fn a_repeated_request_wins_over_one_that_has_sent_nothing() {
    each(|registry| async move {
        let repository = registry.repository(&name());
        let id = repository.begin_upload(Algorithm::Sha256).await.unwrap().id;
        let digest = sha256(b"content");
        let (go, waited_for, content) = held_back("content");
        let mut first = pin!(repository.finish_upload(&id, &digest, at(0), content));
        until_it_waits(first.as_mut(), waited_for).await;
        let (go_again, waited_for, content) = held_back("content");
        let mut second = pin!(repository.finish_upload(&id, &digest, at(0), content));
        until_it_waits(second.as_mut(), waited_for).await;
        go.send(()).unwrap();
        let late = first.await;
        // The second may have to send its bytes again, so they are not reported to anybody.
        assert!(matches!(late, Err(RegistryError::OutOfOrder { len: 0, .. })), "{late:?}");
        go_again.send(()).unwrap();
        second.await.unwrap();
        is_served(&registry, &digest, "content").await;
    })
    .await;
}

/// Knowing a digest grants nothing: only those who send the bytes, or may read them, are served from here.
#[tokio::test]
async fn closing_a_session_with_the_digest_of_foreign_content_grants_nothing() {
    let dir = directory();
    let registry = registry(Arc::new(Fs::open(dir.path(), Init::EmptyDirectory).unwrap().0));
    let (theirs, ours) = (registry.repository(&"secret/app".parse().unwrap()), registry.repository(&name()));
    let secret = sha256(b"secret");
    theirs.push_blob(&secret, Chunk::default(), bytes(&["secret"])).await.unwrap();
    for round in 0..400 {
        let id = ours.begin_upload(Algorithm::Sha256).await.unwrap().id;
        let end = ours.finish_upload(&id, &secret, at(0), bytes(&["guess"]));
        let meddle = async {
            for _ in 0..round % 40 {
                tokio::task::yield_now().await;
            }
            ours.append_upload(&id, at(0), bytes(&["other"])).await
        };
        let (ended, _) = join(end, meddle).await;
        assert!(ended.is_err(), "round {round}: {ended:?}");
        assert!(matches!(ours.blob(&secret).await, Err(RegistryError::BlobUnknown(_))), "round {round}");
    }
}

#[tokio::test]
async fn two_concurrent_closing_requests_publish_the_blob() {
    each(|registry| async move {
        let name = name();
        for _ in 0..50 {
            let id = registry.repository(&name).begin_upload(Algorithm::Sha256).await.unwrap().id;
            let (by_256, content) = (sha256(b"content"), "content");
            registry.repository(&name).append_upload(&id, at(0), bytes(&[content])).await.unwrap();
            let end = async || finish(&registry, &name, &id, &by_256, at(7), bytes(&[])).await;
            let both = join(end(), end()).await;
            // The first may have been overtaken before it was done; the last never is.
            let refused =
                |done: &Result<(), RegistryError>| matches!(done, Err(RegistryError::OutOfOrder { len: 7, .. }));
            assert!(both.0.is_ok() || both.1.is_ok(), "{both:?}");
            assert!([&both.0, &both.1].into_iter().all(|done| done.is_ok() || refused(done)), "{both:?}");
            is_served(&registry, &by_256, content).await;
            registry.repository(&name).delete_blob(&by_256).await.unwrap();
        }
        assert_eq!(registry.open_uploads(), 0);
    })
    .await;
}
