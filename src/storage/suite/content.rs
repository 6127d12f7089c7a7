//! Blobs and uploads.

use super::*;

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
        assert_eq!(store.publish(&id, &verified(b"abcde")).await?, Published::Differs);
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
async fn an_upload_that_was_hashed_on_its_way_becomes_a_blob_at_once() {
    each(|store| async move {
        let id = UploadId::random();
        store.begin(&id, Bytes::new()).await?;
        store.append(&id, 0, vec!["abc".into()], hasher()).await?;
        assert_eq!(store.publish(&id, &verified(b"ab")).await?, Published::Differs);
        let (appended, _) = store.append(&id, 3, vec!["def".into()], hasher()).await?;
        assert_eq!(appended, Appended::To(6), "it goes on as if nothing had been asked");
        assert_eq!(store.publish(&id, &verified(b"abcdef")).await?, Published::New);
        assert_eq!(store.progress(&id).await?, None);
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
async fn a_hasher_sees_what_was_taken_and_nothing_else_however_long_it_is() {
    each(|store| async move {
        let id = UploadId::random();
        store.begin(&id, Bytes::new()).await?;
        let parts: Vec<Bytes> = (0..9u8).map(|i| vec![i; 128 << 10].into()).collect();
        let len = 9 * (128 << 10);
        let (appended, hash) = store.append(&id, 0, parts.clone(), hasher()).await?;
        assert_eq!((appended, hash.clone().finish()), (Appended::To(len), digest(&parts.concat())));
        let (appended, refused) = store.append(&id, 0, parts.clone(), hash.clone()).await?;
        assert_eq!((appended, refused.finish()), (Appended::At(len), hash.finish()));
        let sealed = store.seal(&id).await?.expect("an upload");
        assert_eq!(sealed.read(Span::whole(len)).await?, parts.concat());
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
