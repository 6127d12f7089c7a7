//! What has no tag, and what the retention rules would delete now.

use super::super::super::{error::ServiceError, gate::Granted};
use super::super::reply::{first_of, rfc3339};
use crate::{
    registry::view::{ManifestDetail, ManifestReader},
    upkeep::RetentionPlan,
    wire::ResponseBody,
};
use api::{
    Page,
    manifests::{RetentionPlanItem, UntaggedManifest},
};
use http::Response;
use oci::RepositoryName;
use std::time::SystemTime;

/// `GET …/-/untagged`.
pub(super) async fn untagged(granted: &Granted, name: &RepositoryName) -> Result<Response<ResponseBody>, ServiceError> {
    let page = granted.page_query()?;
    let planned = plan_of(granted, name).await?.untagged;
    let last = page.last.as_deref().unwrap_or_default();
    let rest = planned.into_iter().filter(|manifest| manifest.digest.as_str() > last);
    let Page { items: planned, next, .. } = first_of(rest, page.n, |manifest| manifest.digest.to_string());
    let mut reader = ManifestReader::of(&granted.repository(name));
    let mut items = Vec::with_capacity(planned.len());
    for manifest in planned {
        let parts = reader.parts(&manifest.digest).await?;
        let Some(detail) = parts.first() else { continue };
        items.push(UntaggedManifest {
            digest: manifest.digest.to_string(),
            kind: detail.kind().as_str().to_owned(),
            media_type: detail.media_type.clone(),
            size: ManifestDetail::size_of(&parts),
            pushed_at: rfc3339(detail.pushed),
            untagged_since: rfc3339(manifest.since),
            last_pulled_at: manifest.pulled.map(rfc3339),
            subject: detail.content.as_ref().and_then(|content| content.subject.as_ref()).map(ToString::to_string),
            keep: manifest.verdict.keep,
            reason: manifest.verdict.to_string(),
        });
    }
    granted.list(&Page::new(items, next))
}

/// `GET …/-/retention/plan`: first the tags, then the manifests without one.
pub(super) async fn plan(granted: &Granted, name: &RepositoryName) -> Result<Response<ResponseBody>, ServiceError> {
    let page = granted.page_query()?;
    let plan = plan_of(granted, name).await?;
    let tags = plan.tags.iter().map(|planned| RetentionPlanItem {
        tag: Some(planned.tag.to_string()),
        digest: planned.digest.to_string(),
        keep: planned.verdict.keep,
        rule: planned.verdict.rule.map(|rule| rule as u64 + 1),
        reason: planned.verdict.to_string(),
    });
    let untagged = plan.untagged.iter().map(|planned| RetentionPlanItem {
        tag: None,
        digest: planned.digest.to_string(),
        keep: planned.verdict.keep,
        rule: planned.verdict.rule.map(|rule| rule as u64 + 1),
        reason: planned.verdict.to_string(),
    });
    // A digest has a colon, which no tag has.
    let last = page.last.as_deref().unwrap_or_default();
    let is_after = |item: &RetentionPlanItem| match (&item.tag, last.contains(':')) {
        (Some(tag), false) => tag.as_str() > last,
        (Some(_), true) => false,
        (None, false) => true,
        (None, true) => item.digest.as_str() > last,
    };
    let place = |item: &RetentionPlanItem| item.tag.clone().unwrap_or_else(|| item.digest.clone());
    granted.list(&first_of(tags.chain(untagged).filter(is_after), page.n, place))
}

async fn plan_of(granted: &Granted, name: &RepositoryName) -> Result<RetentionPlan, ServiceError> {
    let removed = granted.registry().removed_manifests().await?;
    Ok(granted.repository(name).retention_plan(SystemTime::now(), &removed).await?)
}
