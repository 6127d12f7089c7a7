//! The endpoints below `/artifacts`.

use super::{
    super::super::{
        answer::Answering,
        endpoint::{Effect, Family, Methods, Need, RequestLine},
        error::{ApiError, ServiceError},
        gate::Granted,
    },
    super::repositories::invalid,
    edit, file, one, repositories, trash, upload, versions,
};
use crate::{
    artifacts::{ArtifactId, ArtifactPath, ArtifactRepositoryName, ArtifactVersion},
    who::Permission,
};
use http::Method;
use oci::UploadPlace;

/// A version that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AskedVersion {
    This(ArtifactVersion),
    /// The newest that has the path.
    Latest,
}

/// A request about artifacts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArtifactEndpoint {
    /// `GET /artifacts/repos`.
    Repositories,
    /// `POST /artifacts/repos`.
    CreateRepository,
    /// `GET /artifacts/repos/{repo}`.
    ShowRepository(ArtifactRepositoryName),
    /// `PATCH /artifacts/repos/{repo}`.
    ChangeRepository(ArtifactRepositoryName),
    /// `DELETE /artifacts/repos/{repo}`.
    DeleteRepository(ArtifactRepositoryName),
    /// `POST /artifacts/{repo}/upload`.
    BeginUpload(ArtifactRepositoryName),
    /// `GET /artifacts/{repo}/upload/{uuid}`.
    UploadStatus(ArtifactRepositoryName, UploadPlace),
    /// `PATCH /artifacts/{repo}/upload/{uuid}`.
    AppendUpload(ArtifactRepositoryName, UploadPlace),
    /// `PUT /artifacts/{repo}/upload/{uuid}`.
    FinishUpload(ArtifactRepositoryName, UploadPlace),
    /// `DELETE /artifacts/{repo}/upload/{uuid}`.
    CancelUpload(ArtifactRepositoryName, UploadPlace),
    /// `PUT /artifacts/{repo}/-/{version}/{path}`.
    Put(ArtifactRepositoryName, ArtifactVersion, ArtifactPath),
    /// `GET /artifacts/{repo}/{version}/{path}`.
    Download(ArtifactRepositoryName, AskedVersion, ArtifactPath),
    /// `DELETE /artifacts/{repo}/{version}/{path}`.
    Delete(ArtifactRepositoryName, ArtifactVersion, ArtifactPath),
    /// `GET /artifacts/{repo}/{id}`.
    Show(ArtifactRepositoryName, ArtifactId),
    /// `DELETE /artifacts/{repo}/{id}`.
    DeleteOne(ArtifactRepositoryName, ArtifactId),
    /// `GET /artifacts/{repo}/versions`.
    Versions(ArtifactRepositoryName),
    /// `PUT /artifacts/{repo}/{id}/metadata`.
    SetMetadata(ArtifactRepositoryName, ArtifactId),
    /// `PUT /artifacts/{repo}/{id}/properties`.
    SetProperties(ArtifactRepositoryName, ArtifactId),
    /// `PUT /artifacts/{repo}/{id}/rename`.
    Rename(ArtifactRepositoryName, ArtifactId),
    /// `POST /artifacts/{repo}/{id}/restore`.
    Restore(ArtifactRepositoryName, ArtifactId),
    /// `GET /artifacts/{repo}/trash`.
    Trash(ArtifactRepositoryName),
}

const ALL: Methods = Methods(&[("GET", Effect::Reads), ("HEAD", Effect::Reads), ("POST", Effect::Writes)]);
const ONE: Methods =
    Methods(&[("GET", Effect::Reads), ("HEAD", Effect::Reads), ("PATCH", Effect::Writes), ("DELETE", Effect::Deletes)]);
const BEGIN: Methods = Methods(&[("POST", Effect::Writes)]);
const SESSION: Methods = Methods(&[
    ("GET", Effect::Reads),
    ("HEAD", Effect::Reads),
    ("PATCH", Effect::Writes),
    ("PUT", Effect::Writes),
    ("DELETE", Effect::Writes),
]);
const PUT: Methods = Methods(&[("PUT", Effect::Writes)]);
const FILE: Methods = Methods(&[("GET", Effect::Reads), ("HEAD", Effect::Reads), ("DELETE", Effect::Deletes)]);

