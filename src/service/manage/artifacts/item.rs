//! Artifacts and their repositories as the API shows them.

use super::super::super::{error::ServiceError, gate::Granted};
use super::super::reply::rfc3339;
use crate::{
    access::Visibility,
    artifacts::{Artifact, ArtifactRepositoryName},
    registry::artifacts::ArtifactRepositoryFacts,
};
use api::artifacts::{ArtifactInfo, ArtifactRepositoryItem};
use std::{collections::HashSet, time::SystemTime};

/// An artifact as the caller may see it.
pub(super) fn artifact(granted: &Granted, repository: &ArtifactRepositoryName, artifact: Artifact) -> ArtifactInfo {
    let properties = artifact.properties.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    ArtifactInfo {
        id: artifact.id.to_string(),
        repo: repository.to_string(),
        name: artifact.name.to_string(),
        path: artifact.path.to_string(),
        version: artifact.version.to_string(),
        size: artifact.size,
        digest: artifact.digest.to_string(),
        media_type: artifact.media_type.to_string(),
        properties,
        metadata: artifact.metadata.as_object().clone(),
        created_at: artifact.created.to_string(),
        updated_at: artifact.updated.to_string(),
        created_by: granted.user_name(artifact.created_by.map(String::from)),
    }
}

/// A repository as the caller may see it.
pub(super) async fn repository(
    granted: &Granted,
    name: &ArtifactRepositoryName,
    facts: ArtifactRepositoryFacts,
) -> Result<ArtifactRepositoryItem, ServiceError> {
    let repository = granted.registry().artifacts(name);
    let (mut walk, mut versions) = (repository.walk(), HashSet::new());
    let mut item = ArtifactRepositoryItem {
        name: name.to_string(),
        description: facts.description.map(|text| text.as_str().to_owned()),
        owner: granted.user_name(facts.access.owner),
        private: facts.access.visibility == Visibility::Private,
        retention: facts.retention,
        created_at: facts.origin.and_then(|origin| origin.at()).map(rfc3339),
        ..ArtifactRepositoryItem::default()
    };
    let mut updated = None;
    loop {
        let page = walk.next_page().await?;
        if page.is_empty() {
            break;
        }
        for artifact in page {
            item.artifact_count += 1;
            item.size = item.size.saturating_add(artifact.size);
            updated = updated.max(Some(artifact.updated));
            versions.insert(artifact.version);
        }
    }
    item.version_count = versions.len() as u64;
    item.updated_at = updated.map(|time| rfc3339(SystemTime::from(time))).or_else(|| item.created_at.clone());
    Ok(item)
}
