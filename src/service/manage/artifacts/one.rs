//! One artifact by its ID.

use super::{
    super::{
        super::{answer, error::ServiceError, gate::Granted},
        reply,
    },
    item,
    repositories::existing,
};
use crate::{
    artifacts::{ArtifactId, ArtifactRepositoryName},
    wire::ResponseBody,
};
use http::{Response, StatusCode};

/// `GET /artifacts/{repo}/{id}`.
pub(super) async fn show(
    granted: &Granted,
    name: &ArtifactRepositoryName,
    id: ArtifactId,
) -> Result<Response<ResponseBody>, ServiceError> {
    existing(granted, name).await?;
    let stored = granted.registry().artifacts(name).find(&id).await?;
    granted.resource(&item::artifact(granted, name, stored.artifact))
}

/// `DELETE /artifacts/{repo}/{id}`.
pub(super) async fn delete(
    granted: &Granted,
    name: &ArtifactRepositoryName,
    id: ArtifactId,
) -> Result<Response<ResponseBody>, ServiceError> {
    existing(granted, name).await?;
    let repository = granted.registry().artifacts(name);
    let stored = repository.find(&id).await?;
    let current = item::artifact(granted, name, stored.artifact.clone());
    granted.precondition().check(Some(&reply::entity_tag(&current)?))?;
    repository.delete_artifact(&stored, None).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}
