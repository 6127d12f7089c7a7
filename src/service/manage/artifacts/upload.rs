//! Uploads: in one request, or in chunks that can be resumed.

use super::{
    super::{
        super::{
            answer::{self, SessionReply, session_headers},
            error::ServiceError,
            gate::Granted,
            headers::{UPLOAD_UUID, text, value},
            incoming::HELD_BY_UPLOAD,
            push_headers,
            query::Query,
        },
        audit::settled,
        reply,
        repositories::invalid,
    },
    item,
};
use crate::{
    artifacts::{
        ArtifactMediaType, ArtifactMetadata, ArtifactPath, ArtifactRepositoryName, ArtifactVersion, Properties,
    },
    registry::{
        OpenUpload, RegistryError, UploadHome,
        artifacts::{NewArtifact, Publication, PublishedArtifact},
    },
    who::Permission,
    wire::ResponseBody,
};
use api::artifacts::{FinishUploadRequest, StartedUpload};
use http::{HeaderName, Response, StatusCode, header};
use http_body::Body as _;
use oci::{Algorithm, Digest, UploadPlace};

/// The ID of an upload session, as clients of artifact stores expect it.
const UPLOAD_ID: HeaderName = HeaderName::from_static("upload-id");

/// The prefix of parameters that are properties.
pub(super) const PROPERTY: &str = "property.";

/// `POST /artifacts/{repo}/upload`.
pub(super) async fn begin(
    granted: &Granted,
    name: &ArtifactRepositoryName,
) -> Result<Response<ResponseBody>, ServiceError> {
    let parameters = granted.parameters();
    let number = |size: &str| size.parse::<u64>().map_err(|_| invalid("size", "must be a number of bytes"));
    let size = parameters.one("size")?.map(number).transpose()?;
    let algorithm = digest_of(&parameters)?.as_ref().map_or_else(Algorithm::default, Digest::algorithm);
    let upload = granted.registry().artifacts(name).begin_upload(size, algorithm).await?;
    let chunk_max = granted.request.live.registry.artifacts.file_bytes;
    let started = StartedUpload { upload_id: upload.id.to_string(), chunk_max };
    let mut response = reply::json(StatusCode::ACCEPTED, &started)?;
    describe(&mut response, name, &upload);
    Ok(settled(response))
}

/// `GET /artifacts/{repo}/upload/{uuid}`.
pub(super) async fn status(
    granted: &Granted,
    name: &ArtifactRepositoryName,
    place: UploadPlace,
) -> Result<Response<ResponseBody>, ServiceError> {
    let upload = granted.registry().artifacts(name).upload(&place.id).await?;
    Ok(progress(StatusCode::NO_CONTENT, name, &upload))
}

/// `PATCH /artifacts/{repo}/upload/{uuid}`.
pub(super) async fn append(
    mut granted: Granted,
    name: &ArtifactRepositoryName,
    place: UploadPlace,
) -> Result<Response<ResponseBody>, ServiceError> {
    let head = &granted.request.head.headers;
    push_headers::uncompressed(head)?;
    let chunk = push_headers::chunk(head, &granted.request.body, place.offset)?;
    let incoming = granted.incoming(HELD_BY_UPLOAD);
    let upload = granted.registry().artifacts(name).append_upload(&place.id, chunk, incoming).await?;
    Ok(settled(progress(StatusCode::ACCEPTED, name, &upload)))
}

/// `DELETE /artifacts/{repo}/upload/{uuid}`.
pub(super) async fn cancel(
    granted: &Granted,
    name: &ArtifactRepositoryName,
    place: UploadPlace,
) -> Result<Response<ResponseBody>, ServiceError> {
    granted.registry().artifacts(name).cancel_upload(&place.id).await?;
    Ok(settled(answer::empty(StatusCode::NO_CONTENT)))
}

/// `PUT /artifacts/{repo}/upload/{uuid}`.
pub(super) async fn finish(
    mut granted: Granted,
    name: &ArtifactRepositoryName,
    place: UploadPlace,
) -> Result<Response<ResponseBody>, ServiceError> {
    let has_body = !granted.request.body.is_end_stream();
    let asked =
        if has_body { granted.read_json::<FinishUploadRequest>().await? } else { FinishUploadRequest::default() };
    let parameters = granted.parameters();
    let required = |name: &'static str| parameters.one(name)?.ok_or_else(|| invalid(name, "is missing from the query"));
    let version: ArtifactVersion = required("version")?.parse().map_err(|error| invalid("version", error))?;
    let path: ArtifactPath = required("path")?.parse().map_err(|error| invalid("path", error))?;
    let mut properties = Properties::default();
    for (key, value) in &asked.properties {
        properties.add(key, value).map_err(|error| invalid("/properties", error))?;
    }
    if let Some(json) = parameters.one("properties")? {
        let more: Properties = oci::json::from_slice(json.as_bytes()).map_err(|error| invalid("properties", error))?;
        for (key, value) in more.iter() {
            properties.add(key.as_str(), value.as_str()).map_err(|error| invalid("properties", error))?;
        }
    }
    properties_of(&parameters, &mut properties)?;
    let media_type = match (&asked.media_type, parameters.one("media_type")?) {
        (Some(text), _) => text.parse().map_err(|error| invalid("/media_type", error))?,
        (None, Some(text)) => text.parse().map_err(|error| invalid("media_type", error))?,
        (None, None) => ArtifactMediaType::default(),
    };
    let new = NewArtifact {
        version,
        path,
        name: asked.name.map(|name| name.parse().map_err(|error| invalid("/name", error))).transpose()?,
        media_type,
        properties,
        metadata: ArtifactMetadata::of(asked.metadata).map_err(|error| invalid("/metadata", error))?,
        overwrite: overwrites(&parameters)?,
        digest: digest_of(&parameters)?,
    };
    let repository = granted.registry().artifacts(name);
    let published = match repository.finish_upload(&place.id, new.clone()).await {
        // A client that lost the answer gets it again, if it may know what is there.
        Err(RegistryError::UploadUnknown(id)) => {
            let may_know = granted.may_in_artifacts(name, Permission::VIEW_ARTIFACT).await;
            let there = if may_know { repository.published(&new).await? } else { None };
            let artifact = there.ok_or(RegistryError::UploadUnknown(id))?;
            PublishedArtifact { artifact, publication: Publication::Unchanged }
        }
        published => published?,
    };
    answered(&granted, name, published)
}

