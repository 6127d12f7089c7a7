//! Blobs, and the uploads that become them.

use super::{Blob, Condemnation, Item, Result, StorageError, work_on};
use crate::files::{IntakeMode, IntakeWay, Staged};
use async_trait::async_trait;
use bytes::Bytes;
use oci::{Digest, Hasher, Span, UploadId};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

/// A digest that was computed over the very bytes of an upload, while they were appended or when it was sealed, or over
/// a value in memory. Only `registry::verify` makes one, and a blob gets its name only by one of these.
#[derive(Clone, Debug)]
pub struct Verified {
    digest: Digest,
    len: u64,
}

impl Verified {
    /// Asserts that content of `len` bytes was hashed and has this digest.
    pub(crate) fn vouch(digest: Digest, len: u64) -> Self {
        Self { digest, len }
    }

    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Length of the content in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether the content is empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// A request's turn at an upload. It ends when another request takes the upload over: the rest of the first request is
/// then refused, so its bytes cannot end up between those of the other.
///
/// All turns at one upload derive from the first one. They live in memory: no request outlives the process.
#[derive(Clone, Debug, Default)]
pub struct UploadTurn {
    number: u64,
    latest: Arc<AtomicU64>,
}

impl UploadTurn {
    /// The latest turn at the same upload. Whatever is read after this call belongs to that turn, or to a later one.
    pub fn latest(&self) -> Self {
        Self { number: self.latest.load(Ordering::SeqCst), latest: self.latest.clone() }
    }

    /// Whether another request has taken the upload over.
    pub fn is_over(&self) -> bool {
        self.number != self.latest.load(Ordering::SeqCst)
    }

    /// Ends all turns and begins the next one. Backends call it once the upload is in the state that the next turn must
    /// see.
    pub(super) fn next(&self) -> Self {
        self.latest.fetch_add(1, Ordering::SeqCst);
        self.latest()
    }
}

/// The result of taking an upload over.
#[derive(Clone, Debug)]
pub enum TakenOver {
    /// It has exactly the length asked for. This is the new turn.
    Yes(UploadTurn),
    /// It is shorter and has this length. Nothing was changed.
    At(u64),
    /// Its note has changed since. Nothing was changed.
    Changed,
    /// There is no such upload.
    Gone,
}

/// The result of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// All bytes were appended; the upload now has this length.
    To(u64),
    /// Nothing was appended, because the upload had another length: this one.
    At(u64),
    /// There is no such upload, it is sealed, or the turn is over.
    Gone,
}

/// The state of an upload session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadProgress {
    /// Bytes on disk.
    pub len: u64,
    /// Its note: what was last stored with it.
    pub facts: Bytes,
    /// It accepts no more bytes.
    pub sealed: bool,
    /// When its bytes last changed, by the store's clock.
    pub touched: SystemTime,
}

/// The result of publishing a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// The blob is new.
    New,
    /// The blob existed already; the new bytes were dropped.
    Existed,
    /// A file of another length had its name, and was replaced.
    Healed,
    /// The upload is not sealed, and its length is not the verified one. Nothing was changed.
    Differs,
    /// The upload does not exist (any more), or the turn is over.
    Gone,
}

/// Bytes from outside that have no name in the store yet.
#[derive(Debug)]
#[must_use]
pub struct TakenIn {
    pub len: u64,
    pub way: IntakeWay,
    pub(super) bytes: TakenInBytes,
}

/// Where they are.
#[derive(Debug)]
pub(super) enum TakenInBytes {
    File(Staged),
    Memory(Bytes),
    /// In an upload of no client.
    Upload(UploadId),
}

/// The blob pool and its uploads. Uploads are keyed by id alone: the next chunk may arrive on another connection, or
/// after a restart of the daemon.
#[async_trait]
pub trait Content: Send + Sync {
    /// Starts an empty upload. Survives the process, not the machine.
    async fn begin(&self, id: &UploadId, facts: Bytes) -> Result<()>;

    /// Replaces the note of an upload if it is still `was`; `false` if it has changed, there is no such upload, or the
    /// turn is over. Survives the process.
    async fn note(&self, id: &UploadId, turn: &UploadTurn, was: &Bytes, facts: Bytes) -> Result<bool>;

