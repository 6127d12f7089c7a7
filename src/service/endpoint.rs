//! What a request asks for: method and path into an [`Endpoint`], or a refusal.
//!
//! The path is split once, each segment is decoded once, and then it is matched from the right,
//! where keywords have a fixed distance from the end; so a repository may be called
//! `blobs/uploads`. Authorization and storage use the same parsed value.

use super::{
    error::Error,
    path,
    query::{Pagination, Query},
};
use crate::{
    access::Scope,
    config::Operator,
    oci::{Algorithm, Digest, Reference, RepositoryName, Tag, UploadPlace},
    who::Action,
};
use http::Method;

/// One request, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `GET /v2/` (end-1).
    Ping,
    /// `GET /v2/_catalog`.
    Catalog(Pagination),
    /// `GET /v2/<name>/tags/list` (end-8).
    Tags(RepositoryName, Pagination),
    /// `GET /v2/<name>/referrers/<digest>` (end-12).
    Referrers {
        /// Where.
        repository: RepositoryName,
        /// What is referred to.
        subject: Digest,
        /// Only these artifact types; all if empty.
        types: Vec<String>,
        /// After this entry.
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
        /// Where to.
        repository: RepositoryName,
        /// What.
        digest: Digest,
        /// Where from, if the client knows.
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
    /// `GET` and `POST /auth/token`: the token service (the Docker registry's token specification).
    Token,
    /// `GET /health`.
    Health,
    /// `GET /health/ready`.
    Ready,
    /// `GET /metrics`.
    Metrics,
}

/// What a caller must be allowed to do. A new endpoint names its need or does not compile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need<'a> {
    /// Nothing: says nothing about anybody's content.
    Nothing,
    /// To be somebody the registry serves at all: the probe by which clients log in.
    Entry,
    /// Shows only what the caller may pull.
    List,
    /// This, in this repository.
    Repository(&'a RepositoryName, Action),
    /// To look inside the daemon.
    Operate,
}

impl Endpoint {
    /// Reads method, raw path and raw query.
    ///
    /// # Errors
    /// [`Error`] with the answer: unknown path, wrong method, or a part that is not of its grammar.
    pub fn parse(method: &Method, path: &str, query: &str) -> Result<Self, Error> {
        path::segments(path, |segments| Self::of(method, segments, query))
    }

