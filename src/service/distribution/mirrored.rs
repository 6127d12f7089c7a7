//! Reads in repositories that mirror another registry: what is not here is brought first, or sent while it arrives.

use super::super::{content, error::ServiceError, gate::Granted, headers, headers::value, query::Pagination};
use crate::{
    config::MirrorRule,
    mirror::{ComingBlob, MirrorError},
    registry::{RegistryError, Repository},
    storage::ListingPage,
    wire::{BoxError, ResponseBody, conn::Conn},
};
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{Response, header};
use oci::{Digest, Reference, Tag};
use std::{sync::Arc, time::Duration};

/// How long a piece waits for memory before the next look.
const WAIT: Duration = Duration::from_millis(20);

/// The rule for a repository. While the registry is read-only, nothing is fetched.
fn rule<'g>(repository: &Repository, granted: &'g Granted) -> Option<&'g Arc<MirrorRule>> {
    let live = &granted.request.live;
    if live.operator.read_only { None } else { live.mirror_of(repository.name()) }
}

/// Brings a manifest here, or a tag up to date, if the repository mirrors another registry.
pub(super) async fn bring_manifest(
    repository: &Repository,
    granted: &Granted,
    reference: &Reference,
) -> Result<(), ServiceError> {
    let Some(rule) = rule(repository, granted) else { return Ok(()) };
    match granted.request.state.mirrors.manifest(rule, repository, reference).await {
        Err(MirrorError::Absent) => Err(RegistryError::ManifestUnknown(reference.clone()).into()),
        brought => Ok(brought?),
    }
}

/// The response with a blob that is on its way here, if the repository mirrors another registry and does not have it.
pub(super) async fn coming_blob(
    repository: &Repository,
    granted: &Granted,
    digest: &Digest,
) -> Result<Option<Response<ResponseBody>>, ServiceError> {
    let Some(rule) = rule(repository, granted) else { return Ok(None) };
    let unknown = || ServiceError::from(RegistryError::BlobUnknown(digest.clone()));
    let coming = match granted.request.state.mirrors.blob(rule, repository, digest).await {
        Err(MirrorError::Absent) => return Err(unknown()),
        coming => coming?,
    };
    let Some(coming) = coming else { return Ok(None) };
    // A part of it is served when all of it is here.
    if headers::text(&granted.request.head.headers, &header::RANGE).is_some() {
        coming.arrived().await?;
        return Ok(None);
    }
    let mut response = content::blob_response(digest);
    response.headers_mut().insert(headers::CONTENT_DIGEST, value(digest.as_str()));
    if let Some(len) = coming.length() {
        response.headers_mut().insert(header::CONTENT_LENGTH, len.into());
    }
    if !granted.is_head() {
        *response.body_mut() = body(granted, coming);
    }
    Ok(Some(response))
}

/// A page of the tags that are here, and of those that the upstream has if the repository mirrors another registry.
pub(super) async fn tags(
    repository: &Repository,
    granted: &Granted,
    page: &Pagination,
) -> Result<ListingPage<Tag>, ServiceError> {
    let last = page.last.as_deref();
    let Some(rule) = rule(repository, granted) else { return Ok(repository.tags(last, page.n).await?) };
    match granted.request.state.mirrors.tags(rule, repository.name()).await {
        Ok(there) => Ok(repository.tags_with(&there, last, page.n).await?),
        Err(MirrorError::Absent) => Ok(repository.tags(last, page.n).await?),
        Err(error) if rule.serves_stale => match repository.tags(last, page.n).await {
            // What is here is better than nothing. Nothing is no answer.
            Err(RegistryError::NameUnknown(_)) => Err(error.into()),
            here => Ok(here?),
        },
        Err(error) => Err(error.into()),
    }
}

/// The bytes as they arrive, counted until the client has them.
fn body(granted: &Granted, coming: ComingBlob) -> ResponseBody {
    let (len, share) = (coming.length(), granted.request.conn.as_ref().map(Conn::memory).cloned());
    let pieces = coming.pieces().then(move |piece| {
        let share = share.clone();
        async move {
            let piece = piece?;
            let Some(share) = share else { return Ok::<Bytes, BoxError>(piece) };
            loop {
                match share.take(piece.len()) {
                    Ok(held) => return Ok(held.until_dropped(piece)),
                    Err(_) => tokio::time::sleep(WAIT).await,
                }
            }
        }
    });
    ResponseBody::making(len, pieces)
}
