//! Blobs and their uploads, as the trait has them.

use super::{
    ObjectBlob, ObjectStorage,
    names::{BytesIn, Generation},
    session::{self, SessionRecord},
};
use crate::{
    files::{IntakeMode, IntakeWay, world},
    storage::{
        Appended, Blob, Condemnation, Content, DigestCheck, Item, Published, Result, StorageError, TakenIn, TakenOver,
        UploadProgress, UploadTurn, Verified, blocking,
        content::{TakenInBytes, checked},
        objects::PART_LEN,
        work_on,
    },
};
use async_trait::async_trait;
use bytes::Bytes;
use oci::{Digest, Hasher, Span, UploadId};
use std::{sync::Arc, time::Duration};

#[async_trait]
impl Content for ObjectStorage {
    async fn begin(&self, id: &UploadId, facts: Bytes) -> Result<()> {
        self.begin_session(id, facts).await
    }

    async fn note(&self, id: &UploadId, turn: &UploadTurn, was: &Bytes, facts: Bytes) -> Result<bool> {
        self.note_session(id, turn, was, facts).await
    }

    async fn append(
        &self,
        id: &UploadId,
        turn: &UploadTurn,
        at: u64,
        bytes: Vec<Bytes>,
        hasher: Hasher,
    ) -> Result<(Appended, Hasher)> {
        self.append_to(id, turn, at, bytes, hasher).await
    }

    async fn keep(&self, id: &UploadId, turn: &UploadTurn) -> Result<()> {
        self.keep_session(id, turn).await
    }

    async fn take_over(
        &self,
        id: &UploadId,
        turn: &UploadTurn,
        to: u64,
        was: &Bytes,
        facts: Bytes,
    ) -> Result<TakenOver> {
        self.take_session_over(id, turn, to, was, facts).await
    }

    async fn progress(&self, id: &UploadId) -> Result<Option<UploadProgress>> {
        self.progress_of(id).await
    }

    async fn read_upload(&self, id: &UploadId) -> Result<Option<Blob>> {
        Ok(self.read_session(id).await?.map(Blob::remote))
    }

    async fn seal(&self, id: &UploadId, turn: &UploadTurn) -> Result<Option<Blob>> {
        Ok(self.seal_session(id, turn).await?.map(Blob::remote))
    }

    async fn publish(&self, id: &UploadId, turn: &UploadTurn, verified: &Verified) -> Result<Published> {
        self.publish_session(id, turn, verified).await
    }

    async fn put_blob(&self, verified: &Verified, bytes: Bytes) -> Result<Published> {
        self.put_bytes(verified, bytes).await
    }

    async fn take_in(&self, from: Arc<std::fs::File>, _: IntakeMode, mut hasher: Hasher) -> Result<(TakenIn, Hasher)> {
        let id = UploadId::from(world::uuid());
        let turn = UploadTurn::default();
        self.begin_session(&id, Bytes::new()).await?;
        let mut at = 0;
        loop {
            let from = from.clone();
            let piece = blocking(move || read_piece(&from, at)).await?;
            if piece.is_empty() {
                break;
            }
            at += piece.len() as u64;
            let start = at - piece.len() as u64;
            let (appended, updated) = self.append_to(&id, &turn, start, vec![piece], hasher).await?;
            hasher = updated;
            if appended != Appended::To(at) {
                return Err(StorageError::damaged(session::key(&id), "another process has changed it"));
            }
        }
        Ok((TakenIn { len: at, way: IntakeWay::Copy, bytes: TakenInBytes::Upload(id) }, hasher))
    }

    async fn publish_taken_in(&self, blobs: Vec<(TakenIn, Verified)>) -> Result<Vec<Published>> {
        let mut all = Vec::new();
        for (taken, verified) in blobs {
            let TakenInBytes::Upload(id) = taken.bytes else {
                return Err(StorageError::io("publish", "a blob", std::io::ErrorKind::InvalidInput.into()));
            };
            all.push(self.publish_session(&id, &UploadTurn::default(), &verified).await?);
        }
        Ok(all)
    }

    async fn drop_taken_in(&self, taken: TakenIn) -> Result<()> {
        if let TakenInBytes::Upload(id) = taken.bytes {
            self.abandon_session(&id, &UploadTurn::default(), Duration::ZERO).await?;
        }
        Ok(())
    }

