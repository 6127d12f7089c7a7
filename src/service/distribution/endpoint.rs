//! The endpoints of the distribution protocol, and how their requests are parsed.
//!
//! Paths are matched from the right, where keywords have a fixed distance from the end, so a repository may be called
//! `blobs/uploads`.

use super::super::{
    answer::Answering,
    endpoint::{Effect, Family, Methods, Need, RequestLine},
    error::ServiceError,
    gate::Granted,
    query::{Pagination, Query},
};
use crate::who::Action;
use http::Method;
use oci::{Algorithm, Digest, Reference, RepositoryName, Tag, UploadPlace};

/// A request of the distribution protocol. The `end-*` numbers are those of the distribution specification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DistributionEndpoint {
    /// `GET /v2/` (end-1).
    Ping,
    /// `GET /v2/_catalog`.
    Catalog(Pagination),
    /// `GET /v2/<name>/tags/list` (end-8).
    Tags(RepositoryName, Pagination),
    /// `GET /v2/<name>/referrers/<digest>` (end-12).
    Referrers {
        /// The repository of the subject.
        repository: RepositoryName,
        /// The manifest that is referred to.
        subject: Digest,
        /// Return these artifact types only; all if empty.
        types: Vec<String>,
        /// Start after this entry.
        last: Option<String>,
    },
    /// `GET /v2/<name>/manifests/<reference>` (end-3).
    ManifestRead(RepositoryName, Reference),
    /// `PUT /v2/<name>/manifests/<reference>[?tag=…]` (end-7).
    ManifestPush(RepositoryName, Reference, Vec<Tag>),
    /// `DELETE /v2/<name>/manifests/<reference>` (end-9).
    ManifestDelete(RepositoryName, Reference),
    /// `GET /v2/<name>/blobs/<digest>` (end-2).
    BlobRead(RepositoryName, Digest),
    /// `DELETE /v2/<name>/blobs/<digest>` (end-10).
    BlobDelete(RepositoryName, Digest),
    /// `POST /v2/<name>/blobs/uploads/[?digest-algorithm=…]` (end-4a, end-4c).
    UploadBegin(RepositoryName, Algorithm),
    /// `POST /v2/<name>/blobs/uploads/?digest=…` (end-4b).
    BlobPush(RepositoryName, Digest),
    /// `POST /v2/<name>/blobs/uploads/?mount=…[&from=…]` (end-11).
    BlobMount {
        /// The target.
        repository: RepositoryName,
        /// The blob to mount.
        digest: Digest,
        /// The source, if the client names one.
        from: Option<RepositoryName>,
    },
    /// `PATCH <upload>` (end-5).
    UploadAppend(RepositoryName, UploadPlace),
    /// `PUT <upload>?digest=…` (end-6).
    UploadFinish(RepositoryName, UploadPlace, Digest),
    /// `GET <upload>` (end-13).
    UploadStatus(RepositoryName, UploadPlace),
    /// `DELETE <upload>` (end-14).
    UploadCancel(RepositoryName, UploadPlace),
}

const MANIFEST: Methods =
    Methods(&[("GET", Effect::Reads), ("HEAD", Effect::Reads), ("PUT", Effect::Writes), ("DELETE", Effect::Deletes)]);
const BLOB: Methods = Methods(&[("GET", Effect::Reads), ("HEAD", Effect::Reads), ("DELETE", Effect::Deletes)]);
const UPLOADS: Methods = Methods(&[("POST", Effect::Writes)]);
const UPLOAD: Methods = Methods(&[
    ("GET", Effect::Reads),
    ("HEAD", Effect::Reads),
    ("PATCH", Effect::Writes),
    ("PUT", Effect::Writes),
    // This ends a session; no content is deleted.
    ("DELETE", Effect::Writes),
]);

