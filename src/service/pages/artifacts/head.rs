//! What every page of an artifact repository has above its content.

use super::super::{
    super::{
        error::ServiceError,
        gate::Granted,
        manage::{ArtifactEndpoint, ManageEndpoint},
    },
    ask::Answered,
};
use crate::{artifacts::ArtifactRepositoryName, who::Permission};
use api::artifacts::ArtifactRepositoryItem;

pub(super) struct ArtifactHead {
    pub(super) item: ArtifactRepositoryItem,
    pub(super) tab: &'static str,
    /// What the caller may do here.
    pub(super) may_view: bool,
    pub(super) may_download: bool,
    pub(super) may_upload: bool,
    pub(super) may_update: bool,
    pub(super) may_delete: bool,
    pub(super) administers: bool,
    /// The entity tag of what can be changed.
    pub(super) etag: String,
}

impl ArtifactHead {
    /// # Errors
    /// There is no such repository, or the caller may not see it.
    pub(super) async fn of(
        granted: &Granted,
        name: &ArtifactRepositoryName,
        tab: &'static str,
    ) -> Result<Self, ServiceError> {
        let show = ManageEndpoint::Artifact(ArtifactEndpoint::ShowRepository(name.clone()));
        let Answered { content: item, etag } = granted.ask_tagged(show, &[]).await?;
        Ok(Self {
            item,
            tab,
            may_view: granted.may_in_artifacts(name, Permission::VIEW_ARTIFACT).await,
            may_download: granted.may_in_artifacts(name, Permission::DOWNLOAD_ARTIFACT).await,
            may_upload: granted.may_in_artifacts(name, Permission::UPLOAD_ARTIFACT).await,
            may_update: granted.may_in_artifacts(name, Permission::UPDATE_ARTIFACT).await,
            may_delete: granted.may_in_artifacts(name, Permission::DELETE_ARTIFACT).await,
            administers: granted.may_in_artifacts(name, Permission::UPDATE_REPO).await,
            etag,
        })
    }

    /// A path of this repository.
    pub(super) fn path(&self, rest: &str) -> String {
        match rest {
            "" => format!("/artifacts/{}", self.item.name),
            rest => format!("/artifacts/{}/-/{rest}", self.item.name),
        }
    }

    /// The page of a directory of a version.
    pub(super) fn directory(&self, version: &str, path: &str) -> String {
        super::directory_page(&self.item.name, version, path)
    }

    /// The page of what is at a version and path.
    pub(super) fn file(&self, version: &str, path: &str) -> String {
        super::file_page(&self.item.name, version, path)
    }
}
