//! `/api/v1/storage/outbox`: what is written to an SFTP server later.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /api/v1/storage/outbox`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutboxReport {
    /// Writes in the journal that the server does not have yet.
    pub writes: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of the writes that are being uploaded which the server has already.
    pub done: u64,
    /// The most bytes that the journal may hold; pushes beyond it are refused.
    pub max_bytes: u64,
    /// How long the oldest write has waited.
    pub oldest_seconds: Option<u64>,
    /// Writes uploaded since the start.
    pub uploads: u64,
    /// Their bytes.
    pub uploaded_bytes: u64,
    /// Failed attempts since the start; each is repeated.
    pub failures: u64,
    /// Objects that the registry knows to be on the server.
    #[serde(default)]
    pub objects: u64,
    /// Whether these are all: a push asks the server for nothing then. They are listed after each start.
    #[serde(default)]
    pub knows_all: bool,
    /// The first writes, in the order in which they were made; at most 100.
    pub items: Vec<OutboxWrite>,
}

/// What waits to be written to the SFTP server, at a glance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutboxSummary {
    /// Writes in the journal that the server does not have yet.
    pub writes: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The most bytes that the journal may hold.
    pub max_bytes: u64,
    /// How long the oldest write has waited.
    pub oldest_seconds: Option<u64>,
    /// Whether an upload failed and is tried again.
    pub is_failing: bool,
}

/// A write in the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutboxWrite {
    /// Its number; later ones are higher.
    pub number: u64,
    /// The path on the server; of several that are removed, the first.
    pub key: String,
    /// What is done: `put` or `delete`.
    pub action: String,
    /// `waiting`, `uploading` or `failed`, which is tried again.
    pub state: String,
    /// Length in bytes.
    pub bytes: u64,
    /// Bytes that the server has.
    pub done: u64,
    /// Failed attempts.
    pub tries: u32,
    /// Why the last attempt failed.
    pub error: Option<String>,
    /// Seconds until the next attempt.
    pub next_try_seconds: Option<u64>,
}
