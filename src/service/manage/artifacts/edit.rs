//! Changes of one artifact.

use super::{
    super::{
        super::{error::ServiceError, gate::Granted, headers::value},
        reply,
        repositories::invalid,
    },
    item,
    repositories::existing,
};
use crate::{
    artifacts::{ArtifactId, ArtifactMetadata, ArtifactRepositoryName, Properties},
    registry::artifacts::ArtifactEdit,
    wire::ResponseBody,
};
use api::artifacts::{ArtifactMetadataObject, ArtifactPropertyValues, RenameArtifactRequest};
use http::{Response, StatusCode, header};

/// `PUT /artifacts/{repo}/{id}/metadata`.
pub(super) async fn metadata(
    mut granted: Granted,
    name: &ArtifactRepositoryName,
    id: ArtifactId,
) -> Result<Response<ResponseBody>, ServiceError> {
    let ArtifactMetadataObject(object) = granted.read_json().await?;
    let metadata = ArtifactMetadata::of(object).map_err(|error| invalid("", error))?;
    edit(&granted, name, id, ArtifactEdit::Metadata(metadata)).await
}

/// `PUT /artifacts/{repo}/{id}/properties`.
pub(super) async fn properties(
    mut granted: Granted,
    name: &ArtifactRepositoryName,
    id: ArtifactId,
) -> Result<Response<ResponseBody>, ServiceError> {
    let ArtifactPropertyValues(values) = granted.read_json().await?;
    let mut properties = Properties::default();
    for (key, value) in &values {
        properties.add(key, value).map_err(|error| invalid(&format!("/{}", oci::excerpt(key)), error))?;
    }
    edit(&granted, name, id, ArtifactEdit::Properties(properties)).await
}

/// `PUT /artifacts/{repo}/{id}/rename`.
pub(super) async fn rename(
    mut granted: Granted,
    name: &ArtifactRepositoryName,
    id: ArtifactId,
) -> Result<Response<ResponseBody>, ServiceError> {
    let asked: RenameArtifactRequest = granted.read_json().await?;
    let place = ArtifactEdit::Place {
        version: asked.version.parse().map_err(|error| invalid("/version", error))?,
        path: asked.path.map(|path| path.parse().map_err(|error| invalid("/path", error))).transpose()?,
        name: asked.name.map(|name| name.parse().map_err(|error| invalid("/name", error))).transpose()?,
    };
    edit(&granted, name, id, place).await
}

async fn edit(
    granted: &Granted,
    name: &ArtifactRepositoryName,
    id: ArtifactId,
    edit: ArtifactEdit,
) -> Result<Response<ResponseBody>, ServiceError> {
    existing(granted, name).await?;
    let repository = granted.registry().artifacts(name);
    let stored = repository.find(&id).await?;
    let current = item::artifact(granted, name, stored.artifact.clone());
    granted.precondition().check(Some(&reply::entity_tag(&current)?))?;
    let edited = repository.edit(&stored, edit).await?;
    let location = super::file::location(name, &edited);
    let is_moved = edited.id != id;
    let content = item::artifact(granted, name, edited);
    let mut response = reply::json(StatusCode::OK, &content)?;
    let headers = response.headers_mut();
    headers.insert(header::ETAG, value(format!("\"{}\"", reply::entity_tag(&content)?)));
    if is_moved {
        headers.insert(header::LOCATION, value(location));
    }
    Ok(response)
}
