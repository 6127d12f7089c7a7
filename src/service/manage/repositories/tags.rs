//! Tags: lists of them with what they point to; setting, deleting and copying them.

use super::super::super::{
    error::{ApiError, ServiceError},
    gate::Granted,
};
use super::{
    super::{
        audit::settled,
        reply::{self, rfc3339},
    },
    invalid, list,
};
use crate::{
    manage::Precondition,
    registry::{
        Condition, RegistryError,
        view::{TagCursor, TagDetail, TagListing, TagOrder},
    },
    who::Action,
    wire::ResponseBody,
};
use api::{
    Page,
    manifests::{CopiedImages, CopiedTag, CopyRequest, DeletedTags, TagDeletion, TagItem, TagTarget},
};
use http::{Response, StatusCode};
use oci::{Digest, Reference, RepositoryName, Tag};
use std::collections::BTreeSet;

/// Tags in one request to delete.
const MOST_DELETED: usize = 1000;

/// Tags in one request to copy.
const MOST_COPIED: usize = 100;

/// `GET …/-/tags`.
pub(super) async fn list(granted: &Granted, name: &RepositoryName) -> Result<Response<ResponseBody>, ServiceError> {
    let page = granted.page_query()?;
    let asked = granted.parameters();
    let order = match asked.first("sort") {
        None | Some("name") => TagOrder::Name,
        Some("version") => TagOrder::Version,
        Some("pushed") => TagOrder::Pushed,
        Some("size") => TagOrder::Size,
        Some(_) => return Err(invalid("sort", "must be name, version, pushed or size")),
    };
    let cursor = |last: &str| TagCursor::parse(order, last);
    let after =
        page.last.as_deref().map(|last| cursor(last).ok_or_else(|| invalid("last", "must be next of the page before")));
    let listing = TagListing {
        containing: asked.first("q").unwrap_or_default().to_owned(),
        order,
        descending: list::descending(asked.first("order"), order != TagOrder::Name)?,
        after: after.transpose()?,
        most: page.n,
    };
    let (details, more) = granted.repository(name).tag_details(&listing).await.map_err(absent)?;
    let next = details.last().filter(|_| more).map(|detail| detail.cursor(order));
    let items = details.into_iter().map(|detail| item(granted, detail)).collect();
    granted.list::<TagItem>(&Page::new(items, next))
}

/// `GET …/-/tags/{tag}`.
pub(super) async fn show(
    granted: &Granted,
    name: &RepositoryName,
    tag: &Tag,
) -> Result<Response<ResponseBody>, ServiceError> {
    let detail = granted.repository(name).one_tag_detail(tag).await?.ok_or(ApiError::NotFound)?;
    granted.resource(&item(granted, detail))
}

/// `PUT …/-/tags/{tag}`: the same as a push of a manifest that is there. `If-Match` compares the digest.
pub(super) async fn set(
    mut granted: Granted,
    name: &RepositoryName,
    tag: Tag,
) -> Result<Response<ResponseBody>, ServiceError> {
    let TagTarget { digest } = granted.read_json().await?;
    let digest: Digest = digest.parse().map_err(|error| invalid("/digest", error))?;
    let repository = granted.repository(name);
    let manifest = repository.manifest(&Reference::Digest(digest.clone())).await?;
    let bytes = granted.registry().manifest_bytes(&digest).await?;
    let condition = match granted.precondition() {
        Precondition::None => Condition::None,
        Precondition::Absent => Condition::Absent,
        Precondition::Matches(tags) if tags.iter().any(|tag| tag == "*") => Condition::Present,
        Precondition::Matches(tags) => Condition::OneOf(tags.iter().filter_map(|tag| tag.parse().ok()).collect()),
    };
    let reference = Reference::Tag(tag.clone());
    let media_type = Some(manifest.media_type.as_str());
    repository.put_manifest(&reference, &[], media_type, bytes, condition).await?;
    let detail = repository.one_tag_detail(&tag).await?.ok_or(ApiError::NotFound)?;
    reply::json(StatusCode::OK, &item(&granted, detail))
}

/// `DELETE …/-/tags/{tag}`.
pub(super) async fn delete(
    granted: &Granted,
    name: &RepositoryName,
    tag: Tag,
) -> Result<Response<ResponseBody>, ServiceError> {
    let reference = Reference::Tag(tag.clone());
    let repository = granted.repository(name);
    let digest = repository.manifest(&reference).await.map_err(absent)?.digest;
    repository.delete_manifest(&reference).await.map_err(absent)?;
    let untagged = match repository.tags_of(&digest, 1).await?.is_empty() {
        true => vec![digest.to_string()],
        false => Vec::new(),
    };
    reply::json(
        StatusCode::ACCEPTED,
        &DeletedTags { deleted: vec![tag.to_string()], untagged, ..DeletedTags::default() },
    )
}

