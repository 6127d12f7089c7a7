//! Blobs, and the uploads that become them.

use super::{Blob, Error, Item, Result, Verdict, work_on};
use crate::oci::{Digest, Hasher, Span, UploadId};
use async_trait::async_trait;
use bytes::Bytes;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

/// A digest that was computed over the very bytes of an upload, as they were appended or when it was sealed, or of a
/// value in memory.
/// Only `registry::verify` makes one; only one of these gets a blob's name.
#[derive(Clone, Debug)]
pub struct Verified {
    digest: Digest,
    len: u64,
}

impl Verified {
    /// States that content of `len` bytes was hashed and has this digest.
    pub(crate) fn vouch(digest: Digest, len: u64) -> Self {
        Self { digest, len }
    }

    /// The digest.
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

/// A request's turn at an upload. It is over once another request has taken the upload over: what the first one still
/// brings is then refused, so it cannot end up between the bytes of the other.
///
/// All turns at one upload have to be made from the first one. They live in memory: no request outlives the process.
#[derive(Clone, Debug, Default)]
pub struct Turn {
    number: u64,
    latest: Arc<AtomicU64>,
}

impl Turn {
    /// The latest turn at the same upload. Whatever is looked up after this call is part of that turn, or of a later one.
    pub fn latest(&self) -> Self {
        Self { number: self.latest.load(Ordering::SeqCst), latest: self.latest.clone() }
    }

    /// Whether another request has taken the upload over.
    pub fn is_over(&self) -> bool {
        self.number != self.latest.load(Ordering::SeqCst)
    }

    /// Ends all turns and begins the next one. For backends, once the upload is as the next turn is to find it.
    pub(super) fn next(&self) -> Self {
        self.latest.fetch_add(1, Ordering::SeqCst);
        self.latest()
    }
}

/// What became of the wish to take an upload over.
#[derive(Clone, Debug)]
pub enum TakenOver {
    /// It has exactly as many bytes as were asked for. This is the new turn.
    Yes(Turn),
    /// It has fewer bytes, namely this many. Nothing was changed.
    At(u64),
    /// Something else is noted with it by now. Nothing was changed.
    Changed,
    /// There is no such upload.
    Gone,
}

/// What an append did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// All bytes were taken; the upload has this length now.
    To(u64),
    /// None was taken: the upload's length was another one, namely this.
    At(u64),
    /// There is no such upload, it takes no more bytes, or the turn is over.
    Gone,
}

/// The state of an upload session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes on disk.
    pub len: u64,
    /// What was noted with it last.
    pub facts: Bytes,
    /// It takes no more bytes.
    pub sealed: bool,
    /// When its bytes last changed, by the store's clock.
    pub touched: SystemTime,
}

/// How a blob came to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// It was not there before.
    New,
    /// It was there already; the bytes brought were dropped.
    Existed,
    /// Something of another length stood under its name and was replaced.
    Healed,
    /// The upload is not sealed and has another length than was verified: it is as it was.
    Differs,
    /// The upload is not there (any more), or the turn is over.
    Gone,
}

/// The blob pool and its uploads. Uploads are keyed by id alone: the next chunk may come by
/// another connection, or to a restarted daemon.
#[async_trait]
pub trait Content: Send + Sync {
    /// Starts an upload with nothing in it. Survives the process, not the machine.
    async fn begin(&self, id: &UploadId, facts: Bytes) -> Result<()>;

    /// Replaces what is noted with an upload if that is `was`; `false` if it is something else, there is no such
    /// upload, or the turn is over. Survives the process.
    async fn note(&self, id: &UploadId, turn: &Turn, was: &Bytes, facts: Bytes) -> Result<bool>;

    /// Adds bytes if the upload's length is `at`; of several callers one wins, and the bytes of
    /// two never interleave. The bytes taken are hashed too. Survives the process.
    async fn append(
        &self,
        id: &UploadId,
        turn: &Turn,
        at: u64,
        bytes: Vec<Bytes>,
        hasher: Hasher,
    ) -> Result<(Appended, Hasher)>;

    /// Cuts an upload to its first `to` bytes, opens it again if it was sealed, and ends everybody's turn at it.
    /// Whoever is appending at this moment is waited for. If bytes are cut off, `facts` is noted in the place of
    /// `was` first. Survives the process.
    async fn take_over(&self, id: &UploadId, turn: &Turn, to: u64, was: &Bytes, facts: Bytes) -> Result<TakenOver>;

    /// The state of an upload.
    async fn progress(&self, id: &UploadId) -> Result<Option<Progress>>;

    /// What an upload holds so far, to be read.
    async fn read_upload(&self, id: &UploadId) -> Result<Option<Blob>>;

    /// Ends an upload to bytes and gives it to be read; asked again it answers again. `None` if
    /// there is none, or the turn is over. Survives the process.
    async fn seal(&self, id: &UploadId, turn: &Turn) -> Result<Option<Blob>>;

    /// Gives an upload its blob's name, and ends the session. It need not be sealed if its bytes were hashed as they
    /// were appended: nothing can be appended between the look at its length and the new name.
    async fn publish(&self, id: &UploadId, turn: &Turn, verified: &Verified) -> Result<Published>;

    /// Makes a blob of bytes in memory.
    async fn put_blob(&self, verified: &Verified, bytes: Bytes) -> Result<Published>;

    /// Ends an upload and removes its bytes, unless they changed within `idle` or the turn is over. Needs no room.
    async fn abandon(&self, id: &UploadId, turn: &Turn, idle: Duration) -> Result<Verdict>;

    /// A blob, to be read: also one that was condemned because nothing referred to it.
    async fn open(&self, digest: &Digest) -> Result<Option<Blob>>;

    /// The bytes of a small blob, if they are its bytes. Unlike those of [`Content::open`] they may come from memory,
    /// as they were when the file was read and checked last, if nothing has changed it since.
    ///
    /// # Errors
    /// [`Error::Damaged`] where the check says so.
    async fn read(&self, digest: &Digest, check: Check) -> Result<Option<Bytes>> {
        read_whole(digest, self.open(digest).await?, check).await
    }
}

/// Says whether bytes have a digest.
pub type Check = fn(&Digest, &Bytes) -> bool;

/// What [`Content::read`] says of a blob that was opened.
pub(super) async fn read_whole(digest: &Digest, blob: Option<Blob>, check: Check) -> Result<Option<Bytes>> {
    let Some(blob) = blob else { return Ok(None) };
    let bytes = blob.read(Span::whole(blob.len())).await?;
    let digest = digest.clone();
    work_on(bytes.len(), move || checked(&digest, &bytes, check).map(|()| Some(bytes))).await
}

/// Fails unless the check passes.
pub(super) fn checked(digest: &Digest, bytes: &Bytes, check: Check) -> Result<()> {
    match check(digest, bytes) {
        true => Ok(()),
        false => Err(Error::damaged(Item::Blob(digest.clone()).path(), "its bytes have another digest")),
    }
}
