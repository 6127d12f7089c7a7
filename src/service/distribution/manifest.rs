//! Manifests: read, push under a tag, a digest or several tags, delete (end-3, 7, 9).

use super::super::{
    ServiceState,
    answer::{content_response, created, empty},
    error::ServiceError,
    gate::Granted,
    headers::{self, value},
    incoming::IncomingBody,
    push_headers,
    routed::Routed,
};
use super::mirrored::bring_manifest;
use crate::{
    registry::{self, Registry, Repository, StoredManifest},
    wire::{
        body::{LARGE, ResponseBody},
        conn::Conn,
        memory::MemoryShare,
    },
};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http::{HeaderValue, Response, StatusCode, header};
use oci::{Reference, Tag};
use std::sync::Arc;

pub(super) async fn read(
    repository: Repository,
    granted: Granted,
    reference: Reference,
) -> Result<Response<ResponseBody>, ServiceError> {
    bring_manifest(&repository, &granted, &reference).await?;
    let stored = repository.manifest(&reference).await?;
    if !granted.is_head() {
        repository.pulled(&stored.digest);
    }
    let mut response = content_response();
    let headers = response.headers_mut();
    headers.insert(headers::CONTENT_DIGEST, value(stored.digest.as_str()));
    headers.insert(header::ETAG, headers::etag(&stored.digest));
    let by_digest = matches!(reference, Reference::Digest(_));
    headers.insert(header::CACHE_CONTROL, if by_digest { headers::IMMUTABLE } else { headers::REVALIDATE });
    if headers::client_has(&granted.request.head.headers, &stored.digest) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(stored.media_type.as_str()));
    let len = match granted.is_head() {
        true => repository.registry().manifest_len(&stored).await?,
        false => {
            *response.body_mut() = match stored.noted_len <= LARGE as u64 {
                true => repository.registry().manifest_bytes(&stored.digest).await?.into(),
                // Boxed, or every request would reserve space for its state.
                false => {
                    let Routed { state, conn, .. } = &granted.request;
                    Box::pin(large(state, repository.registry(), conn.as_ref().map(Conn::memory), &stored)).await?
                }
            };
            response.body().len()
        }
    };
    response.headers_mut().insert(header::CONTENT_LENGTH, len.into());
    Ok(response)
}

/// The bytes of a large manifest, shared by all responses that send it at the same time.
async fn large(
    state: &ServiceState,
    registry: &Registry,
    memory: Option<&Arc<MemoryShare>>,
    stored: &StoredManifest,
) -> Result<ResponseBody, ServiceError> {
    let read = async { Ok(registry.manifest_bytes(&stored.digest).await?) };
    Ok(ResponseBody::shared(state.manifests.get(&stored.digest, stored.noted_len, memory, read).await?))
}

pub(super) async fn push(
    repository: Repository,
    mut granted: Granted,
    reference: Reference,
    tags: Vec<Tag>,
) -> Result<Response<ResponseBody>, ServiceError> {
    let condition = push_headers::condition(&granted.request.head.headers)?;
    push_headers::uncompressed(&granted.request.head.headers)?;
    // The memory it reserves is released when the push completes.
    let (bytes, _incoming) = read_whole(&mut granted, repository.settings().manifest_bytes).await?;
    let content_type = headers::text(&granted.request.head.headers, &header::CONTENT_TYPE);
    let pushed = repository.put_manifest(&reference, &tags, content_type, bytes, condition).await?;
    let mut response = created(format!("/v2/{}/manifests/{}", repository.name(), pushed.digest), &pushed.digest);
    if let Some(subject) = &pushed.subject {
        response.headers_mut().insert(headers::OCI_SUBJECT, value(subject.as_str()));
    }
    let echoed: Vec<_> = pushed.tags.iter().filter(|tag| tags.contains(tag)).map(Tag::as_str).collect();
    if !echoed.is_empty() {
        // A single header line: clients refuse responses with more than a hundred.
        response.headers_mut().insert(headers::OCI_TAG, value(echoed.join(", ")));
    }
    Ok(response)
}

/// Reads the body. A body over the limit is rejected by its announced length, or else as soon as it passes the limit.
async fn read_whole(granted: &mut Granted, most: u64) -> Result<(Bytes, IncomingBody), ServiceError> {
    let too_large = || ServiceError::Registry(registry::RegistryError::ManifestTooLarge(most));
    let announced = push_headers::chunk(&granted.request.head.headers, &granted.request.body, None)?.length;
    if announced.is_some_and(|length| length > most) {
        return Err(too_large());
    }
    // Capacity costs nothing until it is written to, and growing would fragment the heap.
    let mut bytes = BytesMut::with_capacity(announced.unwrap_or(0) as usize);
    let mut incoming = granted.incoming(usize::MAX);
    while let Some(part) = incoming.next().await {
        let part = part.map_err(registry::RegistryError::Interrupted)?;
        if (bytes.len() + part.len()) as u64 > most {
            return Err(too_large());
        }
        bytes.extend_from_slice(&part);
    }
    Ok((bytes.freeze(), incoming))
}

pub(super) async fn delete(
    repository: Repository,
    reference: Reference,
) -> Result<Response<ResponseBody>, ServiceError> {
    repository.delete_manifest(&reference).await?;
    Ok(empty(StatusCode::ACCEPTED))
}