/// `POST …/-/tags/delete`.
pub(super) async fn delete_many(
    mut granted: Granted,
    name: &RepositoryName,
) -> Result<Response<ResponseBody>, ServiceError> {
    let TagDeletion { tags, dry_run } = granted.read_json().await?;
    let tags = tags_of(tags, MOST_DELETED)?;
    let repository = granted.repository(name);
    let immutable = repository.immutable().await?;
    let mut outcome = DeletedTags { dry_run, ..DeletedTags::default() };
    let mut targets = BTreeSet::new();
    for tag in &tags {
        let reference = Reference::Tag(tag.clone());
        let digest = match repository.manifest(&reference).await {
            Ok(manifest) => manifest.digest,
            Err(RegistryError::ManifestUnknown(_)) => {
                outcome.missing.push(tag.to_string());
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let deleted = match dry_run {
            true if immutable.holds(tag) => Err(RegistryError::TagImmutable(tag.clone())),
            true => Ok(()),
            false => repository.delete_manifest(&reference).await,
        };
        match deleted {
            Ok(()) => {
                outcome.deleted.push(tag.to_string());
                targets.insert(digest);
            }
            Err(RegistryError::TagImmutable(_)) => outcome.immutable.push(tag.to_string()),
            Err(RegistryError::ManifestUnknown(_)) => outcome.missing.push(tag.to_string()),
            Err(error) => return Err(error.into()),
        }
    }
    for digest in targets {
        let left = repository.tags_of(&digest, tags.len() + 1).await?;
        if left.iter().all(|tag| tags.contains(tag) && !immutable.holds(tag)) {
            outcome.untagged.push(digest.to_string());
        }
    }
    let answer = reply::json(StatusCode::OK, &outcome)?;
    Ok(if dry_run { settled(answer) } else { answer })
}

/// `POST …/-/copy`.
pub(super) async fn copy(mut granted: Granted, name: &RepositoryName) -> Result<Response<ResponseBody>, ServiceError> {
    let CopyRequest { from, tags, referrers } = granted.read_json().await?;
    let from: RepositoryName = from.parse().map_err(|error| invalid("/from", error))?;
    let tags = tags_of(tags, MOST_COPIED)?;
    // What the caller may not pull does not exist for them.
    if !granted.may(Action::Pull, &from).await {
        return Err(ApiError::NotFound.into());
    }
    let report = granted.repository(name).copy_from(&granted.repository(&from), &tags, referrers).await?;
    let copied = |(tag, digest): (Tag, Digest)| CopiedTag { name: tag.to_string(), digest: digest.to_string() };
    let tags = report.tags.into_iter().map(copied).collect();
    reply::json(StatusCode::OK, &CopiedImages { tags, manifests: report.manifests })
}

/// Tags in the body of a request: some, and not too many.
fn tags_of(tags: Vec<String>, most: usize) -> Result<Vec<Tag>, ServiceError> {
    if tags.is_empty() || tags.len() > most {
        return Err(invalid("/tags", format!("must be 1 to {most} tags")));
    }
    let tag = |(i, tag): (usize, String)| tag.parse::<Tag>().map_err(|error| invalid(&format!("/tags/{i}"), error));
    tags.into_iter().enumerate().map(tag).collect()
}

/// In this API whatever is not there is NOT_FOUND.
pub(super) fn absent(error: RegistryError) -> ServiceError {
    match error {
        RegistryError::NameUnknown(_) | RegistryError::ManifestUnknown(_) => ApiError::NotFound.into(),
        other => other.into(),
    }
}

fn item(granted: &Granted, detail: TagDetail) -> TagItem {
    TagItem {
        name: detail.tag.to_string(),
        digest: detail.digest.to_string(),
        kind: detail.kind.as_str().to_owned(),
        media_type: detail.media_type,
        artifact_type: detail.artifact_type,
        size: detail.size,
        platforms: detail.platforms.iter().map(ToString::to_string).collect(),
        pushed_at: rfc3339(detail.pushed),
        pushed_by: granted.user_name(detail.pushed_by.clone()),
        last_pulled_at: detail.last_pulled.map(rfc3339),
        immutable: detail.immutable,
        has_signature: detail.has_signature,
        aliases: detail.aliases.iter().map(ToString::to_string).collect(),
    }
}
