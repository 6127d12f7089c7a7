//! What is written of a migration: what it was asked for, and how far it is. Never a secret.

use super::source::SourceCredential;
use api::migration::{ImageStatus, MigrationRequest, OnImageError};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The content of a migration's file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct MigrationRecord {
    /// Who started it; `None` without authentication.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) owner: Option<String>,
    /// Whether it was started with a credential that allows less than its owner may. It then does not continue by
    /// itself after a restart.
    #[serde(default)]
    pub(super) limited: bool,
    pub(super) plan: MigrationPlan,
    pub(super) phase: MigrationPhase,
    pub(super) started: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ended: Option<Timestamp>,
    /// Whether `images` is complete.
    pub(super) listed: bool,
    pub(super) images: Vec<ImageRecord>,
    /// Blobs that were received in part.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) partial: Vec<PartialBlob>,
}

/// What a migration was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MigrationPlan {
    pub(super) source: String,
    pub(super) images: Vec<String>,
    pub(super) target_prefix: Option<String>,
    pub(super) platforms: Vec<String>,
    pub(super) referrers: bool,
    pub(super) overwrite: bool,
    pub(super) on_error: OnImageError,
    pub(super) dry_run: bool,
    pub(super) credentials: CredentialKind,
}

/// Where the credentials of a migration come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    /// Nobody logs in.
    None,
    /// The request had them, and only the memory of the daemon has them.
    Secret,
    /// The operator's, by their name.
    Named(String),
}

/// How far a migration is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum MigrationPhase {
    /// Others run, it waits.
    Pending,
    Running,
    /// It was interrupted, for this reason.
    Paused(String),
    /// The daemon was restarted and has forgotten the secret.
    NeedsCredentials,
    Completed,
    Failed(String),
    Cancelled,
}

/// An image, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ImageRecord {
    pub(super) repository: String,
    /// A tag or a digest.
    pub(super) reference: String,
    #[serde(default, skip_serializing_if = "is_waiting")]
    pub(super) status: ImageStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) digest: Option<String>,
    /// Bytes of its blobs, of those that were fetched, and of those that were here.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub(super) bytes: [u64; 3],
    /// Its blobs, and those that were here.
    #[serde(default, skip_serializing_if = "is_nothing_else")]
    pub(super) layers: [u64; 2],
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<String>,
}

/// A blob that was received in part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PartialBlob {
    pub(super) repository: String,
    pub(super) digest: String,
    /// The session that has its first bytes.
    pub(super) upload: String,
}

impl MigrationPhase {
    /// Whether it runs or waits for its turn.
    pub(super) fn is_open(&self) -> bool {
        matches!(self, Self::Pending | Self::Running)
    }
}

impl MigrationPlan {
    pub(super) fn of(request: &MigrationRequest, credentials: &SourceCredential) -> Self {
        Self {
            source: request.source_registry.clone(),
            images: request.images.clone(),
            target_prefix: request.target_prefix.clone().filter(|prefix| !prefix.is_empty()),
            platforms: request.platforms.clone(),
            referrers: request.referrers.unwrap_or(true),
            overwrite: request.overwrite.unwrap_or(true),
            on_error: request.on_error,
            dry_run: request.dry_run,
            credentials: credentials.kind(),
        }
    }
}

impl ImageRecord {
    /// The name of the image, with its tag or digest.
    pub(super) fn name(&self) -> String {
        let separator = if self.reference.contains(':') { '@' } else { ':' };
        format!("{}{separator}{}", self.repository, self.reference)
    }
}

fn is_waiting(status: &ImageStatus) -> bool {
    *status == ImageStatus::Waiting
}

fn is_nothing(bytes: &[u64; 3]) -> bool {
    *bytes == [0; 3]
}

fn is_nothing_else(layers: &[u64; 2]) -> bool {
    *layers == [0; 2]
}
