//! Upload sessions: begun, added to, finished, looked at, cancelled (end-4a, 4c, 5, 6, 13, 14).

use super::{
    super::{
        body::Body,
        error::Error,
        gate::Granted,
        headers::{self, value},
    },
    blob, created, empty,
};
use crate::oci::{Algorithm, Digest, RepositoryName, UploadId};
use crate::registry::Upload;
use http::{HeaderName, Response, StatusCode, header};

/// How an answer about a session came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Standing {
    /// It is told where it stands.
    Told,
    /// A chunk was refused.
    Refused,
}

/// Where a session is and what it has. `Range` cannot say "nothing": `0-0` is what clients expect
/// of an empty session, but a refusal leaves it out, or one byte would be skipped.
pub(in super::super) fn session_headers(
    name: &RepositoryName,
    id: &UploadId,
    len: u64,
    standing: Standing,
) -> Vec<(HeaderName, String)> {
    let mut headers =
        vec![(header::LOCATION, format!("/v2/{name}/blobs/uploads/{id}")), (headers::UPLOAD_UUID, id.to_string())];
    if len > 0 || standing == Standing::Told {
        headers.push((header::RANGE, format!("0-{}", len.saturating_sub(1))));
    }
    headers
}

fn answer(status: StatusCode, name: &RepositoryName, upload: &Upload) -> Response<Body> {
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
    let upload = granted.registry().begin_upload(&name, &granted.subject, algorithm).await?;
    Ok(answer(StatusCode::ACCEPTED, &name, &upload))
}

pub(super) async fn append(mut granted: Granted, name: RepositoryName, id: UploadId) -> Result<Response<Body>, Error> {
    let chunk = headers::chunk(&granted.request.head.headers)?;
    let incoming = granted.incoming();
    let upload = granted.registry().append_upload(&name, &granted.subject, &id, chunk, incoming).await?;
    Ok(answer(StatusCode::ACCEPTED, &name, &upload))
}

pub(super) async fn finish(
    mut granted: Granted,
    name: RepositoryName,
    id: UploadId,
    digest: Digest,
) -> Result<Response<Body>, Error> {
    let chunk = headers::chunk(&granted.request.head.headers)?;
    let incoming = granted.incoming();
    granted.registry().finish_upload(&name, &granted.subject, &id, &digest, chunk, incoming).await?;
    Ok(created(blob::location(&name, &digest), &digest))
}

pub(super) async fn status(granted: Granted, name: RepositoryName, id: UploadId) -> Result<Response<Body>, Error> {
    let upload = granted.registry().upload(&name, &granted.subject, &id).await?;
    Ok(answer(StatusCode::NO_CONTENT, &name, &upload))
}

pub(super) async fn cancel(granted: Granted, name: RepositoryName, id: UploadId) -> Result<Response<Body>, Error> {
    granted.registry().cancel_upload(&name, &granted.subject, &id).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}
