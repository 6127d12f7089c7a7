//! Two operations on one item, one of which stops at each of its calls while the other runs: whoever was told that the
//! item is there finds it. Each change of the protocol that the models know to lose items is found.

use super::{Mutant, ObjectStorage};
use crate::storage::{
    Condemned, Content as _, Durability, FactKey, Facts as _, Item, Lifecycle as _, Presence, Put, RunId, UploadTurn,
    Verified, Why,
    objects::{
        MemObjects, Objects,
        faulty::{FaultyObjects, ObjectFaults},
    },
};
use bytes::Bytes;
use oci::{Algorithm, Digest, Hasher, UploadId};
use std::{sync::Arc, time::Duration};

/// What is condemned and needed again.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// A blob whose generation holds its bytes.
    Inline,
    /// A blob whose bytes are in another object.
    Apart,
    Link,
}

/// Which of the two operations stops.
#[derive(Clone, Copy, Debug)]
enum Stops {
    Purge,
    Ensure,
}

fn digest() -> Digest {
    Hasher::digest(Algorithm::Sha256, b"content")
}

async fn over(objects: &Arc<dyn Objects>, mutant: Option<Mutant>) -> ObjectStorage {
    ObjectStorage::open(objects.clone(), true).await.unwrap().mutated(mutant)
}

/// A store with one item, which was condemned.
async fn condemned(objects: &Arc<dyn Objects>, kind: Kind) -> Condemned {
    let store = over(objects, None).await;
    let verified = Verified::vouch(digest(), 7);
    let item = match kind {
        Kind::Inline => {
            store.put_blob(&verified, "content".into()).await.unwrap();
            Item::Blob(digest())
        }
        Kind::Apart => {
            let (id, turn) = (UploadId::random(), UploadTurn::default());
            store.begin(&id, Bytes::new()).await.unwrap();
            store.append(&id, &turn, 0, vec!["content".into()], Hasher::new(Algorithm::Sha256)).await.unwrap();
            store.keep(&id, &turn).await.unwrap();
            store.publish(&id, &turn, &verified).await.unwrap();
            Item::Blob(digest())
        }
        Kind::Link => {
            let name: oci::RepositoryName = "app".parse().unwrap();
            let put = Put::any(FactKey::Layer(name.clone(), digest()), "");
            store.put(vec![put], Durability::Durable).await.unwrap();
            Item::Link(name, digest())
        }
    };
    let run = RunId::fresh();
    store.condemn(&item, run, Why::Unreferenced, Duration::ZERO).await.unwrap();
    Condemned { run, item, why: Why::Unreferenced }
}

async fn is_there(objects: &Arc<dyn Objects>, item: &Item) -> bool {
    let store = over(objects, None).await;
    match item {
        Item::Blob(digest) => match store.open(digest).await.unwrap() {
            Some(blob) => blob.read(oci::Span::whole(7)).await.is_ok_and(|bytes| bytes == "content"),
            None => false,
        },
        Item::Link(name, digest) => store.get(&FactKey::Layer(name.clone(), digest.clone())).await.unwrap().is_some(),
        _ => false,
    }
}

/// Lets one operation stop at each of its calls while the other runs; the first that loses something.
async fn lost(kind: Kind, stops: Stops, mutant: Option<Mutant>) -> Option<usize> {
    for at in 1.. {
        let objects: Arc<dyn Objects> = Arc::new(MemObjects::default());
        let entry = condemned(&objects, kind).await;
        let calls = FaultyObjects::new(objects.clone(), ObjectFaults::WaitsAt(at));
        let stopping = over(&(calls.clone() as Arc<dyn Objects>), mutant).await;
        let running = over(&objects, mutant).await;
        let items = [entry.item.clone()];
        let found = match stops {
            Stops::Purge => {
                let second = async {
                    calls.reached.notified().await;
                    let found = running.ensure(&items).await.unwrap();
                    calls.resume.notify_one();
                    found
                };
                let mut second = std::pin::pin!(second);
                let mut purge = std::pin::pin!(stopping.purge(&entry));
                tokio::select! {
                    // It made all its calls.
                    _ = &mut purge => return None,
                    found = &mut second => {
                        purge.await.unwrap();
                        found
                    }
                }
            }
            Stops::Ensure => {
                let second = async {
                    calls.reached.notified().await;
                    running.purge(&entry).await.unwrap();
                    calls.resume.notify_one();
                };
                let mut second = std::pin::pin!(second);
                let mut ensure = std::pin::pin!(stopping.ensure(&items));
                tokio::select! {
                    _ = &mut ensure => return None,
                    () = &mut second => ensure.await.unwrap(),
                }
            }
        };
        if found != [Presence::Missing] && !is_there(&objects, &entry.item).await {
            return Some(at);
        }
    }
    None
}

async fn first_lost(mutant: Option<Mutant>) -> Option<(Kind, Stops, usize)> {
    for kind in [Kind::Inline, Kind::Apart, Kind::Link] {
        for stops in [Stops::Purge, Stops::Ensure] {
            if let Some(at) = lost(kind, stops, mutant).await {
                return Some((kind, stops, at));
            }
        }
    }
    None
}

#[tokio::test]
async fn what_a_push_relies_on_survives_a_purge_at_any_moment() {
    assert!(first_lost(None).await.is_none(), "{:?}", first_lost(None).await);
}

#[tokio::test]
async fn each_change_of_the_protocol_that_loses_items_is_found() {
    for mutant in [Mutant::GenerationsFirst, Mutant::MarkerFirst, Mutant::UnmarkToRestore] {
        assert!(first_lost(Some(mutant)).await.is_some(), "{mutant:?}");
    }
}