impl DistributionEndpoint {
    /// Parses a path that begins with `v2`.
    pub(in super::super) fn parse(line: &RequestLine<'_>) -> Result<Self, ServiceError> {
        let RequestLine { method, segments, query } = *line;
        let get = line.is_read();
        let wrong = |allow| Err(ServiceError::MethodNotAllowed(allow));
        Ok(match segments {
            ["v2"] | ["v2", ""] if get => Self::Ping,
            ["v2"] | ["v2", ""] => return wrong(Methods::READ),
            ["v2", "_catalog"] if get => Self::Catalog(Query::parse(query).pagination()?),
            ["v2", "_catalog"] => return wrong(Methods::READ),
            ["v2", name @ .., "tags", "list"] if !name.is_empty() => {
                let name = repository(name)?;
                match get {
                    true => Self::Tags(name, Query::parse(query).pagination()?),
                    false => return wrong(Methods::READ),
                }
            }
            ["v2", name @ .., "referrers", subject] if !name.is_empty() => {
                let name = repository(name)?;
                if !get {
                    return wrong(Methods::READ);
                }
                let query = Query::parse(query);
                Self::Referrers {
                    repository: name,
                    subject: subject.parse::<Digest>()?,
                    types: query.all("artifactType").map(str::to_owned).collect(),
                    last: query.first("last").map(str::to_owned),
                }
            }
            ["v2", name @ .., "blobs", "uploads"] | ["v2", name @ .., "blobs", "uploads", ""] if !name.is_empty() => {
                let name = repository(name)?;
                match *method {
                    Method::POST => Self::begin(name, &Query::parse(query))?,
                    _ => return wrong(UPLOADS),
                }
            }
            ["v2", name @ .., "blobs", "uploads", id] if !name.is_empty() => {
                let name = repository(name)?;
                if !matches!(*method, Method::GET | Method::HEAD | Method::PATCH | Method::PUT | Method::DELETE) {
                    return wrong(UPLOAD);
                }
                let place = id.parse::<UploadPlace>().map_err(|_| ServiceError::UploadIdInvalid)?;
                match *method {
                    Method::PATCH => Self::UploadAppend(name, place),
                    Method::DELETE => Self::UploadCancel(name, place),
                    Method::PUT => Self::UploadFinish(name, place, Query::parse(query).digest("digest")?),
                    _ => Self::UploadStatus(name, place),
                }
            }
            ["v2", name @ .., "blobs", blob] if !name.is_empty() => {
                let name = repository(name)?;
                match *method {
                    Method::GET | Method::HEAD => Self::BlobRead(name, blob.parse::<Digest>()?),
                    Method::DELETE => Self::BlobDelete(name, blob.parse::<Digest>()?),
                    _ => return wrong(BLOB),
                }
            }
            ["v2", name @ .., "manifests", reference] if !name.is_empty() => {
                let name = repository(name)?;
                match *method {
                    Method::GET | Method::HEAD => Self::ManifestRead(name, reference.parse::<Reference>()?),
                    Method::PUT => {
                        let tags = Query::parse(query).tags()?;
                        Self::ManifestPush(name, reference.parse::<Reference>()?, tags)
                    }
                    Method::DELETE => Self::ManifestDelete(name, reference.parse::<Reference>()?),
                    _ => return wrong(MANIFEST),
                }
            }
            _ => return Err(ServiceError::PathUnknown),
        })
    }

    /// The repository that something is pulled from.
    pub(in super::super) fn pulled_mut(&mut self) -> Option<&mut RepositoryName> {
        match self {
            Self::Tags(name, _)
            | Self::Referrers { repository: name, .. }
            | Self::ManifestRead(name, _)
            | Self::BlobRead(name, _) => Some(name),
            Self::Ping
            | Self::Catalog(_)
            | Self::ManifestPush(..)
            | Self::ManifestDelete(..)
            | Self::BlobDelete(..)
            | Self::UploadBegin(..)
            | Self::BlobPush(..)
            | Self::BlobMount { .. }
            | Self::UploadAppend(..)
            | Self::UploadFinish(..)
            | Self::UploadStatus(..)
            | Self::UploadCancel(..) => None,
        }
    }

    /// Parses a `POST` to a repository's uploads. `digest` makes it a monolithic push, whatever the body's length:
    /// clients send empty blobs without a body.
    fn begin(repository: RepositoryName, query: &Query) -> Result<Self, ServiceError> {
        if query.names("mount") {
            let from = query.one("from")?.map(str::parse::<RepositoryName>);
            // A source with an invalid name is treated like a missing one: an ordinary upload begins.
            return match (query.digest("mount"), from) {
                (Ok(digest), None) => Ok(Self::BlobMount { repository, digest, from: None }),
                (Ok(digest), Some(Ok(from))) => Ok(Self::BlobMount { repository, digest, from: Some(from) }),
                (Ok(_), Some(Err(_))) => Ok(Self::UploadBegin(repository, Algorithm::default())),
                (Err(e), _) => Err(e),
            };
        }
        if query.names("digest") {
            return Ok(Self::BlobPush(repository, query.digest("digest")?));
        }
        let algorithm = query.one("digest-algorithm")?.map(str::parse::<Algorithm>).transpose()?;
        Ok(Self::UploadBegin(repository, algorithm.unwrap_or_default()))
    }
}

