//! Reads blobs from objects: one request per object, as long as what is read follows what was read before.

use super::{ObjectStorage, memory::ObjectMemory};
use crate::{
    files::world,
    storage::{
        Result, StorageError,
        cache::{BlobCache, CachedBytes},
        objects::{ObjectBody, ObjectError, Objects, found},
    },
};
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, stream::BoxStream};
use oci::{Digest, Span};
use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

/// How often a span is asked for again after its stream broke.
const ATTEMPTS: usize = 3;

/// What is read of a blob before its answer begins.
const FIRST: u64 = 64 << 10;

/// Bytes in objects, as one sequence.
pub struct ObjectBlob {
    objects: Arc<dyn Objects>,
    /// Objects, and how many of their first bytes belong to the blob.
    segments: Mutex<Arc<Vec<(String, u64)>>>,
    len: u64,
    /// The blob, if it is one, and what is remembered of blobs: its place may change.
    named: Option<(Digest, Arc<ObjectMemory>)>,
    /// The cache to read it from.
    cache: Option<Arc<BlobCache>>,
    /// Where it was found in the cache.
    cached: Mutex<Option<Arc<CachedBytes>>>,
    /// The offset up to which it will be read.
    until: AtomicU64,
    /// A response that is being read.
    open: Mutex<Option<OpenRead>>,
    /// Bytes that were read before they were asked for, and their offset.
    first: Mutex<Option<(u64, Bytes)>>,
}

/// A response of the server, and what of it has been read.
struct OpenRead {
    /// The offset in the blob of the next byte.
    at: u64,
    /// The offset after the last byte that was asked for.
    end: u64,
    rest: Bytes,
    stream: BoxStream<'static, Result<Bytes, ObjectError>>,
}

impl fmt::Debug for ObjectBlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectBlob({} bytes in {} objects)", self.len, self.segments().len())
    }
}

impl ObjectBlob {
    pub(super) fn new(objects: Arc<dyn Objects>, segments: Vec<(String, u64)>) -> Self {
        let len = segments.iter().map(|(_, len)| len).sum();
        Self {
            objects,
            segments: Mutex::new(Arc::new(segments)),
            len,
            named: None,
            cache: None,
            cached: Mutex::default(),
            until: AtomicU64::new(len),
            open: Mutex::default(),
            first: Mutex::default(),
        }
    }

    /// That of a blob: if its objects are gone when they are read, it is looked for again.
    pub(super) fn named(self, digest: &Digest, memory: &Arc<ObjectMemory>) -> Self {
        Self { named: Some((digest.clone(), memory.clone())), ..self }
    }

    /// That of a blob, by [`ObjectBlob::named`]: it is read from a cache, and added to it if all of it is read.
    pub(super) fn cached_in(self, cache: &Arc<BlobCache>) -> Self {
        Self { cache: Some(cache.clone()), ..self }
    }

    /// The same bytes, for another reader and without the cache.
    fn again(&self) -> Self {
        let segments = self.segments().as_ref().clone();
        Self { named: self.named.clone(), ..Self::new(self.objects.clone(), segments) }
    }

    fn segments(&self) -> Arc<Vec<(String, u64)>> {
        world::lock(&self.segments).clone()
    }

    /// Length in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Says that nothing beyond this span will be read, so that nothing beyond is asked for.
    pub(in crate::storage) fn will_read(&self, span: Span) {
        self.until.store(span.end(), Ordering::Relaxed);
    }

    /// The one object that holds all bytes and nothing else, if there is one.
    pub fn object(&self) -> Option<String> {
        match self.segments().as_slice() {
            [(key, _)] => Some(key.clone()),
            _ => None,
        }
    }

