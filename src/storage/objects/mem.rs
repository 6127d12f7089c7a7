//! Objects in memory, for tests and for readers: the simplest code that keeps the promises.

use super::{
    ListedObject, ObjectAbilities, ObjectBody, ObjectError, ObjectLevel, ObjectMeta, ObjectPage, ObjectResult,
    ObjectTag, Objects, PutWhen,
};
use crate::files::world;
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use oci::{Algorithm, Hasher, Span};
use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Mutex, MutexGuard},
    time::SystemTime,
};

/// A piece of a body.
const PIECE: usize = 64 << 10;

/// Objects that last as long as the process.
pub struct MemObjects {
    abilities: ObjectAbilities,
    state: Mutex<MemObjectsState>,
}

#[derive(Default)]
struct MemObjectsState {
    objects: BTreeMap<String, MemObject>,
    /// Objects that are written in parts, by id: the key and the parts so far.
    unfinished: BTreeMap<String, (String, BTreeMap<usize, MemPart>)>,
    /// Makes tags and ids that were never used before.
    written: u64,
}

struct MemObject {
    bytes: Bytes,
    modified: SystemTime,
    tag: ObjectTag,
}

struct MemPart {
    bytes: Bytes,
    tag: String,
}

impl Default for MemObjects {
    fn default() -> Self {
        Self::with(ObjectAbilities::ALL)
    }
}

impl MemObjects {
    /// An empty store that can only do this. Conditions that it cannot keep are errors.
    pub fn with(abilities: ObjectAbilities) -> Self {
        Self { abilities, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, MemObjectsState> {
        world::lock(&self.state)
    }

    /// Makes an object older.
    #[cfg(test)]
    pub(crate) fn age(&self, key: &str, by: std::time::Duration) {
        self.state().objects.get_mut(key).unwrap().modified -= by;
    }

    /// Whether the server knows this condition.
    fn keeps(&self, when: &PutWhen) -> ObjectResult<()> {
        let is_kept = match when {
            PutWhen::Any => true,
            PutWhen::Absent => self.abilities.put_absent,
            PutWhen::Is(_) => self.abilities.put_match,
        };
        if is_kept { Ok(()) } else { Err(ObjectError::Other { why: "the condition is not implemented".into() }) }
    }

    fn can_do_parts(&self) -> ObjectResult<()> {
        match self.abilities.parts {
            true => Ok(()),
            false => Err(ObjectError::Other { why: "parts are not implemented".into() }),
        }
    }
}

impl MemObjectsState {
    fn fresh(&mut self) -> u64 {
        self.written += 1;
        self.written
    }

    fn store(&mut self, key: &str, bytes: Bytes) -> ObjectTag {
        // As S3's ETag: the same bytes have the same, however often they are written.
        let tag = ObjectTag(format!("\"{}\"", Hasher::digest(Algorithm::Sha256, &bytes).hex()));
        self.objects.insert(key.to_owned(), MemObject { bytes, modified: world::now(), tag: tag.clone() });
        tag
    }

    fn unfinished(&mut self, key: &str, id: &str) -> ObjectResult<&mut BTreeMap<usize, MemPart>> {
        match self.unfinished.get_mut(id) {
            Some((of, parts)) if of == key => Ok(parts),
            _ => Err(ObjectError::Absent),
        }
    }

    /// Objects below a prefix and after a key, in order.
    fn below<'s>(&'s self, prefix: &'s str, after: Option<&str>) -> impl Iterator<Item = (&'s String, &'s MemObject)> {
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after.to_owned()),
            _ => Bound::Included(prefix.to_owned()),
        };
        self.objects.range((from, Bound::Unbounded)).take_while(move |(key, _)| key.starts_with(prefix))
    }
}

impl MemObject {
    fn meta(&self) -> ObjectMeta {
        ObjectMeta { len: self.bytes.len() as u64, modified: self.modified, tag: Some(self.tag.clone()) }
    }
}

fn whole(mut pieces: Vec<Bytes>) -> Bytes {
    match pieces.len() {
        1 => pieces.swap_remove(0),
        _ => pieces.concat().into(),
    }
}

#[async_trait]
impl Objects for MemObjects {
    fn abilities(&self) -> ObjectAbilities {
        self.abilities
    }

