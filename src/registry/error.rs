//! Errors of the registry. The service maps them to status and code.

use super::{ExceededQuota, NamespaceName, UploadHome};
use crate::{
    artifacts::{ArtifactId, ArtifactMediaType, ArtifactRepositoryName, PropertyKey},
    files::Size,
    storage,
};
use oci::{Digest, Field, InvalidManifest, Reference, ReferencedDigest, RepositoryName, Tag, UploadId, excerpt};
use std::fmt;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The repository does not have this blob.
    #[error("blob {0} is not in this repository")]
    BlobUnknown(Digest),
    /// The repository does not have this manifest.
    #[error("manifest {0} is not in this repository")]
    ManifestUnknown(Reference),
    /// The repository does not exist.
    #[error("repository {0} does not exist")]
    NameUnknown(RepositoryName),
    /// The repository does not exist, and pushes create none.
    #[error(
        "repository {0} does not exist, and a push does not create it (repositories.auto_create is \"never\"): ask an \
         administrator to create it"
    )]
    RepositoryAbsent(RepositoryName),
    /// The namespace does not exist, and a repository has to be in one.
    #[error("{}", namespace_absent(.repository, .namespace.as_ref()))]
    NamespaceAbsent {
        /// The repository that would be created.
        repository: RepositoryName,
        /// Its namespace; `None` if its name has only one component.
        namespace: Option<NamespaceName>,
    },
    /// There is a repository of this name.
    #[error("repository {0} exists already")]
    RepositoryExists(RepositoryName),
    /// The repository is being deleted.
    #[error("repository {0} is being deleted: retry in a few seconds")]
    RepositoryLeaving(RepositoryName),
    /// The namespace was created before.
    #[error("namespace {0} exists already")]
    NamespaceExists(NamespaceName),
    /// The namespace was not created.
    #[error("namespace {0} does not exist")]
    NamespaceUnknown(NamespaceName),
    /// The namespace has repositories.
    #[error("namespace {0} has repositories: delete them first")]
    NamespaceInUse(NamespaceName),
    /// The session does not exist here, belongs to another caller, or has ended.
    #[error("upload {0} does not exist: it was completed, cancelled or has expired")]
    UploadUnknown(UploadId),
    /// The manifest refers to something that the repository does not have.
    #[error("the manifest refers to {} blobs or manifests that are not in this repository", .0.len())]
    MissingReferences(Vec<AbsentReference>),
    #[error(transparent)]
    ManifestInvalid(#[from] InvalidManifest),
    /// The manifest is larger than the limit, in bytes.
    #[error("the manifest is larger than this registry's limit of {limit}", limit = Size(*.0))]
    ManifestTooLarge(u64),
    /// The content does not match the digest that the client stated.
    #[error("digest mismatch: expected {expected}, but the content has {actual}")]
    DigestMismatch {
        /// The stated digest.
        expected: Digest,
        /// The digest of the content.
        actual: Digest,
    },
    /// A chunk does not start at the end of the session.
    #[error("the chunk must start at byte {len}: upload {id} has {len} bytes so far")]
    OutOfOrder {
        home: UploadHome,
        /// The session, which continues.
        id: UploadId,
        /// The bytes it has.
        len: u64,
    },
    /// The length of a chunk differs from its range.
    #[error("the chunk is not as long as its Content-Range says")]
    ChunkLength,
    /// The blob is larger than the limit, in bytes.
    #[error("the blob is larger than this registry's limit of {limit}", limit = Size(*.0))]
    BlobTooLarge(u64),
    /// Too many sessions are open, overall or for this caller.
    #[error("too many uploads are open: finish or cancel some, or retry later")]
    TooManyUploads,
    /// The caller's open sessions would hold more bytes than this limit.
    #[error("upload quota exceeded: the open uploads of one user may hold {limit}; finish or cancel some", limit = Size(*.0))]
    UploadBytesExceeded(u64),
    /// The repository of artifacts does not exist.
    #[error("there is no artifact repository {0}")]
    ArtifactRepositoryUnknown(ArtifactRepositoryName),
    /// There is one of this name.
    #[error("the artifact repository {0} exists already")]
    ArtifactRepositoryExists(ArtifactRepositoryName),
    /// There was one of this name, and it can still be restored.
    #[error(
        "the artifact repository {0} was deleted and is still in the trash; its name is free when it is removed for good \
         (artifacts.trash_hours)"
    )]
    ArtifactRepositoryInTrash(ArtifactRepositoryName),
    /// There is no such artifact, or it has changed since it was read.
    #[error("there is no such artifact in this repository")]
    ArtifactUnknown,
    /// There is another one with the same version, path and properties.
    #[error(
        "{0} exists already with other content: use another version, path or property, delete it first, or set overwrite"
    )]
    ArtifactExists(ArtifactId),
    /// Several artifacts match where one is meant.
    #[error("{} artifacts match: add properties until one is left, or say all", .0.len())]
    ArtifactAmbiguous(Vec<ArtifactId>),
    /// The file is larger than the limit, in bytes.
    #[error("the file is larger than this registry's limit for artifacts of {limit}", limit = Size(*.0))]
    ArtifactTooLarge(u64),
    /// The operator requires this property.
    #[error("every artifact must have the property {0} in this registry")]
    PropertyMissing(PropertyKey),
    /// The operator does not accept this media type.
    #[error("this registry does not accept artifacts of the media type {0}")]
    MediaTypeRefused(ArtifactMediaType),
    /// A quota of the operator.
    #[error("{0}; ask the operator, or delete something and wait a minute")]
    QuotaExceeded(ExceededQuota),
    /// More tags in one push than this limit.
    #[error("a push may set at most {0} tags")]
    TooManyTags(usize),
    /// An immutable tag would be moved or deleted.
    #[error("tag {0} is immutable in this repository: it cannot be moved or deleted")]
    TagImmutable(Tag),
    /// The image of this immutable tag would lose content, or be served as another type.
    #[error(
        "the image of tag {0} needs this, and the tag is immutable in this repository: it cannot be deleted or changed"
    )]
    ImmutableContent(Tag),
    /// Children are protected, and these indexes list the manifest: the first of them, with their tags.
    #[error(
        "the manifest is part of the index {}; delete the index first (manifests.protect_children is on)",
        .0.join(", ")
    )]
    ChildProtected(Vec<String>),
    /// The condition of `If-Match` or `If-None-Match` is not met.
    #[error("precondition failed: If-Match or If-None-Match does not hold for the current manifest")]
    PreconditionFailed,
    /// The request's body ended early.
    #[error("the request body {0}")]
    Interrupted(Interruption),
    /// A collection repeatedly removed what the push refers to.
    #[error("garbage collection removed content that this push needs: push again")]
    Overtaken,
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] storage::StorageError),
    /// The daemon is shutting down.
    #[error("the registry is shutting down: retry in a few seconds")]
    Stopping,
}

