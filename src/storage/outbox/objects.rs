//! The calls of a store of objects, over the journal.

use super::{
    WriteBehind, WriteBehindState,
    journal::{JournalRecord, millis, on_disk, sha256_of},
    reading::read_file,
};
use crate::{
    files::{Space, world},
    storage::objects::{
        ObjectAbilities, ObjectBody, ObjectError, ObjectLevel, ObjectMeta, ObjectPage, ObjectResult, ObjectTag,
        Objects, PART_LEN, PutWhen,
    },
};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use oci::Span;
use std::{
    sync::{Arc, atomic::Ordering},
    time::SystemTime,
};

impl<O: Objects> WriteBehindState<O> {
    async fn head(&self, key: &str) -> ObjectResult<ObjectMeta> {
        match self.last(key) {
            Some(write) => write.meta().ok_or(ObjectError::Absent),
            None => {
                let found = self.head_behind(key).await;
                // It may have been uploaded, and written again, in between.
                match self.last(key) {
                    Some(write) => write.meta().ok_or(ObjectError::Absent),
                    None => found,
                }
            }
        }
    }

    async fn get(self: &Arc<Self>, key: &str, span: Option<Span>) -> ObjectResult<ObjectBody> {
        if let Some(write) = self.last(key) {
            let meta = write.meta().ok_or(ObjectError::Absent)?;
            let number = write.number;
            if let Some(file) = on_disk(&self.journal, move |journal| journal.open_entry(number)).await? {
                let span = span.unwrap_or(Span::whole(meta.len));
                let (start, end) = (span.start.min(meta.len), span.end().min(meta.len));
                let bytes = read_file(file, Span { start, len: end - start });
                return Ok(ObjectBody { meta, bytes });
            }
            // It is being forgotten: the server has it.
            return self.get_known(key, span, meta).await;
        }
        self.get_behind(key, span).await
    }

    /// Whether a write of this key may happen. The caller has the key's turn.
    async fn holds(&self, key: &str, when: &PutWhen) -> ObjectResult<bool> {
        if *when == PutWhen::Any {
            return Ok(true);
        }
        let found = match self.head(key).await {
            Ok(meta) => Some(meta),
            Err(ObjectError::Absent) => None,
            Err(error) => return Err(error),
        };
        Ok(match when {
            PutWhen::Any => true,
            PutWhen::Absent => found.is_none(),
            PutWhen::Is(tag) => found.is_some_and(|meta| meta.tag.as_ref() == Some(tag)),
        })
    }

    fn acknowledged(&self) -> u64 {
        self.waiting().acknowledged()
    }

    /// Removes objects. The caller has their turns, if it matters.
    async fn remove(self: &Arc<Self>, keys: Vec<String>) -> ObjectResult<()> {
        let record = JournalRecord::Delete { keys, after: self.acknowledged() };
        self.enter(record, |journal, number, record| journal.append(number, &[], record)).await.map(drop)
    }

    /// Copies an object on the server. If it is unknown whether that was done, the copy is removed again: what the
    /// server has must be known.
    async fn copy_behind(self: &Arc<Self>, from: String, to: String) -> ObjectResult<()> {
        let state = self.clone();
        // A caller that goes away must not leave it open, either.
        let copied = tokio::spawn(async move {
            let meta = state.head_behind(&from).await?;
            match state.inner.copy(&from, &to).await {
                Ok(()) => {
                    state.index().put(&to, meta.len, world::now(), 0);
                    Ok(())
                }
                Err(ObjectError::Absent) => Err(ObjectError::Absent),
                Err(error) => state.remove(vec![to]).await.and(Err(error)),
            }
        });
        copied.await.unwrap_or_else(|_| Err(ObjectError::Other { why: "the daemon is stopping".into() }))
    }

    /// Copies an object by way of the journal.
    async fn copy_bytes(self: &Arc<Self>, from: &str, to: &str) -> ObjectResult<()> {
        let mut body = self.get(from, None).await?;
        let outbox = WriteBehind(self.clone());
        let id = outbox.begin_parts(to).await?;
        let (mut parts, mut waiting, mut len) = (Vec::new(), Vec::new(), 0);
        while let Some(mut piece) = body.bytes.try_next().await? {
            while !piece.is_empty() {
                let next = piece.split_to(piece.len().min(PART_LEN - len));
                len += next.len();
                waiting.push(next);
                if len == PART_LEN {
                    parts.push(outbox.put_part(to, &id, parts.len(), std::mem::take(&mut waiting)).await?);
                    len = 0;
                }
            }
        }
        if len > 0 || parts.is_empty() {
            parts.push(outbox.put_part(to, &id, parts.len(), waiting).await?);
        }
        outbox.complete_parts(to, &id, &parts).await
    }
}

/// What callers know of a part: its length and hash.
fn part_tag(len: u64, sha256: &str) -> String {
    format!("{len}-{sha256}")
}

fn read_part_tag(tag: &str) -> Option<(u64, &str)> {
    let (len, sha256) = tag.split_once('-')?;
    Some((len.parse().ok()?, sha256))
}

#[async_trait]
impl<O: Objects> Objects for WriteBehind<O> {
    fn abilities(&self) -> ObjectAbilities {
        ObjectAbilities { shared: false, parts: self.0.inner.abilities().parts, ..ObjectAbilities::ALL }
    }

    async fn get(&self, key: &str, span: Option<Span>) -> ObjectResult<ObjectBody> {
        self.0.get(key, span).await
    }

    async fn head(&self, key: &str) -> ObjectResult<ObjectMeta> {
        self.0.head(key).await
    }

