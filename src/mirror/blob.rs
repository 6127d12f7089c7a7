//! Blobs of mirrored repositories, sent while they are stored.

use super::{MirrorError, MirrorFetch, MirrorResult, Mirrors, own};
use crate::{
    config::MirrorRule,
    registry::{Chunk, Repository},
    storage::Blob,
};
use bytes::Bytes;
use client::BlobDownload;
use futures_util::{Stream, stream};
use oci::{Digest, RepositoryName, Span, UploadId};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;

/// Bytes that are written at once.
const BATCH: usize = 512 << 10;

/// The longest piece that is sent at once.
const PIECE: u64 = 64 << 10;

type BlobKey = (RepositoryName, Digest);

/// Blobs on their way here.
#[derive(Clone, Default)]
pub(super) struct BlobFlights(Arc<Mutex<HashMap<BlobKey, watch::Receiver<Coming>>>>);

/// How far a blob has come.
#[derive(Clone, Default)]
struct Coming {
    /// Its bytes so far, and its length if the upstream said it.
    source: Option<(Blob, Option<u64>)>,
    /// How many of its bytes can be read.
    written: u64,
    end: Option<Result<(), MirrorError>>,
}

/// A blob that is on its way here.
pub struct ComingBlob {
    blob: Blob,
    len: Option<u64>,
    progress: watch::Receiver<Coming>,
}

/// Ends a flight, even if its task panics.
struct BlobLanding {
    flights: BlobFlights,
    key: BlobKey,
}

impl Drop for BlobLanding {
    fn drop(&mut self) {
        self.flights.lock().remove(&self.key);
    }
}

