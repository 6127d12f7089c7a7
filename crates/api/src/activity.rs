//! `/api/v1/metrics` and `/api/v1/access-log`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What clients have pushed and pulled.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ActivityReport {
    /// Since when this is counted: since the start of the process (RFC 3339).
    pub since: String,
    /// Blobs that were pushed.
    pub uploads: TransferTotals,
    /// Blobs that were pulled.
    pub downloads: TransferTotals,
    /// The last half hour in steps of ten seconds, oldest first. The last step has ended.
    pub samples: Vec<ActivitySample>,
    /// The latest requests, newest first; only with `include=requests`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<Vec<AccessLogEntry>>,
}

/// Blobs that were transferred in one direction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TransferTotals {
    /// Blobs that were transferred whole.
    pub total: u64,
    /// Requests that failed. One that only had to log in first does not count.
    pub failed: u64,
    /// Requests that transfer a blob now.
    pub in_progress: u64,
    /// Bytes of all these requests.
    pub bytes: u64,
    /// Average duration of a request that succeeded, in seconds.
    pub average_seconds: f64,
}

/// Ten seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ActivitySample {
    /// When they ended (RFC 3339).
    pub time: String,
    /// Bytes received, of all requests, per second.
    pub received_per_second: u64,
    /// Bytes sent, of all responses, per second.
    pub sent_per_second: u64,
    /// Requests that pushed a blob at the end.
    pub active_uploads: u64,
    /// Requests that pulled a blob at the end.
    pub active_downloads: u64,
}

/// A request that has been answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AccessLogEntry {
    /// When it began (RFC 3339).
    pub time: String,
    /// The request's ID, as in the log.
    pub request_id: String,
    /// The address of the client, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Who: a user, or `anonymous`.
    pub user: String,
    /// How they proved it, as in the log; `none` for `anonymous`.
    pub auth: String,
    /// The method.
    pub method: String,
    /// What was asked for, such as `manifest_read`.
    pub action: String,
    /// The repository, if the request is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// The tag or digest, if the request names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The status of the answer; 499 if the client went away before it.
    pub status: u16,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Bytes of its body.
    pub received: u64,
    /// Bytes of the answer's body.
    pub sent: u64,
    /// How long it took, in milliseconds.
    pub milliseconds: f64,
    /// The client's program, as it calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
}
