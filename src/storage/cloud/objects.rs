//! The calls of [`Objects`], made with object_store.

use super::{
    fault::{CloudFault, known, object_error},
    probe::{Probed, probe},
    settings::{CloudClients, CloudSettings, CloudStore},
};
use crate::storage::objects::{
    ListedObject, ObjectAbilities, ObjectBody, ObjectError, ObjectLevel, ObjectMeta, ObjectPage, ObjectResult,
    ObjectTag, Objects, PutWhen,
};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use object_store::{
    CopyOptions, GetOptions, GetRange, PutMode, PutOptions, PutPayload, PutResult, UpdateVersion, multipart::PartId,
    path::Path,
};
use oci::Span;
use std::{
    fmt,
    ops::Range,
    sync::Arc,
    time::{Duration, SystemTime},
};

/// How often a broken answer is continued where it broke off.
const CONTINUATIONS: u32 = 3;

/// S3 copies objects of this length by one request; longer ones by parts.
const LONGEST_COPY: u64 = 5 << 30;

/// The length of those parts.
const COPIED_PART: u64 = 1 << 30;

/// How old an answer of the store may be that tells the time.
const TIMELY: Duration = Duration::from_secs(2);

/// Objects in a bucket.
pub struct CloudObjects {
    pub(super) clients: CloudClients,
    /// With a slash at the end, or empty.
    pub(super) prefix: String,
    abilities: ObjectAbilities,
    /// Lists are in the order of bytes; otherwise segment by segment.
    pub(super) is_ordered: bool,
}

impl fmt::Debug for CloudObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CloudObjects({})", self.prefix)
    }
}

impl CloudObjects {
    /// Opens a bucket and finds out what it can do.
    ///
    /// # Errors
    /// It cannot be reached or used, or is not safe to use.
    pub async fn open(settings: &CloudSettings) -> ObjectResult<(Self, Probed)> {
        let mut objects = Self::unprobed(settings)?;
        let probed = probe(&objects).await?;
        (objects.abilities, objects.is_ordered) = (probed.abilities, probed.is_ordered);
        Ok((objects, probed))
    }

    /// Opens a bucket that is believed to be able to do everything.
    pub(super) fn unprobed(settings: &CloudSettings) -> ObjectResult<Self> {
        let clients = settings.clients()?;
        let prefix = if clients.prefix.is_empty() { String::new() } else { format!("{}/", clients.prefix) };
        let abilities = ObjectAbilities { delete_match: clients.s3.is_some(), ..ObjectAbilities::ALL };
        Ok(Self { clients, prefix, abilities, is_ordered: true })
    }

    /// How many requests were sent so far, repeated ones included.
    pub fn requests(&self) -> u64 {
        self.clients.courier.sent()
    }

    fn path(&self, key: &str) -> ObjectResult<Path> {
        let full = self.full(key);
        Path::parse(&full).map_err(|_| ObjectError::Other { why: "a key is not one of an object".to_owned() })
    }

    /// A key with the prefix.
    pub(super) fn full(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    fn store(&self) -> &dyn CloudStore {
        &*self.clients.store
    }

    fn tag(&self, e_tag: Option<String>, version: Option<String>) -> Option<ObjectTag> {
        let tag = if self.clients.tags_are_generations { version } else { e_tag };
        tag.map(ObjectTag)
    }

    fn meta(&self, meta: &object_store::ObjectMeta) -> ObjectMeta {
        ObjectMeta {
            len: meta.size,
            modified: meta.last_modified.into(),
            tag: self.tag(meta.e_tag.clone(), meta.version.clone()),
        }
    }

    async fn head_of(&self, path: &Path) -> ObjectResult<object_store::ObjectMeta> {
        let options = GetOptions { head: true, ..GetOptions::default() };
        let found = self.store().get_opts(path, options).await.map_err(|error| object_error(&error))?;
        Ok(found.meta)
    }

    async fn copy_by_parts(&self, from: &str, to: &str, len: u64) -> ObjectResult<()> {
        let id = self.begin_parts(to).await?;
        let copied = async {
            let (from, to) = (self.full(from), self.full(to));
            let mut parts = Vec::new();
            for number in 0..len.div_ceil(COPIED_PART) {
                let start = number * COPIED_PART;
                let span = (start, len.min(start + COPIED_PART));
                parts.push(self.clients.copy_part((&from, &to), &id, parts.len(), span).await?);
            }
            Ok(parts)
        };
        match copied.await {
            Ok(parts) => self.complete_parts(to, &id, &parts).await,
            Err(error) => {
                // What is left of it costs space, and nothing else.
                let _ = self.abort_parts(to, &id).await;
                Err(error)
            }
        }
    }
}

/// An answer that is being read, and what continues it if it breaks off.
struct Reading {
    store: Arc<dyn CloudStore>,
    path: Path,
    /// It must still be the same object.
    e_tag: Option<String>,
    left: Range<u64>,
    stream: Option<stream::BoxStream<'static, object_store::Result<Bytes>>>,
    continuations: u32,
}

impl Reading {
    async fn next(&mut self) -> Option<ObjectResult<Bytes>> {
        while !self.left.is_empty() {
            let mut stream = match self.stream.take() {
                Some(stream) => stream,
                None => match self.again().await {
                    Ok(stream) => stream,
                    Err(error) => return self.end(error),
                },
            };
            let next = stream.next().await;
            if matches!(next, Some(Ok(_))) {
                self.stream = Some(stream);
            }
            let error = match next {
                Some(Ok(bytes)) if bytes.is_empty() => continue,
                Some(Ok(bytes)) => {
                    self.left.start += bytes.len() as u64;
                    if self.left.start > self.left.end {
                        return self
                            .end(ObjectError::Damaged { why: "more bytes came than were asked for".to_owned() });
                    }
                    return Some(Ok(bytes));
                }
                Some(Err(error)) => object_error(&error),
                None => ObjectError::Unavailable { why: "the answer broke off".to_owned(), retry_after: None },
            };
            self.continuations += 1;
            if self.continuations > CONTINUATIONS {
                return self.end(error);
            }
            tracing::debug!(%error, "reading from the object store broke off; continuing");
        }
        None
    }