    /// The same of a path that is decoded: its segments, the first one empty.
    pub(super) fn of(method: &Method, segments: &[&str], query: &str) -> Result<Self, Error> {
        let ["", segments @ ..] = segments else { return Err(Error::PathUnknown) };
        let get = matches!(*method, Method::GET | Method::HEAD);
        let wrong = |allow| Err(Error::MethodNotAllowed(allow));
        Ok(match segments {
            ["health"] if get => Self::Health,
            ["health", "ready"] if get => Self::Ready,
            ["metrics"] if get => Self::Metrics,
            ["health"] | ["health", "ready"] | ["metrics"] => return wrong("GET, HEAD"),
            ["auth", "token"] if get || *method == Method::POST => Self::Token,
            ["auth", "token"] => return wrong("GET, HEAD, POST"),
            ["v2"] | ["v2", ""] if get => Self::Ping,
            ["v2"] | ["v2", ""] => return wrong("GET, HEAD"),
            ["v2", "_catalog"] if get => Self::Catalog(Query::parse(query).pagination()?),
            ["v2", "_catalog"] => return wrong("GET, HEAD"),
            ["v2", name @ .., "tags", "list"] if !name.is_empty() => {
                let name = repository(name)?;
                match get {
                    true => Self::Tags(name, Query::parse(query).pagination()?),
                    false => return wrong("GET, HEAD"),
                }
            }
            ["v2", name @ .., "referrers", subject] if !name.is_empty() => {
                let name = repository(name)?;
                if !get {
                    return wrong("GET, HEAD");
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
                    _ => return wrong("POST"),
                }
            }
            ["v2", name @ .., "blobs", "uploads", id] if !name.is_empty() => {
                let name = repository(name)?;
                if !matches!(*method, Method::GET | Method::HEAD | Method::PATCH | Method::PUT | Method::DELETE) {
                    return wrong("GET, HEAD, PATCH, PUT, DELETE");
                }
                let place = id.parse::<UploadPlace>().map_err(|_| Error::UploadIdInvalid)?;
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
                    _ => return wrong("GET, HEAD, DELETE"),
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
                    _ => return wrong("GET, HEAD, PUT, DELETE"),
                }
            }
            _ => return Err(Error::PathUnknown),
        })
    }

    /// What a `POST` to the uploads of a repository starts. The presence of `digest` makes it
    /// monolithic, not a body's length: clients send empty blobs without one.
    fn begin(repository: RepositoryName, query: &Query) -> Result<Self, Error> {
        if query.names("mount") {
            let from = query.one("from")?.map(str::parse::<RepositoryName>);
            // A source that cannot exist is like one that does not: an ordinary upload begins.
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

    /// The endpoint's name in logs and metrics; never the raw path.
    pub fn name(&self) -> &'static str {
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
            Self::Token => "token",
            Self::Health => "health",
            Self::Ready => "ready",
            Self::Metrics => "metrics",
        }
    }

    /// The repository in question, if it is about one.
    pub fn repository(&self) -> Option<&RepositoryName> {
        match self.needs() {
            Need::Repository(name, _) => Some(name),
            Need::Nothing | Need::Entry | Need::List | Need::Operate => None,
        }
    }

    /// The tag or digest in question, if it is about one.
    pub fn reference(&self) -> Option<Reference> {
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
            | Self::UploadCancel(..)
            | Self::Token
            | Self::Health
            | Self::Ready
            | Self::Metrics => None,
        }
    }

    /// What the caller must be allowed to do. A mount's source is judged apart: not being allowed
    /// to pull it means an ordinary upload.
    pub fn needs(&self) -> Need<'_> {
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
            // Whoever asks for a token says who he is to the token service itself.
            Self::Health | Self::Ready | Self::Token => Need::Nothing,
            Self::Metrics => Need::Operate,
        }
    }

    /// What a token has to say for this request, as a challenge asks for it.
    pub(super) fn scopes(&self) -> Vec<Scope> {
        let source = match self {
            Self::BlobMount { from: Some(from), .. } => Some(Scope::Repository(from.clone(), vec![Action::Pull])),
            _ => None,
        };
        let own = match self.needs() {
            Need::Repository(name, Action::Push) => {
                Some(Scope::Repository(name.clone(), vec![Action::Pull, Action::Push]))
            }
            Need::Repository(name, action) => Some(Scope::Repository(name.clone(), vec![action])),
            Need::List => Some(Scope::Catalog),
            Need::Nothing | Need::Entry | Need::Operate => None,
        };
        own.into_iter().chain(source).collect()
    }

    /// Whether serving this request changes what is stored.
    fn writes(&self) -> bool {
        match self {
            Self::ManifestPush(..)
            | Self::ManifestDelete(..)
            | Self::BlobDelete(..)
            | Self::BlobPush(..)
            | Self::BlobMount { .. }
            | Self::UploadBegin(..)
            | Self::UploadAppend(..)
            | Self::UploadFinish(..)
            | Self::UploadCancel(..) => true,
            Self::Ping
            | Self::Catalog(_)
            | Self::Tags(..)
            | Self::Referrers { .. }
            | Self::ManifestRead(..)
            | Self::BlobRead(..)
            | Self::UploadStatus(..)
            | Self::Token
            | Self::Health
            | Self::Ready
            | Self::Metrics => false,
        }
    }

    /// Refuses what the operator has switched off.
    ///
    /// # Errors
    /// [`Error::SwitchedOff`].
    pub(super) fn switched_off(&self, operator: &Operator) -> Result<(), Error> {
        let deletes = matches!(self, Self::ManifestDelete(..) | Self::BlobDelete(..));
        let what = match (operator.read_only && self.writes(), !operator.delete && deletes) {
            (true, _) => "this registry is read-only",
            (_, true) => "deletion is disabled in this registry",
            (false, false) => return Ok(()),
        };
        let allow = match (operator.read_only, self) {
            (false, Self::ManifestDelete(..)) => "GET, HEAD, PUT",
            // Their path has no other method: none is left (RFC 9110 §10.2.1).
            (_, Self::UploadBegin(..) | Self::BlobPush(..) | Self::BlobMount { .. }) => "",
            _ => "GET, HEAD",
        };
        Err(Error::SwitchedOff { what, allow, message: operator.message.clone() })
    }
}

/// Joined again, so that an escaped slash in a name is a separator.
fn repository(segments: &[&str]) -> Result<RepositoryName, Error> {
    Ok(segments.join("/").parse::<RepositoryName>()?)
}

#[cfg(test)]
mod tests;
