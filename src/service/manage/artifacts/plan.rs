//! What retention would delete now.

use super::super::{
    super::{error::ServiceError, gate::Granted},
    reply::{first_of, rfc3339},
};
use crate::{artifacts::ArtifactRepositoryName, wire::ResponseBody};
use api::artifact_search::ArtifactPlanItem;
use http::Response;

/// `GET /artifacts/repos/{repo}/retention/plan`: the newest first.
pub(super) async fn plan(
    granted: &Granted,
    name: &ArtifactRepositoryName,
) -> Result<Response<ResponseBody>, ServiceError> {
    let page = granted.page_query()?;
    let planned = granted.registry().artifacts(name).retention_plan().await?;
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