    fn end(&mut self, error: ObjectError) -> Option<ObjectResult<Bytes>> {
        self.left = 0..0;
        Some(Err(error))
    }

    async fn again(&mut self) -> ObjectResult<stream::BoxStream<'static, object_store::Result<Bytes>>> {
        let options = GetOptions {
            if_match: self.e_tag.clone(),
            range: Some(GetRange::Bounded(self.left.clone())),
            ..GetOptions::default()
        };
        let found = self.store.get_opts(&self.path, options).await.map_err(|error| object_error(&error))?;
        Ok(found.into_stream())
    }
}

#[async_trait]
impl Objects for CloudObjects {
    fn abilities(&self) -> ObjectAbilities {
        self.abilities
    }

    async fn get(&self, key: &str, span: Option<Span>) -> ObjectResult<ObjectBody> {
        let path = self.path(key)?;
        let empty = |meta| ObjectBody { meta, bytes: stream::empty().boxed() };
        let range = match span {
            Some(span) if span.len == 0 => return Ok(empty(self.meta(&self.head_of(&path).await?))),
            Some(span) => Some(GetRange::Bounded(span.start..span.end())),
            None => None,
        };
        let found = match self.store().get_opts(&path, GetOptions { range, ..GetOptions::default() }).await {
            Ok(found) => found,
            // It begins beyond the end, as every span of an empty object does.
            Err(error) if matches!(known(&error), Some(CloudFault::Range)) => {
                return Ok(empty(self.meta(&self.head_of(&path).await?)));
            }
            Err(error) => return Err(object_error(&error)),
        };
        let meta = self.meta(&found.meta);
        let reading = Reading {
            store: self.clients.store.clone(),
            path,
            e_tag: found.meta.e_tag.clone(),
            left: found.range.clone(),
            stream: Some(found.into_stream()),
            continuations: 0,
        };
        let bytes = stream::unfold(reading, |mut reading| async move { Some((reading.next().await?, reading)) });
        Ok(ObjectBody { meta, bytes: bytes.boxed() })
    }

    async fn head(&self, key: &str) -> ObjectResult<ObjectMeta> {
        Ok(self.meta(&self.head_of(&self.path(key)?).await?))
    }

    async fn put(&self, key: &str, pieces: Vec<Bytes>, when: PutWhen) -> ObjectResult<Option<ObjectTag>> {
        let mode = match when {
            PutWhen::Any => PutMode::Overwrite,
            PutWhen::Absent => PutMode::Create,
            PutWhen::Is(ObjectTag(tag)) if self.clients.tags_are_generations => {
                PutMode::Update(UpdateVersion { e_tag: None, version: Some(tag) })
            }
            PutWhen::Is(ObjectTag(tag)) => PutMode::Update(UpdateVersion { e_tag: Some(tag), version: None }),
        };
        let options = PutOptions { mode, ..PutOptions::default() };
        let put = self.store().put_opts(&self.path(key)?, payload(pieces), options).await;
        let PutResult { e_tag, version, .. } = put.map_err(|error| object_error(&error))?;
        Ok(self.tag(e_tag, version))
    }

    async fn list(&self, prefix: &str, after: Option<&str>, most: usize) -> ObjectResult<ObjectPage> {
        self.list_objects(prefix, after, most).await
    }

