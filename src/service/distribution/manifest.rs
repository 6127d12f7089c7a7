//! Manifests: read, pushed under a tag, a digest or many tags, deleted (end-3, 7, 9).

use super::super::{
    answer::{created, empty, of_content},
    asked,
    body::Body,
    error::Error,
    gate::Granted,
    headers::{self, value},
};
use crate::{
    oci::{Reference, RepositoryName, Tag},
    registry,
};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http::{HeaderValue, Response, StatusCode, header};

pub(super) async fn read(
    granted: Granted,
    name: RepositoryName,
    reference: Reference,
) -> Result<Response<Body>, Error> {
    let stored = granted.registry().manifest(&name, &reference).await?;
    if !granted.is_head() {
        granted.registry().pulled(&name, &stored.digest);
    }
    let mut response = of_content();
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
    headers.insert(header::CONTENT_LENGTH, stored.len.into());
    match granted.is_head() {
        true => granted.registry().manifest_bytes_exist(&stored.digest).await?,
        false => *response.body_mut() = granted.registry().manifest_bytes(&stored.digest).await?.into(),
    }
    Ok(response)
}

pub(super) async fn push(
    mut granted: Granted,
    name: RepositoryName,
    reference: Reference,
    tags: Vec<Tag>,
) -> Result<Response<Body>, Error> {
    let condition = asked::condition(&granted.request.head.headers)?;
    asked::uncompressed(&granted.request.head.headers)?;
    let bytes = read_whole(&mut granted).await?;
    let content_type = headers::text(&granted.request.head.headers, &header::CONTENT_TYPE);
    let pushed = granted.registry().put_manifest(&name, &reference, &tags, content_type, bytes, condition).await?;
    let mut response = created(format!("/v2/{name}/manifests/{}", pushed.digest), &pushed.digest);
    if let Some(subject) = &pushed.subject {
        response.headers_mut().insert(headers::OCI_SUBJECT, value(subject.as_str()));
    }
    let echoed: Vec<_> = pushed.tags.iter().filter(|tag| tags.contains(tag)).map(Tag::as_str).collect();
    if !echoed.is_empty() {
        // One line: clients refuse an answer of more than a hundred.
        response.headers_mut().insert(headers::OCI_TAG, value(echoed.join(", ")));
    }
    Ok(response)
}

/// The body, if it is within the limit; a longer one is refused before or as soon as it shows.
async fn read_whole(granted: &mut Granted) -> Result<Bytes, Error> {
    let most = granted.registry().settings().manifest_bytes;
    let too_large = || Error::Registry(registry::Error::ManifestTooLarge(most));
    let announced = asked::chunk(&granted.request.head.headers, &granted.request.body, None)?.length;
    if announced.is_some_and(|length| length > most) {
        return Err(too_large());
    }
    let mut bytes = BytesMut::new();
    let mut incoming = granted.incoming();
    while let Some(part) = incoming.next().await {
        let part = part.map_err(registry::Error::Interrupted)?;
        if (bytes.len() + part.len()) as u64 > most {
            return Err(too_large());
        }
        bytes.extend_from_slice(&part);
    }
    Ok(bytes.freeze())
}

pub(super) async fn delete(
    granted: Granted,
    name: RepositoryName,
    reference: Reference,
) -> Result<Response<Body>, Error> {
    granted.registry().delete_manifest(&name, &reference).await?;
    Ok(empty(StatusCode::ACCEPTED))
}
