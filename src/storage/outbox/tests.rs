//! Sessions with a store that uploads later, is cut off, is killed and comes back.

use super::*;
use crate::storage::objects::{
    ListedObject, MemObjects, ObjectAbilities, ObjectBody, ObjectLevel, ObjectPage, ObjectTag, PART_LEN, PutWhen,
};
use async_trait::async_trait;
use bytes::Bytes;
use oci::Span;
use std::time::SystemTime;

/// Objects in memory behind a line that can be cut.
#[derive(Clone, Default)]
struct Distant(Arc<DistantState>);

#[derive(Default)]
struct DistantState {
    objects: MemObjects,
    cut: AtomicBool,
    /// Another process writes now.
    taken: AtomicBool,
    /// Every change, in order.
    log: Mutex<Vec<String>>,
}

impl Distant {
    fn cut(&self, cut: bool) {
        self.0.cut.store(cut, Ordering::SeqCst);
    }

    fn reach(&self) -> ObjectResult<&MemObjects> {
        match self.0.cut.load(Ordering::SeqCst) {
            true => Err(ObjectError::Unavailable { why: "cut".into(), retry_after: None }),
            false => Ok(&self.0.objects),
        }
    }

    fn note(&self, what: String) {
        self.0.log.lock().unwrap().push(what);
    }

    fn log(&self) -> Vec<String> {
        self.0.log.lock().unwrap().clone()
    }
}

#[async_trait]
impl Objects for Distant {
    fn abilities(&self) -> ObjectAbilities {
        ObjectAbilities::ALL
    }
    async fn get(&self, key: &str, span: Option<Span>) -> ObjectResult<ObjectBody> {
        self.reach()?.get(key, span).await
    }
    async fn head(&self, key: &str) -> ObjectResult<ObjectMeta> {
        self.reach()?.head(key).await
    }
    async fn put(&self, key: &str, pieces: Vec<Bytes>, when: PutWhen) -> ObjectResult<Option<ObjectTag>> {
        let done = self.reach()?.put(key, pieces, when).await?;
        self.note(format!("put {key}"));
        Ok(done)
    }
    async fn list(&self, prefix: &str, after: Option<&str>, most: usize) -> ObjectResult<ObjectPage> {
        self.reach()?.list(prefix, after, most).await
    }
    async fn level(&self, dir: &str, after: Option<&str>, most: usize) -> ObjectResult<ObjectLevel> {
        self.reach()?.level(dir, after, most).await
    }
    async fn delete(&self, keys: Vec<String>) -> ObjectResult<()> {
        self.note(format!("delete {}", keys.join(" ")));
        self.reach()?.delete(keys).await
    }
    async fn delete_match(&self, key: &str, tag: &ObjectTag) -> ObjectResult<()> {
        self.reach()?.delete_match(key, tag).await
    }
    async fn copy(&self, from: &str, to: &str) -> ObjectResult<()> {
        self.reach()?.copy(from, to).await
    }
    async fn begin_parts(&self, key: &str) -> ObjectResult<String> {
        self.note(format!("begin {key}"));
        self.reach()?.begin_parts(key).await
    }
    async fn put_part(&self, key: &str, id: &str, number: usize, pieces: Vec<Bytes>) -> ObjectResult<String> {
        let done = self.reach()?.put_part(key, id, number, pieces).await?;
        self.note(format!("part {number} {key}"));
        Ok(done)
    }
    async fn complete_parts(&self, key: &str, id: &str, parts: &[String]) -> ObjectResult<()> {
        self.note(format!("complete {key}"));
        self.reach()?.complete_parts(key, id, parts).await
    }
    async fn abort_parts(&self, key: &str, id: &str) -> ObjectResult<()> {
        self.reach()?.abort_parts(key, id).await
    }
    async fn now(&self) -> ObjectResult<SystemTime> {
        self.reach()?.now().await
    }
    fn may_write(&self) -> ObjectResult<()> {
        match self.0.taken.load(Ordering::SeqCst) {
            true => Err(ObjectError::Unavailable { why: "taken over".into(), retry_after: None }),
            false => Ok(()),
        }
    }
}

