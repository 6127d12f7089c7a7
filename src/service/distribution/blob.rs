//! Blobs: read, in ranges too, delete, push in one request, mount (end-2, 4b, 10, 11).

use super::{
    super::{
        answer::{blob_location, created, empty},
        content::{self, SentBlob},
        error::ServiceError,
        gate::Granted,
        headers::{self, value},
        incoming::HELD_BY_UPLOAD,
        push_headers,
    },
    mirrored::coming_blob,
    upload,
};
use crate::{registry::Repository, who::Action, wire::ResponseBody};
use http::{Response, StatusCode};
use oci::{Algorithm, Digest, RepositoryName};

pub(super) async fn read(
    repository: Repository,
    granted: Granted,
    digest: Digest,
) -> Result<Response<ResponseBody>, ServiceError> {
    if let Some(response) = coming_blob(&repository, &granted, &digest).await? {
        return Ok(response);
    }
    // Clients check with HEAD before a push and skip the blobs that exist.
    let may_write = granted.is_head() && !granted.request.live.operator.read_only;
    let blob = match may_write && granted.may(Action::Push, repository.name()).await {
        true => repository.blob_to_rely_on(&digest).await?,
        false => repository.blob(&digest).await?,
    };
    let mut response = content::send(&granted, blob, SentBlob::of_repository(&digest))?;
    response.headers_mut().insert(headers::CONTENT_DIGEST, value(digest.as_str()));
    Ok(response)
}

pub(super) async fn delete(repository: Repository, digest: Digest) -> Result<Response<ResponseBody>, ServiceError> {
    repository.delete_blob(&digest).await?;
    Ok(empty(StatusCode::ACCEPTED))
}

pub(super) async fn push(
    repository: Repository,
    mut granted: Granted,
    digest: Digest,
) -> Result<Response<ResponseBody>, ServiceError> {
    let chunk = push_headers::chunk(&granted.request.head.headers, &granted.request.body, None)?;
    let incoming = granted.incoming(HELD_BY_UPLOAD);
    repository.push_blob(&digest, chunk, incoming).await?;
    Ok(created(blob_location(repository.name(), &digest), &digest))
}

pub(super) async fn mount(
    repository: Repository,
    granted: Granted,
    digest: Digest,
    from: Option<RepositoryName>,
) -> Result<Response<ResponseBody>, ServiceError> {
    if repository.mount(&digest, from.as_ref(), &granted.sources()).await? {
        return Ok(created(blob_location(repository.name(), &digest), &digest));
    }
    // An absent and a forbidden source answer alike: an ordinary upload begins.
    upload::begin(repository, Algorithm::default()).await
}
