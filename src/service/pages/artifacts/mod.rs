//! The pages of artifacts: their repositories, what is in them, search and upload.

mod browse;
mod commands;
mod edit;
mod file;
mod head;
mod list;
mod removal;
mod retention;
mod search;
mod settings;
mod trash;
mod upload;

pub(super) use upload::receive_files;

use super::{
    super::{
        error::{ApiError, ServiceError},
        gate::Granted,
    },
    form_state::{EditForms, FormState},
    paths::PathOffer,
    shell::segment,
};
use crate::{
    artifacts::{ArtifactId, ArtifactPath, ArtifactRepositoryName, ArtifactVersion},
    wire::ResponseBody,
};
use http::Response;

/// A page about artifacts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArtifactPage {
    /// `/artifacts`.
    Repositories,
    /// `/artifacts/-/new`.
    NewRepository,
    /// `/artifacts/-/search` and `/artifacts/{repo}/-/search`.
    Search(Option<ArtifactRepositoryName>),
    /// `/artifacts/{repo}`: its versions.
    Versions(ArtifactRepositoryName),
    /// `…/-/versions/{version}` and directories in it.
    Directory(ArtifactRepositoryName, ArtifactVersion, Option<ArtifactPath>),
    /// `…/-/files/{version}/{path}`.
    File(ArtifactPlace),
    /// `…/-/upload`.
    Upload(ArtifactRepositoryName),
    /// `…/-/trash`.
    Trash(ArtifactRepositoryName),
    /// `…/-/retention`.
    Retention(ArtifactRepositoryName),
    /// `…/-/delete-files`: asks before several are deleted.
    DeleteFiles(ArtifactRepositoryName),
    /// `…/-/settings`.
    Settings(ArtifactRepositoryName),
}

/// What a form about artifacts does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArtifactForm {
    /// `/artifacts/-/new`.
    CreateRepository,
    /// `…/-/settings`.
    SaveSettings(ArtifactRepositoryName),
    /// `…/-/delete`.
    DeleteRepository(ArtifactRepositoryName),
    /// `…/-/retention`.
    SaveRetention(ArtifactRepositoryName),
    /// `…/-/upload`: its files become artifacts while they arrive.
    Upload(ArtifactRepositoryName),
    /// `…/-/delete-files`.
    DeleteFiles(ArtifactRepositoryName),
    /// `…/-/restore/{id}`.
    Restore(ArtifactRepositoryName, ArtifactId),
    /// `…/-/{edit}/{version}/{path}`.
    Edit(ArtifactEditForm, ArtifactPlace),
}

/// What is changed about one artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArtifactEditForm {
    Properties,
    Metadata,
    Rename,
    Delete,
}

/// Where an artifact is. Several may be there, with different properties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactPlace {
    pub repository: ArtifactRepositoryName,
    pub version: ArtifactVersion,
    pub path: ArtifactPath,
}

/// What is at a path that begins with `artifacts`.
///
/// # Errors
/// [`ApiError::NotFound`]: no name that is invalid belongs to anything.
pub(super) fn at(rest: &[&str]) -> Result<PathOffer, ServiceError> {
    use super::endpoint::{WebForm, WebPage};
    let page = |page| PathOffer(Some(WebPage::Artifact(page)), None);
    let form = |form| PathOffer(None, Some(WebForm::Artifact(form)));
    let both = |page, form| PathOffer(Some(WebPage::Artifact(page)), Some(WebForm::Artifact(form)));
    let (name, rest) = match rest {
        [] => return Ok(page(ArtifactPage::Repositories)),
        ["-", "new"] => return Ok(both(ArtifactPage::NewRepository, ArtifactForm::CreateRepository)),
        ["-", "search"] => return Ok(page(ArtifactPage::Search(None))),
        [name] => return Ok(page(ArtifactPage::Versions(parsed(name)?))),
        [name, "-", rest @ ..] => (parsed::<ArtifactRepositoryName>(name)?, rest),
        _ => return Err(ApiError::NotFound.into()),
    };
    Ok(match rest {
        ["search"] => page(ArtifactPage::Search(Some(name))),
        ["upload"] => both(ArtifactPage::Upload(name.clone()), ArtifactForm::Upload(name)),
        ["trash"] => page(ArtifactPage::Trash(name)),
        ["retention"] => both(ArtifactPage::Retention(name.clone()), ArtifactForm::SaveRetention(name)),
        ["settings"] => both(ArtifactPage::Settings(name.clone()), ArtifactForm::SaveSettings(name)),
        ["delete-files"] => both(ArtifactPage::DeleteFiles(name.clone()), ArtifactForm::DeleteFiles(name)),
        ["delete"] => form(ArtifactForm::DeleteRepository(name)),
        ["restore", id] => form(ArtifactForm::Restore(name, parsed(id)?)),
        ["versions", version] => page(ArtifactPage::Directory(name, parsed(version)?, None)),
        ["versions", version, under @ ..] => {
            page(ArtifactPage::Directory(name, parsed(version)?, Some(parsed(&under.join("/"))?)))
        }
        ["files", version, path @ ..] if !path.is_empty() => page(ArtifactPage::File(place(name, version, path)?)),
        [edit, version, path @ ..] if !path.is_empty() => {
            let edit = match *edit {
                "properties" => ArtifactEditForm::Properties,
                "metadata" => ArtifactEditForm::Metadata,
                "rename" => ArtifactEditForm::Rename,
                "remove" => ArtifactEditForm::Delete,
                _ => return Err(ApiError::NotFound.into()),
            };
            form(ArtifactForm::Edit(edit, place(name, version, path)?))
        }
        _ => return Err(ApiError::NotFound.into()),
    })
}

