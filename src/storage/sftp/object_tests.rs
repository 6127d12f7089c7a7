//! The promises of a store of objects, kept by files of a real OpenSSH server.

use super::{SftpObjects, SftpStore, tests::settings};
use crate::storage::objects::{ObjectError, ObjectTag, Objects, PART_LEN, PutWhen};
use bytes::Bytes;
use oci::Span;
use std::{fs, time::Duration};
use testing::sshd::{self, Sshd};

/// A server, a local directory, and the store.
async fn store(server: &Sshd) -> (tempfile::TempDir, SftpStore) {
    let home = tempfile::tempdir().unwrap();
    let store = SftpStore::open(settings(server, "ed25519"), home.path(), false).await.unwrap();
    (home, store)
}

async fn put(objects: &SftpObjects, key: &str, text: &str, when: PutWhen) -> Result<ObjectTag, ObjectError> {
    objects.put(key, vec![Bytes::from(text.to_owned())], when).await.map(|tag| tag.unwrap())
}

#[tokio::test]
async fn conditions_of_writes_hold() {
    if !sshd::is_installed("conditions") {
        return;
    }
    let server = Sshd::start();
    let (_home, store) = store(&server).await;
    let objects = &store.objects;
    let tag = put(objects, "d/a", "x", PutWhen::Absent).await.unwrap();
    assert_eq!(put(objects, "d/a", "y", PutWhen::Absent).await, Err(ObjectError::Changed));
    assert_eq!(objects.head("d/a").await.unwrap().tag, Some(tag.clone()));
    assert_eq!(objects.get("d/a", None).await.unwrap().meta.tag, Some(tag.clone()));
    let next = put(objects, "d/a", "y", PutWhen::Is(tag.clone())).await.unwrap();
    assert_ne!(next, tag, "within one second and with the same length");
    assert_eq!(put(objects, "d/a", "z", PutWhen::Is(tag.clone())).await, Err(ObjectError::Changed));
    assert_eq!(put(objects, "d/b", "z", PutWhen::Is(tag.clone())).await, Err(ObjectError::Changed));
    assert_eq!(objects.delete_match("d/a", &tag).await, Err(ObjectError::Changed));
    objects.delete_match("d/a", &next).await.unwrap();
    assert_eq!(objects.head("d/a").await, Err(ObjectError::Absent));
    assert!(!server.root().join("d").exists(), "an empty directory is removed");
    let racers = (0..8).map(|_| put(objects, "race", "x", PutWhen::Absent));
    let won = futures_util::future::join_all(racers).await.into_iter().filter(Result::is_ok).count();
    assert_eq!(won, 1);
}

#[tokio::test]
async fn lists_are_in_byte_order_of_whole_keys_page_by_page() {
    if !sshd::is_installed("lists of objects") {
        return;
    }
    let server = Sshd::start();
    let (_home, store) = store(&server).await;
    let objects = &store.objects;
    assert!(objects.list("", None, 9).await.unwrap().objects.is_empty(), "what is ours is not listed");
    let keys = ["d/a-b/x", "d/a.b", "d/a/x", "d/a/y", "d/ab", "d/b/c/d", "e/z"];
    for key in keys {
        put(objects, key, key, PutWhen::Any).await.unwrap();
    }
    for (prefix, most) in [("", 1), ("", 3), ("d/", 2), ("d/a", 2), ("d/a/", 1)] {
        let (mut seen, mut after) = (Vec::new(), None::<String>);
        loop {
            let page = objects.list(prefix, after.as_deref(), most).await.unwrap();
            assert!(page.objects.len() <= most);
            seen.extend(page.objects.into_iter().map(|object| object.key));
            after = seen.last().cloned();
            if !page.more {
                break;
            }
        }
        let expected: Vec<_> = keys.iter().filter(|key| key.starts_with(prefix)).collect();
        assert_eq!(seen.iter().collect::<Vec<_>>(), expected, "{prefix} {most}");
    }
    let names = async |after: Option<&str>, most| {
        let level = objects.level("d", after, most).await.unwrap();
        let name = |(name, is_dir): (String, bool)| if is_dir { format!("{name}/") } else { name };
        (level.names.into_iter().map(name).collect::<Vec<_>>().join(" "), level.more)
    };
    assert_eq!(names(None, 9).await, ("a-b/ a.b a/ ab b/".into(), false));
    assert_eq!(names(Some("a"), 2).await, ("a-b/ a.b".into(), true));
    assert_eq!(names(Some("a/"), 9).await, ("ab b/".into(), false));
    assert_eq!(objects.level("none", None, 9).await.unwrap().names, []);
}

