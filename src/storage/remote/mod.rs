//! Storage over any store of objects ([`Objects`]), by one or several replicas.
//!
//! Objects cannot be renamed, and conditional writes are not everywhere. So whatever has a life cycle (blobs, links,
//! revisions) is a directory of *generations*, and is condemned by *markers* ([`names`]). The protocol is the one of
//! `models/src/objects.rs`:
//!
//! - A name is never used again. Whoever needs an item again makes a new generation, with bytes of its own.
//! - Markers are monotone: nothing removes one but the purge of its entry, which removes the generation and its bytes
//!   first.
//! - Whoever relies on an item lists markers first, then generations: what is there then and was not marked before was
//!   not condemned yet.
//! - A new value of a link or a revision supersedes the generations that were there before it. They are removed only
//!   after it is there, and are marked before it by whoever marks several.
//!
//! Uploads are one object each ([`session`]), changed by compare and swap, and bytes in objects of their own, which are
//! written once and never renamed or copied: the generation of the blob names them.
//!
//! All other facts are plain objects at the paths that a file system would use.

mod catalog;
mod content;
mod facts;
mod generations;
mod graves;
mod instance;
#[cfg(test)]
mod interleaved;
mod items;
mod lifecycle;
mod memory;
mod names;
mod outline;
mod parts;
mod publish;
mod reading;
mod records;
mod session;
mod survey;
mod upload;

pub use names::{is_bulk, is_free};
pub use reading::ObjectBlob;
pub use survey::ObjectSurvey;

use super::{
    FactKey, InstanceId, Result, StorageError,
    cache::BlobCache,
    objects::{ObjectBody, ObjectError, ObjectMeta, ObjectResult, ObjectTag, Objects, PutWhen, found},
};
use crate::files::{Stripes, world};
use bytes::Bytes;
use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

/// Requests at once, where one call needs several.
const AT_ONCE: usize = 16;

/// Objects per page of a list, as servers have it.
const LIST_PAGE: usize = 1000;

/// Stripes of locks on keys.
const STRIPES: usize = 256;

/// Storage on a store of objects.
pub struct ObjectStorage {
    objects: Arc<dyn Objects>,
    instance: InstanceId,
    /// Held while a fact is compared and changed by this process.
    writing: Stripes<tokio::sync::Mutex<()>>,
    sessions: session::LiveSessions,
    memory: Arc<memory::ObjectMemory>,
    /// Blobs on a disk of this machine.
    cache: Option<Arc<BlobCache>>,
    /// Whether this process is collecting.
    collecting: Arc<Mutex<bool>>,
    /// When this process last said that it lives, by its uptime in milliseconds; zero if it never did.
    said: AtomicU64,
    /// How far the store's clock is ahead of this process's, in milliseconds.
    ahead: AtomicI64,
    read_condemned: AtomicU64,
    #[cfg(test)]
    mutant: Option<Mutant>,
    /// Nothing keeps collections apart.
    #[cfg(test)]
    together: bool,
}

/// Changes of the protocol that lose blobs, as the models found. Tests must catch each.
#[cfg(test)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// Generations are listed before markers.
    GenerationsFirst,
    /// Markers are removed before the bytes.
    MarkerFirst,
    /// What is condemned is restored by removing its marker.
    UnmarkToRestore,
}

impl fmt::Debug for ObjectStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectStorage").field("instance", &self.instance).finish_non_exhaustive()
    }
}

impl ObjectStorage {
    /// Opens a store, and creates it if there is nothing: `ROOT.json` is written last of all stores' first objects.
    ///
    /// # Errors
    /// [`StorageError::Damaged`] if the prefix holds other objects but no `ROOT.json`, or if `may_create` is false and
    /// there is none; else those of the store.
    pub async fn open(objects: Arc<dyn Objects>, may_create: bool) -> Result<Self> {
        let store = Self::over(objects);
        store.lists_reliably()?;
        let root = FactKey::Root.path();
        if store.meta(&root).await?.is_some() {
            return Ok(store);
        }
        if !may_create {
            return Err(StorageError::damaged(root, "it is missing, so this is not a store of Wharfinger"));
        }
        let level = store.objects.list("", None, 1).await.map_err(|e| e.during("list", "the store"))?;
        // Another replica may have been faster since; nothing sorts before its mark.
        if let Some(first) = level.objects.first().filter(|first| first.key != root) {
            let why = format!("it is missing although there is {:?}: the bucket or prefix is in use", first.key);
            return Err(StorageError::damaged(root, why));
        }
        let json = format!("{{\"format\":1,\"id\":\"{}\",\"features\":[]}}\n", world::uuid());
        let when = if store.objects.abilities().put_absent { PutWhen::Absent } else { PutWhen::Any };
        match store.objects.put(&root, vec![json.into()], when).await {
            // Another replica was first.
            Ok(_) | Err(ObjectError::Changed) => Ok(store),
            Err(error) => Err(error.during("write", &root)),
        }
    }