    async fn get(&self, key: &str, span: Option<Span>) -> ObjectResult<ObjectBody> {
        let state = self.state();
        let object = state.objects.get(key).ok_or(ObjectError::Absent)?;
        let len = object.bytes.len() as u64;
        let span = span.unwrap_or(Span::whole(len));
        let (start, end) = (span.start.min(len) as usize, span.end().min(len) as usize);
        let mut rest = object.bytes.slice(start..end);
        let pieces = std::iter::from_fn(move || {
            let piece = rest.split_to(rest.len().min(PIECE));
            (!piece.is_empty()).then_some(Ok(piece))
        });
        Ok(ObjectBody { meta: object.meta(), bytes: stream::iter(pieces).boxed() })
    }

    async fn head(&self, key: &str) -> ObjectResult<ObjectMeta> {
        self.state().objects.get(key).map(MemObject::meta).ok_or(ObjectError::Absent)
    }

    async fn put(&self, key: &str, pieces: Vec<Bytes>, when: PutWhen) -> ObjectResult<Option<ObjectTag>> {
        self.keeps(&when)?;
        let mut state = self.state();
        let holds = match (&when, state.objects.get(key)) {
            (PutWhen::Any, _) | (PutWhen::Absent, None) => true,
            (PutWhen::Is(tag), Some(object)) => *tag == object.tag,
            (PutWhen::Absent, Some(_)) | (PutWhen::Is(_), None) => false,
        };
        if holds { Ok(Some(state.store(key, whole(pieces)))) } else { Err(ObjectError::Changed) }
    }

    async fn list(&self, prefix: &str, after: Option<&str>, most: usize) -> ObjectResult<ObjectPage> {
        let state = self.state();
        let mut rest = state.below(prefix, after);
        let listed = |(key, object): (&String, &MemObject)| ListedObject {
            key: key.clone(),
            len: object.bytes.len() as u64,
            modified: object.modified,
        };
        let objects = rest.by_ref().take(most).map(listed).collect();
        Ok(ObjectPage { objects, more: rest.next().is_some() })
    }

    async fn level(&self, dir: &str, after: Option<&str>, most: usize) -> ObjectResult<ObjectLevel> {
        let state = self.state();
        let prefix = format!("{dir}/");
        let mut level = ObjectLevel::default();
        for (key, _) in state.below(&prefix, None) {
            let Some(below) = key.strip_prefix(&prefix) else { continue };
            let name = below.find('/').map_or(below, |at| below.get(..=at).unwrap_or(below));
            let entry = name.strip_suffix('/').map_or((name, false), |dir| (dir, true));
            let is_listed = level.names.last().is_some_and(|(last, is_dir)| (last.as_str(), *is_dir) == entry);
            if is_listed || after.is_some_and(|after| name <= after) {
                continue;
            }
            if level.names.len() == most {
                level.more = true;
                break;
            }
            level.names.push((entry.0.to_owned(), entry.1));
        }
        Ok(level)
    }

    async fn delete(&self, keys: Vec<String>) -> ObjectResult<()> {
        let mut state = self.state();
        for key in &keys {
            state.objects.remove(key);
        }
        Ok(())
    }

    async fn delete_match(&self, key: &str, tag: &ObjectTag) -> ObjectResult<()> {
        let mut state = self.state();
        match state.objects.get(key) {
            _ if !self.abilities.delete_match => Err(ObjectError::Other { why: "this is not implemented".into() }),
            Some(object) if object.tag == *tag => {
                state.objects.remove(key);
                Ok(())
            }
            _ => Err(ObjectError::Changed),
        }
    }

    async fn copy(&self, from: &str, to: &str) -> ObjectResult<()> {
        let mut state = self.state();
        let bytes = state.objects.get(from).ok_or(ObjectError::Absent)?.bytes.clone();
        state.store(to, bytes);
        Ok(())
    }

    async fn begin_parts(&self, key: &str) -> ObjectResult<String> {
        self.can_do_parts()?;
        let mut state = self.state();
        let id = format!("parts-{}", state.fresh());
        state.unfinished.insert(id.clone(), (key.to_owned(), BTreeMap::new()));
        Ok(id)
    }

    async fn put_part(&self, key: &str, id: &str, number: usize, pieces: Vec<Bytes>) -> ObjectResult<String> {
        let mut state = self.state();
        let tag = format!("part-{}", state.fresh());
        state.unfinished(key, id)?.insert(number, MemPart { bytes: whole(pieces), tag: tag.clone() });
        Ok(tag)
    }

