//! Blobs and uploads.

use super::*;

#[tokio::test]
async fn an_upload_grows_is_sealed_and_becomes_a_blob() {
    each(|store| async move {
        let id = UploadId::random();
        assert_eq!(store.progress(&id).await?, None);
        store.begin(&id, "facts".into()).await?;
        let (appended, hash) =
            store.append(&id, &UploadTurn::default(), 0, vec!["ab".into(), "c".into()], hasher()).await?;
        assert_eq!(appended, Appended::To(3));
        let so_far = store.read_upload(&id).await?.expect("an upload");
        assert_eq!(so_far.read(Span::whole(3)).await?, "abc");
        let (appended, hash) = store.append(&id, &UploadTurn::default(), 3, vec!["def".into()], hash).await?;
        assert_eq!((appended, hash.finish()), (Appended::To(6), digest(b"abcdef")));
        assert!(store.note(&id, &UploadTurn::default(), &"facts".into(), "more".into()).await?);
        assert!(
            !store.note(&id, &UploadTurn::default(), &"facts".into(), "other".into()).await?,
            "it is not that any more"
        );
        let progress = store.progress(&id).await?.expect("an upload");
        assert_eq!((progress.len, progress.facts.as_ref(), progress.sealed), (6, b"more".as_ref(), false));
        assert_eq!(store.publish(&id, &UploadTurn::default(), &verified(b"abcde")).await?, Published::Differs);
        let sealed = store.seal(&id, &UploadTurn::default()).await?.expect("an upload");
        assert_eq!(sealed.read(Span { start: 2, len: 3 }).await?, "cde");
        assert!(store.seal(&id, &UploadTurn::default()).await?.is_some(), "asked again it answers again");
        assert!(store.progress(&id).await?.expect("an upload").sealed);
        let (appended, _) = store.append(&id, &UploadTurn::default(), 6, vec!["g".into()], hasher()).await?;
        assert_eq!(appended, Appended::Gone, "nothing is added to what may have been verified");
        assert_eq!(store.publish(&id, &UploadTurn::default(), &verified(b"abcdef")).await?, Published::New);
        assert_eq!(store.progress(&id).await?, None);
        assert_eq!(store.publish(&id, &UploadTurn::default(), &verified(b"abcdef")).await?, Published::Gone);
        assert!(!store.note(&id, &UploadTurn::default(), &"more".into(), "late".into()).await?);
        assert!(store.seal(&id, &UploadTurn::default()).await?.is_none());
        assert_eq!(content(&store, &digest(b"abcdef")).await?.as_deref(), Some(b"abcdef".as_ref()));
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn an_upload_hashed_on_arrival_becomes_a_blob_at_once() {
    each(|store| async move {
        let id = UploadId::random();
        store.begin(&id, Bytes::new()).await?;
        store.append(&id, &UploadTurn::default(), 0, vec!["abc".into()], hasher()).await?;
        assert_eq!(store.publish(&id, &UploadTurn::default(), &verified(b"ab")).await?, Published::Differs);
        let (appended, _) = store.append(&id, &UploadTurn::default(), 3, vec!["def".into()], hasher()).await?;
        assert_eq!(appended, Appended::To(6), "the upload continues unchanged");
        assert_eq!(store.publish(&id, &UploadTurn::default(), &verified(b"abcdef")).await?, Published::New);
        assert_eq!(store.progress(&id).await?, None);
        assert_eq!(content(&store, &digest(b"abcdef")).await?.as_deref(), Some(b"abcdef".as_ref()));
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn one_of_two_appends_at_one_offset_wins_and_bytes_never_mix() {
    each(|store| async move {
        let id = UploadId::random();
        store.begin(&id, Bytes::new()).await?;
        for round in 0..20u64 {
            let at = round * 1000;
            let racers: Vec<_> = (0..4u8)
                .map(|i| {
                    let store = store.clone();
                    let bytes = vec![Bytes::from(vec![i; 500]), Bytes::from(vec![i; 500])];
                    tokio::spawn(async move { store.append(&id, &UploadTurn::default(), at, bytes, hasher()).await })
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
        let sealed = store.seal(&id, &UploadTurn::default()).await?.expect("an upload");
        let bytes = sealed.read(Span::whole(20_000)).await?;
        assert!(bytes.chunks(1000).all(|chunk| chunk.iter().all(|b| *b == chunk[0])));
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_hasher_sees_exactly_the_accepted_bytes() {
    each(|store| async move {
        let id = UploadId::random();
        store.begin(&id, Bytes::new()).await?;
        let parts: Vec<Bytes> = (0..9u8).map(|i| vec![i; 128 << 10].into()).collect();
        let len = 9 * (128 << 10);
        let (appended, hash) = store.append(&id, &UploadTurn::default(), 0, parts.clone(), hasher()).await?;
        assert_eq!((appended, hash.clone().finish()), (Appended::To(len), digest(&parts.concat())));
        let (appended, refused) = store.append(&id, &UploadTurn::default(), 0, parts.clone(), hash.clone()).await?;
        assert_eq!((appended, refused.finish()), (Appended::At(len), hash.finish()));
        let sealed = store.seal(&id, &UploadTurn::default()).await?.expect("an upload");
        assert_eq!(sealed.read(Span::whole(len)).await?, parts.concat());
        Ok(())
    })
    .await;
}

/// Takes over an upload that has the note `facts`, and leaves the note `less`.
async fn taken_over(store: &Arc<dyn Storage>, id: &UploadId, turn: &UploadTurn, to: u64) -> Result<UploadTurn> {
    match store.take_over(id, turn, to, &"facts".into(), "less".into()).await? {
        TakenOver::Yes(turn) => Ok(turn),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_upload_is_truncated_and_continues_from_there() {
    each(|store| async move {
        let (id, first) = (UploadId::random(), UploadTurn::default());
        store.begin(&id, "facts".into()).await?;
        store.append(&id, &first, 0, vec!["abcdef".into()], hasher()).await?;
        let longer = store.take_over(&id, &first, 7, &"facts".into(), "less".into()).await?;
        assert!(matches!(longer, TakenOver::At(6)), "{longer:?}");
        let other = store.take_over(&id, &first, 4, &"other".into(), "less".into()).await?;
        assert!(matches!(other, TakenOver::Changed), "{other:?}");
        assert!(!first.is_over(), "nothing was done");
        let second = taken_over(&store, &id, &first, 4).await?;
        let progress = store.progress(&id).await?.expect("an upload");
        assert_eq!((progress.len, progress.facts.as_ref()), (4, b"less".as_ref()));
        let (appended, _) = store.append(&id, &second, 4, vec!["EF".into()], hasher()).await?;
        assert_eq!(appended, Appended::To(6));
        assert_eq!(store.publish(&id, &second, &verified(b"abcdEF")).await?, Published::New);
        assert_eq!(content(&store, &digest(b"abcdEF")).await?.as_deref(), Some(b"abcdEF".as_ref()));
        let gone = store.take_over(&id, &second, 0, &"less".into(), "none".into()).await?;
        assert!(matches!(gone, TakenOver::Gone), "{gone:?}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn notes_are_kept_if_nothing_is_truncated() {
    each(|store| async move {
        let (id, first) = (UploadId::random(), UploadTurn::default());
        store.begin(&id, "facts".into()).await?;
        store.append(&id, &first, 0, vec!["abc".into()], hasher()).await?;
        let taken = store.take_over(&id, &first, 3, &"other".into(), "less".into()).await?;
        assert!(matches!(taken, TakenOver::Yes(_)) && first.is_over(), "{taken:?}");
        assert_eq!(store.progress(&id).await?.expect("an upload").facts, "facts");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_writer_whose_turn_is_over_changes_nothing() {
    each(|store| async move {
        let (id, first) = (UploadId::random(), UploadTurn::default());
        store.begin(&id, "facts".into()).await?;
        store.append(&id, &first, 0, vec!["abc".into()], hasher()).await?;
        let second = taken_over(&store, &id, &first, 3).await?;
        assert!(first.is_over() && !second.is_over() && !first.latest().is_over());
        let (appended, _) = store.append(&id, &first, 3, vec!["x".into()], hasher()).await?;
        assert_eq!(appended, Appended::Gone);
        assert!(!store.note(&id, &first, &"facts".into(), "late".into()).await?);
        assert!(store.seal(&id, &first).await?.is_none());
        assert_eq!(store.publish(&id, &first, &verified(b"abc")).await?, Published::Gone);
        assert_eq!(store.abandon(&id, &first, Duration::ZERO).await?, Condemnation::Renewed);
        let progress = store.progress(&id).await?.expect("an upload");
        assert_eq!((progress.len, progress.facts.as_ref(), progress.sealed), (3, b"facts".as_ref(), false));
        assert_eq!(store.publish(&id, &second, &verified(b"abc")).await?, Published::New);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_sealed_upload_that_is_taken_over_is_open_again() {
    each(|store| async move {
        for to in [6, 2] {
            let (id, first) = (UploadId::random(), UploadTurn::default());
            store.begin(&id, "facts".into()).await?;
            store.append(&id, &first, 0, vec!["abcdef".into()], hasher()).await?;
            store.seal(&id, &first).await?.expect("an upload");
            let longer = store.take_over(&id, &first, 7, &"facts".into(), "less".into()).await?;
            assert!(matches!(longer, TakenOver::At(6)), "{longer:?}");
            assert!(store.progress(&id).await?.expect("an upload").sealed, "nothing was done");
            let second = taken_over(&store, &id, &first, to).await?;
            let progress = store.progress(&id).await?.expect("an upload");
            assert_eq!((progress.len, progress.sealed), (to, false));
            assert_eq!(store.publish(&id, &first, &verified(b"abcdef")).await?, Published::Gone);
            let (appended, _) = store.append(&id, &second, to, vec!["g".into()], hasher()).await?;
            assert_eq!(appended, Appended::To(to + 1));
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn the_later_of_two_requests_for_one_offset_wins() {
    each(|store| async move {
        let id = UploadId::random();
        let mut latest = UploadTurn::default();
        store.begin(&id, "facts".into()).await?;
        for round in 0..20u8 {
            let racers: Vec<_> = (0..4u8)
                .map(|i| {
                    let (store, turn) = (store.clone(), latest.latest());
                    tokio::spawn(async move {
                        let facts = store.progress(&id).await?.expect("an upload").facts;
                        let noted = Bytes::from(vec![round, i]);
                        let TakenOver::Yes(turn) = store.take_over(&id, &turn, 0, &facts, noted).await? else {
                            return Ok(None);
                        };
                        for at in (0..2000).step_by(500) {
                            let parts = vec![Bytes::from(vec![i; 250]), Bytes::from(vec![i; 250])];
                            if store.append(&id, &turn, at, parts, hasher()).await?.0 != Appended::To(at + 500) {
                                return Ok(None);
                            }
                        }
                        Result::Ok(Some(turn))
                    })
                })
                .collect();
            let mut turns = Vec::new();
            for racer in racers {
                turns.extend(racer.await.expect("no panic")?);
            }
            turns.retain(|turn| !turn.is_over());
            latest = turns.pop().expect("the last request succeeded");
            assert!(turns.is_empty(), "round {round}");
            let bytes = store.read_upload(&id).await?.expect("an upload").read(Span::whole(2000)).await?;
            assert!(bytes.iter().all(|b| *b == bytes[0]), "round {round}");
        }
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
        // Only a backend's own code can store wrong bytes; this is the closest a test can get.
        store.put_blob(&Verified::vouch(digest(b"whole"), 3), "who".into()).await?;
        assert_eq!(upload(&store, b"whole").await?, Published::Healed);
        assert_eq!(content(&store, &digest(b"whole")).await?.as_deref(), Some(b"whole".as_ref()));
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn files_from_outside_become_blobs_together() {
    each(|store| async move {
        let outside = tempfile::tempdir().expect("a directory");
        let take_in = async |bytes: &[u8]| {
            let path = outside.path().join("file");
            std::fs::write(&path, bytes).expect("a file");
            let file = Arc::new(std::fs::File::open(&path).expect("a file"));
            let (taken, hash) = store.take_in(file, IntakeMode::Copy, hasher()).await?;
            assert_eq!((taken.len, hash.finish()), (bytes.len() as u64, digest(bytes)));
            std::fs::write(&path, "changed").expect("a file");
            Ok::<_, StorageError>(taken)
        };
        upload(&store, b"here").await?;
        store.put_blob(&Verified::vouch(digest(b"whole"), 3), "who".into()).await?;
        store.drop_taken_in(take_in(b"refused").await?).await?;
        let mut blobs = Vec::new();
        for bytes in [&b"new"[..], b"", b"here", b"whole", b"new"] {
            blobs.push((take_in(bytes).await?, Verified::vouch(digest(bytes), bytes.len() as u64)));
        }
        let expected = [Published::New, Published::New, Published::Existed, Published::Healed, Published::Existed];
        assert_eq!(store.publish_taken_in(blobs).await?, expected);
        for bytes in [&b"new"[..], b"", b"here", b"whole"] {
            assert_eq!(content(&store, &digest(bytes)).await?.as_deref(), Some(bytes));
        }
        assert!(store.open(&digest(b"refused")).await?.is_none());
        Ok(())
    })
    .await;
}