impl ArtifactEndpoint {
    /// Parses a path that begins with `artifacts`.
    pub(in super::super) fn parse(line: &RequestLine<'_>) -> Result<Self, ServiceError> {
        let Some((_, rest)) = line.segments.split_first() else { return Err(ApiError::NotFound.into()) };
        let (method, is_read) = (line.method, line.is_read());
        let wrong = |allow| Err(ServiceError::MethodNotAllowed(allow));
        match (rest, method) {
            (["repos"], _) if is_read => Ok(Self::Repositories),
            (["repos"], &Method::POST) => Ok(Self::CreateRepository),
            (["repos"], _) => wrong(ALL),
            (["repos", name], _) if is_read => name_of(name).map(Self::ShowRepository),
            (["repos", name], &Method::PATCH) => name_of(name).map(Self::ChangeRepository),
            (["repos", name], &Method::DELETE) => name_of(name).map(Self::DeleteRepository),
            (["repos", _], _) => wrong(ONE),
            (["repos" | "search", ..] | [] | [_], _) => Err(ApiError::NotFound.into()),
            ([name, rest @ ..], _) => Self::parse_within(name_of(name)?, rest, line),
        }
    }

    /// Parses what follows the name of a repository.
    fn parse_within(name: ArtifactRepositoryName, rest: &[&str], line: &RequestLine<'_>) -> Result<Self, ServiceError> {
        let (method, is_read) = (line.method, line.is_read());
        let wrong = |allow| Err(ServiceError::MethodNotAllowed(allow));
        Ok(match (rest, method) {
            (["upload"], &Method::POST) => Self::BeginUpload(name),
            (["upload"], _) => return wrong(BEGIN),
            (["upload", place], _) => {
                let place = place.parse::<UploadPlace>().map_err(|_| ServiceError::UploadIdInvalid)?;
                match *method {
                    _ if is_read => Self::UploadStatus(name, place),
                    Method::PATCH => Self::AppendUpload(name, place),
                    Method::PUT => Self::FinishUpload(name, place),
                    Method::DELETE => Self::CancelUpload(name, place),
                    _ => return wrong(SESSION),
                }
            }
            (["versions"], _) if is_read => Self::Versions(name),
            (["trash"], _) if is_read => Self::Trash(name),
            (["versions" | "trash"], _) => return wrong(Methods::READ),
            (["-", version, path @ ..], _) if !path.is_empty() => {
                let (version, path) = (version_of(version)?, path_of(path)?);
                match *method {
                    Method::PUT => Self::Put(name, version, path),
                    _ => return wrong(PUT),
                }
            }
            ([id], _) if id.parse::<ArtifactId>().is_ok() => {
                let id = id.parse::<ArtifactId>().map_err(|error| invalid("id", error))?;
                match *method {
                    _ if is_read => Self::Show(name, id),
                    Method::DELETE => Self::DeleteOne(name, id),
                    _ => return wrong(FILE),
                }
            }
            ([id, what], _) if id.parse::<ArtifactId>().is_ok() => {
                let id = id.parse::<ArtifactId>().map_err(|error| invalid("id", error))?;
                match (*what, method) {
                    ("metadata", &Method::PUT) => Self::SetMetadata(name, id),
                    ("properties", &Method::PUT) => Self::SetProperties(name, id),
                    ("rename", &Method::PUT) => Self::Rename(name, id),
                    ("restore", &Method::POST) => Self::Restore(name, id),
                    ("metadata" | "properties" | "rename", _) => return wrong(PUT),
                    ("restore", _) => return wrong(BEGIN),
                    _ => return Err(ApiError::NotFound.into()),
                }
            }
            ([version, path @ ..], _) if !path.is_empty() => match *method {
                _ if is_read => {
                    let version = match *version {
                        ArtifactVersion::LATEST => AskedVersion::Latest,
                        version => AskedVersion::This(version_of(version)?),
                    };
                    Self::Download(name, version, path_of(path)?)
                }
                Method::DELETE => Self::Delete(name, version_of(version)?, path_of(path)?),
                _ => return wrong(FILE),
            },
            _ => return Err(ApiError::NotFound.into()),
        })
    }

    /// Whether it moves content, as pushes and pulls of images do: limits of writes are for everything else.
    pub(in super::super::super) fn is_of_content(&self) -> bool {
        matches!(
            self,
            Self::BeginUpload(_)
                | Self::UploadStatus(..)
                | Self::AppendUpload(..)
                | Self::FinishUpload(..)
                | Self::CancelUpload(..)
                | Self::Put(..)
                | Self::Download(..)
        )
    }
}

fn name_of(name: &str) -> Result<ArtifactRepositoryName, ServiceError> {
    name.parse().map_err(|error| invalid("repo", error))
}