/// `PUT /artifacts/{repo}/-/{version}/{path}`.
pub(super) async fn put(
    mut granted: Granted,
    name: &ArtifactRepositoryName,
    version: ArtifactVersion,
    path: ArtifactPath,
) -> Result<Response<ResponseBody>, ServiceError> {
    let head = &granted.request.head.headers;
    push_headers::uncompressed(head)?;
    let chunk = push_headers::chunk(head, &granted.request.body, None)?;
    let parameters = granted.parameters();
    let mut properties = Properties::default();
    properties_of(&parameters, &mut properties)?;
    let media_type = match parameters.one("media_type")? {
        Some(text) => text.parse().map_err(|error| invalid("media_type", error))?,
        None => stated_type(text(head, &header::CONTENT_TYPE))?,
    };
    let new = NewArtifact {
        version,
        path,
        name: None,
        media_type,
        properties,
        metadata: ArtifactMetadata::default(),
        overwrite: overwrites(&parameters)?,
        digest: digest_of(&parameters)?,
    };
    let incoming = granted.incoming(HELD_BY_UPLOAD);
    let published = granted.registry().artifacts(name).put(new, chunk, incoming).await?;
    answered(&granted, name, published)
}

/// The media type that a client states. curl says that every body is a form.
fn stated_type(stated: Option<&str>) -> Result<ArtifactMediaType, ServiceError> {
    const FORM: &str = "application/x-www-form-urlencoded";
    match stated {
        Some(stated) if !oci::media_type::essence(stated).eq_ignore_ascii_case(FORM) => {
            stated.parse().map_err(|error| invalid("Content-Type", error))
        }
        _ => Ok(ArtifactMediaType::default()),
    }
}

/// The properties among the parameters of a request.
pub(super) fn properties_of(parameters: &Query<'_>, properties: &mut Properties) -> Result<(), ServiceError> {
    for (key, value) in parameters.pairs().filter_map(|(key, value)| Some((key.strip_prefix(PROPERTY)?, value))) {
        properties.add(key, value).map_err(|error| invalid("property", error))?;
    }
    Ok(())
}

fn overwrites(parameters: &Query<'_>) -> Result<bool, ServiceError> {
    match (parameters.names("overwrite"), parameters.one("overwrite")?) {
        (false, _) | (true, Some("false")) => Ok(false),
        (true, None | Some("true")) => Ok(true),
        (true, Some(_)) => Err(invalid("overwrite", "must be true or false")),
    }
}

fn digest_of(parameters: &Query<'_>) -> Result<Option<Digest>, ServiceError> {
    Ok(parameters.one("digest")?.map(str::parse::<Digest>).transpose()?)
}

/// The answer to a publication: 201 for what is new, 200 for what was there.
fn answered(
    granted: &Granted,
    name: &ArtifactRepositoryName,
    published: PublishedArtifact,
) -> Result<Response<ResponseBody>, ServiceError> {
    let PublishedArtifact { artifact, publication } = published;
    let status = match publication {
        Publication::Created => StatusCode::CREATED,
        Publication::Unchanged | Publication::Replaced => StatusCode::OK,
    };
    let location = super::file::location(name, &artifact);
    let mut response = reply::json(status, &item::artifact(granted, name, artifact))?;
    response.headers_mut().insert(header::LOCATION, value(location));
    Ok(if publication == Publication::Unchanged { settled(response) } else { response })
}

fn progress(status: StatusCode, name: &ArtifactRepositoryName, upload: &OpenUpload) -> Response<ResponseBody> {
    let mut response = answer::empty(status);
    describe(&mut response, name, upload);
    response
}

fn describe(response: &mut Response<ResponseBody>, name: &ArtifactRepositoryName, upload: &OpenUpload) {
    let headers = response.headers_mut();
    let home = UploadHome::Artifacts(name.clone());
    for (header, text) in session_headers(&home, &upload.id, upload.len, SessionReply::Current) {
        if header != UPLOAD_UUID {
            headers.insert(header, value(text));
        }
    }
    headers.insert(UPLOAD_ID, value(upload.id.to_string()));
}