    /// An address by which anybody can read the blob for a while; `None` if there is none. It is a secret.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn presign(&self, valid: std::time::Duration) -> Result<Option<String>> {
        let Some(key) = self.object() else { return Ok(None) };
        // An upload that was taken over may have left more bytes in the object than belong to the blob.
        let meta = found(self.objects.head(&key).await).map_err(|e| e.during("read", &key))?;
        if meta.is_none_or(|meta| meta.len != self.len) {
            return Ok(None);
        }
        self.objects.presign(&key, valid).await.map_err(|e| e.during("sign the address of", &key))
    }

    /// Reads the first bytes of a span, and keeps them for its reader: where the store does not answer, that is known
    /// before a client is told that the blob follows.
    ///
    /// # Errors
    /// As for [`ObjectBlob::read`].
    pub(in crate::storage) async fn begin(&self, span: Span) -> Result<()> {
        if span.len > 0 {
            let first = self.read(Span { len: span.len.min(FIRST), ..span }).await?;
            *world::lock(&self.first) = Some((span.start, first));
        }
        Ok(())
    }

    /// Reads a span, which must lie within the blob. The next one is read from the same response if it follows.
    ///
    /// # Errors
    /// [`StorageError::Damaged`] if objects are gone or shorter, or those of the store.
    pub async fn read(&self, span: Span) -> Result<Bytes> {
        let first = world::lock(&self.first).take().filter(|(at, _)| *at == span.start);
        let Some((_, mut first)) = first else { return self.read_on(span).await };
        if first.len() as u64 > span.len {
            let piece = first.split_to(span.len as usize);
            *world::lock(&self.first) = Some((span.end(), first));
            return Ok(piece);
        }
        let read = first.len() as u64;
        let rest = Span { start: span.start + read, len: span.len - read };
        if rest.len == 0 {
            return Ok(first);
        }
        Ok([first, self.read_on(rest).await?].concat().into())
    }

    /// Reads a span. The next one is read from the same response if it follows.
    ///
    /// # Errors
    /// [`StorageError::Damaged`] if objects are gone or shorter, or those of the store.
    async fn read_on(&self, span: Span) -> Result<Bytes> {
        if span.end() > self.len {
            return Err(StorageError::damaged("a blob", "it ends before its length"));
        }
        if self.cache.is_some()
            && let Some(bytes) = Box::pin(self.read_cached(span)).await
        {
            return Ok(bytes);
        }
        // Taken out: of two readers at once, the other asks for its own.
        let open = world::lock(&self.open).take();
        let mut open = open.filter(|open| open.at == span.start);
        let mut whole = BytesMut::new();
        let (mut at, mut failures) = (span.start, 0);
        while at < span.end() {
            let reading = match open.take() {
                Some(reading) if reading.at == at && reading.at < reading.end => Ok(reading),
                _ => self.open_at(at, self.until.load(Ordering::Relaxed).max(span.end())).await,
            };
            let next = match reading {
                Ok(mut reading) => reading.next(span.end() - at).await.map(|piece| (reading, piece)),
                Err(error) => Err(error),
            };
            match next {
                Ok((reading, piece)) => {
                    at += piece.len() as u64;
                    open = Some(reading);
                    if whole.is_empty() && at == span.end() {
                        self.keep(open);
                        return Ok(piece);
                    }
                    whole.extend_from_slice(&piece);
                }
                Err(ObjectError::Absent) if failures == 0 && self.find_again().await? => failures += 1,
                Err(ObjectError::Absent) => return Err(StorageError::damaged("a blob", "its object is gone")),
                Err(error) => {
                    failures += 1;
                    if failures == ATTEMPTS {
                        return Err(error.during("read", "a blob"));
                    }
                }
            }
        }
        self.keep(open);
        Ok(whole.freeze())
    }

    /// Reads a span from the cache; `None` if it is not there and will not be soon. The first read of a whole blob adds
    /// it to the cache.
    async fn read_cached(&self, span: Span) -> Option<Bytes> {
        let (cache, (digest, _)) = (self.cache.as_ref()?, self.named.as_ref()?);
        let known = world::lock(&self.cached).clone();
        let cached = match known {
            Some(cached) => cached,
            None => {
                let is_whole = span.start == 0 && self.until.load(Ordering::Relaxed) == self.len;
                let cached = Arc::new(cache.join(digest, || is_whole.then(|| self.again())).await?);
                *world::lock(&self.cached) = Some(cached.clone());
                cached
            }
        };
        match &*cached {
            CachedBytes::Filling(fill) => fill.read(span).await,
            CachedBytes::Whole(blob) => blob.read(span).await.ok(),
        }
    }

    fn keep(&self, open: Option<OpenRead>) {
        *world::lock(&self.open) = open.filter(|open| open.at < open.end);
    }

    /// Looks for the blob again, of which other bytes may be there now; `false` if there are none.
    async fn find_again(&self) -> Result<bool> {
        let Some((digest, memory)) = &self.named else { return Ok(false) };
        memory.forget_blob(digest);
        let store = ObjectStorage::over(self.objects.clone());
        let Some(found) = store.find_blob(digest).await?.filter(|found| found.len == self.len) else {
            return Ok(false);
        };
        *world::lock(&self.segments) = found.segments();
        Ok(true)
    }

    /// Asks for the bytes from `at`, up to `end` or the end of the object.
    async fn open_at(&self, at: u64, end: u64) -> Result<OpenRead, ObjectError> {
        let mut start = 0;
        for (key, len) in self.segments().iter() {
            if at < start + len {
                let end = end.min(start + len);
                let span = Span { start: at - start, len: end - at };
                let ObjectBody { bytes, .. } = self.objects.get(key, Some(span)).await?;
                return Ok(OpenRead { at, end, rest: Bytes::new(), stream: bytes });
            }
            start += len;
        }
        Err(ObjectError::Damaged { why: "it ends before its length".into() })
    }
}

impl OpenRead {
    /// The next bytes, at most `most`.
    async fn next(&mut self, most: u64) -> Result<Bytes, ObjectError> {
        while self.rest.is_empty() {
            match self.stream.next().await {
                Some(piece) => self.rest = piece?,
                None => return Err(ObjectError::Damaged { why: "it ends before its length".into() }),
            }
        }
        let most = most.min(self.end - self.at);
        let piece = self.rest.split_to((most as usize).min(self.rest.len()));
        self.at += piece.len() as u64;
        Ok(piece)
    }
}