    /// Appends bytes if the upload's length is `at`. Of several callers one wins, and the bytes of two never
    /// interleave. The appended bytes are hashed too. Survives the process, with [`Content::keep`].
    async fn append(
        &self,
        id: &UploadId,
        turn: &UploadTurn,
        at: u64,
        bytes: Vec<Bytes>,
        hasher: Hasher,
    ) -> Result<(Appended, Hasher)>;

    /// Makes what was appended survive this process, and visible to others, before a client is told of it. Without it,
    /// a backend may gather bytes in memory; those that nothing told a client of may be lost with the process.
    async fn keep(&self, id: &UploadId, turn: &UploadTurn) -> Result<()> {
        let _ = (id, turn);
        Ok(())
    }

    /// Truncates an upload to `to` bytes, reopens it if it was sealed, and ends all turns at it. Waits for an append in
    /// progress. If bytes are cut off, the note is first changed from `was` to `facts`. Survives the process.
    async fn take_over(
        &self,
        id: &UploadId,
        turn: &UploadTurn,
        to: u64,
        was: &Bytes,
        facts: Bytes,
    ) -> Result<TakenOver>;

    /// The state of an upload.
    async fn progress(&self, id: &UploadId) -> Result<Option<UploadProgress>>;

    /// The bytes of an upload so far.
    async fn read_upload(&self, id: &UploadId) -> Result<Option<Blob>>;

    /// Ends an upload to further bytes and returns its content; it can be repeated. `None` if there is no upload, or
    /// the turn is over. Survives the process.
    async fn seal(&self, id: &UploadId, turn: &UploadTurn) -> Result<Option<Blob>>;

    /// Gives an upload its blob's name, and ends the session. It need not be sealed if its bytes were hashed as they
    /// were appended: nothing can be appended between the check of its length and the new name.
    async fn publish(&self, id: &UploadId, turn: &UploadTurn, verified: &Verified) -> Result<Published>;

    /// Stores bytes in memory as a blob.
    async fn put_blob(&self, verified: &Verified, bytes: Bytes) -> Result<Published>;

    /// Takes in the bytes of a file from outside the store, without a name yet, and hashes them.
    async fn take_in(&self, from: Arc<std::fs::File>, mode: IntakeMode, hasher: Hasher) -> Result<(TakenIn, Hasher)>;

    /// Gives what was taken in its blobs' names, all made durable together.
    async fn publish_taken_in(&self, blobs: Vec<(TakenIn, Verified)>) -> Result<Vec<Published>>;

    /// Drops what was taken in and will not be published.
    async fn drop_taken_in(&self, taken: TakenIn) -> Result<()>;

    /// Ends an upload and removes its bytes, unless they changed within `idle` or the turn is over. Needs no free
    /// space.
    async fn abandon(&self, id: &UploadId, turn: &UploadTurn, idle: Duration) -> Result<Condemnation>;

    /// Opens a blob, even one that was condemned because nothing referred to it.
    async fn open(&self, digest: &Digest) -> Result<Option<Blob>>;

    /// Opens a blob for a client that may read it, and for nothing else: its bytes may come from a cache, whatever became
    /// of the blob since.
    async fn open_to_read(&self, digest: &Digest) -> Result<Option<Blob>> {
        self.open(digest).await
    }

    /// The bytes of a small blob, checked. Unlike those of [`Content::open`] they may come from memory, as they were
    /// when the file was last read and checked, if nothing has changed it since.
    ///
    /// # Errors
    /// [`StorageError::Damaged`] if the check fails.
    async fn read(&self, digest: &Digest, check: DigestCheck) -> Result<Option<Bytes>> {
        read_whole(digest, self.open(digest).await?, check).await
    }
}

/// Whether these bytes have this digest.
pub type DigestCheck = fn(&Digest, &Bytes) -> bool;

/// Implements [`Content::read`] for a blob that is open.
pub(super) async fn read_whole(digest: &Digest, blob: Option<Blob>, check: DigestCheck) -> Result<Option<Bytes>> {
    let Some(blob) = blob else { return Ok(None) };
    let bytes = blob.read(Span::whole(blob.len())).await?;
    let digest = digest.clone();
    work_on(bytes.len(), move || checked(&digest, &bytes, check).map(|()| Some(bytes))).await
}

/// Fails unless the check passes.
pub(super) fn checked(digest: &Digest, bytes: &Bytes, check: DigestCheck) -> Result<()> {
    match check(digest, bytes) {
        true => Ok(()),
        false => Err(StorageError::damaged(Item::Blob(digest.clone()).path(), "its bytes have another digest")),
    }
}
