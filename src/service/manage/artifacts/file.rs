//! One file: download and delete.

use super::{
    super::super::{
        answer,
        content::{self, SentBlob},
        error::ServiceError,
        gate::Granted,
        headers::{REVALIDATE, value},
    },
    super::repositories::invalid,
    endpoint::AskedVersion,
    repositories::existing,
    upload::properties_of,
};
use crate::{
    artifacts::{Artifact, ArtifactPath, ArtifactRepositoryName, ArtifactVersion, Properties},
    registry::{RegistryError, artifacts::StoredArtifact},
    wire::ResponseBody,
};
use http::{HeaderName, Response, StatusCode};
use oci::order::by_version;
use std::fmt::Write as _;

/// How many artifacts match, where the newest of several was sent.
const VARIANTS: HeaderName = HeaderName::from_static("wharf-variants");

/// The most artifacts that one request deletes.
const MOST_DELETED: usize = 10_000;

/// `GET /artifacts/{repo}/{version}/{path}`.
pub(super) async fn download(
    granted: Granted,
    name: &ArtifactRepositoryName,
    version: AskedVersion,
    path: &ArtifactPath,
) -> Result<Response<ResponseBody>, ServiceError> {
    existing(&granted, name).await?;
    let having = filters(&granted)?;
    let found = match version {
        AskedVersion::This(version) => granted.registry().artifacts(name).variants(&version, path, &having).await?,
        AskedVersion::Latest => latest(&granted, name, path, &having).await?,
    };
    let variants = found.len();
    let newest = found.into_iter().next().ok_or(RegistryError::ArtifactUnknown)?.artifact;
    let mut response = send(&granted, name, &newest).await?;
    if variants > 1 {
        response.headers_mut().insert(VARIANTS, variants.into());
    }
    Ok(response)
}

/// The bytes of an artifact, or a part of them. Browsers save them and run nothing.
pub(super) async fn send(
    granted: &Granted,
    name: &ArtifactRepositoryName,
    artifact: &Artifact,
) -> Result<Response<ResponseBody>, ServiceError> {
    let blob = granted.registry().artifacts(name).blob(artifact).await?;
    let served = SentBlob {
        digest: &artifact.digest,
        media_type: value(artifact.media_type.as_str()),
        disposition: value(disposition(artifact.name.as_str())),
        caching: REVALIDATE,
    };
    content::send(granted, blob, served).await
}

/// The artifacts of the newest version that has a path.
async fn latest(
    granted: &Granted,
    name: &ArtifactRepositoryName,
    path: &ArtifactPath,
    having: &Properties,
) -> Result<Vec<StoredArtifact>, ServiceError> {
    let repository = granted.registry().artifacts(name);
    let mut versions = repository.versions().await?;
    versions.sort_by(|a, b| by_version(b.as_str(), a.as_str()));
    for version in versions {
        let found = repository.variants(&version, path, having).await?;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Ok(Vec::new())
}

/// `DELETE /artifacts/{repo}/{version}/{path}`.
pub(super) async fn delete(
    granted: &Granted,
    name: &ArtifactRepositoryName,
    version: &ArtifactVersion,
    path: &ArtifactPath,
) -> Result<Response<ResponseBody>, ServiceError> {
    existing(granted, name).await?;
    let parameters = granted.parameters();
    let all = match (parameters.names("all"), parameters.one("all")?) {
        (false, _) | (true, Some("false")) => false,
        (true, None | Some("true")) => true,
        (true, Some(_)) => return Err(invalid("all", "must be true or false")),
    };
    let repository = granted.registry().artifacts(name);
    let found = repository.variants(version, path, &filters(granted)?).await?;
    match found.len() {
        0 => return Err(RegistryError::ArtifactUnknown.into()),
        1 => {}
        2..=MOST_DELETED if all => {}
        _ => {
            let ids = found.iter().map(|stored| stored.artifact.id).collect();
            return Err(RegistryError::ArtifactAmbiguous(ids).into());
        }
    }
    for stored in &found {
        repository.delete_artifact(stored, None).await?;
    }
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// The properties that an artifact must have.
fn filters(granted: &Granted) -> Result<Properties, ServiceError> {
    let mut having = Properties::default();
    properties_of(&granted.parameters(), &mut having)?;
    Ok(having)
}

/// The path of an artifact, with the properties that tell it from others.
pub(super) fn location(name: &ArtifactRepositoryName, artifact: &Artifact) -> String {
    let mut location = format!("/api/v1/artifacts/{name}/{}", escaped(artifact.version.as_str()));
    for component in artifact.path.as_str().split('/') {
        location.push('/');
        location.push_str(&escaped(component));
    }
    for (i, (key, value)) in artifact.properties.iter().enumerate() {
        let before = if i == 0 { '?' } else { '&' };
        // Writing to a string cannot fail.
        _ = write!(location, "{before}property.{}={}", escaped(key.as_str()), escaped(value.as_str()));
    }
    location
}

/// A text in which everything but letters, digits, '-', '.', '_' and '~' is escaped.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            true => escaped.push(byte.into()),
            false => _ = write!(escaped, "%{byte:02X}"),
        }
    }
    escaped
}

/// A `Content-Disposition` that saves a file under this name (RFC 6266).
pub(super) fn disposition(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%');
    let plain: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    match plain == name {
        true => format!("attachment; filename=\"{plain}\""),
        false => format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{}", escaped(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_saved_under_its_name_and_no_name_ends_the_header() {
        assert_eq!(disposition("app-1.0.zip"), "attachment; filename=\"app-1.0.zip\"");
        let quoted = "attachment; filename=\"a__.html\"; filename*=UTF-8''a%22%C3%A4.html";
        assert_eq!(disposition("a\"ä.html"), quoted);
        assert_eq!(disposition("a b"), "attachment; filename=\"a_b\"; filename*=UTF-8''a%20b");
    }
}
