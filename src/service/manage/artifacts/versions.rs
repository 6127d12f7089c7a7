//! The versions of a repository.

use super::{
    super::{
        super::{answer, error::ServiceError, gate::Granted, query::encode},
        reply,
    },
    item,
    repositories::existing,
};
use crate::{
    artifacts::{ArtifactRepositoryName, ArtifactVersion},
    wire::ResponseBody,
};
use api::artifacts::ArtifactInfo;
use http::{Response, StatusCode};
use oci::order::by_version;
use serde::{Serialize, Serializer, ser::SerializeMap as _};
use std::cmp::Ordering;

/// An object whose keys are in the order of the list.
struct InOrder(Vec<(ArtifactVersion, Vec<ArtifactInfo>)>);

impl Serialize for InOrder {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (version, artifacts) in &self.0 {
            map.serialize_entry(version, artifacts)?;
        }
        map.end()
    }
}

/// `GET /artifacts/{repo}/versions`: newest first, 1.10 before 1.9.
pub(super) async fn list(
    granted: &Granted,
    name: &ArtifactRepositoryName,
) -> Result<Response<ResponseBody>, ServiceError> {
    existing(granted, name).await?;
    let page = granted.page_query()?;
    let repository = granted.registry().artifacts(name);
    let mut versions = repository.versions().await?;
    let newest_first = |a: &str, b: &str| by_version(b, a);
    versions.retain(|version| {
        page.last.as_deref().is_none_or(|last| newest_first(last, version.as_str()) == Ordering::Less)
    });
    versions.sort_by(|a, b| newest_first(a.as_str(), b.as_str()));
    let (mut found, mut more) = (Vec::new(), false);
    for version in versions {
        more = found.len() == page.n;
        if more {
            break;
        }
        let artifacts = repository.of_version(&version).await?;
        // Others may have deleted the last one, and left the directory.
        if !artifacts.is_empty() {
            let infos = artifacts.into_iter().map(|artifact| item::artifact(granted, name, artifact)).collect();
            found.push((version, infos));
        }
    }
    let last = found.last().filter(|_| more).map(|(version, _)| encode(version.as_str()));
    let mut response = reply::json(StatusCode::OK, &InOrder(found))?;
    if let Some(last) = last {
        answer::next_page(&mut response, format!("/api/v1/artifacts/{name}/versions?n={}&last={last}", page.n));
    }
    Ok(response)
}
