//! Objects as files of an SFTP server: the key is the path below the root.
//!
//! One process writes, so conditions are kept by locks in its memory, and times are those of its clock: SFTP has none
//! of its own, and whole seconds only. What the last writes were is remembered more exactly.

use super::{
    PutMode, RemoteMeta, SftpRemote, SftpTrouble, WriterLock,
    remote::{OWN, parent},
    walk::Walk,
};
use crate::{
    files::{FileKind, Space, Stripes, world},
    storage::objects::{
        ListedObject, ObjectAbilities, ObjectBody, ObjectError, ObjectLevel, ObjectMeta, ObjectPage, ObjectResult,
        ObjectTag, Objects, PART_LEN, PutWhen,
    },
};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use oci::Span;
use quick_cache::sync::Cache;
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime},
};
use tokio::sync::Mutex as AsyncMutex;

/// Where objects are that are written in parts.
const PARTS: &str = ".wharfinger/parts";
/// How many writes are remembered with their exact times.
const MOST_EXACT: usize = 65_536;
/// How long a measurement of the room is used.
const ROOM_IS_FRESH: Duration = Duration::from_secs(10);
/// Files that are removed at once.
const REMOVALS_AT_ONCE: usize = 16;

/// When the room on the server was measured, and the room.
type MeasuredRoom = (Instant, Option<Space>);

/// Objects below one directory of an SFTP server. Clones share their connections and locks.
#[derive(Clone)]
pub struct SftpObjects {
    remote: Arc<SftpRemote>,
    turns: Arc<Stripes<AsyncMutex<()>>>,
    /// When keys were last written: what the server says, and the exact time.
    exact: Arc<Cache<String, (SystemTime, SystemTime)>>,
    /// The room on the server, and when it was measured.
    room: Arc<Mutex<Option<MeasuredRoom>>>,
}

impl SftpObjects {
    /// The objects of a server whose lock is held, or that is only read.
    pub fn new(remote: Arc<SftpRemote>) -> Self {
        Self {
            remote,
            turns: Arc::new(Stripes::new(1024)),
            exact: Arc::new(Cache::new(MOST_EXACT)),
            room: Arc::default(),
        }
    }

    pub fn remote(&self) -> &Arc<SftpRemote> {
        &self.remote
    }

    fn meta(&self, key: &str, found: RemoteMeta) -> ObjectMeta {
        let exact = self.exact.get(key).filter(|(server, _)| *server == found.modified);
        let modified = exact.map_or(found.modified, |(_, exact)| exact);
        ObjectMeta { len: found.len, modified, tag: Some(ObjectTag::of_time(modified, found.len)) }
    }

