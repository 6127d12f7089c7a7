//! Artifacts and their repositories as the API shows them.

use super::super::super::{error::ServiceError, gate::Granted};
use super::super::reply::rfc3339;
use crate::{
    access::Visibility,
    artifacts::{Artifact, ArtifactRepositoryName, index::ArtifactTotals},
    registry::artifacts::{ArtifactRepository, ArtifactRepositoryFacts},
};
use api::artifacts::{ArtifactInfo, ArtifactRepositoryItem};
use jiff::Timestamp;
use std::{collections::HashSet, time::Instant};

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

/// A repository as the caller may see it. It is counted by its index, or by its records if the index is not made by the
/// deadline.
pub(super) async fn repository(
    granted: &Granted,
    name: &ArtifactRepositoryName,
    facts: ArtifactRepositoryFacts,
    deadline: Instant,
) -> Result<ArtifactRepositoryItem, ServiceError> {
    let repository = granted.registry().artifacts(name);
    let patience = deadline.saturating_duration_since(Instant::now());
    let reader = match &facts.origin {
        Some(origin) => repository.index(origin, patience).await?,
        None => None,
    };
    let (totals, updated) = match reader {
        Some(reader) => reader.work(|index| (index.totals(), index.updated())).await?,
        None => counted(&repository).await?,
    };
    let created_at = facts.origin.and_then(|origin| origin.at()).map(rfc3339);
    Ok(ArtifactRepositoryItem {
        name: name.to_string(),
        description: facts.description.map(|text| text.as_str().to_owned()),
        owner: granted.user_name(facts.access.owner),
        private: facts.access.visibility == Visibility::Private,
        artifact_count: totals.artifacts as u64,
        version_count: totals.versions as u64,
        size: totals.size,
        updated_at: updated.map(|time| rfc3339(time.into())).or_else(|| created_at.clone()),
        created_at,
        retention: facts.retention,
    })
}

/// What the records of a repository are, one after the other.
async fn counted(repository: &ArtifactRepository) -> Result<(ArtifactTotals, Option<Timestamp>), ServiceError> {
    let (mut walk, mut versions) = (repository.walk(), HashSet::new());
    let (mut totals, mut updated) = (ArtifactTotals::default(), None);
    loop {
        let page = walk.next_page().await?;
        if page.is_empty() {
            return Ok((totals, updated));
        }
        for artifact in page {
            totals.artifacts += 1;
            totals.size = totals.size.saturating_add(artifact.size);
            updated = updated.max(Some(artifact.updated));
            versions.insert(artifact.version);
        }
        totals.versions = versions.len();
    }
}
