//! What can go wrong in a registry. Which status and code each has is the service's table.

use crate::{
    oci::{Digest, InvalidManifest, Reference, ReferencedDigest, RepositoryName, Tag, UploadId},
    storage,
};

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
    #[error("repository {0} is not known")]
    NameUnknown(RepositoryName),
    /// No such session here, or not this caller's, or it is over.
    #[error("upload {0} is not known: it was finished, cancelled or has expired")]
    UploadUnknown(UploadId),
    /// The manifest refers to what the repository does not have.
    #[error("the manifest refers to {} blobs or manifests that are not in this repository", .0.len())]
    MissingReferences(Vec<ReferencedDigest>),
    /// The manifest is none.
    #[error(transparent)]
    ManifestInvalid(#[from] InvalidManifest),
    /// The manifest is larger than the limit, in bytes.
    #[error("a manifest has at most {0} bytes here")]
    ManifestTooLarge(u64),
    /// The content has another digest than was said.
    #[error("the content has digest {actual}, not {expected}")]
    DigestMismatch {
        /// What the client said.
        expected: Digest,
        /// What came.
        actual: Digest,
    },
    /// A chunk does not begin where the session stands.
    #[error("the chunk does not begin at byte {len}, where upload {id} stands")]
    OutOfOrder {
        /// The repository.
        repository: RepositoryName,
        /// The session, which goes on.
        id: UploadId,
        /// The bytes it has.
        len: u64,
    },
    /// A chunk is not as long as its range.
    #[error("the chunk's Content-Range and its length disagree")]
    ChunkLength,
    /// The blob is larger than the limit, in bytes.
    #[error("a blob has at most {0} bytes here")]
    BlobTooLarge(u64),
    /// Too many sessions are open, over all or for this caller.
    #[error("too many uploads are open; finish or cancel some")]
    TooManyUploads,
    /// The caller's open sessions hold too many bytes.
    #[error("the uploads open for this user hold too many bytes; finish or cancel some")]
    TooManyUploadBytes,
    /// More tags in one push than the limit.
    #[error("a push sets at most {0} tags here")]
    TooManyTags(usize),
    /// An immutable tag would come to point elsewhere, or go.
    #[error("tag {0} is immutable in this repository: it can be neither moved nor deleted")]
    TagImmutable(Tag),
    /// `If-Match` or `If-None-Match` did not hold.
    #[error("the tag is not as the request's precondition demands")]
    PreconditionFailed,
    /// The request's body ended early.
    #[error("the request body {0}")]
    Interrupted(Interruption),
    /// A collection took away what the push referred to, again and again.
    #[error("garbage collection kept overtaking this push; push again")]
    Overtaken,
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] storage::Error),
    /// The daemon is stopping.
    #[error("the registry is stopping")]
    Stopping,
}

/// How a request's body came to an early end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Interruption {
    /// Nothing came for too long.
    #[error("stalled")]
    Stalled,
    /// The connection ended, or what came was not HTTP.
    #[error("was cut off")]
    Cut,
}
