//! A cache of blobs on a disk of this machine, before a store on other machines.
//!
//! - It holds bytes by their digest, never whether something is there: whoever reads from it has checked that before.
//! - A file gets its name after its bytes were compared with the digest and are durable. What a kill or a power failure
//!   leaves behind is a temporary file, which the next start removes.
//! - A blob is fetched by a task of its own, once for all who want it, and they read what is there already. Whatever goes
//!   wrong with the disk only ends that: they read the rest from the store.
//! - What was used least recently is removed when there would be too many bytes. Whoever is reading it has it open.

mod files;
mod fill;
mod index;
#[cfg(test)]
mod tests;

use super::{Blob, ObjectBlob, Result, StorageError, blocking};
use crate::files::{detached, world};
use bytes::Bytes;
use files::{CacheFiles, GrowingFile};
use fill::CacheFill;
use index::CacheIndex;
use oci::{Digest, Hasher, Span};
use std::{
    collections::HashMap,
    fmt, io,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

/// Written at once.
const PIECE: u64 = 1 << 20;

/// The most blobs that are fetched at the same time.
const MOST_FILLS: usize = 16;

/// A cache of blobs.
pub struct BlobCache {
    files: CacheFiles,
    most_bytes: u64,
    index: Mutex<CacheIndex>,
    fills: Mutex<HashMap<Digest, Arc<CacheFill>>>,
    hits: AtomicU64,
    misses: AtomicU64,
    filled_bytes: AtomicU64,
    evictions: AtomicU64,
    failures: AtomicU64,
}

/// What a cache holds and has done since startup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStatus {
    pub blobs: u64,
    pub bytes: u64,
    pub most_bytes: u64,
    /// Blobs that clients asked for and that were there.
    pub hits: u64,
    /// Those that were not.
    pub misses: u64,
    /// Bytes of blobs that were added.
    pub filled_bytes: u64,
    /// Blobs that were removed to make room.
    pub evictions: u64,
    /// Blobs that could not be added.
    pub failures: u64,
}

/// Where a blob can be read in the cache.
pub enum CachedBytes {
    /// It is being fetched.
    Filling(Arc<CacheFill>),
    Whole(Blob),
}

impl fmt::Debug for BlobCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlobCache({:?})", self.status())
    }
}

