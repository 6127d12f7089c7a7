//! The promises of objects, against real servers. `.ci/run objects` starts them.

mod faults;

use super::{AzureSettings, BucketCredentials, BucketSettings, CloudObjects, CloudSettings};
use crate::{
    files::world,
    storage::objects::{MemObjects, ObjectAbilities, ObjectError, Objects, PART_LEN, PutWhen},
};
use bytes::Bytes;
use client::Secret;
use futures_util::future::join_all;
use oci::Span;
use std::{collections::BTreeSet, time::Duration};

/// The bucket at `http://HOST:PORT/BUCKET` in this variable, with the keys `AKTEST` and `SKTEST`.
fn bucket(endpoint: &str, bucket: &str) -> BucketSettings {
    BucketSettings {
        bucket: bucket.to_owned(),
        endpoint: Some(endpoint.to_owned()),
        region: Some("us-east-1".to_owned()),
        credentials: BucketCredentials::Keys { access: Secret::new("AKTEST"), secret: Secret::new("SKTEST") },
        prefix: format!("suite/{}", world::ulid()),
        path_style: true,
        ..BucketSettings::default()
    }
}

fn s3() -> BucketSettings {
    let url = std::env::var("WHARFINGER_TEST_S3").expect("WHARFINGER_TEST_S3=http://HOST:PORT/BUCKET");
    let (endpoint, name) = url.rsplit_once('/').unwrap();
    bucket(endpoint, name)
}

/// The server of this variable, if it is set: the suite of storage is run on it too.
pub(in crate::storage) async fn server() -> Option<CloudObjects> {
    std::env::var_os("WHARFINGER_TEST_S3")?;
    Some(open(CloudSettings::S3(s3())).await)
}

async fn open(settings: CloudSettings) -> CloudObjects {
    let (objects, probed) = CloudObjects::open(&settings).await.unwrap();
    println!("{}", probed.words.join("\n"));
    objects
}

fn bytes(text: &'static str) -> Vec<Bytes> {
    vec![Bytes::from_static(text.as_bytes())]
}

async fn read(objects: &dyn Objects, key: &str, span: Option<Span>) -> Result<Bytes, ObjectError> {
    objects.get(key, span).await?.collect().await
}

async fn everything(objects: &dyn Objects) {
    reading_and_writing(objects).await;
    conditions(objects).await;
    one_of_many_wins(objects).await;
    parts(objects).await;
    same_lists_as_in_memory(objects).await;
}

async fn reading_and_writing(objects: &dyn Objects) {
    assert_eq!(objects.head("x/a").await.unwrap_err(), ObjectError::Absent);
    assert_eq!(read(objects, "x/a", None).await.unwrap_err(), ObjectError::Absent);
    objects.put("x/a", vec!["hello".into(), ", ".into(), "world".into()], PutWhen::Any).await.unwrap();
    let meta = objects.head("x/a").await.unwrap();
    assert_eq!(meta.len, 12);
    let now = objects.now().await.unwrap();
    assert!(now.duration_since(meta.modified).unwrap_or_default() < Duration::from_secs(10));
    assert_eq!(read(objects, "x/a", None).await.unwrap(), "hello, world");
    let span = |start, len| Some(Span { start, len });
    for (asked, expected) in [
        (span(7, 5), "world"),
        (span(7, 99), "world"),
        (span(0, 1), "h"),
        (span(12, 5), ""),
        (span(99, 5), ""),
        (span(3, 0), ""),
    ] {
        assert_eq!(read(objects, "x/a", asked).await.unwrap(), expected, "{asked:?}");
    }
    objects.put("x/empty", Vec::new(), PutWhen::Any).await.unwrap();
    assert_eq!(read(objects, "x/empty", span(0, 9)).await.unwrap(), "");
    assert_eq!(read(objects, "x/empty", None).await.unwrap(), "");
    let odd = "x/a+b =&%~'(1)@:,!*;$";
    objects.put(odd, bytes("odd"), PutWhen::Any).await.unwrap();
    assert_eq!(read(objects, odd, None).await.unwrap(), "odd");
    objects.copy("x/a", odd).await.unwrap();
    assert_eq!(read(objects, odd, None).await.unwrap(), "hello, world");
    assert_eq!(objects.copy("x/none", "x/b").await.unwrap_err(), ObjectError::Absent);
    let listed: Vec<_> =
        objects.list("x/", None, 10).await.unwrap().objects.into_iter().map(|o| (o.key, o.len)).collect();
    assert_eq!(listed, [("x/a", 12), (odd, 12), ("x/empty", 0)].map(|(key, len)| (key.to_owned(), len)));
    objects.delete(["x/a", odd, "x/never", "x/empty"].map(str::to_owned).to_vec()).await.unwrap();
    objects.delete(vec!["x/a".to_owned()]).await.unwrap();
    assert!(objects.list("x/", None, 10).await.unwrap().objects.is_empty());
}