fn namespace_absent(repository: &RepositoryName, namespace: Option<&NamespaceName>) -> String {
    match namespace {
        Some(namespace) => format!(
            "namespace {namespace} does not exist, and a push does not create it (repositories.auto_create is \
             \"in_namespaces\"): ask an administrator to create it"
        ),
        None => format!(
            "repository {repository} does not exist, and a new repository has to be in a namespace, such as \
             team/{repository} (repositories.auto_create is \"in_namespaces\")"
        ),
    }
}

/// A reference of a manifest that its repository does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AbsentReference {
    /// Where the manifest refers to it.
    pub field: Field,
    /// What it refers to.
    pub digest: ReferencedDigest,
}

impl fmt::Display for AbsentReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.field.is_child() { "manifest" } else { "blob" };
        write!(f, "{}: {kind} {} is not in this repository", self.field, excerpt(self.digest.as_str()))
    }
}

/// Why a request's body ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Interruption {
    /// Nothing arrived for too long.
    #[error("stalled: no data arrived for too long")]
    Stalled,
    /// There was no memory for more of it.
    #[error("was not accepted: the memory for clients is used up; retry in a few seconds")]
    NoMemory,
    /// The connection ended, or the data was not HTTP.
    #[error("was cut off")]
    Cut,
}
