//! Upload sessions: begin, append, finish, status, cancel (end-4a, 4c, 5, 6, 13, 14).

use super::super::{
    answer::{SessionReply, blob_location, created, empty, session_headers},
    error::ServiceError,
    gate::Granted,
    headers::value,
    incoming::HELD_BY_UPLOAD,
    push_headers,
};
use crate::{
    registry::{self, OpenUpload, Repository, UploadHome},
    who::Action,
    wire::ResponseBody,
};
use http::{Response, StatusCode};
use oci::{Algorithm, Digest, UploadId, UploadPlace};

fn progress(status: StatusCode, repository: &Repository, upload: &OpenUpload) -> Response<ResponseBody> {
    let mut response = empty(status);
    let home = UploadHome::Images(repository.name().clone());
    for (header, text) in session_headers(&home, &upload.id, upload.len, SessionReply::Current) {
        response.headers_mut().insert(header, value(text));
    }
    response
}

pub(super) async fn begin(
    repository: Repository,
    algorithm: Algorithm,
) -> Result<Response<ResponseBody>, ServiceError> {
    let upload = repository.begin_upload(algorithm).await?;
    Ok(progress(StatusCode::ACCEPTED, &repository, &upload))
}

pub(super) async fn append(
    repository: Repository,
    mut granted: Granted,
    place: UploadPlace,
) -> Result<Response<ResponseBody>, ServiceError> {
    let chunk = push_headers::chunk(&granted.request.head.headers, &granted.request.body, place.offset)?;
    let incoming = granted.incoming(HELD_BY_UPLOAD);
    let upload = repository.append_upload(&place.id, chunk, incoming).await?;
    Ok(progress(StatusCode::ACCEPTED, &repository, &upload))
}

pub(super) async fn finish(
    repository: Repository,
    mut granted: Granted,
    place: UploadPlace,
    digest: Digest,
) -> Result<Response<ResponseBody>, ServiceError> {
    let chunk = push_headers::chunk(&granted.request.head.headers, &granted.request.body, place.offset)?;
    let incoming = granted.incoming(HELD_BY_UPLOAD);
    let finished = repository.finish_upload(&place.id, &digest, chunk, incoming).await;
    if let Err(error) = finished {
        let may_be_done = matches!(error, registry::RegistryError::UploadUnknown(_))
            && granted.may(Action::Pull, repository.name()).await;
        if !may_be_done || !repository.was_finished(&place.id, &digest).await? {
            return Err(error.into());
        }
    }
    Ok(created(blob_location(repository.name(), &digest), &digest))
}

pub(super) async fn status(repository: Repository, id: UploadId) -> Result<Response<ResponseBody>, ServiceError> {
    let upload = repository.upload(&id).await?;
    Ok(progress(StatusCode::NO_CONTENT, &repository, &upload))
}

pub(super) async fn cancel(repository: Repository, id: UploadId) -> Result<Response<ResponseBody>, ServiceError> {
    repository.cancel_upload(&id).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}
