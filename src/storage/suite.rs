//! The promises of [`super`], as sessions that every backend runs.

use super::{
    Appended, Condemned, Dir, Durability, Examined, Expect, Item, ItemKind, Key, Lifecycle, Mem, Outcome, Page,
    Presence, Published, Put, Result, RunId, Storage, Verdict, Verified, Version, Why, fs::Fs,
};
use crate::oci::{Algorithm, Digest, Hasher, RepositoryName, Span, Tag, UploadId};
use bytes::Bytes;
use std::{future::Future, sync::Arc, time::Duration};

/// Runs a session against each backend.
pub(super) async fn each<F: Future<Output = Result<()>>>(session: impl Fn(Arc<dyn Storage>) -> F) {
    session(Arc::new(Mem::default())).await.expect("mem");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (fs, _) = Fs::open(dir.path(), super::fs::Init::EmptyDirectory).expect("a store");
    session(Arc::new(fs)).await.expect("fs");
    let left = std::fs::read_dir(dir.path().join("state/tmp")).expect("listing").count();
    assert_eq!(left, 0, "temporary files are left behind");
}

fn name(text: &str) -> RepositoryName {
    text.parse().expect("a name")
}

fn tag(text: &str) -> Key {
    Key::Tag(name("app"), text.parse::<Tag>().expect("a tag"))
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

async fn text(store: &Arc<dyn Storage>, key: &Key) -> Result<Option<String>> {
    Ok(store.get(key).await?.map(|fact| String::from_utf8_lossy(&fact.bytes).into_owned()))
}

/// Uploads bytes as a blob.
pub(super) async fn upload(store: &Arc<dyn Storage>, bytes: &'static [u8]) -> Result<Published> {
    let id = UploadId::random();
    store.begin(&id, Bytes::new()).await?;
    store.append(&id, 0, vec![Bytes::from_static(bytes)], hasher()).await?;
    store.seal(&id).await?;
    store.publish(&id, &verified(bytes)).await
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
        assert_eq!(outcome, Outcome::Done);
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
        let put = |key: &str, expect| Put { key: tag(key), bytes: "x".into(), expect };
        let puts = vec![Put::any(tag("a"), "x"), put("b", Expect::Present)];
        assert_eq!(store.put(puts, Durability::Durable).await?, Outcome::Conflict(1));
        assert_eq!(store.get(&tag("a")).await?, None);
        assert_eq!(store.put(vec![put("b", Expect::Absent)], Durability::Durable).await?, Outcome::Done);
        assert_eq!(store.put(vec![put("b", Expect::Absent)], Durability::Durable).await?, Outcome::Conflict(0));
        assert_eq!(
            store.put(vec![put("b", Expect::Is(Version::of(b"y")))], Durability::Durable).await?,
            Outcome::Conflict(0)
        );
        assert_eq!(store.put(vec![put("b", Expect::Is(Version::of(b"x")))], Durability::Durable).await?, Outcome::Done);
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
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn of_many_who_create_or_replace_exactly_one_wins() {
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
                    let put = Put { key: tag("race"), bytes: format!("{round}-{i}").into(), expect };
                    tokio::spawn(async move { store.put(vec![put], Durability::Process).await })
                })
                .collect();
            let mut won = 0;
            for racer in racers {
                won += usize::from(racer.await.expect("no panic")? == Outcome::Done);
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
            seen.extend(page.entries.iter().map(|child| child.name.clone()));
            if !page.more {
                break;
            }
            after = seen.last().cloned();
        }
        let mut sorted = tags.to_vec();
        sorted.sort_unstable();
        assert_eq!(seen, sorted);
        let from_between = store.children(&dir, Some("a."), 2).await?;
        assert_eq!(from_between.entries[0].name, "a.b");
        assert_eq!(store.children(&Dir::Tags(name("none")), None, 3).await?, Page { entries: vec![], more: false });
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn names_of_repositories_are_listed_level_by_level() {
    each(|store| async move {
        for repository in ["a/b", "a/c/d", "a-b"] {
            let key = Key::Layer(name(repository), digest(b"x"));
            store.put(vec![Put::any(key, "")], Durability::Process).await?;
        }
        let names = |page: Page<super::Child>| page.entries.into_iter().map(|c| c.name).collect::<Vec<_>>();
        assert_eq!(names(store.children(&Dir::Names(None), None, 9).await?), ["a", "a-b"]);
        assert_eq!(names(store.children(&Dir::Names(Some(name("a"))), None, 9).await?), ["b", "c"]);
        assert_eq!(names(store.children(&Dir::Names(Some(name("a/b"))), None, 9).await?), Vec::<String>::new());
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn an_upload_grows_is_sealed_and_becomes_a_blob() {
    each(|store| async move {
        let id = UploadId::random();
        assert_eq!(store.progress(&id).await?, None);
        store.begin(&id, "facts".into()).await?;
        let (appended, hash) = store.append(&id, 0, vec!["ab".into(), "c".into()], hasher()).await?;
        assert_eq!(appended, Appended::To(3));
        let so_far = store.read_upload(&id).await?.expect("an upload");
        assert_eq!(so_far.read(Span::whole(3)).await?, "abc");
        let (appended, hash) = store.append(&id, 3, vec!["def".into()], hash).await?;
        assert_eq!((appended, hash.finish()), (Appended::To(6), digest(b"abcdef")));
        assert!(store.note(&id, "more".into()).await?);
        let progress = store.progress(&id).await?.expect("an upload");
        assert_eq!((progress.len, progress.facts.as_ref(), progress.sealed), (6, b"more".as_ref(), false));
        assert_eq!(store.publish(&id, &verified(b"abcdef")).await?, Published::Gone, "not before it is sealed");
        let sealed = store.seal(&id).await?.expect("an upload");
        assert_eq!(sealed.read(Span { start: 2, len: 3 }).await?, "cde");
        assert!(store.seal(&id).await?.is_some(), "asked again it answers again");
        assert!(store.progress(&id).await?.expect("an upload").sealed);
        let (appended, _) = store.append(&id, 6, vec!["g".into()], hasher()).await?;
        assert_eq!(appended, Appended::Gone, "nothing is added to what may have been verified");
        assert_eq!(store.publish(&id, &verified(b"abcdef")).await?, Published::New);
        assert_eq!(store.progress(&id).await?, None);
        assert_eq!(store.publish(&id, &verified(b"abcdef")).await?, Published::Gone);
        assert!(!store.note(&id, "late".into()).await?);
        assert!(store.seal(&id).await?.is_none());
        assert_eq!(content(&store, &digest(b"abcdef")).await?.as_deref(), Some(b"abcdef".as_ref()));
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn of_two_appends_at_one_offset_one_wins_and_bytes_never_interleave() {
    each(|store| async move {
        let id = UploadId::random();
        store.begin(&id, Bytes::new()).await?;
        for round in 0..20u64 {
            let at = round * 1000;
            let racers: Vec<_> = (0..4u8)
                .map(|i| {
                    let store = store.clone();
                    let bytes = vec![Bytes::from(vec![i; 500]), Bytes::from(vec![i; 500])];
                    tokio::spawn(async move { store.append(&id, at, bytes, hasher()).await })
                })
                .collect();
            let mut won = 0;
            for racer in racers {
                match racer.await.expect("no panic")?.0 {
                    Appended::To(len) => {
                        assert_eq!(len, at + 1000);
                        won += 1;
                    }
                    other => assert_eq!(other, Appended::At(at + 1000)),
                }
            }
            assert_eq!(won, 1);
        }
        let sealed = store.seal(&id).await?.expect("an upload");
        let bytes = sealed.read(Span::whole(20_000)).await?;
        assert!(bytes.chunks(1000).all(|chunk| chunk.iter().all(|b| *b == chunk[0])));
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn the_same_blob_twice_is_kept_once() {
    each(|store| async move {
        assert_eq!(upload(&store, b"same").await?, Published::New);
        assert_eq!(upload(&store, b"same").await?, Published::Existed);
        assert_eq!(store.put_blob(&verified(b"same"), "same".into()).await?, Published::Existed);
        assert_eq!(store.put_blob(&verified(b""), Bytes::new()).await?, Published::New);
        assert_eq!(content(&store, &digest(b"")).await?.as_deref(), Some(b"".as_ref()));
        assert_eq!(store.items(&ItemKind::Uploads, None, 9).await?.entries, vec![]);
        assert!(store.open(&digest(b"other")).await?.is_none());
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_blob_of_a_wrong_length_is_healed_by_a_push() {
    each(|store| async move {
        // A backend cannot be given wrong bytes but by its own hand; this is the closest.
        store.put_blob(&Verified::vouch(digest(b"whole"), 3), "who".into()).await?;
        assert_eq!(upload(&store, b"whole").await?, Published::Healed);
        assert_eq!(content(&store, &digest(b"whole")).await?.as_deref(), Some(b"whole".as_ref()));
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn items_are_listed_in_pages() {
    each(|store| async move {
        for bytes in [b"1".as_ref(), b"2", b"3", b"4", b"5"] {
            store.put_blob(&Verified::vouch(digest(bytes), 1), Bytes::copy_from_slice(bytes)).await?;
            let keys = [Key::Layer(name("a"), digest(bytes)), Key::Revision(name("a"), digest(bytes))];
            store.put(keys.into_iter().map(|key| Put::any(key, "")).collect(), Durability::Process).await?;
        }
        for kind in [ItemKind::Blobs, ItemKind::Links(name("a")), ItemKind::Revisions(name("a"))] {
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let page = store.items(&kind, after.as_ref(), 2).await?;
                seen.extend(page.entries.into_iter().map(|aged| aged.item));
                if !page.more {
                    break;
                }
                after = seen.last().cloned();
            }
            assert_eq!(seen.len(), 5, "{kind:?}");
            assert!(seen.windows(2).all(|pair| pair[0].path() < pair[1].path()));
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn the_unreferenced_come_back_and_the_deleted_do_not() {
    each(|store| async move {
        upload(&store, b"blob").await?;
        let item = Item::Blob(digest(b"blob"));
        let layer = Item::Link(name("a/b"), digest(b"blob"));
        store.put(vec![Put::any(Key::Layer(name("a/b"), digest(b"blob")), "")], Durability::Durable).await?;
        let run = RunId::fresh();
        assert_eq!(store.condemn(&item, run, Why::Unreferenced, Duration::MAX).await?, Verdict::Renewed);
        assert_eq!(store.condemn(&item, run, Why::Unreferenced, Duration::ZERO).await?, Verdict::Condemned);
        assert_eq!(store.condemn(&item, run, Why::Unreferenced, Duration::ZERO).await?, Verdict::Gone);
        assert!(store.items(&ItemKind::Blobs, None, 9).await?.entries.is_empty());
        assert_eq!(content(&store, &digest(b"blob")).await?.as_deref(), Some(b"blob".as_ref()), "still readable");
        assert!(store.items(&ItemKind::Blobs, None, 9).await?.entries.is_empty(), "and reading changes nothing");
        assert_eq!(store.ensure(&[item.clone(), layer.clone()]).await?, [Presence::Restored, Presence::Live]);
        assert_eq!(store.condemned(None, 9).await?.entries.len(), 1, "until it is purged");
        assert_eq!(content(&store, &digest(b"blob")).await?.as_deref(), Some(b"blob".as_ref()));
        for why in [Why::Deleted, Why::Damaged] {
            upload(&store, b"blob").await?;
            assert_eq!(store.condemn(&item, RunId::fresh(), why, Duration::ZERO).await?, Verdict::Condemned);
            assert_eq!(store.ensure(std::slice::from_ref(&item)).await?, [Presence::Missing]);
            assert!(store.open(&digest(b"blob")).await?.is_none());
        }
        assert_eq!(store.condemn(&layer, RunId::fresh(), Why::Deleted, Duration::ZERO).await?, Verdict::Condemned);
        let lie: Vec<_> = store.condemned(None, 9).await?.entries.into_iter().map(|g| g.entry.why).collect();
        assert_eq!(lie, [Why::Deleted, Why::Deleted], "what is damaged lies elsewhere");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn what_a_repository_without_anything_lacks_is_missing() {
    each(|store| async move {
        let items = [Item::Link(name("new"), digest(b"x")), Item::Revision(name("new"), digest(b"x"))];
        assert_eq!(store.ensure(&items).await?, [Presence::Missing, Presence::Missing]);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_deletion_takes_the_copies_condemned_before_with_it() {
    each(|store| async move {
        let (key, link) = (Key::Layer(name("a"), digest(b"x")), Item::Link(name("a"), digest(b"x")));
        let delete = || store.condemn(&link, RunId::fresh(), Why::Deleted, Duration::ZERO);
        store.put(vec![Put::any(key.clone(), "")], Durability::Durable).await?;
        store.condemn(&link, RunId::fresh(), Why::Unreferenced, Duration::ZERO).await?;
        store.put(vec![Put::any(key.clone(), "")], Durability::Durable).await?;
        assert_eq!(delete().await?, Verdict::Condemned);
        assert_eq!(store.get(&key).await?, None);
        assert_eq!(store.ensure(std::slice::from_ref(&link)).await?, [Presence::Missing]);
        store.put(vec![Put::any(key.clone(), "")], Durability::Durable).await?;
        store.condemn(&link, RunId::fresh(), Why::Unreferenced, Duration::ZERO).await?;
        assert_eq!(delete().await?, Verdict::Condemned, "what is merely condemned can be deleted");
        assert_eq!(delete().await?, Verdict::Gone);
        assert_eq!(store.ensure(std::slice::from_ref(&link)).await?, [Presence::Missing]);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn one_collection_at_a_time() {
    each(|store| async move {
        let first = store.begin_collection().await?;
        assert!(first.is_some());
        assert!(store.begin_collection().await?.is_none());
        drop(first);
        assert!(store.begin_collection().await?.is_some());
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_purge_removes_that_very_entry_and_never_the_live_name() {
    each(|store| async move {
        let item = Item::Blob(digest(b"blob"));
        let mut entries = Vec::new();
        for _ in 0..3 {
            upload(&store, b"blob").await?;
            let run = RunId::fresh();
            store.condemn(&item, run, Why::Unreferenced, Duration::ZERO).await?;
            entries.push(Condemned { run, item: item.clone(), why: Why::Unreferenced });
        }
        upload(&store, b"blob").await?;
        let first = store.condemned(None, 2).await?;
        assert!(first.more);
        let rest = store.condemned(first.entries.last().map(|grave| &grave.entry), 2).await?;
        assert_eq!((rest.entries.len(), rest.more), (1, false));
        assert_eq!(store.purge(&entries[1]).await?, 4);
        assert_eq!(store.purge(&entries[1]).await?, 0);
        assert!(!store.restore(&entries[1]).await?);
        assert!(store.restore(&entries[0]).await?, "something stands there already, which is as good");
        assert_eq!(store.purge(&entries[0]).await?, 4);
        assert_eq!(store.purge(&entries[2]).await?, 4);
        assert_eq!(store.condemned(None, 9).await?.entries, vec![]);
        assert_eq!(content(&store, &digest(b"blob")).await?.as_deref(), Some(b"blob".as_ref()));
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn an_idle_upload_is_condemned_whole() {
    each(|store| async move {
        let id = UploadId::random();
        store.begin(&id, Bytes::new()).await?;
        store.append(&id, 0, vec!["abc".into()], hasher()).await?;
        let run = RunId::fresh();
        assert_eq!(store.condemn(&Item::Upload(id), run, Why::Unreferenced, Duration::MAX).await?, Verdict::Renewed);
        assert_eq!(store.condemn(&Item::Upload(id), run, Why::Unreferenced, Duration::ZERO).await?, Verdict::Condemned);
        assert_eq!(store.progress(&id).await?, None);
        assert_eq!(store.append(&id, 3, vec!["d".into()], hasher()).await?.0, Appended::Gone);
        let entry = Condemned { run, item: Item::Upload(id), why: Why::Unreferenced };
        let lie: Vec<_> = store.condemned(None, 9).await?.entries.into_iter().map(|grave| grave.entry).collect();
        assert_eq!(lie, std::slice::from_ref(&entry));
        assert_eq!(store.purge(&entry).await?, 3);
        assert_eq!(store.condemned(None, 9).await?.entries, vec![]);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn an_abandoned_upload_is_gone_with_its_bytes() {
    each(|store| async move {
        let id = UploadId::random();
        assert_eq!(store.abandon(&id, Duration::ZERO).await?, Verdict::Gone);
        store.begin(&id, Bytes::new()).await?;
        store.append(&id, 0, vec!["abc".into()], hasher()).await?;
        assert_eq!(store.abandon(&id, Duration::from_secs(3600)).await?, Verdict::Renewed);
        store.seal(&id).await?;
        assert_eq!(store.abandon(&id, Duration::ZERO).await?, Verdict::Condemned);
        assert_eq!(store.publish(&id, &verified(b"abc")).await?, Published::Gone);
        assert!(store.items(&ItemKind::Uploads, None, 9).await?.entries.is_empty());
        assert!(store.condemned(None, 9).await?.entries.is_empty());
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn renewing_makes_an_item_young_again() {
    each(|store| async move {
        upload(&store, b"x").await?;
        let item = Item::Blob(digest(b"x"));
        let age = |page: Page<super::Aged>| page.entries[0].renewed;
        let before = age(store.items(&ItemKind::Blobs, None, 1).await?);
        tokio::time::sleep(Duration::from_millis(30)).await;
        assert!(store.renew(&item, Duration::from_secs(3600)).await?);
        assert_eq!(age(store.items(&ItemKind::Blobs, None, 1).await?), before, "not older than an hour");
        assert!(store.renew(&item, Duration::ZERO).await?);
        assert!(age(store.items(&ItemKind::Blobs, None, 1).await?) > before);
        assert!(store.now().await? > before);
        assert!(!store.renew(&Item::Blob(digest(b"y")), Duration::ZERO).await?);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn what_an_interrupted_write_left_is_tidied() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (fs, _) = Fs::open(dir.path(), super::fs::Init::EmptyDirectory).expect("a store");
    std::fs::write(dir.path().join("state/tmp/left"), "x").expect("a write");
    assert_eq!(fs.tidy(Duration::from_secs(3600)).await.expect("tidy"), 0);
    assert_eq!(fs.tidy(Duration::ZERO).await.expect("tidy"), 1);
}

#[tokio::test]
async fn a_damaged_blob_is_taken_aside_and_comes_back_from_a_sound_copy_or_a_client() {
    each(|store| async move {
        let (right, run) = (verified(b"right"), RunId::fresh());
        let blob = Item::Blob(digest(b"right"));
        assert_eq!(store.examine(&digest(b"right"), run).await?, Examined::Gone);
        // Bytes that are not what they are vouched to be: as a bad disk would leave them.
        store.put_blob(&right, Bytes::from_static(b"wrong")).await?;
        let Examined::Damaged { aside, replaced: false } = store.examine(&digest(b"right"), run).await? else {
            panic!("it is damaged")
        };
        assert_eq!(aside, [Condemned { run, item: blob.clone(), why: Why::Damaged }.path()]);
        assert_eq!(content(&store, &digest(b"right")).await?, None);
        assert_eq!(store.ensure(std::slice::from_ref(&blob)).await?, [Presence::Missing]);
        assert!(store.condemned(None, 10).await?.entries.is_empty(), "it is not in the graveyard");
        // Somebody brings it again; the bytes are taken.
        assert_eq!(upload(&store, b"right").await?, Published::New);
        assert_eq!(store.examine(&digest(b"right"), RunId::fresh()).await?, Examined::Sound);
        assert_eq!(content(&store, &digest(b"right")).await?.as_deref(), Some(&b"right"[..]));

        // A damaged one stands there while a sound copy and another damaged one lie in the graveyard.
        let condemn = || store.condemn(&blob, RunId::fresh(), Why::Unreferenced, Duration::ZERO);
        condemn().await?;
        store.put_blob(&right, Bytes::from_static(b"wring")).await?;
        condemn().await?;
        store.put_blob(&right, Bytes::from_static(b"wrung")).await?;
        let Examined::Damaged { aside, replaced: true } = store.examine(&digest(b"right"), RunId::fresh()).await?
        else {
            panic!("two of three are damaged")
        };
        assert_eq!(aside.len(), 2);
        assert_eq!(store.ensure(std::slice::from_ref(&blob)).await?, [Presence::Live]);
        assert_eq!(content(&store, &digest(b"right")).await?.as_deref(), Some(&b"right"[..]));
        Ok(())
    })
    .await;
}
