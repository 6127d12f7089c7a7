//! What can go wrong in a registry. Which status and code each has is the service's table.

use crate::{
    files::Size,
    oci::{Digest, Field, InvalidManifest, Reference, ReferencedDigest, RepositoryName, Tag, UploadId, excerpt},
    storage,
};
use std::fmt;

/// Why a call did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The repository has no such blob.
    #[error("blob {0} is not in this repository")]
    BlobUnknown(Digest),
    /// The repository has no such manifest.
    #[error("manifest {0} is not in this repository")]
    ManifestUnknown(Reference),
    /// There is no such repository.
    #[error("repository {0} does not exist")]
    NameUnknown(RepositoryName),
    /// No such session here, or not this caller's, or it is over.
    #[error("upload {0} does not exist: it was completed, cancelled or has expired")]
    UploadUnknown(UploadId),
    /// The manifest refers to what the repository does not have.
    #[error("the manifest refers to {} blobs or manifests that are not in this repository", .0.len())]
    MissingReferences(Vec<AbsentReference>),
    /// The manifest is none.
    #[error(transparent)]
    ManifestInvalid(#[from] InvalidManifest),
    /// The manifest is larger than the limit, in bytes.
    #[error("the manifest is larger than this registry's limit of {limit}", limit = Size(*.0))]
    ManifestTooLarge(u64),
    /// The content has another digest than was said.
    #[error("digest mismatch: expected {expected}, but the content has {actual}")]
    DigestMismatch {
        /// What the client said.
        expected: Digest,
        /// What came.
        actual: Digest,
    },
    /// A chunk does not begin where the session stands.
    #[error("the chunk must start at byte {len}: upload {id} has {len} bytes so far")]
    OutOfOrder {
        /// The repository.
        repository: RepositoryName,
        /// The session, which goes on.
        id: UploadId,
        /// The bytes it has.
        len: u64,
    },
    /// A chunk is not as long as its range.
    #[error("the chunk is not as long as its Content-Range says")]
    ChunkLength,
    /// The blob is larger than the limit, in bytes.
    #[error("the blob is larger than this registry's limit of {limit}", limit = Size(*.0))]
    BlobTooLarge(u64),
    /// Too many sessions are open, over all or for this caller.
    #[error("too many uploads are open: finish or cancel some, or retry later")]
    TooManyUploads,
    /// The caller's open sessions would hold more bytes than this.
    #[error("upload quota exceeded: the open uploads of one user may hold {limit}; finish or cancel some", limit = Size(*.0))]
    UploadBytesExceeded(u64),
    /// More tags in one push than the limit.
    #[error("a push may set at most {0} tags")]
    TooManyTags(usize),
    /// An immutable tag would come to point elsewhere, or go.
    #[error("tag {0} is immutable in this repository: it cannot be moved or deleted")]
    TagImmutable(Tag),
    /// Children are protected, and these indexes list the manifest: the first of them, with their tags.
    #[error(
        "the manifest is part of the index {}; delete the index first (manifests.protect_children is on)",
        .0.join(", ")
    )]
    ChildProtected(Vec<String>),
    /// `If-Match` or `If-None-Match` did not hold.
    #[error("precondition failed: If-Match or If-None-Match does not hold for the current manifest")]
    PreconditionFailed,
    /// The request's body ended early.
    #[error("the request body {0}")]
    Interrupted(Interruption),
    /// A collection took away what the push referred to, again and again.
    #[error("garbage collection removed content that this push needs: push again")]
    Overtaken,
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] storage::Error),
    /// The daemon is stopping.
    #[error("the registry is shutting down: retry in a few seconds")]
    Stopping,
}

/// What a manifest refers to and its repository does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AbsentReference {
    /// Where the manifest names it.
    pub field: Field,
    /// What it names.
    pub digest: ReferencedDigest,
}

impl fmt::Display for AbsentReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.field.is_child() { "manifest" } else { "blob" };
        write!(f, "{}: {kind} {} is not in this repository", self.field, excerpt(self.digest.as_str()))
    }
}

/// How a request's body came to an early end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Interruption {
    /// Nothing came for too long.
    #[error("stalled: no data arrived for too long")]
    Stalled,
    /// The connection ended, or what came was not HTTP.
    #[error("was cut off")]
    Cut,
}
