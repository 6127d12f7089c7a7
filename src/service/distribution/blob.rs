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
use crate::{
    registry::Repository,
    storage::{Blob, BlobData},
    who::Action,
    wire::ResponseBody,
};
use http::{HeaderValue, Response, StatusCode, header};
use oci::{Algorithm, Digest, RepositoryName};
use std::time::Duration;

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
    if let Some(response) = elsewhere(&granted, &blob).await {
        return Ok(response);
    }
    let mut response = content::send(&granted, blob, SentBlob::of_repository(&digest)).await?;
    response.headers_mut().insert(headers::CONTENT_DIGEST, value(digest.as_str()));
    Ok(response)
}

/// How long an address of the bucket is valid. Rights that end meanwhile do not end it.
const VALID: Duration = Duration::from_secs(60);

/// Sends the client to the bucket, if the operator wants that and the bucket has such addresses.
async fn elsewhere(granted: &Granted, blob: &Blob) -> Option<Response<ResponseBody>> {
    let BlobData::Remote(remote) = blob.data() else { return None };
    if granted.is_head() || !granted.request.live.registry.redirect_reads {
        return None;
    }
    let address = match remote.presign(VALID).await {
        Ok(address) => address?,
        Err(error) => {
            // What it says is about the request for the address, and does not contain it.
            tracing::warn!(%error, "cannot send a client to the bucket; its blob is streamed");
            return None;
        }
    };
    let mut address = HeaderValue::try_from(address).ok()?;
    address.set_sensitive(true);
    let mut response = empty(StatusCode::TEMPORARY_REDIRECT);
    response.headers_mut().insert(header::LOCATION, address);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Some(response)
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