#[tokio::test]
async fn large_objects_are_written_in_parts_read_in_spans_and_copied() {
    if !sshd::is_installed("parts") {
        return;
    }
    let server = Sshd::start();
    let (_home, store) = store(&server).await;
    let objects = &store.objects;
    let id = objects.begin_parts("big").await.unwrap();
    let first = objects.put_part("big", &id, 0, vec![vec![1; PART_LEN].into()]).await.unwrap();
    let second = objects.put_part("big", &id, 1, vec!["longer".into()]).await.unwrap();
    let again = objects.put_part("big", &id, 1, vec!["end".into()]).await.unwrap();
    assert_eq!(objects.head("big").await, Err(ObjectError::Absent));
    assert!(objects.complete_parts("big", &id, &[second.clone(), first.clone()]).await.is_err(), "out of order");
    objects.complete_parts("big", &id, &[first.clone(), again]).await.unwrap();
    assert_eq!(objects.complete_parts("big", &id, &[first]).await, Err(ObjectError::Absent));
    assert_eq!(objects.put_part("big", &id, 2, vec![]).await, Err(ObjectError::Absent));
    let span = Span { start: PART_LEN as u64 - 1, len: 9 };
    let body = objects.get("big", Some(span)).await.unwrap();
    assert_eq!(body.meta.len, PART_LEN as u64 + 3);
    assert_eq!(body.collect().await.unwrap(), "\u{1}end");
    objects.copy("big", "d/copy").await.unwrap();
    objects.delete(vec!["big".into(), "none".into()]).await.unwrap();
    assert_eq!(objects.get("d/copy", None).await.unwrap().collect().await.unwrap().len(), PART_LEN + 3);
    assert_eq!(objects.copy("big", "d/other").await, Err(ObjectError::Absent));
    let dropped = objects.begin_parts("dropped").await.unwrap();
    objects.abort_parts("dropped", &dropped).await.unwrap();
    objects.abort_parts("dropped", &dropped).await.unwrap();
    for dir in ["tmp", "parts"] {
        let left = fs::read_dir(server.root().join(".wharfinger").join(dir)).unwrap().count();
        assert_eq!(left, 0, "files are left behind in {dir}");
    }
}

#[tokio::test]
async fn a_killed_server_comes_back_and_a_stopped_store_lets_go() {
    if !sshd::is_installed("outages of a store") {
        return;
    }
    let mut server = Sshd::start();
    let (home, first) = store(&server).await;
    put(&first.objects, "a", "x", PutWhen::Any).await.unwrap();
    server.kill();
    let (read, ()) = tokio::join!(first.objects.head("a"), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        server.resume();
    });
    assert_eq!(read.unwrap().len, 1);
    let other = tempfile::tempdir().unwrap();
    let refused = SftpStore::open(settings(&server, "rsa"), other.path(), false).await.err().unwrap().to_string();
    assert!(refused.contains("is in use by") && refused.contains("REGISTRY_SFTP_TAKEOVER"), "{refused}");
    let refused = SftpStore::open(settings(&server, "rsa"), home.path(), false).await.err().unwrap().to_string();
    assert!(refused.contains("another process uses it"), "{refused}");
    first.close().await;
    drop(first);
    let second = SftpStore::open(settings(&server, "rsa"), other.path(), false).await.unwrap();
    // As after `kill -9`: the lock is still there, and the local directory says that its owner has ended.
    drop(second);
    SftpStore::open(settings(&server, "rsa"), other.path(), false).await.unwrap();
}