const SETTINGS: OutboxSettings = OutboxSettings {
    most_bytes: 100 << 20,
    at_once: 2,
    is_bulk: |key| key.starts_with("data/"),
    is_free: |key| key.starts_with("data/"),
};

fn open(distant: &Distant, dir: &tempfile::TempDir) -> WriteBehind<Distant> {
    WriteBehind::open(distant.clone(), dir.path(), SETTINGS).unwrap()
}

async fn put(outbox: &WriteBehind<Distant>, key: &str, text: &str) -> ObjectResult<Option<ObjectTag>> {
    outbox.put(key, vec![Bytes::from(text.to_owned())], PutWhen::Any).await
}

async fn text(objects: &impl Objects, key: &str) -> ObjectResult<String> {
    let bytes = objects.get(key, None).await?.collect().await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

async fn keys(objects: &impl Objects, prefix: &str) -> Vec<String> {
    let page = objects.list(prefix, None, 100).await.unwrap();
    page.objects.into_iter().map(|ListedObject { key, .. }| key).collect()
}

#[tokio::test]
async fn what_was_acknowledged_is_read_at_once_and_arrives_in_order() {
    let (distant, dir) = (Distant::default(), tempfile::tempdir().unwrap());
    let outbox = open(&distant, &dir);
    for key in ["data/blob", "link", "revision", "tag"] {
        put(&outbox, key, key).await.unwrap();
        assert_eq!(text(&outbox, key).await.unwrap(), key);
    }
    assert!(distant.log().is_empty(), "nothing was uploaded yet");
    assert_eq!(outbox.get("tag", Some(Span { start: 1, len: 9 })).await.unwrap().collect().await.unwrap(), "ag");
    assert_eq!(outbox.status().writes, 4);
    outbox.start().unwrap();
    assert_eq!(outbox.drain(Duration::from_secs(20)).await, 0);
    assert_eq!(distant.log(), ["put data/blob", "put link", "put revision", "put tag"]);
    assert_eq!(text(&outbox, "tag").await.unwrap(), "tag", "now from behind the journal");
    let status = outbox.status();
    assert_eq!((status.writes, status.bytes, status.uploads, status.uploaded_bytes), (0, 0, 4, 24));
}

#[tokio::test]
async fn a_restart_goes_on_and_a_line_that_is_cut_delays_only() {
    let (distant, dir) = (Distant::default(), tempfile::tempdir().unwrap());
    distant.cut(true);
    let outbox = open(&distant, &dir);
    outbox.start().unwrap();
    put(&outbox, "a", "1").await.unwrap();
    put(&outbox, "a", "2").await.unwrap();
    outbox.delete(vec!["b".into(), "c".into()]).await.unwrap();
    assert_eq!(text(&outbox, "a").await.unwrap(), "2");
    assert_eq!(text(&outbox, "b").await, Err(ObjectError::Absent));
    let lost = outbox.get("elsewhere", None).await.unwrap_err();
    assert!(matches!(lost, ObjectError::Unavailable { .. }), "{lost}");
    assert_eq!(outbox.drain(Duration::from_millis(300)).await, 3);
    assert!(WriteBehind::open(distant.clone(), dir.path(), SETTINGS).is_err(), "it is in use");
    // Its thread ends soon after.
    while Arc::strong_count(&outbox.0) > 1 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(outbox);
    distant.0.objects.put("b", vec!["x".into()], PutWhen::Any).await.unwrap();
    let outbox = open(&distant, &dir);
    assert_eq!((text(&outbox, "a").await.unwrap().as_str(), text(&outbox, "b").await), ("2", Err(ObjectError::Absent)));
    outbox.start().unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(outbox.status().items[0].error.is_some());
    distant.cut(false);
    assert_eq!(outbox.drain(Duration::from_secs(20)).await, 0);
    assert_eq!(text(&distant, "a").await.unwrap(), "2");
    assert_eq!(keys(&distant, "").await, ["a"]);
}

#[tokio::test]
async fn conditions_hold_before_and_after_the_upload() {
    let (distant, dir) = (Distant::default(), tempfile::tempdir().unwrap());
    let outbox = open(&distant, &dir);
    let when = |key: &'static str, when| outbox.put(key, vec![Bytes::from("x")], when);
    let tag = when("a", PutWhen::Absent).await.unwrap().unwrap();
    assert_eq!(when("a", PutWhen::Absent).await, Err(ObjectError::Changed));
    assert_eq!(outbox.head("a").await.unwrap().tag, Some(tag.clone()));
    outbox.start().unwrap();
    while outbox.status().writes > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(outbox.head("a").await.unwrap().tag, Some(tag.clone()), "it is still the same object");
    let next = when("a", PutWhen::Is(tag.clone())).await.unwrap().unwrap();
    assert_eq!(when("a", PutWhen::Is(tag)).await, Err(ObjectError::Changed));
    let racers = (0..8).map(|_| when("b", PutWhen::Absent));
    let won = futures_util::future::join_all(racers).await.into_iter().filter(Result::is_ok).count();
    assert_eq!(won, 1);
    outbox.delete_match("a", &next).await.unwrap();
    assert_eq!(outbox.delete_match("a", &next).await, Err(ObjectError::Changed));
}

#[tokio::test]
async fn lists_have_what_waits_and_not_what_is_removed() {
    let (distant, dir) = (Distant::default(), tempfile::tempdir().unwrap());
    for key in ["d/a/x", "d/b/x", "d/c", "d/e/x", "d/e/y"] {
        distant.0.objects.put(key, vec!["x".into()], PutWhen::Any).await.unwrap();
    }
    let outbox = open(&distant, &dir);
    put(&outbox, "d/bb/x", "").await.unwrap();
    put(&outbox, "d/b/y", "").await.unwrap();
    outbox.delete(vec!["d/a/x".into(), "d/c".into(), "d/e/x".into()]).await.unwrap();
    assert_eq!(keys(&outbox, "d/").await, ["d/b/x", "d/b/y", "d/bb/x", "d/e/y"]);
    let names = |level: ObjectLevel| level.names.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names(outbox.level("d", None, 9).await.unwrap()), ["b", "bb", "e"]);
    assert_eq!(names(outbox.level("d", Some("b/"), 1).await.unwrap()), ["bb"]);
    let (mut seen, mut after) = (Vec::new(), None::<String>);
    loop {
        let page = outbox.list("d/", after.as_deref(), 1).await.unwrap();
        seen.extend(page.objects.iter().map(|object| object.key.clone()));
        after = seen.last().cloned();
        if !page.more || page.objects.is_empty() {
            break;
        }
    }
    assert_eq!(seen, ["d/b/x", "d/b/y", "d/bb/x", "d/e/y"], "page by page");
}

