//! Copies one blob, unless it is here.

use super::{
    engine::Engine,
    failure::CopyFailure,
    limits::{RESUMED_FROM, SLOWEST, STALL},
    meter::ImageMeter,
};
use crate::registry::{Chunk, IncomingBytes, Interruption, RegistryError, Repository};
use bytes::Bytes;
use client::{BlobDownload, ErrorKind};
use futures_util::stream;
use oci::{Digest, RepositoryName, UploadId};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

/// A blob of an image.
pub(super) struct BlobCopy<'a> {
    pub(super) engine: &'a Engine,
    pub(super) source: &'a RepositoryName,
    pub(super) target: &'a Repository,
    pub(super) digest: &'a Digest,
    pub(super) size: u64,
    pub(super) meter: &'a Arc<ImageMeter>,
}

/// What a download leaves behind for whoever reads the other end of the stream.
#[derive(Clone, Default)]
struct DownloadEnd {
    failure: Arc<Mutex<Option<CopyFailure>>>,
    received: Arc<AtomicU64>,
}

impl BlobCopy<'_> {
    /// Copies it. Returns whether something had to be done.
    pub(super) async fn run(&self) -> Result<bool, CopyFailure> {
        let _permit = self.engine.blobs.acquire().await;
        // Another image may be copying it now.
        let flight = self.engine.flight(self.digest);
        let _alone = flight.lock().await;
        if self.is_here().await? {
            self.meter.skipped(self.size);
            return Ok(false);
        }
        if self.engine.plan.dry_run {
            match self.engine.is_first_sight(self.digest) {
                true => self.meter.fetched(self.size),
                false => self.meter.skipped(self.size),
            }
            return Ok(true);
        }
        match self.size {
            RESUMED_FROM.. => self.fetch_in_session().await?,
            _ => self.fetch().await?,
        }
        self.engine.note_place(self.digest, self.target.name());
        Ok(true)
    }

    /// Whether the repository has it, or gets it from another one that the user may pull.
    async fn is_here(&self) -> Result<bool, CopyFailure> {
        match self.target.blob_to_rely_on(self.digest).await {
            Ok(_) => {
                self.engine.note_place(self.digest, self.target.name());
                return Ok(true);
            }
            Err(RegistryError::BlobUnknown(_)) => {}
            Err(error) => return Err(error.into()),
        }
        if self.engine.plan.dry_run {
            return Ok(false);
        }
        for from in self.engine.places(self.digest) {
            if self.target.mount(self.digest, Some(&from), &self.engine.authority).await? {
                return Ok(true);
            }
        }
        // Where the user has pushed or pulled it lately.
        let is_mounted = self.target.mount(self.digest, None, &self.engine.authority).await?;
        if is_mounted {
            self.engine.note_place(self.digest, self.target.name());
        }
        Ok(is_mounted)
    }

    /// Fetches it in one go.
    async fn fetch(&self) -> Result<(), CopyFailure> {
        let blob = self.engine.client.pull_blob(self.source, self.digest, Some(self.size));
        let end = DownloadEnd::default();
        let chunk = Chunk { length: Some(self.size), ..Chunk::default() };
        let pushed = self
            .target
            .push_blob(self.digest, chunk, incoming(blob, self.pace(), self.meter.clone(), end.clone()))
            .await;
        pushed.map_err(|error| {
            self.meter.lost(end.received());
            end.failure_or(error)
        })
    }

    /// Fetches it in a session: what has arrived stays when the connection breaks or the daemon is restarted.
    async fn fetch_in_session(&self) -> Result<(), CopyFailure> {
        let (id, offset) = self.session().await?;
        // It counts as done: it is not fetched again.
        self.meter.fetched(offset);
        let end = DownloadEnd::default();
        if offset < self.size {
            let blob = self.engine.client.pull_blob_from(self.source, self.digest, Some(self.size), offset);
            let chunk = Chunk { offset: Some(offset), length: Some(self.size - offset), ..Chunk::default() };
            let bytes = incoming(blob, self.pace(), self.meter.clone(), end.clone());
            if let Err(error) = self.target.append_upload(&id, chunk, bytes).await {
                let failure = end.failure_or(error);
                if is_of_bytes(&failure) {
                    self.give_up(&id).await;
                }
                return Err(failure);
            }
        }
        let chunk = Chunk { length: Some(0), ..Chunk::default() };
        let finished = self.target.finish_upload(&id, self.digest, chunk, Box::pin(stream::empty())).await;
        self.engine.state.set_partial(self.target.name(), self.digest, None);
        finished.map_err(|error| match error {
            RegistryError::DigestMismatch { .. } if offset > 0 => CopyFailure::Parts(error),
            error => error.into(),
        })
    }

    /// How fast the source has to be.
    fn pace(&self) -> SourcePace {
        SourcePace::new(self.engine.authority.live().migration.slow_after)
    }

    /// The session with the first bytes of the blob, and how many it has.
    async fn session(&self) -> Result<(UploadId, u64), CopyFailure> {
        if let Some(id) = self.engine.state.partial(self.target.name(), self.digest) {
            match self.target.upload(&id).await {
                Ok(open) if open.len <= self.size => return Ok((id, open.len)),
                Ok(_) => self.give_up(&id).await,
                // It has expired.
                Err(RegistryError::UploadUnknown(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let open = self.target.begin_upload(self.digest.algorithm()).await?;
        self.engine.state.set_partial(self.target.name(), self.digest, Some(open.id));
        Ok((open.id, 0))
    }

    /// Ends a session whose bytes are of no use.
    async fn give_up(&self, id: &UploadId) {
        self.engine.state.set_partial(self.target.name(), self.digest, None);
        if let Err(error) = self.target.cancel_upload(id).await {
            tracing::debug!(upload = %id, %error, "cannot end an upload of a migration; it will expire");
        }
    }
}

impl DownloadEnd {
    fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Why the download ended early, or else this.
    fn failure_or(&self, error: RegistryError) -> CopyFailure {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or(CopyFailure::Here(error))
    }
}

/// Whether the source sent other bytes than the digest is of.
fn is_of_bytes(failure: &CopyFailure) -> bool {
    matches!(failure, CopyFailure::Source(error) if error.kind() == ErrorKind::Digest)
}

/// A download as the body of a push. A source that sends too little ends it.
fn incoming(blob: BlobDownload, pace: SourcePace, meter: Arc<ImageMeter>, end: DownloadEnd) -> impl IncomingBytes {
    let download = Some((blob, pace));
    Box::pin(stream::unfold(download, move |download| {
        let (meter, end) = (meter.clone(), end.clone());
        async move {
            let (mut blob, mut pace) = download?;
            let began = Instant::now();
            let failure = match blob.chunk().await {
                Ok(None) => return None,
                Ok(Some(bytes)) if pace.is_kept(began.elapsed(), bytes.len() as u64) => {
                    meter.fetched(bytes.len() as u64);
                    end.received.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                    return Some((Ok::<Bytes, Interruption>(bytes), Some((blob, pace))));
                }
                Ok(Some(_)) => CopyFailure::TooSlow(pace.slow_after),
                Err(error) => CopyFailure::Source(error),
            };
            *end.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
            Some((Err(Interruption::Cut), None))
        }
    }))
}

/// How fast a source sends.
struct SourcePace {
    slow_after: Duration,
    waited: Duration,
    bytes: u64,
}

impl SourcePace {
    fn new(slow_after: Duration) -> Self {
        Self { slow_after, waited: Duration::ZERO, bytes: 0 }
    }

    /// Counts a piece, and the time that it took. `false` if too little has arrived.
    fn is_kept(&mut self, took: Duration, bytes: u64) -> bool {
        self.bytes += bytes;
        // A longer wait was a pause before another attempt: the client itself does not wait longer for bytes.
        if took < STALL {
            self.waited += took;
        }
        if self.waited < self.slow_after {
            return true;
        }
        let is_kept = self.bytes >= SLOWEST;
        *self = Self::new(self.slow_after);
        is_kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_source_must_send_something_worthwhile_every_minute() {
        let mut pace = SourcePace::new(MINUTE);
        assert!((0..59).all(|_| pace.is_kept(Duration::from_secs(1), 1)));
        assert!(!pace.is_kept(Duration::from_secs(1), 1));
        let mut pace = SourcePace::new(MINUTE);
        assert!((0..600).all(|_| pace.is_kept(Duration::from_secs(1), SLOWEST / 60 + 1)));
        let mut pace = SourcePace::new(MINUTE);
        assert!((0..600).all(|_| pace.is_kept(STALL, 1)), "pauses between attempts do not count");
    }
}
