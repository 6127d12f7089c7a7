//! Requests that are sent again while those before them are still under way: whatever order their steps have, the bytes
//! of a blob are those of its digest.

use super::{directory, name, registry, sha256};
use crate::{
    oci::{Algorithm, Digest, Span},
    registry::{Chunk, Error, Incoming, Interruption, Registry},
    storage::{
        Mem, Storage,
        fs::{Fs, Init},
    },
    who::Subject,
};
use bytes::Bytes;
use futures_util::{future::join, stream};
use std::{future::Future, pin::pin, sync::Arc};
use tokio::sync::oneshot;

const NOBODY: Subject = Subject::Anonymous;

/// A session under way, on each backend.
async fn each<F: Future<Output = ()>>(session: impl Fn(Registry) -> F) {
    let dir = directory();
    let stores: [Arc<dyn Storage>; 2] =
        [Arc::new(Mem::default()), Arc::new(Fs::open(dir.path(), Init::EmptyDirectory).unwrap().0)];
    for store in stores {
        session(registry(store)).await;
    }
}

fn bytes(parts: &[&'static str]) -> impl Incoming {
    stream::iter(parts.iter().map(|part| Ok(Bytes::from_static(part.as_bytes()))).collect::<Vec<_>>())
}

fn cut_off(part: &'static str) -> impl Incoming {
    stream::iter([Ok(Bytes::from_static(part.as_bytes())), Err(Interruption::Cut)])
}

/// Bytes that come when they are let go; and a sign that they are waited for.
fn held_back(part: &'static str) -> (oneshot::Sender<()>, oneshot::Receiver<()>, impl Incoming) {
    let ((go, gate), (sign, waited_for)) = (oneshot::channel(), oneshot::channel());
    let part = async move {
        sign.send(()).unwrap();
        gate.await.unwrap();
        Ok(Bytes::from_static(part.as_bytes()))
    };
    (go, waited_for, Box::pin(stream::once(part)))
}

/// Lets a request go on until it waits for its bytes.
async fn until_it_waits(request: impl Future<Output = Result<(), Error>>, waited_for: oneshot::Receiver<()>) {
    tokio::select! {
        done = request => panic!("{done:?}"),
        waits = waited_for => waits.unwrap(),
    }
}

fn at(offset: u64) -> Chunk {
    Chunk { offset: Some(offset), ..Chunk::default() }
}

async fn is_served(registry: &Registry, digest: &Digest, content: &str) {
    let blob = registry.blob(&name(), digest).await.unwrap();
    assert_eq!(blob.read(Span::whole(blob.len())).await.unwrap(), content);
}

#[tokio::test]
async fn who_goes_on_after_bytes_that_were_replaced_meanwhile_is_refused() {
    each(|registry| async move {
        let name = name();
        let id = registry.begin_upload(&name, &NOBODY, Algorithm::Sha256).await.unwrap().id;
        // Their hash is noted, and taken up by a request that says no place.
        let cut = registry.append_upload(&name, &NOBODY, &id, at(0), cut_off("theirs")).await;
        assert!(matches!(cut, Err(Error::Interrupted(_))), "{cut:?}");
        let (go, waited_for, rest) = held_back(" and more");
        let digest = sha256(b"theirs and more");
        let mut slow = pin!(registry.finish_upload(&name, &NOBODY, &id, &digest, Chunk::default(), rest));
        until_it_waits(slow.as_mut(), waited_for).await;
        registry.append_upload(&name, &NOBODY, &id, at(0), bytes(&["othe", "rs"])).await.unwrap();
        go.send(()).unwrap();
        let late = slow.await;
        assert!(matches!(late, Err(Error::OutOfOrder { len: 6, .. })), "{late:?}");
        assert!(matches!(registry.blob(&name, &digest).await, Err(Error::BlobUnknown(_))));
        let done = registry.finish_upload(&name, &NOBODY, &id, &sha256(b"others"), at(6), bytes(&[])).await;
        done.unwrap();
        is_served(&registry, &sha256(b"others"), "others").await;
    })
    .await;
}

#[tokio::test]
async fn a_request_that_is_sent_again_before_the_first_has_brought_anything_wins() {
    each(|registry| async move {
        let name = name();
        let id = registry.begin_upload(&name, &NOBODY, Algorithm::Sha256).await.unwrap().id;
        let digest = sha256(b"content");
        let (go, waited_for, content) = held_back("content");
        let mut first = pin!(registry.finish_upload(&name, &NOBODY, &id, &digest, at(0), content));
        until_it_waits(first.as_mut(), waited_for).await;
        let (go_again, waited_for, content) = held_back("content");
        let mut second = pin!(registry.finish_upload(&name, &NOBODY, &id, &digest, at(0), content));
        until_it_waits(second.as_mut(), waited_for).await;
        go.send(()).unwrap();
        let late = first.await;
        // What the second brings may have to be sent once more, so nobody is told of it.
        assert!(matches!(late, Err(Error::OutOfOrder { len: 0, .. })), "{late:?}");
        go_again.send(()).unwrap();
        second.await.unwrap();
        is_served(&registry, &digest, "content").await;
    })
    .await;
}

#[tokio::test]
async fn of_two_that_end_one_session_both_are_answered_and_the_blob_is_there() {
    each(|registry| async move {
        let name = name();
        for _ in 0..50 {
            let id = registry.begin_upload(&name, &NOBODY, Algorithm::Sha256).await.unwrap().id;
            let (by_256, content) = (sha256(b"content"), "content");
            registry.append_upload(&name, &NOBODY, &id, at(0), bytes(&[content])).await.unwrap();
            let end = async || registry.finish_upload(&name, &NOBODY, &id, &by_256, at(7), bytes(&[])).await;
            let both = join(end(), end()).await;
            // The first may have been overtaken before it was done; the last never is.
            let refused = |done: &Result<(), Error>| matches!(done, Err(Error::OutOfOrder { len: 7, .. }));
            assert!(both.0.is_ok() || both.1.is_ok(), "{both:?}");
            assert!([&both.0, &both.1].into_iter().all(|done| done.is_ok() || refused(done)), "{both:?}");
            is_served(&registry, &by_256, content).await;
            registry.delete_blob(&name, &by_256).await.unwrap();
        }
        assert_eq!(registry.open_uploads(), 0);
    })
    .await;
}
