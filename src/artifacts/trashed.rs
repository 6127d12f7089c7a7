//! An artifact in the trash.

use super::Artifact;
use jiff::Timestamp;
use oci::json;
use serde::{Deserialize, Serialize};

/// An artifact that was deleted, and can be restored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrashedArtifact {
    pub deleted: Timestamp,
    /// The user who deleted it, if they were logged in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_by: Option<Box<str>>,
    /// The rule of retention that deleted it, if none of them did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Box<str>>,
    pub artifact: Artifact,
}

impl TrashedArtifact {
    /// The record as it is stored.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec(self).unwrap_or_default();
        json.push(b'\n');
        json
    }

    /// The stored record; `None` if it is damaged.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        json::from_slice(bytes).ok()
    }
}