fn place(repository: ArtifactRepositoryName, version: &str, path: &[&str]) -> Result<ArtifactPlace, ServiceError> {
    Ok(ArtifactPlace { repository, version: parsed(version)?, path: parsed(&path.join("/"))? })
}

fn parsed<T: std::str::FromStr>(text: &str) -> Result<T, ServiceError> {
    text.parse().map_err(|_| ApiError::NotFound.into())
}

impl ArtifactPage {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Repositories => "page_artifact_repositories",
            Self::NewRepository => "page_new_artifact_repository",
            Self::Search(_) => "page_artifact_search",
            Self::Versions(_) => "page_artifact_versions",
            Self::Directory(..) => "page_artifact_directory",
            Self::File(_) => "page_artifact",
            Self::Upload(_) => "page_artifact_upload",
            Self::Trash(_) => "page_artifact_trash",
            Self::Retention(_) => "page_artifact_retention",
            Self::DeleteFiles(_) => "page_delete_artifacts",
            Self::Settings(_) => "page_artifact_settings",
        }
    }

    pub(super) async fn show(self, granted: &Granted) -> Result<Response<ResponseBody>, ServiceError> {
        match self {
            Self::Repositories => list::show(granted).await,
            Self::NewRepository => list::show_new(granted, FormState::default()).await,
            Self::Search(repository) => search::show(granted, repository.as_ref()).await,
            Self::Versions(name) => browse::versions(granted, &name).await,
            Self::Directory(name, version, under) => browse::directory(granted, &name, &version, under.as_ref()).await,
            Self::File(place) => file::show(granted, &place, file::FileForms::default()).await,
            Self::Upload(name) => upload::show(granted, &name, FormState::default()).await,
            Self::Trash(name) => trash::show(granted, &name, FormState::default()).await,
            Self::Retention(name) => retention::show(granted, &name, None).await,
            Self::DeleteFiles(name) => removal::show(granted, &name).await,
            Self::Settings(name) => settings::show(granted, &name, EditForms::default()).await,
        }
    }
}

impl ArtifactForm {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::CreateRepository => "form_create_artifact_repository",
            Self::SaveSettings(_) => "form_artifact_settings",
            Self::DeleteRepository(_) => "form_delete_artifact_repository",
            Self::SaveRetention(_) => "form_artifact_retention",
            Self::Upload(_) => "form_upload_artifacts",
            Self::DeleteFiles(_) => "form_delete_artifacts",
            Self::Restore(..) => "form_restore_artifact",
            Self::Edit(ArtifactEditForm::Properties, _) => "form_artifact_properties",
            Self::Edit(ArtifactEditForm::Metadata, _) => "form_artifact_metadata",
            Self::Edit(ArtifactEditForm::Rename, _) => "form_rename_artifact",
            Self::Edit(ArtifactEditForm::Delete, _) => "form_delete_artifact",
        }
    }

    pub(super) async fn perform(
        self,
        granted: &Granted,
        fields: &super::form::PageForm,
    ) -> Result<Response<ResponseBody>, ServiceError> {
        match self {
            Self::CreateRepository => list::create(granted, fields).await,
            Self::SaveSettings(name) => settings::save(granted, &name, fields).await,
            Self::DeleteRepository(name) => settings::delete(granted, &name, fields).await,
            Self::SaveRetention(name) => retention::save(granted, &name, fields).await,
            Self::Upload(name) => upload::show(granted, &name, FormState::kept(fields)).await,
            Self::DeleteFiles(name) => removal::perform(granted, &name, fields).await,
            Self::Restore(name, id) => trash::restore(granted, &name, id, fields).await,
            Self::Edit(edit, place) => edit::perform(granted, edit, &place, fields).await,
        }
    }
}

/// A path as segments of another one.
fn segments(path: &str) -> String {
    path.split('/').map(segment).collect::<Vec<_>>().join("/")
}

/// The page of what is at a version and path.
fn file_page(repository: &str, version: &str, path: &str) -> String {
    format!("/artifacts/{repository}/-/files/{}/{}", segment(version), segments(path))
}

/// The page of a directory; of the version if the path is empty.
fn directory_page(repository: &str, version: &str, path: &str) -> String {
    let version = format!("/artifacts/{repository}/-/versions/{}", segment(version));
    match path {
        "" => version,
        path => format!("{version}/{}", segments(path)),
    }
}

/// The page of one artifact, also if others have its version and path.
fn page_of(artifact: &api::artifacts::ArtifactInfo) -> String {
    format!("{}?id={}", file_page(&artifact.repo, &artifact.version, &artifact.path), artifact.id)
}
