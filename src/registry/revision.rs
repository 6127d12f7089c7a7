//! What a repository records about a manifest, besides its bytes.

use oci::{Digest, Manifest, ReferencedDigest};
use serde::{Deserialize, Serialize};
use std::time::SystemTime;

/// The record of a manifest.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RevisionRecord {
    pub(crate) media_type: String,
    pub(crate) size: u64,
    /// When it was last pushed.
    pushed: String,
    /// The user who pushed it last, if they were logged in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pushed_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<Digest>,
    /// References that were missing at the push: nothing is guaranteed about these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    absent: Vec<String>,
}

impl RevisionRecord {
    /// The record of a manifest of this many bytes.
    pub(crate) fn of(manifest: &Manifest, size: u64, pushed: String, by: Option<&str>, absent: Vec<String>) -> Self {
        Self {
            media_type: manifest.media_type.as_str().to_owned(),
            size,
            pushed,
            pushed_by: by.map(str::to_owned),
            subject: manifest.subject.clone(),
            absent,
        }
    }

    /// The content of its file.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec(self).unwrap_or_default();
        json.push(b'\n');
        json
    }

    /// When the manifest was last pushed, if that can be read.
    pub(crate) fn pushed(&self) -> Option<SystemTime> {
        self.pushed.parse::<jiff::Timestamp>().ok().map(SystemTime::from)
    }

    /// Whether anything was missing when the manifest was pushed.
    pub(crate) fn has_absent(&self) -> bool {
        !self.absent.is_empty()
    }

    /// Whether this was missing when the manifest was pushed.
    pub(crate) fn was_absent(&self, digest: &ReferencedDigest) -> bool {
        self.absent.iter().any(|absent| absent == digest.as_str())
    }

    /// How the record differs from the manifest itself.
    pub(crate) fn disagrees_with(&self, manifest: &Manifest, size: u64) -> Option<&'static str> {
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