async fn conditions(objects: &dyn Objects) {
    let ObjectAbilities { put_absent, put_match, delete_match, .. } = objects.abilities();
    assert!(put_absent && put_match, "the server lost an ability");
    objects.put("c/a", bytes("one"), PutWhen::Absent).await.unwrap();
    assert_eq!(objects.put("c/a", bytes("two"), PutWhen::Absent).await.unwrap_err(), ObjectError::Changed);
    let first = objects.head("c/a").await.unwrap().tag.unwrap();
    let second = objects.put("c/a", bytes("two"), PutWhen::Is(first.clone())).await.unwrap().unwrap();
    assert_eq!(objects.head("c/a").await.unwrap().tag.as_ref(), Some(&second));
    assert_eq!(objects.put("c/a", bytes("three"), PutWhen::Is(first.clone())).await.unwrap_err(), ObjectError::Changed);
    assert_eq!(
        objects.put("c/none", bytes("three"), PutWhen::Is(first.clone())).await.unwrap_err(),
        ObjectError::Changed
    );
    assert_eq!(read(objects, "c/a", None).await.unwrap(), "two");
    if delete_match {
        assert_eq!(objects.delete_match("c/a", &first).await.unwrap_err(), ObjectError::Changed);
        assert_eq!(objects.delete_match("c/none", &first).await.unwrap_err(), ObjectError::Changed);
        objects.delete_match("c/a", &second).await.unwrap();
        assert_eq!(objects.head("c/a").await.unwrap_err(), ObjectError::Absent);
    }
}