    /// Keeps blobs that clients read in a cache as well, and what they read last for as long as the store is away.
    pub fn with_cache(self, cache: Option<Arc<BlobCache>>) -> Self {
        Self { cache, ..self }
    }

    /// Forgets the bytes of a blob: they may be gone or damaged.
    async fn forget_blob(&self, digest: &oci::Digest) {
        self.memory.forget_blob(digest);
        if let Some(cache) = &self.cache {
            cache.forget(digest).await;
        }
    }

    fn over(objects: Arc<dyn Objects>) -> Self {
        Self {
            objects,
            instance: InstanceId::fresh(),
            writing: Stripes::new(STRIPES),
            sessions: session::LiveSessions::default(),
            memory: Arc::default(),
            cache: None,
            collecting: Arc::default(),
            said: AtomicU64::new(0),
            ahead: AtomicI64::new(0),
            read_condemned: AtomicU64::new(0),
            #[cfg(test)]
            mutant: None,
            #[cfg(test)]
            together: false,
        }
    }

    #[cfg(test)]
    pub(crate) fn mutated(self, mutant: Option<Mutant>) -> Self {
        Self { mutant, ..self }
    }

    #[cfg(test)]
    pub(crate) fn collecting_together(self) -> Self {
        Self { together: true, ..self }
    }

    #[cfg(test)]
    fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    fn lists_reliably(&self) -> Result<()> {
        match self.objects.abilities().strong_listing {
            true => Ok(()),
            false => Err(StorageError::damaged("the store", "its lists do not show what was just written")),
        }
    }

    /// The store's clock, as far as it is known without asking.
    fn clock(&self) -> SystemTime {
        let ahead = self.ahead.load(Ordering::Relaxed);
        let by = Duration::from_millis(ahead.unsigned_abs());
        let now = world::now();
        if ahead < 0 { now.checked_sub(by).unwrap_or(now) } else { now + by }
    }

    fn set_clock(&self, theirs: SystemTime) {
        let ours = world::now();
        let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        let ahead = match theirs.duration_since(ours) {
            Ok(ahead) => millis(ahead),
            Err(behind) => -millis(behind.duration()),
        };
        self.ahead.store(ahead, Ordering::Relaxed);
    }

    /// Whether something of this time has been idle for so long.
    fn idle_for(&self, time: SystemTime, idle: Duration) -> bool {
        idle.is_zero() || self.clock().duration_since(time).is_ok_and(|age| age >= idle)
    }

    async fn meta(&self, key: &str) -> Result<Option<ObjectMeta>> {
        found(self.objects.head(key).await).map_err(|e| e.during("read", key))
    }

    async fn body(&self, key: &str) -> Result<Option<ObjectBody>> {
        found(self.objects.get(key, None).await).map_err(|e| e.during("read", key))
    }

    /// A whole small object of at most `longest` bytes.
    async fn whole(&self, key: &str, longest: u64) -> Result<Option<(ObjectMeta, Bytes)>> {
        let Some(body) = self.body(key).await? else { return Ok(None) };
        if body.meta.len > longest {
            return Err(StorageError::damaged(key, format!("it is longer than {longest} bytes")));
        }
        let meta = body.meta.clone();
        let bytes = body.collect().await.map_err(|e| e.during("read", key))?;
        if bytes.len() as u64 != meta.len {
            return Err(StorageError::damaged(key, "it ends before its length"));
        }
        Ok(Some((meta, bytes)))
    }

    async fn put_object(&self, key: &str, bytes: Bytes) -> Result<Option<ObjectTag>> {
        self.objects.put(key, vec![bytes], PutWhen::Any).await.map_err(|e| e.during("write", key))
    }

    async fn delete_objects(&self, keys: Vec<String>) -> Result<()> {
        let Some(first) = keys.first().cloned() else { return Ok(()) };
        self.objects.delete(keys).await.map_err(|e| e.during("delete", &first))
    }

    /// All objects whose keys begin with a prefix.
    async fn list_all(&self, prefix: &str) -> Result<Vec<super::objects::ListedObject>> {
        let (mut all, mut after) = (Vec::new(), None::<String>);
        loop {
            let page = self.objects.list(prefix, after.as_deref(), LIST_PAGE).await;
            let page = page.map_err(|e| e.during("list", prefix))?;
            after = page.objects.last().map(|object| object.key.clone());
            all.extend(page.objects);
            if !page.more || after.is_none() {
                return Ok(all);
            }
        }
    }
}

/// The error of a call on a key.
fn failed<T>(result: ObjectResult<T>, operation: &'static str, key: &str) -> Result<T> {
    result.map_err(|e| e.during(operation, key))
}