fn version_of(version: &str) -> Result<ArtifactVersion, ServiceError> {
    version.parse().map_err(|error| invalid("version", error))
}

fn path_of(segments: &[&str]) -> Result<ArtifactPath, ServiceError> {
    segments.join("/").parse().map_err(|error| invalid("path", error))
}

impl Family for ArtifactEndpoint {
    fn name(&self) -> &'static str {
        match self {
            Self::Repositories => "list_artifact_repositories",
            Self::CreateRepository => "create_artifact_repository",
            Self::ShowRepository(_) => "show_artifact_repository",
            Self::ChangeRepository(_) => "change_artifact_repository",
            Self::DeleteRepository(_) => "delete_artifact_repository",
            Self::BeginUpload(_) => "begin_artifact_upload",
            Self::UploadStatus(..) => "show_artifact_upload",
            Self::AppendUpload(..) => "append_artifact_upload",
            Self::FinishUpload(..) => "finish_artifact_upload",
            Self::CancelUpload(..) => "cancel_artifact_upload",
            Self::Put(..) => "put_artifact",
            Self::Download(..) => "download_artifact",
            Self::Delete(..) => "delete_artifact",
            Self::Show(..) => "show_artifact",
            Self::DeleteOne(..) => "delete_artifact_by_id",
            Self::Versions(_) => "list_artifact_versions",
            Self::SetMetadata(..) => "set_artifact_metadata",
            Self::SetProperties(..) => "set_artifact_properties",
            Self::Rename(..) => "rename_artifact",
            Self::Restore(..) => "restore_artifact",
            Self::Trash(_) => "list_artifact_trash",
        }
    }

    fn needs(&self) -> Need<'_> {
        match self {
            // Strangers see those that are public.
            Self::Repositories => Need::Sight,
            // CREATE:REPO for the name in the body.
            Self::CreateRepository => Need::Entry,
            Self::ShowRepository(name) => Need::Artifacts(name, Permission::VIEW_REPO),
            Self::ChangeRepository(name) => Need::Artifacts(name, Permission::UPDATE_REPO),
            Self::DeleteRepository(name) => Need::Artifacts(name, Permission::DELETE_REPO),
            Self::BeginUpload(name)
            | Self::UploadStatus(name, _)
            | Self::AppendUpload(name, _)
            | Self::FinishUpload(name, _)
            | Self::CancelUpload(name, _)
            | Self::Put(name, ..) => Need::Artifacts(name, Permission::UPLOAD_ARTIFACT),
            Self::Download(name, ..) => Need::Artifacts(name, Permission::DOWNLOAD_ARTIFACT),
            Self::Versions(name) | Self::Show(name, _) => Need::Artifacts(name, Permission::VIEW_ARTIFACT),
            Self::SetMetadata(name, _) | Self::SetProperties(name, _) | Self::Rename(name, _) => {
                Need::Artifacts(name, Permission::UPDATE_ARTIFACT)
            }
            Self::Delete(name, ..) | Self::DeleteOne(name, _) | Self::Restore(name, _) | Self::Trash(name) => {
                Need::Artifacts(name, Permission::DELETE_ARTIFACT)
            }
        }
    }

    fn methods(&self) -> Methods {
        match self {
            Self::Repositories | Self::CreateRepository => ALL,
            Self::ShowRepository(_) | Self::ChangeRepository(_) | Self::DeleteRepository(_) => ONE,
            Self::BeginUpload(_) | Self::Restore(..) => BEGIN,
            Self::UploadStatus(..) | Self::AppendUpload(..) | Self::FinishUpload(..) | Self::CancelUpload(..) => {
                SESSION
            }
            Self::Put(..) | Self::SetMetadata(..) | Self::SetProperties(..) | Self::Rename(..) => PUT,
            Self::Download(..) | Self::Delete(..) | Self::Show(..) | Self::DeleteOne(..) => FILE,
            Self::Versions(_) | Self::Trash(_) => Methods::READ,
        }
    }

    fn serve(self, granted: Granted) -> Answering {
        Box::pin(async move {
            match self {
                Self::Repositories => repositories::list(&granted).await,
                Self::CreateRepository => repositories::create(granted).await,
                Self::ShowRepository(name) => repositories::show(&granted, &name).await,
                Self::ChangeRepository(name) => repositories::change(granted, &name).await,
                Self::DeleteRepository(name) => repositories::delete(&granted, &name).await,
                Self::BeginUpload(name) => upload::begin(&granted, &name).await,
                Self::UploadStatus(name, place) => upload::status(&granted, &name, place).await,
                Self::AppendUpload(name, place) => upload::append(granted, &name, place).await,
                Self::FinishUpload(name, place) => upload::finish(granted, &name, place).await,
                Self::CancelUpload(name, place) => upload::cancel(&granted, &name, place).await,
                Self::Put(name, version, path) => upload::put(granted, &name, version, path).await,
                Self::Download(name, version, path) => file::download(granted, &name, version, &path).await,
                Self::Delete(name, version, path) => file::delete(&granted, &name, &version, &path).await,
                Self::Show(name, id) => one::show(&granted, &name, id).await,
                Self::DeleteOne(name, id) => one::delete(&granted, &name, id).await,
                Self::Versions(name) => versions::list(&granted, &name).await,
                Self::SetMetadata(name, id) => edit::metadata(granted, &name, id).await,
                Self::SetProperties(name, id) => edit::properties(granted, &name, id).await,
                Self::Rename(name, id) => edit::rename(granted, &name, id).await,
                Self::Restore(name, id) => trash::restore(&granted, &name, id).await,
                Self::Trash(name) => trash::list(&granted, &name).await,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(method: &str, path: &str) -> Result<ArtifactEndpoint, String> {
        let segments: Vec<_> = path.split('/').collect();
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        ArtifactEndpoint::parse(&RequestLine { method: &method, segments: &segments, query: "" })
            .map_err(|error| error.to_string())
    }

    #[test]
    fn paths_are_read_by_their_segments() {
        let id = format!("art-{}", "a".repeat(26));
        for (method, path, name) in [
            ("GET", "artifacts/repos", "list_artifact_repositories"),
            ("GET", "artifacts/repos/builds", "show_artifact_repository"),
            ("POST", "artifacts/builds/upload", "begin_artifact_upload"),
            ("PUT", "artifacts/builds/-/1.0/a/b", "put_artifact"),
            ("HEAD", "artifacts/builds/1.0/a/b", "download_artifact"),
            ("GET", "artifacts/builds/latest/a", "download_artifact"),
            ("GET", "artifacts/builds/1.0/metadata", "download_artifact"),
            ("DELETE", "artifacts/builds/1.0/metadata", "delete_artifact"),
            ("GET", "artifacts/builds/versions", "list_artifact_versions"),
            ("GET", &format!("artifacts/builds/{id}"), "show_artifact"),
            ("DELETE", &format!("artifacts/builds/{id}"), "delete_artifact_by_id"),
            ("PUT", &format!("artifacts/builds/{id}/metadata"), "set_artifact_metadata"),
            ("POST", &format!("artifacts/builds/{id}/restore"), "restore_artifact"),
        ] {
            assert_eq!(parse(method, path).map(|endpoint| endpoint.name()).as_deref(), Ok(name), "{method} {path}");
        }
    }

    #[test]
    fn hostile_paths_are_refused() {
        let id = format!("art-{}", "a".repeat(26));
        for (method, path) in [
            ("GET", "artifacts/builds/1.0/../secret".to_owned()),
            ("PUT", "artifacts/builds/-/1.0/a/./b".into()),
            ("PUT", "artifacts/builds/-/1.0/a\0b".into()),
            ("PUT", "artifacts/builds/-/1.0/a\\..\\b".into()),
            ("PUT", format!("artifacts/builds/-/1.0/{}", "a/".repeat(2048))),
            ("PUT", format!("artifacts/builds/-/{}/a", "v".repeat(4096))),
            ("PUT", "artifacts/builds/-/../a".into()),
            ("PUT", "artifacts/builds/-/latest/a".into()),
            ("PUT", "artifacts/builds/-/-/a".into()),
            ("PUT", "artifacts/builds/-/upload/a".into()),
            ("PUT", format!("artifacts/builds/-/{id}/a")),
            ("PUT", "artifacts/builds/-/1.0/e\u{301}".into()),
            ("DELETE", "artifacts/builds/latest/a".into()),
            ("GET", "artifacts/../1.0/a".into()),
            ("GET", "artifacts/repos/search".into()),
            ("GET", "artifacts/builds".into()),
            ("GET", "artifacts/builds/-".into()),
            ("PUT", "artifacts/builds/1.0/a".into()),
            ("GET", "artifacts/builds/-/1.0/a".into()),
        ] {
            assert!(parse(method, &path).is_err(), "{method} {path:?}");
        }
    }
}
