//! `/api/v1/artifacts`.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A repository of artifacts, as its callers see it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArtifactRepositoryItem {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// The user who owns it, if there is one.
    pub owner: Option<String>,
    /// Whether only its owner, and whoever a role allows, may see it.
    pub private: bool,
    /// How many artifacts it has.
    pub artifact_count: u64,
    /// How many versions it has.
    pub version_count: u64,
    /// Bytes of all artifacts together.
    pub size: u64,
    /// When it was created, as RFC 3339.
    pub created_at: Option<String>,
    /// When an artifact in it last changed, as RFC 3339.
    pub updated_at: Option<String>,
    /// Its own rules of retention, if it has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub retention: Option<Map<String, Value>>,
}

/// `POST /artifacts/repos`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewArtifactRepositoryRequest {
    /// Its name: one segment of a path.
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether only its owner, and whoever a role allows, may see it.
    #[serde(default = "yes")]
    pub private: bool,
    /// The user who owns it; the caller if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

fn yes() -> bool {
    true
}

/// `PATCH /artifacts/repos/{repo}`: what is absent stays, and `null` removes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ArtifactRepositoryChange {
    /// What it is for.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub description: Option<Option<String>>,
    /// Whether only its owner, and whoever a role allows, may see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private: Option<bool>,
    /// The user who owns it.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub owner: Option<Option<String>>,
    /// Its own rules of retention, in place of those of the settings.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub retention: Option<Option<Map<String, Value>>>,
}

/// A field that is present, perhaps as `null`.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// One artifact.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArtifactInfo {
    /// Identifies it within its repository: a hash of version, path and properties.
    pub id: String,
    /// Its repository.
    pub repo: String,
    /// The name under which it is saved.
    pub name: String,
    /// Where it is within its version.
    pub path: String,
    /// Its version.
    pub version: String,
    /// In bytes.
    pub size: u64,
    /// Of its bytes, as `sha256:` and hexadecimal digits.
    pub digest: String,
    /// As its uploader stated it.
    pub media_type: String,
    /// What distinguishes it from others of its version and path.
    pub properties: BTreeMap<String, String>,
    /// What else its uploader said about it.
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
    /// When it was uploaded, as RFC 3339.
    pub created_at: String,
    /// When it last changed, as RFC 3339.
    pub updated_at: String,
    /// The user who uploaded it, if they were logged in.
    pub created_by: Option<String>,
}

/// An artifact in the trash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TrashedArtifactItem {
    /// When it was deleted, as RFC 3339.
    pub deleted_at: String,
    /// When it may be removed for good, as RFC 3339: the next collection after this time does it.
    pub expires_at: Option<String>,
    /// The user who deleted it, if they were logged in.
    pub deleted_by: Option<String>,
    /// The rule of retention that deleted it, if one did.
    pub rule: Option<String>,
    /// What it was.
    pub artifact: ArtifactInfo,
}

/// `POST /artifacts/{repo}/upload`: an upload session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StartedUpload {
    /// Its ID.
    pub upload_id: String,
    /// The most bytes that the file may have.
    pub chunk_max: u64,
}

/// `PUT /artifacts/{repo}/upload/{uuid}`: what is said about the uploaded file, besides version and path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FinishUploadRequest {
    /// What distinguishes it from others of its version and path.
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
    /// What else is said about it.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
    /// The name under which it is saved; the end of the path if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its media type; `application/octet-stream` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
}

/// `PUT /artifacts/{repo}/{id}/rename`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenameArtifactRequest {
    /// The name under which it is saved; unchanged if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The path; unchanged if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The version.
    pub version: String,
}

/// `PUT /artifacts/{repo}/{id}/properties`: all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct ArtifactPropertyValues(pub BTreeMap<String, String>);

/// `PUT /artifacts/{repo}/{id}/metadata`: any object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = Object)]
pub struct ArtifactMetadataObject(pub Map<String, Value>);
