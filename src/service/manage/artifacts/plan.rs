//! The rules of retention, and what they would delete now.

use super::super::{
    super::{error::ServiceError, gate::Granted},
    reply::{first_of, rfc3339},
    repositories::invalid,
};
use crate::{
    artifacts::{ArtifactRepositoryName, retention::OwnRetention},
    wire::ResponseBody,
};
use api::artifact_search::{ArtifactPlanItem, ArtifactRetentionRules};
use http::Response;

/// `GET /artifacts/repos/{repo}/retention/plan`: the newest first.
pub(super) async fn plan(
    granted: &Granted,
    name: &ArtifactRepositoryName,
) -> Result<Response<ResponseBody>, ServiceError> {
    let page = granted.page_query()?;
    let repository = granted.registry().artifacts(name);
    let planned = match granted.parameters().one("rules")? {
        Some(rules) => {
            let rules = oci::json::from_slice(rules.as_bytes()).map_err(|why| invalid("rules", why))?;
            let own = OwnRetention::parse(&rules).map_err(|why| invalid("rules", why))?;
            repository.retention_plan_with(own).await?
        }
        None => repository.retention_plan().await?,
    };
    let mut rest = planned.iter();
    if let Some(last) = page.last.as_deref() {
        // An artifact that is gone meanwhile ends the list: its place is not known.
        rest.by_ref().find(|one| one.id.to_string() == last);
    }
    let items = rest.map(|one| ArtifactPlanItem {
        id: one.id.to_string(),
        version: one.version.to_string(),
        path: one.path.as_str().to_owned(),
        size: one.size,
        created_at: rfc3339(one.created.into()),
        keep: one.grounds.keep(),
        rule: one.grounds.rule().to_owned(),
        reason: one.grounds.to_string(),
    });
    granted.list(&first_of(items, page.n, |item| item.id.clone()))
}

/// `GET /artifacts/repos/{repo}/retention`.
pub(super) async fn rules(
    granted: &Granted,
    name: &ArtifactRepositoryName,
) -> Result<Response<ResponseBody>, ServiceError> {
    let repository = granted.registry().artifacts(name);
    let in_force = OwnRetention::of(repository.retention_rules().await?);
    let own = repository.facts().await?.retention;
    let in_force = serde_json::to_value(in_force).map_err(|_| ServiceError::Panicked)?;
    let in_force = in_force.as_object().cloned().unwrap_or_default();
    granted.resource(&ArtifactRetentionRules { in_force, own })
}
