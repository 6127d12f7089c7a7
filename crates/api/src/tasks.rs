//! `/api/v1/tasks`, `/api/v1/gc`, `/api/v1/fsck`, `/api/v1/uploads` and `/api/v1/storage`.

use crate::migration::MigrationProgress;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// How far a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    /// It waits.
    Pending,
    /// It is in progress.
    Running,
    /// It was interrupted and can be resumed.
    Paused,
    /// It was interrupted, and needs the credentials of the other registry to be resumed.
    NeedsCredentials,
    /// It succeeded.
    Completed,
    /// It failed; `error` says why.
    Failed,
    /// Somebody cancelled it, or the registry stopped.
    Cancelled,
}

/// One task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Task {
    /// Its id. Later tasks have greater ones.
    pub id: String,
    /// What it does: `collection`, `check`, `migration`, `scrub` or `retention`.
    pub kind: String,
    /// The user who started it; null if the registry did by itself.
    pub owner: Option<String>,
    /// How far it is.
    pub status: TaskStatus,
    /// The part that is done, in percent.
    pub progress: u8,
    /// The current step.
    pub step: Option<String>,
    /// Items done in that step.
    pub step_done: Option<u64>,
    /// Why it failed.
    pub error: Option<String>,
    /// When it started (RFC 3339).
    pub start_time: String,
    /// When it ended (RFC 3339).
    pub end_time: Option<String>,
    /// Its result; the shape depends on the kind.
    pub stats: Option<Value>,
    /// More of a migration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migration: Option<MigrationProgress>,
}

/// The answer to a request that started a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskStarted {
    /// The task's id, for `GET /api/v1/tasks/{id}`.
    pub task_id: String,
}

/// `POST /api/v1/gc`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CollectionRequest {
    /// Only report what would be done.
    pub dry_run: bool,
    /// Free all space now, without waiting for leases. Active pushes may have to repeat a blob.
    pub now: bool,
    /// Delete more than `collection.most_percent` of the blobs if it comes to that.
    pub force: bool,
}

/// `POST /api/v1/fsck`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CheckRequest {
    /// Read every blob and compare it with its digest.
    pub read_data: bool,
    /// Read at most this many bytes of blobs per second.
    pub bytes_per_second: Option<u64>,
    /// Move damaged files to quarantine and rewrite what can be derived; deletes nothing.
    pub repair: bool,
}

/// An upload session that has not ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UploadSummary {
    /// Its id.
    pub id: String,
    /// Bytes received.
    pub size: u64,
    /// When the last byte arrived (RFC 3339).
    pub last_write_at: String,
}

/// A quota, and what is used of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuotaUsage {
    /// Patterns of the repositories that it counts.
    pub repositories: Vec<String>,
    /// The most bytes.
    pub max_bytes: Option<u64>,
    /// The most tags.
    pub max_tags: Option<u64>,
    /// The most repositories.
    pub max_repositories: Option<u64>,
    /// Bytes, counted at most a minute ago.
    pub used_bytes: u64,
    /// Tags.
    pub used_tags: u64,
    /// Repositories.
    pub used_repositories: u64,
}

/// `GET /api/v1/storage`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StorageUsage {
    /// Bytes used on the file system of the storage directory, also by others.
    pub used: u64,
    /// Bytes available to the registry.
    pub free: u64,
    /// Size of the file system in bytes.
    pub total: u64,
    /// `used` of `total`, in percent.
    pub percent: u8,
    /// How this was measured: `statvfs`; `sftp` for the file system of an SFTP server; or `hetzner`, as Hetzner's API
    /// reports it.
    pub source: String,
    /// Free bytes below which pushes are refused.
    pub reserve: u64,
    /// When it was measured (RFC 3339).
    #[serde(default)]
    pub as_of: String,
}
