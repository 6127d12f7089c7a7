//! The trash of a repository.

use super::{
    super::{
        super::{error::ServiceError, gate::Granted, headers::value},
        reply,
    },
    item,
    repositories::existing,
};
use crate::{
    artifacts::{ArtifactId, ArtifactRepositoryName},
    wire::ResponseBody,
};
use api::artifacts::TrashedArtifactItem;
use http::{Response, StatusCode, header};

/// `GET /artifacts/{repo}/trash`.
pub(super) async fn list(
    granted: &Granted,
    name: &ArtifactRepositoryName,
) -> Result<Response<ResponseBody>, ServiceError> {
    existing(granted, name).await?;
    let page = granted.page_query()?;
    let all = granted.registry().artifacts(name).trash().await?;
    let rest = all.into_iter().filter(|(entry, _)| page.last.as_deref().is_none_or(|last| *entry.to_string() > *last));
    let found = reply::first_of(rest, page.n, |(entry, _)| entry.to_string());
    let stays = granted.request.live.registry.artifacts.trash;
    let item = |trashed: crate::artifacts::TrashedArtifact| TrashedArtifactItem {
        expires_at: trashed.deleted.checked_add(stays).ok().map(|end| end.to_string()),
        deleted_at: trashed.deleted.to_string(),
        deleted_by: granted.user_name(trashed.deleted_by.map(String::from)),
        rule: trashed.rule.map(String::from),
        artifact: item::artifact(granted, name, trashed.artifact),
    };
    let items = found.items.into_iter().map(|(_, trashed)| item(trashed)).collect();
    granted.list(&api::Page::new(items, found.next))
}

/// `POST /artifacts/{repo}/{id}/restore`.
pub(super) async fn restore(
    granted: &Granted,
    name: &ArtifactRepositoryName,
    id: ArtifactId,
) -> Result<Response<ResponseBody>, ServiceError> {
    existing(granted, name).await?;
    let restored = granted.registry().artifacts(name).restore(&id).await?;
    let location = super::file::location(name, &restored);
    let mut response = reply::json(StatusCode::OK, &item::artifact(granted, name, restored))?;
    response.headers_mut().insert(header::LOCATION, value(location));
    Ok(response)
}
