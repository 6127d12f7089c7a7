//! Settings of the maintenance, and of the artifact store.

use crate::artifacts::PropertyKey;
use std::time::Duration;

/// Settings of collections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collection {
    /// Whether the daemon collects on schedule.
    pub enabled: bool,
    /// Time between two scheduled collections.
    pub every: Duration,
    /// The lease: how long unreferenced content stays after it was last pushed or checked by a pushing client.
    pub lease: Duration,
    /// The longest time until every reader sees what was written: longer than any cache of names.
    pub settle: Duration,
    /// How long the graveyard keeps what was condemned or deleted.
    pub retention: Duration,
    /// Maximum number of files visited per second.
    pub files_per_second: u64,
    /// Maximum share of the blobs, or of their bytes, that one collection may condemn, in percent.
    pub most_percent: u64,
}

impl Default for Collection {
    fn default() -> Self {
        Self {
            enabled: true,
            every: Duration::from_secs(24 * 3600),
            lease: Duration::from_secs(24 * 3600),
            settle: Duration::from_secs(600),
            retention: Duration::from_secs(72 * 3600),
            files_per_second: 20_000,
            most_percent: 20,
        }
    }
}

/// Settings of scrubbing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScrubSettings {
    /// Whether the daemon scrubs.
    pub enabled: bool,
    /// From the start of one pass to the start of the next.
    pub every: Duration,
    /// Maximum number of bytes read per second.
    pub bytes_per_second: u64,
}

impl Default for ScrubSettings {
    fn default() -> Self {
        Self { enabled: true, every: Duration::from_secs(30 * 86_400), bytes_per_second: 20 << 20 }
    }
}

/// Settings of the artifact store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactSettings {
    /// Maximum size of one file in bytes.
    pub file_bytes: u64,
    /// The properties that every artifact must have.
    pub required_properties: Vec<PropertyKey>,
    /// The media types that are accepted, where `*` stands for any text; all if there are none.
    pub allowed_types: Vec<String>,
    /// How long a deleted artifact, or a deleted repository of artifacts, can be restored.
    pub trash: Duration,
}

impl Default for ArtifactSettings {
    fn default() -> Self {
        Self {
            file_bytes: 1 << 40,
            required_properties: Vec::new(),
            allowed_types: Vec::new(),
            trash: Duration::from_secs(72 * 3600),
        }
    }
}
