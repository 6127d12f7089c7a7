//! One repository as the API shows it.

use super::super::super::{
    error::{ApiError, ServiceError},
    gate::Granted,
    headers::value,
};
use super::super::reply::{self, rfc3339};
use crate::{
    access::Visibility, registry::RecordedFacts, storage::RepositoryOutline, who::Permission, wire::ResponseBody,
};
use api::repositories::{RepositoryItem, RepositoryVisibility};
use http::{Response, StatusCode, header};
use oci::RepositoryName;
use std::time::SystemTime;

/// Tags that are listed with a repository: the newest.
const MOST_TAGS: usize = 100;

/// What a list or an answer shows besides facts and counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Included {
    pub(super) tags: bool,
    pub(super) pulls: bool,
}

/// `GET /repositories/{repository}`.
pub(super) async fn show(granted: &Granted, name: &RepositoryName) -> Result<Response<ResponseBody>, ServiceError> {
    if !granted.repository(name).exists().await? {
        return Err(ApiError::NotFound.into());
    }
    answer(granted, name, StatusCode::OK).await
}

/// A repository with the entity tag of its facts: a push must not make the change of a description fail.
pub(super) async fn answer(
    granted: &Granted,
    name: &RepositoryName,
    status: StatusCode,
) -> Result<Response<ResponseBody>, ServiceError> {
    let facts = granted.repository(name).recorded_facts().await?;
    let outlines = granted.registry().outlines(std::slice::from_ref(name)).await?;
    let outline = outlines.first().map(|outline| (**outline).clone()).unwrap_or_default();
    let tag = facts_tag(&facts)?;
    let included = Included { tags: false, pulls: true };
    let mut response = reply::json(status, &item(granted, name, facts, &outline, included).await?)?;
    response.headers_mut().insert(header::ETAG, value(format!("\"{tag}\"")));
    if status == StatusCode::CREATED {
        response.headers_mut().insert(header::LOCATION, value(format!("/api/v1/repositories/{name}")));
    }
    Ok(response)
}

/// The entity tag of what can be changed.
pub(super) fn facts_tag(facts: &RecordedFacts) -> Result<String, ServiceError> {
    let RecordedFacts { access, description, immutable, .. } = facts;
    let visibility = access.visibility.as_str();
    reply::entity_tag(&(visibility, &access.owner, description.as_ref().map(|text| text.as_str()), immutable))
}

/// A repository as the caller may see it.
pub(super) async fn item(
    granted: &Granted,
    name: &RepositoryName,
    facts: RecordedFacts,
    outline: &RepositoryOutline,
    included: Included,
) -> Result<RepositoryItem, ServiceError> {
    let time = |time: Option<SystemTime>| time.map(rfc3339);
    let is_public = facts.access.visibility == Visibility::Public;
    let me = granted.who().subject.name();
    let repository = granted.repository(name);
    let created = facts.origin.as_ref().and_then(|origin| origin.at());
    let last_pulled = if included.pulls { repository.last_pulled().await? } else { None };
    Ok(RepositoryItem {
        name: name.to_string(),
        namespace: name.as_str().split_once('/').map(|(namespace, _)| namespace.to_owned()),
        visibility: visibility(facts.access.visibility),
        private: !is_public,
        is_public,
        is_owned_by_me: me.is_some() && facts.access.owner.as_deref() == me,
        owner: granted.user_name(facts.access.owner),
        description: facts.description.map(|text| text.as_str().to_owned()),
        immutable_tags: facts.immutable,
        tag_count: outline.tags,
        manifest_count: outline.manifests,
        blob_count: outline.blobs,
        size: outline.bytes,
        created_at: time(created),
        created_by: granted.user_name(facts.origin.and_then(|origin| origin.by)),
        updated_at: time(outline.changed.or(created)),
        last_pushed_at: time(outline.pushed),
        last_pulled_at: time(last_pulled),
        tags: if included.tags { Some(tags(granted, name).await?) } else { None },
        path: granted.has(Permission::ADMIN).then(|| format!("repositories/{name}")),
    })
}

async fn tags(granted: &Granted, name: &RepositoryName) -> Result<Vec<String>, ServiceError> {
    let tags = granted.repository(name).newest_tags(MOST_TAGS).await?;
    Ok(tags.iter().map(ToString::to_string).collect())
}

/// A visibility as the API has it.
pub(super) fn visibility(visibility: Visibility) -> RepositoryVisibility {
    match visibility {
        Visibility::Public => RepositoryVisibility::Public,
        Visibility::Private => RepositoryVisibility::Private,
    }
}

/// The same backwards.
pub(super) fn recorded(visibility: RepositoryVisibility) -> Visibility {
    match visibility {
        RepositoryVisibility::Public => Visibility::Public,
        RepositoryVisibility::Private => Visibility::Private,
    }
}