impl Family for DistributionEndpoint {
    fn name(&self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Catalog(_) => "catalog",
            Self::Tags(..) => "tags",
            Self::Referrers { .. } => "referrers",
            Self::ManifestRead(..) => "manifest_read",
            Self::ManifestPush(..) => "manifest_push",
            Self::ManifestDelete(..) => "manifest_delete",
            Self::BlobRead(..) => "blob_read",
            Self::BlobDelete(..) => "blob_delete",
            Self::UploadBegin(..) => "upload_begin",
            Self::BlobPush(..) => "blob_push",
            Self::BlobMount { .. } => "blob_mount",
            Self::UploadAppend(..) => "upload_append",
            Self::UploadFinish(..) => "upload_finish",
            Self::UploadStatus(..) => "upload_status",
            Self::UploadCancel(..) => "upload_cancel",
        }
    }

    fn needs(&self) -> Need<'_> {
        use Action::{Delete, Pull, Push};
        match self {
            Self::Ping => Need::Entry,
            Self::Catalog(_) => Need::List,
            Self::Tags(name, _)
            | Self::Referrers { repository: name, .. }
            | Self::ManifestRead(name, _)
            | Self::BlobRead(name, _) => Need::Repository(name, Pull),
            Self::ManifestPush(name, ..)
            | Self::UploadBegin(name, _)
            | Self::BlobPush(name, _)
            | Self::BlobMount { repository: name, .. }
            | Self::UploadAppend(name, _)
            | Self::UploadFinish(name, ..)
            | Self::UploadStatus(name, _)
            | Self::UploadCancel(name, _) => Need::Repository(name, Push),
            Self::ManifestDelete(name, _) | Self::BlobDelete(name, _) => Need::Repository(name, Delete),
        }
    }

    fn methods(&self) -> Methods {
        match self {
            Self::Ping | Self::Catalog(_) | Self::Tags(..) | Self::Referrers { .. } => Methods::READ,
            Self::ManifestRead(..) | Self::ManifestPush(..) | Self::ManifestDelete(..) => MANIFEST,
            Self::BlobRead(..) | Self::BlobDelete(..) => BLOB,
            Self::UploadBegin(..) | Self::BlobPush(..) | Self::BlobMount { .. } => UPLOADS,
            Self::UploadAppend(..) | Self::UploadFinish(..) | Self::UploadStatus(..) | Self::UploadCancel(..) => UPLOAD,
        }
    }

    fn reference(&self) -> Option<Reference> {
        match self {
            Self::ManifestRead(_, reference)
            | Self::ManifestPush(_, reference, _)
            | Self::ManifestDelete(_, reference) => Some(reference.clone()),
            Self::Referrers { subject: digest, .. }
            | Self::BlobRead(_, digest)
            | Self::BlobDelete(_, digest)
            | Self::BlobPush(_, digest)
            | Self::BlobMount { digest, .. }
            | Self::UploadFinish(_, _, digest) => Some(Reference::Digest(digest.clone())),
            Self::Ping
            | Self::Catalog(_)
            | Self::Tags(..)
            | Self::UploadBegin(..)
            | Self::UploadAppend(..)
            | Self::UploadStatus(..)
            | Self::UploadCancel(..) => None,
        }
    }

    fn mount_source(&self) -> Option<&RepositoryName> {
        match self {
            Self::BlobMount { from, .. } => from.as_ref(),
            _ => None,
        }
    }

    fn serve(self, granted: Granted) -> Answering {
        super::serve(self, granted)
    }
}

/// The segments are joined again, so an escaped slash in a name is a separator.
fn repository(segments: &[&str]) -> Result<RepositoryName, ServiceError> {
    Ok(segments.join("/").parse::<RepositoryName>()?)
}