impl BlobFlights {
    fn lock(&self) -> MutexGuard<'_, HashMap<BlobKey, watch::Receiver<Coming>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mirrors {
    /// A blob that the repository does not have, on its way here; `None` if the repository has it.
    ///
    /// # Errors
    /// [`MirrorError`].
    pub async fn blob(
        &self,
        rule: &Arc<MirrorRule>,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Option<ComingBlob>, MirrorError> {
        let counters = self.0.counters.of(rule);
        if repository.blob(digest).await.is_ok() {
            counters.request(MirrorResult::Hit);
            return Ok(None);
        }
        let coming = self.coming(rule, repository, digest).await;
        counters.request(match &coming {
            Ok(_) => MirrorResult::Fetched,
            Err(MirrorError::Absent) => MirrorResult::Absent,
            Err(_) => MirrorResult::Error,
        });
        coming
    }

    /// The same for the mirror itself.
    pub(super) async fn coming(
        &self,
        rule: &Arc<MirrorRule>,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Option<ComingBlob>, MirrorError> {
        if repository.blob(digest).await.is_ok() {
            return Ok(None);
        }
        let mut progress = self.begin(rule, repository, digest);
        loop {
            let now = progress.borrow_and_update().clone();
            match (now.end, now.source) {
                (Some(Err(error)), _) => return Err(error),
                (Some(Ok(())), _) => return Ok(None),
                (None, Some((blob, len))) => return Ok(Some(ComingBlob { blob, len, progress })),
                (None, None) => {}
            }
            if progress.changed().await.is_err() {
                return Err(MirrorError::Store("a task panicked".to_owned()));
            }
        }
    }

    fn begin(&self, rule: &Arc<MirrorRule>, repository: &Repository, digest: &Digest) -> watch::Receiver<Coming> {
        let key = (repository.name().clone(), digest.clone());
        let mut flights = self.0.blobs.lock();
        if let Some(running) = flights.get(&key) {
            return running.clone();
        }
        let (sender, receiver) = watch::channel(Coming::default());
        flights.insert(key.clone(), receiver.clone());
        drop(flights);
        let landing = BlobLanding { flights: self.0.blobs.clone(), key };
        let (mirrors, rule, repository, digest) = (self.clone(), rule.clone(), own(repository), digest.clone());
        tokio::spawn(async move {
            let absent = (repository.name().clone(), digest.to_string());
            // Between the caller's look and this one, another may have brought it, or found that there is no such one.
            let end = match repository.blob(&digest).await {
                Ok(_) => Ok(()),
                Err(_) if mirrors.is_absent(&absent) => Err(MirrorError::Absent),
                Err(_) => mirrors.bring(&rule, &repository, &digest, &sender).await,
            };
            mirrors.learn(absent, &end);
            if let Err(error) = &end {
                tracing::debug!(repository = %repository.name(), %digest, %error, "a mirror could not bring a blob");
            }
            // Whoever comes from now on looks for themselves.
            drop(landing);
            sender.send_modify(|coming| coming.end = Some(end));
        });
        receiver
    }

    async fn bring(
        &self,
        rule: &MirrorRule,
        repository: &Repository,
        digest: &Digest,
        progress: &watch::Sender<Coming>,
    ) -> Result<(), MirrorError> {
        let name = rule.upstream_name(repository.name()).ok_or(MirrorError::Absent)?;
        self.0.upstreams.may_ask(rule)?;
        let failed = |error| self.failed(rule, &error);
        // Bytes that another repository has need not be fetched. But only the upstream can say that this repository
        // has them too: a manifest of a stranger may name any digest.
        if repository.registry().known_blobs(std::slice::from_ref(digest), true).await? == [true] {
            return match rule.client.head_blob(&name, digest).await.map_err(failed)? {
                None => Err(MirrorError::Absent),
                // A collection may have taken it in the meantime. Then this pull fails, and the next one fetches it.
                Some(_) if repository.registry().known_blobs(std::slice::from_ref(digest), false).await? != [true] => {
                    Err(MirrorError::Store("a collection removed the blob".to_owned()))
                }
                Some(_) => {
                    repository.link_all(std::slice::from_ref(digest)).await?;
                    Ok(())
                }
            };
        }
        let mut download = rule.client.pull_blob(&name, digest, None);
        let first = download.chunk().await.map_err(failed)?;
        self.0.counters.of(rule).fetch(MirrorFetch::Blob);
        let (size, most) = (download.size(), repository.settings().blob_bytes);
        if size.is_some_and(|size| size > most) {
            let why = format!("the blob is larger than {most} bytes");
            return Err(MirrorError::Unusable { upstream: rule.upstream().to_owned(), why });
        }
        let upload = repository.begin_upload(digest.algorithm()).await?.id;
        let received = self.receive(rule, repository, digest, upload, (first, download), progress).await;
        if received.is_err()
            && let Err(error) = repository.cancel_upload(&upload).await
        {
            tracing::debug!(%upload, %error, "what was fetched of a blob stays until its upload expires");
        }
        received
    }

    async fn receive(
        &self,
        rule: &MirrorRule,
        repository: &Repository,
        digest: &Digest,
        upload: UploadId,
        (first, mut download): (Option<Bytes>, BlobDownload),
        progress: &watch::Sender<Coming>,
    ) -> Result<(), MirrorError> {
        let failed = |error| self.failed(rule, &error);
        let counters = self.0.counters.of(rule);
        let blob = repository.upload_content(&upload).await?;
        let size = download.size();
        progress.send_modify(|coming| coming.source = Some((blob, size)));
        let mut next = first;
        while next.is_some() {
            let (mut parts, mut len) = (Vec::new(), 0);
            while let Some(part) = next.take() {
                len += part.len();
                parts.push(Ok(part));
                if len >= BATCH {
                    break;
                }
                next = download.chunk().await.map_err(failed)?;
            }
            let chunk = Chunk { length: Some(len as u64), ..Chunk::default() };
            let written = repository.append_upload(&upload, chunk, stream::iter(parts)).await?.len;
            counters.bytes(len as u64);
            progress.send_modify(|coming| coming.written = written);
            if next.is_none() {
                next = download.chunk().await.map_err(failed)?;
            }
        }
        let nothing = stream::iter(std::iter::empty::<Result<Bytes, _>>());
        repository.finish_upload(&upload, digest, Chunk::default(), nothing).await?;
        Ok(())
    }
}

impl ComingBlob {
    /// Its length, if the upstream said it.
    pub fn length(&self) -> Option<u64> {
        self.len
    }

    /// Waits until it is here.
    ///
    /// # Errors
    /// [`MirrorError`].
    pub async fn arrived(mut self) -> Result<(), MirrorError> {
        loop {
            if let Some(end) = self.progress.borrow_and_update().end.clone() {
                return end;
            }
            if self.progress.changed().await.is_err() {
                return Err(MirrorError::Store("a task panicked".to_owned()));
            }
        }
    }

    /// Its bytes, as they arrive. The last of them come only after the digest of all was verified; if it is wrong, or
    /// the upstream breaks off, there is an error before.
    pub fn pieces(self) -> impl Stream<Item = Result<Bytes, MirrorError>> + Send {
        stream::try_unfold((self, 0), |(mut coming, sent)| async move {
            loop {
                let (written, end) = {
                    let now = coming.progress.borrow_and_update();
                    (now.written, now.end.clone())
                };
                if sent < written {
                    let span = Span { start: sent, len: PIECE.min(written - sent) };
                    let read = coming.blob.read(span).await;
                    let bytes = read.map_err(|error| MirrorError::Store(error.to_string()))?;
                    return Ok(Some((bytes, (coming, sent + span.len))));
                }
                match end {
                    Some(Ok(())) => return Ok(None),
                    Some(Err(error)) => return Err(error),
                    None => {}
                }
                if coming.progress.changed().await.is_err() && coming.progress.borrow().end.is_none() {
                    return Err(MirrorError::Store("a task panicked".to_owned()));
                }
            }
        })
    }
}
