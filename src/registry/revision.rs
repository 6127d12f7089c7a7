//! What a repository keeps of a manifest beside its bytes.

use crate::oci::{Digest, Manifest, ReferencedDigest};
use serde::{Deserialize, Serialize};
use std::time::SystemTime;

/// What is kept of a manifest beside its bytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Revision {
    pub(super) media_type: String,
    pub(super) size: u64,
    /// When it was pushed last.
    pushed: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<Digest>,
    /// What it refers to and was not there: nothing is promised about these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    absent: Vec<String>,
}

impl Revision {
    /// What is kept of a manifest of so many bytes.
    pub(super) fn of(manifest: &Manifest, size: u64, pushed: String, absent: Vec<String>) -> Self {
        Self {
            media_type: manifest.media_type.as_str().to_owned(),
            size,
            pushed,
            subject: manifest.subject.clone(),
            absent,
        }
    }

    /// As it stands in its file.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec(self).unwrap_or_default();
        json.push(b'\n');
        json
    }

    /// When the manifest was pushed last, if that can be read.
    pub(super) fn pushed(&self) -> Option<SystemTime> {
        self.pushed.parse::<jiff::Timestamp>().ok().map(SystemTime::from)
    }

    /// Whether something was not there when the manifest was pushed.
    pub(super) fn was_absent(&self, digest: &ReferencedDigest) -> bool {
        self.absent.iter().any(|absent| absent == digest.as_str())
    }

    /// What of this is not as the manifest itself says it.
    pub(super) fn disagrees_with(&self, manifest: &Manifest, size: u64) -> Option<&'static str> {
        let descriptors = || manifest.config.iter().chain(&manifest.layers).chain(&manifest.children);
        let refers_to = |absent: &String| descriptors().any(|descriptor| descriptor.digest.as_str() == absent);
        if self.media_type != manifest.media_type.as_str() {
            Some("another media type")
        } else if self.size != size {
            Some("another length")
        } else if self.subject != manifest.subject {
            Some("another subject")
        } else if !self.absent.iter().all(refers_to) {
            Some("other references")
        } else if self.pushed().is_none() {
            Some("another time")
        } else {
            None
        }
    }
}
