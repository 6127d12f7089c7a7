//! `/api/v1/dashboard`: the registry at a glance, as far as the caller may see it.

use crate::{outbox::OutboxSummary, tasks::StorageUsage};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The registry at a glance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Dashboard {
    /// Tags.
    pub total_images: u64,
    /// Namespaces: first components of repository names.
    pub total_groups: u64,
    /// Repositories.
    pub total_repositories: u64,
    /// Bytes of manifests and blobs. What several repositories share counts in each of them.
    pub total_size: u64,
    /// The namespaces, in byte order, at most 1,000.
    pub groups: Vec<NamespaceSummary>,
    /// Repositories that were pushed to last, newest first, at most 10.
    pub recent: Vec<RecentPush>,
    /// What the caller owns; unset without a login.
    pub mine: Option<OwnUsage>,
    /// The room that is left; only for those who see the system.
    pub storage: Option<StorageUsage>,
    /// What waits to be written to the SFTP server; only for those who see the system, and with write-behind.
    #[serde(default)]
    pub outbox: Option<OutboxSummary>,
    /// Open uploads; only for those who see the system.
    pub uploads: Option<u64>,
    /// When this was counted (RFC 3339).
    pub as_of: String,
    /// Repositories may be missing, because the registry is still counting, as after its start.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub incomplete: bool,
}

/// A namespace at a glance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NamespaceSummary {
    /// The first component of its repositories' names.
    pub name: String,
    /// Its repositories.
    pub repositories: u64,
    /// Their tags.
    pub tags: u64,
    /// Their bytes.
    pub size: u64,
}

/// A repository that was pushed to lately.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RecentPush {
    /// The repository.
    pub repository: String,
    /// Its tags.
    pub tags: u64,
    /// Its bytes.
    pub size: u64,
    /// When a tag was last pushed (RFC 3339).
    pub pushed_at: String,
}

/// What a user owns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OwnUsage {
    /// Repositories.
    pub repositories: u64,
    /// Tags.
    pub images: u64,
    /// Bytes.
    pub size: u64,
    /// `administrator`, or `user`.
    pub access_level: String,
    /// When one of them was last pushed to (RFC 3339).
    pub last_activity: Option<String>,
}