    async fn complete_parts(&self, key: &str, id: &str, parts: &[String]) -> ObjectResult<()> {
        let mut state = self.state();
        let found = state.unfinished(key, id)?;
        let part = |(number, tag): (usize, &String)| match found.get(&number) {
            Some(part) if part.tag == *tag => Ok(part.bytes.clone()),
            _ => Err(ObjectError::Other { why: format!("part {number} is another one") }),
        };
        let parts: Vec<Bytes> = parts.iter().enumerate().map(part).collect::<ObjectResult<_>>()?;
        if let Some((_, all_but_last)) = parts.split_last()
            && all_but_last.iter().any(|part| part.len() != super::PART_LEN)
        {
            return Err(ObjectError::Other { why: "the parts differ in length".into() });
        }
        state.unfinished.remove(id);
        state.store(key, whole(parts));
        Ok(())
    }

    async fn abort_parts(&self, _: &str, id: &str) -> ObjectResult<()> {
        self.state().unfinished.remove(id);
        Ok(())
    }

    async fn now(&self) -> ObjectResult<SystemTime> {
        Ok(world::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn store(keys: &[&str]) -> MemObjects {
        let objects = MemObjects::default();
        for key in keys {
            objects.put(key, vec![Bytes::from_static(b"x")], PutWhen::Any).await.unwrap();
        }
        objects
    }

    #[tokio::test]
    async fn levels_are_listed_as_a_server_does() {
        let objects = store(&["d/a-b/x", "d/a/x", "d/a/y", "d/a", "d/ab", "e/z"]).await;
        let names = async |after: Option<&str>, most| {
            let level = objects.level("d", after, most).await.unwrap();
            let name = |(name, is_dir): (String, bool)| if is_dir { format!("{name}/") } else { name };
            (level.names.into_iter().map(name).collect::<Vec<_>>().join(" "), level.more)
        };
        assert_eq!(names(None, 9).await, ("a a-b/ a/ ab".into(), false));
        assert_eq!(names(Some("a"), 2).await, ("a-b/ a/".into(), true));
        assert_eq!(names(Some("a/"), 9).await, ("ab".into(), false));
        assert_eq!(names(Some("b"), 9).await, (String::new(), false));
        let page = objects.list("d/a", Some("d/a"), 2).await.unwrap();
        assert_eq!(page.objects.iter().map(|o| o.key.as_str()).collect::<Vec<_>>(), ["d/a-b/x", "d/a/x"]);
        assert!(page.more);
    }

    #[tokio::test]
    async fn conditions_hold_or_nothing_is_written() {
        let objects = store(&["a"]).await;
        let put = |key: &'static str, when| objects.put(key, vec![Bytes::from_static(b"y")], when);
        assert_eq!(put("a", PutWhen::Absent).await, Err(ObjectError::Changed));
        let tag = objects.head("a").await.unwrap().tag.unwrap();
        let new = put("a", PutWhen::Is(tag.clone())).await.unwrap();
        assert_ne!(new, Some(tag.clone()));
        assert_eq!(put("a", PutWhen::Is(tag.clone())).await, Err(ObjectError::Changed));
        assert_eq!(put("b", PutWhen::Is(tag)).await, Err(ObjectError::Changed));
        assert!(objects.put("b", vec![Bytes::from_static(b"z")], PutWhen::Absent).await.is_ok());
        assert_eq!(objects.delete_match("b", new.as_ref().unwrap()).await, Err(ObjectError::Changed));
        let tag = objects.head("b").await.unwrap().tag.unwrap();
        assert_eq!(objects.delete_match("b", &tag).await, Ok(()));
        let weak = MemObjects::with(ObjectAbilities { put_absent: false, ..ObjectAbilities::ALL });
        assert!(matches!(weak.put("a", vec![], PutWhen::Absent).await, Err(ObjectError::Other { .. })));
    }

    #[tokio::test]
    async fn parts_become_one_object_once() {
        let objects = store(&[]).await;
        let id = objects.begin_parts("big").await.unwrap();
        let first = objects.put_part("big", &id, 0, vec![vec![1; super::super::PART_LEN].into()]).await.unwrap();
        let second = objects.put_part("big", &id, 1, vec![Bytes::from_static(b"end")]).await.unwrap();
        assert_eq!(objects.head("big").await, Err(ObjectError::Absent));
        objects.complete_parts("big", &id, &[first, second]).await.unwrap();
        let span = Span { start: super::super::PART_LEN as u64 - 1, len: 9 };
        let end = objects.get("big", Some(span)).await.unwrap();
        assert_eq!(end.meta.len, super::super::PART_LEN as u64 + 3);
        assert_eq!(end.collect().await.unwrap(), &b"\x01end"[..]);
        assert_eq!(objects.complete_parts("big", &id, &[]).await, Err(ObjectError::Absent));
        assert_eq!(objects.put_part("big", &id, 2, vec![]).await, Err(ObjectError::Absent));
    }
}
