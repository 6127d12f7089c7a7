//! Sends an archive while it is written: one piece of one file is in memory at a time.

use crate::{
    artifacts::{
        Artifact,
        archive::{ArchiveNeed, ArchiveWriter},
    },
    registry::artifacts::ArtifactRepository,
    storage::{self, Blob, StorageError},
    wire::{
        BoxError,
        body::ResponseBody,
        outbox::{Outbox, Pieces},
    },
};
use bytes::Bytes;
use futures_util::stream;
use oci::Span;
use std::{future::poll_fn, sync::Arc};

/// An archive that is being sent.
struct SentArchive {
    writer: ArchiveWriter,
    repository: ArtifactRepository,
    /// One for each entry.
    artifacts: Vec<Artifact>,
    /// The entry that is read, and its bytes.
    open: Option<(usize, Blob)>,
    pieces: Pieces,
}

/// The body with an archive of these artifacts, one for each of its entries.
pub(super) fn archive_body(
    writer: ArchiveWriter,
    repository: ArtifactRepository,
    artifacts: Vec<Artifact>,
    outbox: Option<Arc<Outbox>>,
) -> ResponseBody {
    let len = writer.whole_len();
    let archive = SentArchive { writer, repository, artifacts, open: None, pieces: Pieces::of(outbox) };
    ResponseBody::making(len, stream::try_unfold(archive, SentArchive::next))
}

impl SentArchive {
    /// The next bytes; `None` at the end. An error leaves the archive without its end, which no program takes for a
    /// whole one.
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, BoxError> {
        while let ArchiveNeed::Bytes { entry, offset } = self.writer.need() {
            let Some(size) = self.artifacts.get(entry).map(|artifact| artifact.size) else { break };
            let room = poll_fn(|cx| self.pieces.poll_room(cx)).await;
            let span = Span { start: offset, len: room.min(size - offset) };
            let place = self.pieces.reserve(span.len);
            let bytes = self.blob(entry).await?.read(span).await?;
            let mut writer = self.writer;
            // Checksums and compression take longer than reading.
            let (writer, written) = storage::work_on(bytes.len(), move || {
                let written = writer.write(&bytes).map_err(|error| StorageError::io("write", "an archive", error))?;
                Ok((writer, written))
            })
            .await?;
            self.writer = writer;
            // A compressor keeps what is little.
            if !written.is_empty() {
                let written = Bytes::from(written);
                return Ok(Some((place.map_or(written.clone(), |place| place.filled(written)), self)));
            }
        }
        Ok(None)
    }

    /// The bytes of an entry's artifact.
    async fn blob(&mut self, entry: usize) -> Result<Blob, BoxError> {
        if let Some((open, blob)) = &self.open
            && *open == entry
        {
            return Ok(blob.clone());
        }
        let artifact = &self.artifacts[entry];
        let blob = self.repository.blob(artifact).await?;
        if blob.len() != artifact.size {
            return Err(StorageError::damaged(artifact.digest.to_string(), "it has another length").into());
        }
        self.open = Some((entry, blob.clone()));
        Ok(blob)
    }
}
