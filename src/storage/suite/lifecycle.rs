//! Tests of ages, the graveyard and collections.

use super::*;

#[tokio::test]
async fn items_are_listed_in_pages() {
    each(|store| async move {
        for bytes in [b"1".as_ref(), b"2", b"3", b"4", b"5"] {
            store.put_blob(&Verified::vouch(digest(bytes), 1), Bytes::copy_from_slice(bytes)).await?;
            let keys = [FactKey::Layer(name("a"), digest(bytes)), FactKey::Revision(name("a"), digest(bytes))];
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
async fn unreferenced_items_can_be_restored_and_deleted_ones_cannot() {
    each(|store| async move {
        upload(&store, b"blob").await?;
        let item = Item::Blob(digest(b"blob"));
        let layer = Item::Link(name("a/b"), digest(b"blob"));
        store.put(vec![Put::any(FactKey::Layer(name("a/b"), digest(b"blob")), "")], Durability::Durable).await?;
        let run = RunId::fresh();
        assert_eq!(store.condemn(&item, run, Why::Unreferenced, Duration::MAX).await?, Condemnation::Renewed);
        assert_eq!(store.condemn(&item, run, Why::Unreferenced, Duration::ZERO).await?, Condemnation::Condemned);
        assert_eq!(store.condemn(&item, run, Why::Unreferenced, Duration::ZERO).await?, Condemnation::Gone);
        assert!(store.items(&ItemKind::Blobs, None, 9).await?.entries.is_empty());
        assert_eq!(content(&store, &digest(b"blob")).await?.as_deref(), Some(b"blob".as_ref()), "still readable");
        assert!(store.items(&ItemKind::Blobs, None, 9).await?.entries.is_empty(), "and reading changes nothing");
        assert_eq!(store.ensure(&[item.clone(), layer.clone()]).await?, [Presence::Restored, Presence::Live]);
        assert_eq!(store.condemned(None, 9).await?.entries.len(), 1, "until it is purged");
        assert_eq!(content(&store, &digest(b"blob")).await?.as_deref(), Some(b"blob".as_ref()));
        for why in [Why::Deleted, Why::Damaged] {
            upload(&store, b"blob").await?;
            assert_eq!(store.condemn(&item, RunId::fresh(), why, Duration::ZERO).await?, Condemnation::Condemned);
            assert_eq!(store.ensure(std::slice::from_ref(&item)).await?, [Presence::Missing]);
            assert!(store.open(&digest(b"blob")).await?.is_none());
        }
        assert_eq!(store.condemn(&layer, RunId::fresh(), Why::Deleted, Duration::ZERO).await?, Condemnation::Condemned);
        let lie: Vec<_> = store.condemned(None, 9).await?.entries.into_iter().map(|g| g.entry.why).collect();
        assert_eq!(lie, [Why::Deleted, Why::Deleted], "damaged items are in quarantine");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn everything_is_missing_from_an_empty_repository() {
    each(|store| async move {
        let items = [Item::Link(name("new"), digest(b"x")), Item::Revision(name("new"), digest(b"x"))];
        assert_eq!(store.ensure(&items).await?, [Presence::Missing, Presence::Missing]);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_deletion_also_removes_copies_condemned_earlier() {
    each(|store| async move {
        let (key, link) = (FactKey::Layer(name("a"), digest(b"x")), Item::Link(name("a"), digest(b"x")));
        let delete = || store.condemn(&link, RunId::fresh(), Why::Deleted, Duration::ZERO);
        store.put(vec![Put::any(key.clone(), "")], Durability::Durable).await?;
        store.condemn(&link, RunId::fresh(), Why::Unreferenced, Duration::ZERO).await?;
        store.put(vec![Put::any(key.clone(), "")], Durability::Durable).await?;
        assert_eq!(delete().await?, Condemnation::Condemned);
        assert_eq!(store.get(&key).await?, None);
        assert_eq!(store.ensure(std::slice::from_ref(&link)).await?, [Presence::Missing]);
        store.put(vec![Put::any(key.clone(), "")], Durability::Durable).await?;
        store.condemn(&link, RunId::fresh(), Why::Unreferenced, Duration::ZERO).await?;
        assert_eq!(delete().await?, Condemnation::Condemned, "what is merely condemned can be deleted");
        assert_eq!(delete().await?, Condemnation::Gone);
        assert_eq!(store.ensure(std::slice::from_ref(&link)).await?, [Presence::Missing]);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn only_one_collection_runs_at_a_time() {
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
async fn a_purge_removes_only_its_entry_and_never_the_live_name() {
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
        store.append(&id, &UploadTurn::default(), 0, vec!["abc".into()], hasher()).await?;
        let run = RunId::fresh();
        assert_eq!(
            store.condemn(&Item::Upload(id), run, Why::Unreferenced, Duration::MAX).await?,
            Condemnation::Renewed
        );
        assert_eq!(
            store.condemn(&Item::Upload(id), run, Why::Unreferenced, Duration::ZERO).await?,
            Condemnation::Condemned
        );
        assert_eq!(store.progress(&id).await?, None);
        assert_eq!(store.append(&id, &UploadTurn::default(), 3, vec!["d".into()], hasher()).await?.0, Appended::Gone);
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
        assert_eq!(store.abandon(&id, &UploadTurn::default(), Duration::ZERO).await?, Condemnation::Gone);
        store.begin(&id, Bytes::new()).await?;
        store.append(&id, &UploadTurn::default(), 0, vec!["abc".into()], hasher()).await?;
        assert_eq!(store.abandon(&id, &UploadTurn::default(), Duration::from_secs(3600)).await?, Condemnation::Renewed);
        store.seal(&id, &UploadTurn::default()).await?;
        assert_eq!(store.abandon(&id, &UploadTurn::default(), Duration::ZERO).await?, Condemnation::Condemned);
        assert_eq!(store.publish(&id, &UploadTurn::default(), &verified(b"abc")).await?, Published::Gone);
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
        let age = |page: ListingPage<crate::storage::Aged>| page.entries[0].renewed;
        let before = age(store.items(&ItemKind::Blobs, None, 1).await?);
        tick().await;
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
async fn leftovers_of_an_interrupted_write_are_removed() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (fs, _) = Fs::open(dir.path(), crate::storage::fs::Init::EmptyDirectory).expect("a store");
    std::fs::write(dir.path().join("state/tmp/left"), "x").expect("a write");
    let now = std::time::SystemTime::now();
    assert_eq!(fs.tidy(now - Duration::from_secs(3600)).await.expect("tidy"), 0);
    assert_eq!(fs.tidy(std::time::SystemTime::now()).await.expect("tidy"), 1);
}

#[tokio::test]
async fn a_damaged_blob_is_quarantined_and_replaced_by_a_sound_copy_or_a_push() {
    each(|store| async move {
        let (right, run) = (verified(b"right"), RunId::fresh());
        let blob = Item::Blob(digest(b"right"));
        assert_eq!(store.examine(&digest(b"right"), run).await?, Examined::Gone);
        // Bytes that do not match their digest, as a bad disk would leave them.
        store.put_blob(&right, Bytes::from_static(b"wrong")).await?;
        let Examined::Damaged { quarantined, replaced: false } = store.examine(&digest(b"right"), run).await? else {
            panic!("it is damaged")
        };
        assert_eq!(quarantined, [Condemned { run, item: blob.clone(), why: Why::Damaged }.path()]);
        assert_eq!(content(&store, &digest(b"right")).await?, None);
        assert_eq!(store.ensure(std::slice::from_ref(&blob)).await?, [Presence::Missing]);
        assert!(store.condemned(None, 10).await?.entries.is_empty(), "it is not in the graveyard");
        // The blob is pushed again, and accepted.
        assert_eq!(upload(&store, b"right").await?, Published::New);
        assert_eq!(store.examine(&digest(b"right"), RunId::fresh()).await?, Examined::Sound);
        assert_eq!(content(&store, &digest(b"right")).await?.as_deref(), Some(&b"right"[..]));

        // The live copy is damaged, while a sound copy and another damaged one are in the graveyard.
        let condemn = || store.condemn(&blob, RunId::fresh(), Why::Unreferenced, Duration::ZERO);
        condemn().await?;
        store.put_blob(&right, Bytes::from_static(b"wring")).await?;
        condemn().await?;
        store.put_blob(&right, Bytes::from_static(b"wrung")).await?;
        let Examined::Damaged { quarantined, replaced: true } =
            store.examine(&digest(b"right"), RunId::fresh()).await?
        else {
            panic!("two of three are damaged")
        };
        assert_eq!(quarantined.len(), 2);
        assert_eq!(store.ensure(std::slice::from_ref(&blob)).await?, [Presence::Live]);
        assert_eq!(content(&store, &digest(b"right")).await?.as_deref(), Some(&b"right"[..]));
        Ok(())
    })
    .await;
}
