//! `/api/v1/registry`: images from other registries.

use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// `POST /api/v1/registry/migrate`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MigrationRequest {
    /// The other registry: a host, `host:port`, or a URL without a path. Without a scheme it is reached by https.
    pub source_registry: String,
    /// What to copy: `team/app:1.0`, `team/app@sha256:…`, `team/app` (all tags), or patterns such as `team/*:v*` and
    /// `**` (everything).
    pub images: Vec<String>,
    /// A user of the other registry. It is kept in memory only, as the password is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Their password or token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// The name of credentials that the operator keeps in `REGISTRY_CREDENTIALS`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_ref: Option<String>,
    /// What comes before the name of each repository here: with `mirror`, `team/app` becomes `mirror/team/app`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_prefix: Option<String>,
    /// Copy only the images for these platforms of an index, such as `linux/amd64`; all if empty. The index is copied
    /// as it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<String>,
    /// Also copy signatures and everything else that refers to an image. True unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub referrers: Option<bool>,
    /// Move tags that point to other images here. True unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overwrite: Option<bool>,
    /// What to do when an image cannot be copied.
    #[serde(default)]
    pub on_error: OnImageError,
    /// Only find out what would be copied, and how large it is.
    #[serde(default)]
    pub dry_run: bool,
}

/// What to do when an image cannot be copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnImageError {
    /// Copy the others.
    #[default]
    Continue,
    /// End the migration.
    Stop,
}

/// `POST /api/v1/tasks/{id}/resume`. Without credentials, those of before are used.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ResumeRequest {
    /// A user of the other registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Their password or token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// The name of credentials that the operator keeps in `REGISTRY_CREDENTIALS`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials_ref: Option<String>,
}

/// `POST /api/v1/registry/browse`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BrowseRequest {
    /// The other registry, as for a migration.
    pub registry: String,
    /// A repository whose tags to list. Without it, the repositories are listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// A user of the other registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Their password or token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// The name of credentials that the operator keeps in `REGISTRY_CREDENTIALS`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_ref: Option<String>,
    /// Start after this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
}

/// Names in another registry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BrowseAnswer {
    /// Its repositories, if no repository was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repositories: Option<Vec<String>>,
    /// The tags of the repository that was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// Where the next page begins, as `last` asks for it; unset on the last page.
    pub next: Option<String>,
}

/// What a migration was asked for, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MigrationProgress {
    /// The other registry.
    pub source_registry: String,
    /// What to copy, as it was asked for.
    pub patterns: Vec<String>,
    /// What comes before the name of each repository here.
    pub target_prefix: Option<String>,
    /// The platforms that are copied; all if empty.
    pub platforms: Vec<String>,
    /// Whether signatures and other referrers are copied.
    pub referrers: bool,
    /// Whether tags are moved.
    pub overwrite: bool,
    /// What happens when an image cannot be copied.
    pub on_error: OnImageError,
    /// Whether nothing is copied.
    pub dry_run: bool,
    /// Whether it can be resumed.
    pub can_resume: bool,
    /// How many images there are, by state.
    pub images: ImageCounts,
    /// Bytes of the images that were looked at so far.
    pub bytes_total: u64,
    /// Bytes that were fetched; in a dry run, those that would be.
    pub bytes_fetched: u64,
    /// Bytes that were here already.
    pub bytes_skipped: u64,
    /// Bytes per second, during the last seconds.
    pub bytes_per_second: u64,
    /// The images that are being copied.
    pub running: Vec<MigratedImage>,
    /// The first images that failed.
    pub failed: Vec<MigratedImage>,
}

/// Images of a migration, by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImageCounts {
    /// All that were found.
    pub total: u64,
    /// Not begun.
    pub waiting: u64,
    /// Being copied.
    pub running: u64,
    /// Copied.
    pub completed: u64,
    /// Nothing had to be done.
    pub skipped: u64,
    /// Not copied.
    pub failed: u64,
}

/// One image of a migration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MigratedImage {
    /// Its name in the other registry, with its tag or digest.
    pub source: String,
    /// Its name here.
    pub target: String,
    /// How far it is.
    pub status: ImageStatus,
    /// The digest of its manifest, as soon as it is known.
    pub digest: Option<String>,
    /// Bytes of all its blobs, with those of its referrers.
    pub bytes_total: u64,
    /// Bytes that were fetched; in a dry run, those that would be.
    pub bytes_fetched: u64,
    /// Bytes that were here already.
    pub bytes_skipped: u64,
    /// Bytes per second, while it is being copied.
    pub bytes_per_second: u64,
    /// Bytes that are left, while it is being copied.
    pub bytes_remaining: u64,
    /// Blobs of all its manifests.
    pub layers: u64,
    /// Blobs that were here already.
    pub layers_skipped: u64,
    /// Why it failed or was skipped, or why it is being attempted again.
    pub message: Option<String>,
}

/// How far an image is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImageStatus {
    /// Not begun.
    #[default]
    Waiting,
    /// Being copied, or looked at in a dry run.
    Running,
    /// Copied; in a dry run, looked at.
    Completed,
    /// Nothing had to be done.
    Skipped,
    /// Not copied.
    Failed,
}

impl ImageStatus {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Waiting, Self::Running, Self::Completed, Self::Skipped, Self::Failed];

    /// As it is written in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
        }
    }
}

/// Shows no password.
impl fmt::Debug for MigrationRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("MigrationRequest");
        shown.field("source_registry", &self.source_registry).field("images", &self.images).finish_non_exhaustive()
    }
}

/// Shows no password.
impl fmt::Debug for ResumeRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResumeRequest").field("credentials_ref", &self.credentials_ref).finish_non_exhaustive()
    }
}

/// Shows no password.
impl fmt::Debug for BrowseRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("BrowseRequest");
        shown.field("registry", &self.registry).field("repository", &self.repository).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_request_shows_its_password() {
        let secret = || Some("hunter22".to_owned());
        let shown = [
            format!("{:?}", MigrationRequest { password: secret(), ..MigrationRequest::default() }),
            format!("{:?}", ResumeRequest { password: secret(), ..ResumeRequest::default() }),
            format!("{:?}", BrowseRequest { password: secret(), ..BrowseRequest::default() }),
        ];
        assert!(shown.iter().all(|text| !text.contains("hunter22")), "{shown:?}");
    }
}