#[tokio::test]
async fn large_objects_go_in_parts_and_resume_where_they_stopped() {
    let (distant, dir) = (Distant::default(), tempfile::tempdir().unwrap());
    let outbox = open(&distant, &dir);
    let id = outbox.begin_parts("data/big").await.unwrap();
    let part = Bytes::from(vec![7; PART_LEN]);
    let mut parts = Vec::new();
    for number in 0..3 {
        parts.push(outbox.put_part("data/big", &id, number, vec![part.clone()]).await.unwrap());
    }
    parts.push(outbox.put_part("data/big", &id, 3, vec!["end".into()]).await.unwrap());
    assert_eq!(outbox.head("data/big").await, Err(ObjectError::Absent));
    outbox.complete_parts("data/big", &id, &parts).await.unwrap();
    assert_eq!(outbox.complete_parts("data/big", &id, &parts).await, Err(ObjectError::Absent));
    let len = 3 * PART_LEN as u64 + 3;
    assert_eq!(outbox.head("data/big").await.unwrap().len, len);
    outbox.start().unwrap();
    while !distant.log().iter().any(|line| line == "part 1 data/big") {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    distant.cut(true);
    let end = outbox.get("data/big", Some(Span { start: len - 3, len: 3 })).await.unwrap();
    assert_eq!(end.collect().await.unwrap(), "end");
    tokio::time::sleep(Duration::from_millis(50)).await;
    distant.cut(false);
    assert_eq!(outbox.drain(Duration::from_secs(20)).await, 0);
    let log = distant.log();
    let parts: Vec<_> = log.iter().filter(|line| line.starts_with("part")).map(String::as_str).collect();
    assert_eq!(parts, ["part 0 data/big", "part 1 data/big", "part 2 data/big", "part 3 data/big"], "none twice");
    assert_eq!(distant.0.objects.head("data/big").await.unwrap().len, len);
}

#[tokio::test]
async fn a_full_journal_refuses_writes_and_keeps_what_it_has() {
    let (distant, dir) = (Distant::default(), tempfile::tempdir().unwrap());
    let settings = OutboxSettings { most_bytes: 10, ..SETTINGS };
    let outbox = WriteBehind::open(distant.clone(), dir.path(), settings).unwrap();
    put(&outbox, "a", "123456789").await.unwrap();
    let full = put(&outbox, "b", "12").await.unwrap_err();
    assert!(matches!(full, ObjectError::Full { .. }), "{full}");
    outbox.delete(vec!["a".into()]).await.unwrap();
    outbox.start().unwrap();
    while outbox.status().writes > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    put(&outbox, "b", "12").await.unwrap();
}

#[tokio::test]
async fn a_damaged_file_of_the_journal_stops_the_start() {
    let (distant, dir) = (Distant::default(), tempfile::tempdir().unwrap());
    put(&open(&distant, &dir), "a", "1").await.unwrap();
    let path = std::fs::read_dir(dir.path().join("entries")).unwrap().next().unwrap().unwrap().path();
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    let refused = WriteBehind::open(distant, dir.path(), SETTINGS).err().unwrap().to_string();
    assert!(refused.contains("entries/00000000000000000001 is damaged"), "{refused}");
}

/// Waits until an outbox knows what the server has.
async fn learned(outbox: &WriteBehind<Distant>) {
    while !outbox.status().knows_all {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_server_that_was_listed_is_not_asked_any_more() {
    let (distant, dir) = (Distant::default(), tempfile::tempdir().unwrap());
    for key in ["old/a", "old/b", "old/c/d"] {
        distant.0.objects.put(key, vec![key.into()], PutWhen::Any).await.unwrap();
    }
    let outbox = open(&distant, &dir);
    let early = put(&outbox, "early", "1").await.unwrap();
    outbox.start().unwrap();
    learned(&outbox).await;
    assert_eq!(text(&outbox, "old/a").await.unwrap(), "old/a", "it is read once");
    while outbox.status().writes > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    distant.cut(true);
    assert_eq!(outbox.head("old/b").await.unwrap().len, 5);
    assert_eq!(outbox.head("none").await, Err(ObjectError::Absent), "known, not guessed");
    assert_eq!(keys(&outbox, "").await, ["early", "old/a", "old/b", "old/c/d"]);
    assert_eq!(outbox.level("old", Some("a"), 9).await.unwrap().names, [("b".into(), false), ("c".into(), true)]);
    assert_eq!(text(&outbox, "old/a").await.unwrap(), "old/a", "small values stay in memory");
    assert_eq!(text(&outbox, "early").await.unwrap(), "1");
    let away = text(&outbox, "old/b").await.unwrap_err();
    assert!(matches!(away, ObjectError::Unavailable { .. }), "{away}");
    let new = |key: &'static str, when| outbox.put(key, vec![Bytes::from("new")], when);
    assert_eq!(new("old/b", PutWhen::Absent).await, Err(ObjectError::Changed));
    new("new", PutWhen::Absent).await.unwrap();
    new("early", PutWhen::Is(early.unwrap())).await.unwrap();
    outbox.delete(vec!["old/c/d".into()]).await.unwrap();
    distant.cut(false);
    assert_eq!(outbox.drain(Duration::from_secs(20)).await, 0);
    distant.cut(true);
    assert_eq!(keys(&outbox, "").await, ["early", "new", "old/a", "old/b"]);
    assert_eq!(keys(&distant.0.objects, "").await, ["early", "new", "old/a", "old/b"]);
    assert_eq!(outbox.status().objects, 4);
}

#[tokio::test]
async fn a_copy_whose_end_is_unknown_is_removed() {
    let (distant, dir) = (Distant::default(), tempfile::tempdir().unwrap());
    distant.0.objects.put("from", vec!["x".into()], PutWhen::Any).await.unwrap();
    let outbox = open(&distant, &dir);
    outbox.start().unwrap();
    learned(&outbox).await;
    outbox.copy("from", "to").await.unwrap();
    assert_eq!((outbox.head("to").await.unwrap().len, text(&outbox, "to").await.unwrap().as_str()), (1, "x"));
    assert_eq!(outbox.copy("none", "to-none").await, Err(ObjectError::Absent));
    distant.cut(true);
    assert!(outbox.copy("from", "lost").await.is_err());
    // It was done after all.
    distant.0.objects.put("lost", vec!["x".into()], PutWhen::Any).await.unwrap();
    assert_eq!(outbox.head("lost").await, Err(ObjectError::Absent));
    distant.cut(false);
    assert_eq!(outbox.drain(Duration::from_secs(20)).await, 0);
    assert_eq!(keys(&distant, "").await, ["from", "to"]);
}

#[tokio::test]
async fn what_waits_is_copied_by_way_of_the_journal() {
    let (distant, dir) = (Distant::default(), tempfile::tempdir().unwrap());
    let outbox = open(&distant, &dir);
    outbox.start().unwrap();
    learned(&outbox).await;
    distant.cut(true);
    put(&outbox, "waiting", "new").await.unwrap();
    let copies = async {
        outbox.copy("waiting", "copy").await.unwrap();
        // Over a write that waits, too.
        outbox.copy("waiting", "copy").await.unwrap();
        outbox.copy("copy", "waiting").await.unwrap();
    };
    tokio::time::timeout(Duration::from_secs(20), copies).await.expect("no copy waits for itself");
    assert_eq!(text(&outbox, "copy").await.unwrap(), "new");
    distant.cut(false);
    assert_eq!(outbox.drain(Duration::from_secs(20)).await, 0);
    assert_eq!(text(&distant, "copy").await.unwrap(), "new");
    assert_eq!(keys(&distant, "").await, ["copy", "waiting"]);
}

#[tokio::test]
async fn a_store_that_was_taken_over_gets_no_acknowledgements() {
    let (distant, dir) = (Distant::default(), tempfile::tempdir().unwrap());
    let outbox = open(&distant, &dir);
    put(&outbox, "a", "1").await.unwrap();
    distant.0.taken.store(true, Ordering::SeqCst);
    let refused = put(&outbox, "b", "1").await.unwrap_err();
    assert!(matches!(refused, ObjectError::Unavailable { .. }), "{refused}");
    assert!(outbox.delete(vec!["a".into()]).await.is_err());
    assert_eq!(outbox.head("b").await.err(), Some(ObjectError::Absent));
    assert_eq!(outbox.status().writes, 1);
}

#[tokio::test]
async fn a_write_that_is_being_forgotten_is_read_from_the_server() {
    let (distant, dir) = (Distant::default(), tempfile::tempdir().unwrap());
    let outbox = open(&distant, &dir);
    let tag = put(&outbox, "a", "1").await.unwrap();
    distant.0.objects.put("a", vec!["1".into()], PutWhen::Any).await.unwrap();
    // Its file is removed first, and takes a while to be; it waits until then.
    outbox.0.journal.remove(1).unwrap();
    outbox.0.values.remove("a");
    let body = outbox.get("a", None).await.unwrap();
    assert_eq!(body.meta.tag, tag);
    assert_eq!(body.collect().await.unwrap(), "1");
}