    async fn abandon(&self, id: &UploadId, turn: &UploadTurn, idle: Duration) -> Result<Condemnation> {
        self.abandon_session(id, turn, idle).await
    }

    async fn open(&self, digest: &Digest) -> Result<Option<Blob>> {
        // It has this digest, whatever became of the object.
        if let Some(bytes) = self.memory.content(digest) {
            return Ok(Some(Blob::memory(bytes)));
        }
        Ok(self.place_of(digest).await?.map(Blob::remote))
    }

    async fn open_to_read(&self, digest: &Digest) -> Result<Option<Blob>> {
        let Some(cache) = &self.cache else { return self.open(digest).await };
        if let Some(bytes) = self.memory.content(digest) {
            return Ok(Some(Blob::memory(bytes)));
        }
        if let Some(blob) = cache.find(digest).await {
            return Ok(Some(blob));
        }
        Ok(self.place_of(digest).await?.map(|blob| Blob::remote(blob.cached_in(cache))))
    }

    async fn read(&self, digest: &Digest, check: DigestCheck) -> Result<Option<Bytes>> {
        if let Some(bytes) = self.memory.content(digest) {
            return Ok(Some(bytes));
        }
        // What is remembered of its place may be out of date: then it is looked for again.
        for _ in 0..2 {
            let Some(blob) = self.open(digest).await? else { return Ok(None) };
            let bytes = match blob.read(Span::whole(blob.len())).await {
                Ok(bytes) => bytes,
                Err(StorageError::Damaged { .. }) if self.memory.forget_blob(digest) => continue,
                Err(error) => return Err(error),
            };
            let (of, content) = (digest.clone(), bytes.clone());
            work_on(bytes.len(), move || checked(&of, &content, check)).await?;
            self.memory.keep_content(digest, &bytes);
            return Ok(Some(bytes));
        }
        Ok(None)
    }
}

impl ObjectStorage {
    /// A blob, by its place if that is remembered.
    async fn place_of(&self, digest: &Digest) -> Result<Option<ObjectBlob>> {
        let found = match self.memory.blob(digest) {
            Some(segments) => Some(ObjectBlob::new(self.objects.clone(), segments)),
            None => self.find_blob(digest).await?,
        };
        Ok(found.map(|blob| blob.named(digest, &self.memory)))
    }

    /// The latest generation of a blob that is there.
    pub(super) async fn find_blob(&self, digest: &Digest) -> Result<Option<ObjectBlob>> {
        let item = Item::Blob(digest.clone());
        let looked = self.generations(&item).await?;
        for (i, listed) in looked.generations.iter().rev().enumerate() {
            // Of several, one may have been named although its bytes were gone.
            if looked.generations.len() > i + 1 && !self.has_bytes(&item, &listed.generation).await? {
                continue;
            }
            if let Some(blob) = self.open_generation(&item, &listed.generation).await? {
                return Ok(Some(blob));
            }
        }
        Ok(None)
    }

    /// Opens a generation; `None` if it is gone, or its bytes are.
    async fn open_generation(&self, item: &Item, generation: &Generation) -> Result<Option<ObjectBlob>> {
        let Item::Blob(digest) = item else { return Ok(None) };
        let Some(segments) = self.segments(item, generation).await? else { return Ok(None) };
        // A generation of one object in `data` appears after that, and goes before it. If it was only listed, or names
        // several, it is gone when they are read, which is an error then.
        if generation.bytes != BytesIn::Itself {
            self.memory.keep_blob(digest, &segments);
        }
        Ok(Some(ObjectBlob::new(self.objects.clone(), segments)))
    }

    /// Writes the record of an upload, as it was before it was condemned.
    pub(super) async fn put_session(&self, id: &UploadId, record: SessionRecord, note: Bytes) -> Result<()> {
        let live = self.create_session(id, record, note).await?;
        *self.sessions.hold(id).await = Some(live);
        Ok(())
    }
}

fn read_piece(file: &std::fs::File, at: u64) -> Result<Bytes> {
    use std::os::unix::fs::FileExt as _;
    let (mut piece, mut filled) = (vec![0; PART_LEN], 0);
    while let Some(rest) = piece.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, at + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(StorageError::io("take in", "a file from outside", error)),
        }
    }
    piece.truncate(filled);
    Ok(piece.into())
}