    async fn level(&self, dir: &str, after: Option<&str>, most: usize) -> ObjectResult<ObjectLevel> {
        self.list_level(dir, after, most).await
    }

    async fn delete(&self, keys: Vec<String>) -> ObjectResult<()> {
        let paths = keys.iter().map(|key| self.path(key)).collect::<ObjectResult<Vec<_>>>()?;
        match self.delete_by(&self.clients.store, &paths).await {
            // Not every server has the request for many objects.
            Err(ObjectError::Other { .. }) if self.clients.singly.is_some() => {}
            done => return done,
        }
        match &self.clients.singly {
            Some(singly) => self.delete_by(singly, &paths).await,
            None => Ok(()),
        }
    }

    async fn delete_match(&self, key: &str, tag: &ObjectTag) -> ObjectResult<()> {
        match self.clients.delete_if(&self.full(key), tag).await {
            Err(ObjectError::Absent) => Err(ObjectError::Changed),
            done => done,
        }
    }

    async fn copy(&self, from: &str, to: &str) -> ObjectResult<()> {
        let (source, target) = (self.path(from)?, self.path(to)?);
        let copied = self.store().copy_opts(&source, &target, CopyOptions::new()).await;
        let error = match copied.map_err(|error| object_error(&error)) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        // Only then: most objects are short, and their length need not be asked for.
        match (&error, &self.clients.s3) {
            (ObjectError::Other { .. }, Some(_)) => {
                let len = self.head_of(&source).await?.size;
                if len > LONGEST_COPY { self.copy_by_parts(from, to, len).await } else { Err(error) }
            }
            _ => Err(error),
        }
    }

    async fn begin_parts(&self, key: &str) -> ObjectResult<String> {
        self.store().create_multipart(&self.path(key)?).await.map_err(|error| object_error(&error))
    }

    async fn put_part(&self, key: &str, id: &str, number: usize, pieces: Vec<Bytes>) -> ObjectResult<String> {
        let put = self.store().put_part(&self.path(key)?, &id.to_owned(), number, payload(pieces)).await;
        put.map(|part| part.content_id).map_err(|error| object_error(&error))
    }

    async fn complete_parts(&self, key: &str, id: &str, parts: &[String]) -> ObjectResult<()> {
        let parts = parts.iter().map(|content_id| PartId { content_id: content_id.clone() }).collect();
        let done = self.store().complete_multipart(&self.path(key)?, &id.to_owned(), parts).await;
        done.map(drop).map_err(|error| object_error(&error))
    }

    async fn abort_parts(&self, key: &str, id: &str) -> ObjectResult<()> {
        match self.store().abort_multipart(&self.path(key)?, &id.to_owned()).await.map_err(|error| object_error(&error))
        {
            Err(ObjectError::Absent) => Ok(()),
            done => done,
        }
    }

    async fn now(&self) -> ObjectResult<SystemTime> {
        if let Some(now) = self.clients.courier.clock(TIMELY) {
            return Ok(now);
        }
        match self.head_of(&self.path("ROOT.json")?).await {
            Ok(_) | Err(ObjectError::Absent) => {}
            Err(error) => return Err(error),
        }
        let now = self.clients.courier.clock(TIMELY);
        now.ok_or_else(|| ObjectError::Other { why: "the object store does not say what time it is".to_owned() })
    }

    async fn presign(&self, key: &str, valid: Duration) -> ObjectResult<Option<String>> {
        if !self.clients.is_tls {
            return Ok(None);
        }
        let url = self.store().signed_url(http::Method::GET, &self.path(key)?, valid).await;
        url.map(|url| Some(url.into())).map_err(|error| object_error(&error))
    }
}

impl CloudObjects {
    async fn delete_by(&self, store: &Arc<dyn CloudStore>, paths: &[Path]) -> ObjectResult<()> {
        // One is not worth the request for many.
        let store = match (paths, &self.clients.singly) {
            ([_], Some(singly)) => singly,
            _ => store,
        };
        let paths: Vec<_> = paths.iter().cloned().map(Ok).collect();
        let mut deleted = store.delete_stream(stream::iter(paths).boxed());
        let mut failed = None;
        while let Some(done) = deleted.next().await {
            match done.map_err(|error| object_error(&error)) {
                Ok(_) | Err(ObjectError::Absent) => {}
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// An object of a list, without the prefix.
    pub(super) fn listed(&self, meta: &object_store::ObjectMeta) -> Option<ListedObject> {
        let key = meta.location.as_ref().strip_prefix(&self.prefix)?;
        Some(ListedObject { key: key.to_owned(), len: meta.size, modified: meta.last_modified.into() })
    }
}

fn payload(pieces: Vec<Bytes>) -> PutPayload {
    pieces.into_iter().collect()
}
