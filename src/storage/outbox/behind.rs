//! What is behind the journal: answered from memory as far as it is known there, and by the server otherwise.

use super::{WriteBehindState, index::KnownObject};
use crate::{
    files::{Space, world},
    storage::objects::{
        ObjectBody, ObjectError, ObjectLevel, ObjectMeta, ObjectPage, ObjectResult, ObjectTag, Objects,
    },
};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use oci::Span;
use quick_cache::{Weighter, sync::Cache};
use std::{sync::atomic::Ordering, time::Duration};
use tokio::time::sleep;

/// Objects per page of the list that is made at the start.
const LIST_PAGE: usize = 10_000;
/// Wait after the list failed; doubled with each failure.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often the room on the server is measured.
const MEASURE_EVERY: Duration = Duration::from_secs(10);
/// The longest object whose bytes stay in memory: tags, links, revisions, most manifests.
const LONGEST_VALUE: u64 = 64 << 10;
/// The most bytes that stay in memory.
const MOST_VALUE_BYTES: u64 = 32 << 20;

/// Bytes of small objects, each with the tag it has with these bytes.
pub(super) type SmallValues = Cache<String, (ObjectTag, Bytes), ValueBytes>;

#[derive(Clone)]
pub(super) struct ValueBytes;

impl Weighter<String, (ObjectTag, Bytes)> for ValueBytes {
    fn weight(&self, key: &String, (_, bytes): &(ObjectTag, Bytes)) -> u64 {
        (key.len() + bytes.len()) as u64 + 200
    }
}

pub(super) fn small_values() -> SmallValues {
    Cache::with_weighter(65_536, MOST_VALUE_BYTES, ValueBytes)
}

fn body(meta: ObjectMeta, bytes: Bytes, span: Option<Span>) -> ObjectBody {
    let span = span.unwrap_or(Span::whole(meta.len));
    let (start, end) = (span.start.min(meta.len) as usize, span.end().min(meta.len) as usize);
    let bytes = bytes.slice(start.min(bytes.len())..end.min(bytes.len()));
    ObjectBody { meta, bytes: stream::iter((!bytes.is_empty()).then_some(Ok(bytes))).boxed() }
}

impl<O: Objects> WriteBehindState<O> {
    pub(super) async fn head_behind(&self, key: &str) -> ObjectResult<ObjectMeta> {
        let known = self.index().head(key);
        match known {
            KnownObject::Is(meta) => Ok(meta),
            KnownObject::Absent => Err(ObjectError::Absent),
            KnownObject::Unknown => self.inner.head(key).await,
        }
    }

    pub(super) async fn get_behind(&self, key: &str, span: Option<Span>) -> ObjectResult<ObjectBody> {
        // Taken before the bytes are read: bytes that are newer than their tag only fail a condition.
        let known = self.index().head(key);
        let meta = match known {
            KnownObject::Absent => return Err(ObjectError::Absent),
            KnownObject::Unknown => return self.inner.get(key, span).await,
            KnownObject::Is(meta) => meta,
        };
        self.get_known(key, span, meta).await
    }

    /// Reads an object that the server has, and that callers know as this.
    pub(super) async fn get_known(&self, key: &str, span: Option<Span>, meta: ObjectMeta) -> ObjectResult<ObjectBody> {
        if let Some((tag, bytes)) = self.values.get(key)
            && meta.tag.as_ref() == Some(&tag)
        {
            return Ok(body(meta, bytes, span));
        }
        let found = self.inner.get(key, span).await?;
        let meta = ObjectMeta { len: found.meta.len, ..meta };
        if meta.len > LONGEST_VALUE || span.is_some_and(|span| span.start > 0 || span.len < meta.len) {
            return Ok(ObjectBody { meta, bytes: found.bytes });
        }
        let bytes = ObjectBody { meta: meta.clone(), bytes: found.bytes }.collect().await?;
        self.keep_value(key, meta.tag.clone(), &bytes);
        Ok(body(meta, bytes, None))
    }

    /// Keeps the bytes of a small object in memory, for the time after it was uploaded.
    pub(super) fn keep_value(&self, key: &str, tag: Option<ObjectTag>, bytes: &Bytes) {
        if let Some(tag) = tag.filter(|_| bytes.len() as u64 <= LONGEST_VALUE && !(self.settings.is_bulk)(key)) {
            // Copied: a piece of a request may hold much more memory than its length.
            self.values.insert(key.to_owned(), (tag, Bytes::copy_from_slice(bytes)));
        }
    }

    pub(super) async fn list_behind(&self, prefix: &str, after: Option<&str>, most: usize) -> ObjectResult<ObjectPage> {
        let known = self.index().list(prefix, after, most);
        match known {
            Some(page) => Ok(page),
            None => self.inner.list(prefix, after, most).await,
        }
    }

    pub(super) async fn level_behind(&self, dir: &str, after: Option<&str>, most: usize) -> ObjectResult<ObjectLevel> {
        let known = self.index().level(dir, after, most);
        match known {
            Some(level) => Ok(level),
            None => self.inner.level(dir, after, most).await,
        }
    }

    /// Lists the server, until all of it is known.
    pub(super) async fn learn(&self) {
        let (mut after, mut failures) = (None::<String>, 0_u32);
        while !self.stopping.load(Ordering::Relaxed) {
            match self.inner.list("", after.as_deref(), LIST_PAGE).await {
                Ok(page) => {
                    let more = page.more && !page.objects.is_empty();
                    after = page.objects.last().map(|object| object.key.clone()).or(after);
                    failures = 0;
                    let mut index = self.index();
                    index.add_listed(page.objects);
                    if !more {
                        let objects = index.complete();
                        drop(index);
                        tracing::info!(objects, "all objects of the server are known; pushes do not ask it any more");
                        return;
                    }
                }
                Err(error) => {
                    failures += 1;
                    if failures.is_power_of_two() {
                        tracing::warn!(%error, "cannot list the objects of the server; trying again");
                    }
                    sleep(FIRST_PAUSE.saturating_mul(1 << (failures - 1).min(10)).min(LONGEST_PAUSE)).await;
                }
            }
        }
    }

    /// Asks for the room on the server again and again: whoever pushes does not wait for that.
    pub(super) async fn measure(&self) {
        loop {
            if let Ok(room) = self.inner.space().await {
                *world::lock(&self.room) = room;
            }
            sleep(MEASURE_EVERY).await;
        }
    }

    /// The room on the server as it was last measured, without what waits to be uploaded to it.
    pub(super) fn room(&self) -> Option<Space> {
        let waiting = self.waiting().bytes;
        let room = *world::lock(&self.room);
        room.map(|room| Space { free_bytes: room.free_bytes.saturating_sub(waiting), ..room })
    }

    pub(super) fn index(&self) -> std::sync::MutexGuard<'_, super::index::KeyIndex> {
        world::lock(&self.index)
    }
}