/// Many who write at once: of each round, one.
async fn one_of_many_wins(objects: &dyn Objects) {
    let made = join_all((0..16).map(|n| objects.put("w/first", vec![format!("{n}").into()], PutWhen::Absent))).await;
    let winners: Vec<_> =
        made.iter().enumerate().filter(|(_, made)| made.is_ok()).map(|(n, _)| n.to_string()).collect();
    assert_eq!(winners, [read(objects, "w/first", None).await.unwrap()]);
    objects.put("w/count", bytes("0"), PutWhen::Any).await.unwrap();
    let count = async || {
        for _ in 0..5 {
            loop {
                let body = objects.get("w/count", None).await.unwrap();
                let tag = body.meta.tag.clone().unwrap();
                let number: u32 = std::str::from_utf8(&body.collect().await.unwrap()).unwrap().parse().unwrap();
                let next = vec![Bytes::from((number + 1).to_string())];
                match objects.put("w/count", next, PutWhen::Is(tag)).await {
                    Ok(_) => break,
                    Err(ObjectError::Changed) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }
    };
    join_all((0..4).map(|_| count())).await;
    assert_eq!(read(objects, "w/count", None).await.unwrap(), "20");
}

async fn parts(objects: &dyn Objects) {
    let id = objects.begin_parts("p/big").await.unwrap();
    let halves = [vec![7_u8; PART_LEN / 2].into(), vec![8_u8; PART_LEN / 2].into()];
    let first = objects.put_part("p/big", &id, 0, halves.to_vec()).await.unwrap();
    let last = objects.put_part("p/big", &id, 1, bytes("end")).await.unwrap();
    assert_eq!(objects.head("p/big").await.unwrap_err(), ObjectError::Absent);
    // A part may be sent twice: its answer was lost.
    let first_again = objects.put_part("p/big", &id, 0, halves.to_vec()).await.unwrap();
    drop(first);
    objects.complete_parts("p/big", &id, &[first_again, last]).await.unwrap();
    assert_eq!(objects.head("p/big").await.unwrap().len, PART_LEN as u64 + 3);
    let end = Some(Span { start: PART_LEN as u64 - 1, len: 4 });
    assert_eq!(read(objects, "p/big", end).await.unwrap(), &b"\x08end"[..]);
    let whole = read(objects, "p/big", None).await.unwrap();
    assert!(whole[..PART_LEN / 2].iter().all(|byte| *byte == 7) && whole.len() == PART_LEN + 3);
    let id = objects.begin_parts("p/other").await.unwrap();
    objects.put_part("p/other", &id, 0, bytes("x")).await.unwrap();
    objects.abort_parts("p/other", &id).await.unwrap();
    objects.abort_parts("p/other", &id).await.unwrap();
    assert_eq!(objects.head("p/other").await.unwrap_err(), ObjectError::Absent);
}

/// Every page of every level, from every cursor, is the one that memory gives.
async fn same_lists_as_in_memory(objects: &dyn Objects) {
    let names = [
        "team/app/x",
        "team-x/app/x",
        "team-x/b",
        "team.y/x",
        "team0/x",
        "team/-/x",
        "a/x",
        "a-b/x",
        "a-b-c/x",
        "a-b0",
        "a.b/c",
        "ab/x",
        "a0/x",
        "z",
        "z-z/z",
        "_layers/x",
        "a-b/c/d",
        "0/x",
        "00/x",
        "0-/x",
    ];
    let memory = MemObjects::default();
    for name in names {
        let key = format!("l/{name}");
        objects.put(&key, bytes("x"), PutWhen::Any).await.unwrap();
        memory.put(&key, bytes("x"), PutWhen::Any).await.unwrap();
    }
    let whole = memory.level("l", None, 100).await.unwrap();
    // What begins with a key, and follows it: all that is below it, as if it were a directory.
    for key in ["l/team/app", "l/a-b/c", "l/0", "l/team", "l/a", "l/z-z"] {
        let keys = async |objects: &dyn Objects| {
            let mut keys: Vec<_> =
                objects.list(key, Some(key), 100).await.unwrap().objects.into_iter().map(|object| object.key).collect();
            keys.sort();
            keys
        };
        assert_eq!(keys(objects).await, keys(&memory).await, "{key}");
    }
    let shown = |(name, is_dir): &(String, bool)| format!("{name}{}", if *is_dir { "/" } else { "" });
    let cursors: Vec<String> =
        whole.names.iter().map(shown).chain(["team".to_owned(), "a-".to_owned(), "~".to_owned()]).collect();
    for most in [1, 3, 100] {
        for after in std::iter::once(None).chain(cursors.iter().map(|cursor| Some(cursor.as_str()))) {
            let (theirs, ours) =
                (objects.level("l", after, most).await.unwrap(), memory.level("l", after, most).await.unwrap());
            assert_eq!(theirs, ours, "{most} after {after:?}");
        }
    }
    let (mut found, mut after) = (BTreeSet::new(), None::<String>);
    loop {
        let page = objects.list("l/", after.as_deref(), 3).await.unwrap();
        after = page.objects.last().map(|object| object.key.clone());
        for object in page.objects {
            assert!(found.insert(object.key.clone()), "{} came twice", object.key);
        }
        if !page.more {
            break;
        }
    }
    assert_eq!(found, names.iter().map(|name| format!("l/{name}")).collect());
}

#[tokio::test]
async fn memory_keeps_the_promises_that_servers_are_asked_for() {
    everything(&MemObjects::default()).await;
}

#[tokio::test]
#[ignore = "needs a server: WHARFINGER_TEST_S3=http://HOST:PORT/BUCKET"]
async fn a_server_that_speaks_s3_keeps_the_promises() {
    let objects = open(CloudSettings::S3(s3())).await;
    everything(&objects).await;
    println!("{} requests", objects.requests());
}

#[tokio::test]
#[ignore = "needs a server: WHARFINGER_TEST_AZURE=http://HOST:PORT/ACCOUNT/CONTAINER KEY"]
async fn azure_keeps_the_promises() {
    let given = std::env::var("WHARFINGER_TEST_AZURE").expect("WHARFINGER_TEST_AZURE=URL KEY");
    let (url, key) = given.split_once(' ').unwrap();
    let (endpoint, container) = url.rsplit_once('/').unwrap();
    let settings = AzureSettings {
        account: endpoint.rsplit_once('/').unwrap().1.to_owned(),
        container: container.to_owned(),
        access_key: Some(Secret::new(key)),
        prefix: format!("suite/{}", world::ulid()),
        endpoint: Some(endpoint.to_owned()),
        environment: Vec::new(),
    };
    let objects = open(CloudSettings::Azure(settings)).await;
    everything(&objects).await;
    println!("{} requests", objects.requests());
}

#[tokio::test]
#[ignore = "needs a server: WHARFINGER_TEST_S3=http://HOST:PORT/BUCKET"]
async fn wrong_keys_are_said_without_secrets() {
    let wrong = BucketCredentials::Keys { access: Secret::new("AKTEST"), secret: Secret::new("hunter2") };
    let refused =
        CloudObjects::open(&CloudSettings::S3(BucketSettings { credentials: wrong, ..s3() })).await.unwrap_err();
    assert!(matches!(refused, ObjectError::Denied { .. }), "{refused}");
    assert!(!refused.to_string().contains("hunter2"), "{refused}");
}

#[tokio::test]
async fn a_server_that_is_down_is_unavailable_within_seconds() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let settings = CloudSettings::S3(bucket(&format!("http://{closed}"), "bucket"));
    let begun = std::time::Instant::now();
    let refused = CloudObjects::open(&settings).await.unwrap_err();
    assert!(matches!(refused, ObjectError::Unavailable { .. }), "{refused:?}");
    assert!(begun.elapsed() < Duration::from_secs(20));
}