    async fn put(&self, key: &str, pieces: Vec<Bytes>, when: PutWhen) -> ObjectResult<Option<ObjectTag>> {
        let after = self.0.acknowledged();
        let len = pieces.iter().map(|piece| piece.len() as u64).sum();
        self.0.admit(len)?;
        let _turn = self.0.turns.of(&key).lock().await;
        if !self.0.holds(key, &when).await? {
            return Err(ObjectError::Changed);
        }
        let (pieces, sha256) = hashed(pieces, len).await?;
        let modified = millis(world::now());
        let record = JournalRecord::Put { key: key.to_owned(), len, sha256: vec![sha256], modified, after };
        let appended = pieces.clone();
        let entered = self.0.enter(record, move |journal, number, record| journal.append(number, &appended, record));
        let tag = entered.await?.and_then(|meta| meta.tag);
        if let [piece] = pieces.as_slice() {
            self.0.keep_value(key, tag.clone(), piece);
        }
        Ok(tag)
    }

    async fn list(&self, prefix: &str, after: Option<&str>, most: usize) -> ObjectResult<ObjectPage> {
        self.0.list(prefix, after, most).await
    }

    async fn level(&self, dir: &str, after: Option<&str>, most: usize) -> ObjectResult<ObjectLevel> {
        self.0.level(dir, after, most).await
    }

    async fn delete(&self, keys: Vec<String>) -> ObjectResult<()> {
        if keys.is_empty() {
            return Ok(());
        }
        self.0.remove(keys).await
    }

    async fn delete_match(&self, key: &str, tag: &ObjectTag) -> ObjectResult<()> {
        let _turn = self.0.turns.of(&key).lock().await;
        match self.0.holds(key, &PutWhen::Is(tag.clone())).await? {
            true => self.0.remove(vec![key.to_owned()]).await,
            false => Err(ObjectError::Changed),
        }
    }

    async fn copy(&self, from: &str, to: &str) -> ObjectResult<()> {
        let turn = self.0.turns.of(&to).lock().await;
        // A write that waits would be uploaded over the copy.
        if self.0.last(from).is_none() && self.0.last(to).is_none() {
            return self.0.copy_behind(from.to_owned(), to.to_owned()).await;
        }
        // The journal takes the turn itself when the copy is entered.
        drop(turn);
        self.0.copy_bytes(from, to).await
    }

    async fn begin_parts(&self, _: &str) -> ObjectResult<String> {
        self.0.admit(0)?;
        let id = world::uuid().to_string();
        let file = id.clone();
        on_disk(&self.0.journal, move |journal| journal.begin(&file)).await?;
        Ok(id)
    }

    async fn put_part(&self, _: &str, id: &str, number: usize, pieces: Vec<Bytes>) -> ObjectResult<String> {
        let len = pieces.iter().map(|piece| piece.len() as u64).sum();
        self.0.admit(len)?;
        let (pieces, sha256) = hashed(pieces, len).await?;
        let (id, at) = (checked(id)?, number as u64 * PART_LEN as u64);
        on_disk(&self.0.journal, move |journal| journal.write_part(&id, at, &pieces)).await?;
        self.0.growing.fetch_add(len, Ordering::Relaxed);
        Ok(part_tag(len, &sha256))
    }

    async fn complete_parts(&self, key: &str, id: &str, parts: &[String]) -> ObjectResult<()> {
        let after = self.0.acknowledged();
        let not_parts = || ObjectError::Other { why: "these are not parts".into() };
        let parts: Vec<_> =
            parts.iter().map(|tag| read_part_tag(tag).ok_or_else(not_parts)).collect::<Result<_, _>>()?;
        if let Some((_, all_but_last)) = parts.split_last()
            && all_but_last.iter().any(|(len, _)| *len != PART_LEN as u64)
        {
            return Err(ObjectError::Other { why: "the parts differ in length".into() });
        }
        let (id, len) = (checked(id)?, parts.iter().map(|(len, _)| len).sum());
        let sha256 = parts.iter().map(|(_, sha256)| (*sha256).to_owned()).collect();
        let _turn = self.0.turns.of(&key).lock().await;
        let modified = millis(world::now());
        let record = JournalRecord::Put { key: key.to_owned(), len, sha256, modified, after };
        self.0.enter(record, move |journal, number, record| journal.complete(&id, number, record)).await?;
        self.0.ungrow(len);
        Ok(())
    }

    async fn abort_parts(&self, _: &str, id: &str) -> ObjectResult<()> {
        let Ok(id) = checked(id) else { return Ok(()) };
        let len = on_disk(&self.0.journal, move |journal| journal.abort(&id)).await?;
        self.0.ungrow(len);
        Ok(())
    }

    async fn now(&self) -> ObjectResult<SystemTime> {
        Ok(world::now())
    }

    async fn space(&self) -> ObjectResult<Option<Space>> {
        Ok(self.0.room())
    }
}

impl<O> WriteBehindState<O> {
    fn ungrow(&self, len: u64) {
        let less = |growing: u64| Some(growing.saturating_sub(len));
        let _ = self.growing.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }
}

/// An id that was handed out: nothing else becomes part of a path.
fn checked(id: &str) -> ObjectResult<String> {
    id.parse::<uuid::Uuid>().map(|id| id.to_string()).map_err(|_| ObjectError::Absent)
}

/// Hashes pieces, off the reactor if they are long.
async fn hashed(pieces: Vec<Bytes>, len: u64) -> ObjectResult<(Vec<Bytes>, String)> {
    if len <= 64 << 10 {
        let sha256 = sha256_of(&pieces);
        return Ok((pieces, sha256));
    }
    let hashed = tokio::task::spawn_blocking(move || {
        let sha256 = sha256_of(&pieces);
        (pieces, sha256)
    });
    hashed.await.map_err(|_| ObjectError::Other { why: "the daemon is stopping".into() })
}
