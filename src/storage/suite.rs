//! Tests of the promises of [`super`], which every backend runs.

mod content;
mod lifecycle;

use super::{
    Appended, Condemnation, Condemned, Dir, DirOf, Durability, Examined, Expect, FactKey, Item, ItemKind, Lifecycle,
    ListingPage, Mem, Presence, Published, Put, PutOutcome, Result, RunId, Storage, StorageError, TakenOver,
    UploadTurn, Verified, Version, Why,
    fs::Fs,
    objects::{MemObjects, ObjectAbilities, Objects},
    remote::ObjectStorage,
};
use crate::files::IntakeMode;
use bytes::Bytes;
use oci::{Algorithm, Digest, Hasher, RepositoryName, Span, Tag, UploadId};
use std::{future::Future, sync::Arc, time::Duration};

/// Runs a test with each backend.
pub(super) async fn each<F: Future<Output = Result<()>>>(session: impl Fn(Arc<dyn Storage>) -> F) {
    session(Arc::new(Mem::default())).await.expect("mem");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (fs, _) = Fs::open(dir.path(), super::fs::Init::EmptyDirectory).expect("a store");
    session(Arc::new(fs)).await.expect("fs");
    let left = std::fs::read_dir(dir.path().join("state/tmp")).expect("listing").count();
    assert_eq!(left, 0, "temporary files are left behind");
    let server = super::cloud::tests::server().await.map(|objects| ("a server", Arc::new(objects) as Arc<dyn Objects>));
    for (name, objects) in object_stores().into_iter().chain(server) {
        let store = ObjectStorage::open(objects, true).await.expect("a store over objects");
        session(Arc::new(store)).await.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    if let Some(stores) = super::sftp::tests::SuiteStores::open().await {
        for (name, objects) in &stores.objects {
            let store = ObjectStorage::open(objects.clone(), true).await.expect("a store over objects");
            session(Arc::new(store)).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        stores.end().await;
    }
}

/// Stores of objects that keep the promises, each empty.
fn object_stores() -> Vec<(&'static str, Arc<dyn Objects>)> {
    let mem = |abilities| -> Arc<dyn Objects> { Arc::new(MemObjects::with(abilities)) };
    let all = ObjectAbilities::ALL;
    let single = ObjectAbilities { put_absent: false, put_match: false, delete_match: false, shared: false, ..all };
    vec![
        ("objects", mem(all)),
        (
            "objects without conditional removal, and without parts",
            mem(ObjectAbilities { delete_match: false, parts: false, ..all }),
        ),
        ("objects of a single writer", mem(single)),
    ]
}

/// Waits until what is written now is younger than what was written before, by the clock of the slowest store: file
/// systems count milliseconds, buckets seconds.
pub(super) async fn tick() {
    let has_server = std::env::var_os("WHARFINGER_TEST_S3").is_some();
    tokio::time::sleep(Duration::from_millis(if has_server { 1100 } else { 30 })).await;
}

fn name(text: &str) -> RepositoryName {
    text.parse().expect("a name")
}

fn tag(text: &str) -> FactKey {
    FactKey::Tag(name("app"), text.parse::<Tag>().expect("a tag"))
}

fn digest(bytes: &[u8]) -> Digest {
    Hasher::digest(Algorithm::Sha256, bytes)
}

pub(super) fn verified(bytes: &[u8]) -> Verified {
    Verified::vouch(digest(bytes), bytes.len() as u64)
}

fn hasher() -> Hasher {
    Hasher::new(Algorithm::Sha256)
}

async fn text(store: &Arc<dyn Storage>, key: &FactKey) -> Result<Option<String>> {
    Ok(store.get(key).await?.map(|fact| String::from_utf8_lossy(&fact.bytes).into_owned()))
}

/// Uploads bytes as a blob.
pub(super) async fn upload(store: &Arc<dyn Storage>, bytes: &'static [u8]) -> Result<Published> {
    let id = UploadId::random();
    store.begin(&id, Bytes::new()).await?;
    store.append(&id, &UploadTurn::default(), 0, vec![Bytes::from_static(bytes)], hasher()).await?;
    store.seal(&id, &UploadTurn::default()).await?;
    store.publish(&id, &UploadTurn::default(), &verified(bytes)).await
}

async fn content(store: &Arc<dyn Storage>, digest: &Digest) -> Result<Option<Bytes>> {
    match store.open(digest).await? {
        Some(blob) => Ok(Some(blob.read(Span::whole(blob.len())).await?)),
        None => Ok(None),
    }
}

#[tokio::test]
async fn facts_are_put_read_and_removed() {
    each(|store| async move {
        assert_eq!(store.get(&tag("v1")).await?, None);
        let outcome = store.put(vec![Put::any(tag("v1"), "one"), Put::any(tag("v2"), "")], Durability::Durable).await?;
        assert_eq!(outcome, PutOutcome::Done);
        assert_eq!(text(&store, &tag("v1")).await?.as_deref(), Some("one"));
        assert_eq!(text(&store, &tag("v2")).await?.as_deref(), Some(""));
        store.put(vec![Put::any(tag("v1"), "two")], Durability::Process).await?;
        assert_eq!(text(&store, &tag("v1")).await?.as_deref(), Some("two"));
        assert!(store.delete(&tag("v1"), Expect::Any).await?);
        assert!(!store.delete(&tag("v1"), Expect::Any).await?);
        assert_eq!(store.get(&tag("v1")).await?, None);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_group_of_puts_whose_expectation_fails_writes_nothing() {
    each(|store| async move {
        let put = |key: &str, expect| Put::when(tag(key), "x", expect);
        let puts = vec![Put::any(tag("a"), "x"), put("b", Expect::Present)];
        assert_eq!(store.put(puts, Durability::Durable).await?, PutOutcome::Conflict(1));
        assert_eq!(store.get(&tag("a")).await?, None);
        assert_eq!(store.put(vec![put("b", Expect::Absent)], Durability::Durable).await?, PutOutcome::Done);
        assert_eq!(store.put(vec![put("b", Expect::Absent)], Durability::Durable).await?, PutOutcome::Conflict(0));
        assert_eq!(
            store.put(vec![put("b", Expect::Is(Version::of(b"y")))], Durability::Durable).await?,
            PutOutcome::Conflict(0)
        );
        assert_eq!(
            store.put(vec![put("b", Expect::Is(Version::of(b"x")))], Durability::Durable).await?,
            PutOutcome::Done
        );
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_deletion_never_removes_a_newer_value() {
    each(|store| async move {
        store.put(vec![Put::any(tag("v"), "old")], Durability::Durable).await?;
        let old = store.get(&tag("v")).await?.expect("a value").version();
        store.put(vec![Put::any(tag("v"), "new")], Durability::Durable).await?;
        assert!(!store.delete(&tag("v"), Expect::Is(old)).await?);
        assert_eq!(text(&store, &tag("v")).await?.as_deref(), Some("new"));
        let first = store.get(&tag("v")).await?.expect("a value");
        tick().await;
        store.put(vec![Put::any(tag("v"), "new")], Durability::Durable).await?;
        assert!(!store.delete(&tag("v"), Expect::Unchanged(first)).await?, "it was put again");
        let again = store.get(&tag("v")).await?.expect("a value");
        assert!(store.delete(&tag("v"), Expect::Unchanged(again)).await?);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn exactly_one_of_many_writers_wins() {
    each(|store| async move {
        for round in 0..20 {
            let expect = match round % 2 {
                0 => Expect::Absent,
                _ => Expect::Is(store.get(&tag("race")).await?.expect("a value").version()),
            };
            if round % 2 == 0 {
                store.delete(&tag("race"), Expect::Any).await?;
            }
            let racers: Vec<_> = (0..8)
                .map(|i| {
                    let (store, expect) = (store.clone(), expect.clone());
                    let put = Put::when(tag("race"), format!("{round}-{i}"), expect);
                    tokio::spawn(async move { store.put(vec![put], Durability::Process).await })
                })
                .collect();
            let mut won = 0;
            for racer in racers {
                won += usize::from(racer.await.expect("no panic")? == PutOutcome::Done);
            }
            assert_eq!(won, 1);
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn children_come_in_byte_order_page_by_page() {
    each(|store| async move {
        let tags = ["B", "_", "a", "a-b", "a.b", "a_b", "ab", "b"];
        let puts = tags.iter().map(|t| Put::any(tag(t), "x")).collect();
        store.put(puts, Durability::Process).await?;
        let dir = Dir::Tags(name("app"));
        let mut seen = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = store.children(&dir, after.as_deref(), 3).await?;
            assert!(page.entries.len() <= 3);
            seen.extend(page.entries.iter().cloned());
            if !page.more {
                break;
            }
            after = seen.last().cloned();
        }
        let mut sorted = tags.to_vec();
        sorted.sort_unstable();
        assert_eq!(seen, sorted);
        let from_between = store.children(&dir, Some("a."), 2).await?;
        assert_eq!(from_between.entries[0], "a.b");
        assert_eq!(
            store.children(&Dir::Tags(name("none")), None, 3).await?,
            ListingPage { entries: vec![], more: false }
        );
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn names_of_repositories_are_listed_level_by_level() {
    each(|store| async move {
        for repository in ["a/b", "a/c/d", "a-b"] {
            let key = FactKey::Layer(name(repository), digest(b"x"));
            store.put(vec![Put::any(key, "")], Durability::Process).await?;
        }
        assert_eq!(store.children(&Dir::Names(None), None, 9).await?.entries, ["a", "a-b"]);
        assert_eq!(store.children(&Dir::Names(Some(name("a"))), None, 9).await?.entries, ["b", "c"]);
        assert!(store.children(&Dir::Names(Some(name("a/b"))), None, 9).await?.entries.is_empty());
        let names = store.page(&DirOf::names(Some(&name("a"))), None, 9).await?.entries;
        assert_eq!(names, [name("a/b"), name("a/c")], "with the whole name");
        Ok(())
    })
    .await;
}