impl BlobCache {
    /// Opens the cache in a directory, which is created if need be, for at most so many bytes.
    ///
    /// # Errors
    /// The operating system's; [`io::ErrorKind::WouldBlock`] if another process uses the directory.
    pub async fn open(dir: &Path, most_bytes: u64) -> io::Result<Arc<Self>> {
        let dir = dir.to_owned();
        let (files, mut found) = detached(move || CacheFiles::open(&dir)).await??;
        found.sort_unstable_by_key(|file| file.used);
        let mut index = CacheIndex::new(most_bytes);
        found.iter().for_each(|file| index.insert(&file.digest, file.len));
        let removed = index.shrink();
        let cache = Arc::new(Self {
            files,
            most_bytes,
            index: Mutex::new(index),
            fills: Mutex::default(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            filled_bytes: AtomicU64::new(0),
            evictions: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        });
        cache.unlink(removed).await;
        Ok(cache)
    }

    pub fn status(&self) -> CacheStatus {
        let index = world::lock(&self.index);
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CacheStatus {
            blobs: index.count() as u64,
            bytes: index.bytes,
            most_bytes: self.most_bytes,
            hits: of(&self.hits),
            misses: of(&self.misses),
            filled_bytes: of(&self.filled_bytes),
            evictions: of(&self.evictions),
            failures: of(&self.failures),
        }
    }

    /// A blob for a client, if it is there.
    pub async fn find(self: &Arc<Self>, digest: &Digest) -> Option<Blob> {
        let found = self.whole(digest).await;
        let counter = if found.is_some() { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    async fn whole(self: &Arc<Self>, digest: &Digest) -> Option<Blob> {
        let (len, is_noted) = world::lock(&self.index).used(digest)?;
        let (cache, of) = (self.clone(), digest.clone());
        let opened = detached(move || {
            let file = cache.files.read(&of, len)?;
            if is_noted {
                // It only decides what is removed first after the next start.
                let _ = cache.files.touch(&of, len);
            }
            Ok::<_, io::Error>(file)
        });
        match opened.await.and_then(|opened| opened) {
            Ok(file) => Some(Blob::file(file, len)),
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!(%error, %digest, "cannot read a blob from the cache");
                }
                self.forget(digest).await;
                None
            }
        }
    }

    /// Where a blob can be read: it is there, or being fetched, or that begins now with what `source` returns, if it
    /// returns anything.
    pub async fn join(
        self: &Arc<Self>,
        digest: &Digest,
        source: impl FnOnce() -> Option<ObjectBlob>,
    ) -> Option<CachedBytes> {
        if let Some(fill) = world::lock(&self.fills).get(digest) {
            return Some(CachedBytes::Filling(fill.clone()));
        }
        if let Some(blob) = self.whole(digest).await {
            return Some(CachedBytes::Whole(blob));
        }
        self.begin(digest, source()?).map(CachedBytes::Filling)
    }

    fn begin(self: &Arc<Self>, digest: &Digest, source: ObjectBlob) -> Option<Arc<CacheFill>> {
        let mut fills = world::lock(&self.fills);
        if let Some(fill) = fills.get(digest) {
            return Some(fill.clone());
        }
        if fills.len() >= MOST_FILLS {
            return None;
        }
        let len = source.len();
        let removed = world::lock(&self.index).reserve(len)?;
        self.evictions.fetch_add(removed.len() as u64, Ordering::Relaxed);
        let fill = Arc::new(CacheFill::new(len));
        fills.insert(digest.clone(), fill.clone());
        drop(fills);
        let task = FillTask { cache: self.clone(), digest: digest.clone(), fill: fill.clone(), len, file: None };
        tokio::spawn(async move {
            task.cache.unlink(removed).await;
            task.run(source).await;
        });
        Some(fill)
    }

    /// Removes a blob: it may be damaged, or nobody needs it any more.
    pub async fn forget(self: &Arc<Self>, digest: &Digest) {
        let len = world::lock(&self.index).remove(digest);
        self.unlink(len.map(|len| (digest.clone(), len)).into_iter().collect()).await;
    }

    async fn unlink(self: &Arc<Self>, blobs: Vec<(Digest, u64)>) {
        if blobs.is_empty() {
            return;
        }
        let cache = self.clone();
        let unlinked = detached(move || {
            // If another fetch has just brought it back, that is counted, and its file is missing when it is read.
            blobs.iter().try_for_each(|(digest, len)| cache.files.remove(digest, *len))
        });
        if let Err(error) = unlinked.await.and_then(|done| done) {
            tracing::warn!(%error, "cannot remove a blob from the cache");
        }
    }
}

/// The fetch of one blob. However it ends, nobody waits for it afterwards.
struct FillTask {
    cache: Arc<BlobCache>,
    digest: Digest,
    fill: Arc<CacheFill>,
    len: u64,
    file: Option<Arc<GrowingFile>>,
}

impl FillTask {
    async fn run(mut self, source: ObjectBlob) {
        match self.fill_from(&source).await {
            Ok(()) => {
                self.file = None;
                self.cache.filled_bytes.fetch_add(self.len, Ordering::Relaxed);
                let mut index = world::lock(&self.cache.index);
                index.insert(&self.digest, self.len);
            }
            Err(error) => {
                self.cache.failures.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%error, digest = %self.digest, "cannot add a blob to the cache");
            }
        }
    }

    async fn fill_from(&mut self, source: &ObjectBlob) -> Result<()> {
        let (cache, len) = (self.cache.clone(), self.len);
        let file = Arc::new(blocking(move || cache.files.create(len).map_err(unwritten)).await?);
        self.file = Some(file.clone());
        self.fill.begun(file.reader.clone());
        let (mut hasher, mut at) = (Hasher::new(self.digest.algorithm()), 0);
        let mut next = self.piece(source, at).await?;
        while !next.is_empty() {
            let bytes = std::mem::take(&mut next);
            let (start, end) = (at, at + bytes.len() as u64);
            let (cache, file) = (self.cache.clone(), file.clone());
            let written = blocking(move || {
                cache.files.write(&file, bytes.clone(), start).map_err(unwritten)?;
                hasher.update(&bytes);
                Ok(hasher)
            });
            let (written, read) = tokio::join!(written, self.piece(source, end));
            hasher = written?;
            self.fill.grown(end);
            (next, at) = (read?, end);
        }
        if hasher.finish() != self.digest {
            return Err(StorageError::damaged("a blob of the store", "its bytes have another digest"));
        }
        let (cache, digest) = (self.cache.clone(), self.digest.clone());
        blocking(move || cache.files.finish(&file, &digest, len).map_err(unwritten)).await
    }

    /// The next bytes; none at the end.
    async fn piece(&self, source: &ObjectBlob, at: u64) -> Result<Bytes> {
        match PIECE.min(self.len - at) {
            0 => Ok(Bytes::new()),
            len => source.read(Span { start: at, len }).await,
        }
    }
}

impl Drop for FillTask {
    fn drop(&mut self) {
        world::lock(&self.cache.index).release(self.len);
        world::lock(&self.cache.fills).remove(&self.digest);
        if let Some(file) = self.file.take() {
            self.fill.failed();
            self.cache.files.discard(&file);
        } else if !world::lock(&self.cache.index).has(&self.digest) {
            self.fill.failed();
        }
    }
}

fn unwritten(error: io::Error) -> StorageError {
    StorageError::io("write", "the cache", error)
}