    /// Whether a key's object is in this state. The caller has the key's turn.
    async fn is_in(&self, key: &str, tag: &ObjectTag) -> ObjectResult<bool> {
        match self.head(key).await {
            Ok(meta) => Ok(meta.tag.as_ref() == Some(tag)),
            Err(ObjectError::Absent) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The error of a write of so many bytes. Servers do not say that the disk is full.
    async fn unwritten(&self, trouble: SftpTrouble, len: u64) -> ObjectError {
        if let SftpTrouble::Failed(why) = &trouble
            && let Ok(Some(space)) = self.remote.space().await
            && space.free_bytes < len.max(1 << 20)
        {
            return ObjectError::Full { why: why.clone() };
        }
        trouble.into()
    }

    /// Writes an object with this time. Only where there is room for all of it in memory.
    pub(in crate::storage) async fn put_at(
        &self,
        key: &str,
        pieces: Vec<Bytes>,
        when: PutWhen,
        modified: SystemTime,
    ) -> ObjectResult<ObjectTag> {
        checked(key)?;
        let _turn = self.turns.of(&key).lock().await;
        let mode = match &when {
            PutWhen::Any => PutMode::Replace,
            PutWhen::Absent => PutMode::New,
            PutWhen::Is(tag) if self.is_in(key, tag).await? => PutMode::Replace,
            PutWhen::Is(_) => return Err(ObjectError::Changed),
        };
        let len = pieces.iter().map(|piece| piece.len() as u64).sum();
        match self.remote.put(key, &pieces, mode, modified).await {
            Ok(Some(meta)) => Ok(self.written(key, meta, modified)),
            Ok(None) => Err(ObjectError::Changed),
            Err(trouble) => Err(self.unwritten(trouble, len).await),
        }
    }

    /// Remembers the exact time of a write.
    fn written(&self, key: &str, meta: RemoteMeta, modified: SystemTime) -> ObjectTag {
        self.exact.insert(key.to_owned(), (meta.modified, modified));
        self.meta(key, meta).tag.unwrap_or(ObjectTag(String::new()))
    }

    /// Removes files, and the directories that become empty.
    async fn remove(&self, keys: Vec<String>) -> ObjectResult<()> {
        let dirs: BTreeSet<String> = keys.iter().map(|key| parent(key).to_owned()).collect();
        let removed =
            stream::iter(keys.into_iter().map(Ok)).try_for_each_concurrent(REMOVALS_AT_ONCE, |key| async move {
                self.remote.remove_held(&key).await?;
                self.exact.remove(&key);
                Ok::<(), SftpTrouble>(())
            });
        removed.await?;
        for dir in dirs {
            self.prune(&dir).await?;
        }
        Ok(())
    }

    /// Removes a directory and those above it that are empty, and makes that durable.
    async fn prune(&self, dir: &str) -> Result<(), SftpTrouble> {
        let mut dir = dir;
        while !dir.is_empty() && self.remote.remove_dir(dir).await? {
            dir = parent(dir);
        }
        self.remote.sync_dir(dir).await
    }

    fn part_path(id: &str) -> ObjectResult<String> {
        match id.parse::<uuid::Uuid>() {
            Ok(id) => Ok(format!("{PARTS}/{id}")),
            Err(_) => Err(ObjectError::Absent),
        }
    }
}

/// A key is a path of plain names: nothing outside of the root, and nothing of ours.
fn checked(key: &str) -> ObjectResult<()> {
    let is_plain =
        |name: &str| !matches!(name, "" | "." | "..") && name.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    let is_ours = key.split('/').next() == Some(OWN);
    match key.split('/').all(is_plain) && !is_ours {
        true => Ok(()),
        false => Err(ObjectError::Other { why: format!("{key:?} is not a key") }),
    }
}

impl From<SftpTrouble> for ObjectError {
    fn from(trouble: SftpTrouble) -> Self {
        let why = trouble.to_string();
        match trouble {
            SftpTrouble::Missing => Self::Absent,
            SftpTrouble::Unreachable(_) | SftpTrouble::TakenOver => {
                Self::Unavailable { why, retry_after: Some(Duration::from_secs(5)) }
            }
            SftpTrouble::HostKey(_) | SftpTrouble::Login(_) | SftpTrouble::Denied => Self::Denied { why },
            SftpTrouble::Unsupported | SftpTrouble::Failed(_) => Self::Other { why },
        }
    }
}

#[async_trait]
impl Objects for SftpObjects {
    fn abilities(&self) -> ObjectAbilities {
        ObjectAbilities { shared: false, parts: self.remote.has_parts(), ..ObjectAbilities::ALL }
    }

    async fn get(&self, key: &str, span: Option<Span>) -> ObjectResult<ObjectBody> {
        checked(key)?;
        let asked = span.unwrap_or(Span::whole(u64::MAX));
        let opened = self.remote.open(key, asked.start, asked.len).await?;
        let (reader, first) = opened.ok_or(ObjectError::Absent)?;
        if reader.meta.kind != FileKind::File {
            return Err(ObjectError::Absent);
        }
        let len = asked.len.min(reader.meta.len.saturating_sub(asked.start));
        let first = first.slice(..first.len().min(len as usize));
        let rest = len - first.len() as u64;
        let rest = reader.read(asked.start + first.len() as u64, rest).map_err(ObjectError::from);
        // The server may say nothing where a file ends early.
        let mut missing = len;
        let first = stream::iter((!first.is_empty()).then_some(Ok(first)));
        let end = stream::once(async { Ok(Bytes::new()) });
        let bytes = first.chain(rest).chain(end).map(move |piece: ObjectResult<Bytes>| {
            let piece = piece?;
            missing = missing.saturating_sub(piece.len() as u64);
            match piece.is_empty() && missing > 0 {
                true => Err(ObjectError::Damaged { why: "a file ends before its length".into() }),
                false => Ok(piece),
            }
        });
        let bytes = bytes.try_filter(|piece| std::future::ready(!piece.is_empty()));
        Ok(ObjectBody { meta: self.meta(key, reader.meta), bytes: bytes.boxed() })
    }

    async fn head(&self, key: &str) -> ObjectResult<ObjectMeta> {
        checked(key)?;
        match self.remote.meta(key).await? {
            Some(found) if found.kind == FileKind::File => Ok(self.meta(key, found)),
            _ => Err(ObjectError::Absent),
        }
    }

    async fn put(&self, key: &str, pieces: Vec<Bytes>, when: PutWhen) -> ObjectResult<Option<ObjectTag>> {
        self.put_at(key, pieces, when, world::now()).await.map(Some)
    }

    async fn list(&self, prefix: &str, after: Option<&str>, most: usize) -> ObjectResult<ObjectPage> {
        let walk = Walk::new(&self.remote, prefix, after, most.saturating_add(1));
        let mut found = walk.run().await?;
        let more = found.len() > most;
        found.truncate(most);
        let listed = |(key, meta): (String, RemoteMeta)| {
            let modified = self.meta(&key, meta).modified;
            ListedObject { key, len: meta.len, modified }
        };
        Ok(ObjectPage { objects: found.into_iter().map(listed).collect(), more })
    }

    async fn level(&self, dir: &str, after: Option<&str>, most: usize) -> ObjectResult<ObjectLevel> {
        let entries = self.remote.list(dir).await?;
        let names = entries.into_iter().filter_map(|entry| match entry.meta.kind {
            FileKind::File => Some((entry.name, false)),
            FileKind::Directory if !(dir.is_empty() && entry.name == OWN) => Some((format!("{}/", entry.name), true)),
            FileKind::Directory | FileKind::Other => None,
        });
        let mut names: Vec<_> = names.filter(|(name, _)| after.is_none_or(|after| name.as_str() > after)).collect();
        names.sort_unstable();
        let more = names.len() > most;
        names.truncate(most);
        let plain = |(name, is_dir): (String, bool)| (name.trim_end_matches('/').to_owned(), is_dir);
        Ok(ObjectLevel { names: names.into_iter().map(plain).collect(), more })
    }

    async fn delete(&self, keys: Vec<String>) -> ObjectResult<()> {
        keys.iter().try_for_each(|key| checked(key))?;
        self.remove(keys).await
    }

    async fn delete_match(&self, key: &str, tag: &ObjectTag) -> ObjectResult<()> {
        checked(key)?;
        let _turn = self.turns.of(&key).lock().await;
        match self.is_in(key, tag).await? {
            true => self.remove(vec![key.to_owned()]).await,
            false => Err(ObjectError::Changed),
        }
    }

    async fn copy(&self, from: &str, to: &str) -> ObjectResult<()> {
        checked(from)?;
        checked(to)?;
        let _turn = self.turns.of(&to).lock().await;
        let modified = world::now();
        match self.remote.copy(from, to, modified).await {
            Ok(Some(meta)) => {
                self.written(to, meta, modified);
                Ok(())
            }
            Ok(None) => Err(ObjectError::Absent),
            Err(trouble) => Err(self.unwritten(trouble, 0).await),
        }
    }

    async fn begin_parts(&self, key: &str) -> ObjectResult<String> {
        checked(key)?;
        let id = world::uuid().to_string();
        let path = Self::part_path(&id)?;
        self.remote.create_empty(&path).await?;
        Ok(id)
    }

    async fn put_part(&self, _: &str, id: &str, number: usize, pieces: Vec<Bytes>) -> ObjectResult<String> {
        let (path, at) = (Self::part_path(id)?, number as u64 * PART_LEN as u64);
        let len: u64 = pieces.iter().map(|piece| piece.len() as u64).sum();
        match self.remote.write_at(&path, at, &pieces).await {
            Ok(()) => Ok(len.to_string()),
            Err(trouble) => Err(self.unwritten(trouble, len).await),
        }
    }

    async fn complete_parts(&self, key: &str, id: &str, parts: &[String]) -> ObjectResult<()> {
        checked(key)?;
        let path = Self::part_path(id)?;
        let _turn = self.turns.of(&key).lock().await;
        let lens = parts.iter().map(|part| part.parse::<u64>()).collect::<Result<Vec<_>, _>>();
        let lens = lens.map_err(|_| ObjectError::Other { why: "these are not parts".into() })?;
        if let Some((_, all_but_last)) = lens.split_last()
            && all_but_last.iter().any(|len| *len != PART_LEN as u64)
        {
            return Err(ObjectError::Other { why: "the parts differ in length".into() });
        }
        let modified = world::now();
        match self.remote.place_parts(&path, key, lens.iter().sum(), modified).await {
            Ok(meta) => {
                self.written(key, meta, modified);
                Ok(())
            }
            Err(trouble) => Err(self.unwritten(trouble, 0).await),
        }
    }

    async fn abort_parts(&self, _: &str, id: &str) -> ObjectResult<()> {
        let Ok(path) = Self::part_path(id) else { return Ok(()) };
        self.remote.remove_held(&path).await?;
        Ok(())
    }

    async fn now(&self) -> ObjectResult<SystemTime> {
        Ok(world::now())
    }

    fn may_write(&self) -> ObjectResult<()> {
        match self.remote.lock().is_some_and(WriterLock::is_lost) {
            true => Err(SftpTrouble::TakenOver.into()),
            false => Ok(()),
        }
    }

    async fn space(&self) -> ObjectResult<Option<Space>> {
        let last = *world::lock(&self.room);
        // A server that is away keeps nobody waiting for this.
        let is_away = self.remote.pool().outage().is_some();
        match last {
            Some((at, space)) if is_away || at.elapsed() < ROOM_IS_FRESH => Ok(space),
            None if is_away => Ok(None),
            _ => {
                let space = match self.remote.space().await {
                    // The last one is better than none.
                    Err(trouble) if trouble.is_lost() => return Ok(last.and_then(|(_, space)| space)),
                    space => space?,
                };
                *world::lock(&self.room) = Some((Instant::now(), space));
                Ok(space)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_never_lead_out_of_the_root() {
        for key in ["", "/a", "a/", "a//b", "../a", "a/../b", "./a", ".wharfinger/tmp/x", "a\nb", "a/\u{e9}"] {
            assert!(checked(key).is_err(), "{key:?}");
        }
        for key in ["a", "a/b", "repositories/a/_manifests/tags/.x", "wharfinger/..a"] {
            assert!(checked(key).is_ok(), "{key:?}");
        }
    }
}
