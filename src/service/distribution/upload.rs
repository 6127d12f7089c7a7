//! Upload sessions: begun, added to, finished, looked at, cancelled (end-4a, 4c, 5, 6, 13, 14).

use super::super::{
    answer::{Standing, blob_location, created, empty, session_headers},
    asked,
    body::Body,
    error::Error,
    gate::Granted,
    headers::value,
};
use crate::oci::{Algorithm, Digest, RepositoryName, UploadId, UploadPlace};
use crate::registry::Upload;
use http::{Response, StatusCode};

fn told(status: StatusCode, name: &RepositoryName, upload: &Upload) -> Response<Body> {
    let mut response = empty(status);
    for (header, text) in session_headers(name, &upload.id, upload.len, Standing::Told) {
        response.headers_mut().insert(header, value(text));
    }
    response
}

pub(super) async fn begin(
    granted: Granted,
    name: RepositoryName,
    algorithm: Algorithm,
) -> Result<Response<Body>, Error> {
    let upload = granted.registry().begin_upload(&name, granted.subject(), algorithm).await?;
    Ok(told(StatusCode::ACCEPTED, &name, &upload))
}

pub(super) async fn append(
    mut granted: Granted,
    name: RepositoryName,
    place: UploadPlace,
) -> Result<Response<Body>, Error> {
    let chunk = asked::chunk(&granted.request.head.headers, &granted.request.body, place.offset)?;
    let incoming = granted.incoming();
    let upload = granted.registry().append_upload(&name, granted.subject(), &place.id, chunk, incoming).await?;
    Ok(told(StatusCode::ACCEPTED, &name, &upload))
}

pub(super) async fn finish(
    mut granted: Granted,
    name: RepositoryName,
    place: UploadPlace,
    digest: Digest,
) -> Result<Response<Body>, Error> {
    let chunk = asked::chunk(&granted.request.head.headers, &granted.request.body, place.offset)?;
    let incoming = granted.incoming();
    granted.registry().finish_upload(&name, granted.subject(), &place.id, &digest, chunk, incoming).await?;
    Ok(created(blob_location(&name, &digest), &digest))
}

pub(super) async fn status(granted: Granted, name: RepositoryName, id: UploadId) -> Result<Response<Body>, Error> {
    let upload = granted.registry().upload(&name, granted.subject(), &id).await?;
    Ok(told(StatusCode::NO_CONTENT, &name, &upload))
}

pub(super) async fn cancel(granted: Granted, name: RepositoryName, id: UploadId) -> Result<Response<Body>, Error> {
    granted.registry().cancel_upload(&name, granted.subject(), &id).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}
