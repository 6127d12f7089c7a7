//! The record of an artifact.

use super::{
    ArtifactFileName, ArtifactId, ArtifactMediaType, ArtifactMetadata, ArtifactPath, ArtifactVersion, Properties,
};
use jiff::Timestamp;
use oci::{Digest, json};
use serde::{Deserialize, Serialize};

/// What is stored about an artifact. Its bytes are a blob. Only metadata and `updated` ever change; another version,
/// path or property makes another artifact that replaces this one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "WrittenArtifact")]
pub struct Artifact {
    pub id: ArtifactId,
    pub version: ArtifactVersion,
    pub path: ArtifactPath,
    /// The name under which it is saved.
    pub name: ArtifactFileName,
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
    pub media_type: ArtifactMediaType,
    pub properties: Properties,
    pub metadata: ArtifactMetadata,
    pub created: Timestamp,
    pub updated: Timestamp,
    /// The user who uploaded it, if they were logged in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<Box<str>>,
    /// The artifact that this one replaces. It no longer exists, even if its record is still found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces: Option<ArtifactId>,
}

/// The record as it is written.
#[derive(Deserialize)]
struct WrittenArtifact {
    version: ArtifactVersion,
    path: ArtifactPath,
    name: ArtifactFileName,
    digest: Digest,
    size: u64,
    media_type: ArtifactMediaType,
    #[serde(default)]
    properties: Properties,
    #[serde(default)]
    metadata: ArtifactMetadata,
    created: Timestamp,
    updated: Timestamp,
    #[serde(default)]
    created_by: Option<Box<str>>,
    #[serde(default)]
    replaces: Option<ArtifactId>,
}

impl Artifact {
    /// The record as it is stored.
    pub fn to_bytes(&self) -> Vec<u8> {
        // No map in it has keys other than texts, so this cannot fail.
        let mut json = serde_json::to_vec(self).unwrap_or_default();
        json.push(b'\n');
        json
    }

    /// The stored record; `None` if it is damaged.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        json::from_slice(bytes).ok()
    }
}

impl From<WrittenArtifact> for Artifact {
    fn from(written: WrittenArtifact) -> Self {
        let WrittenArtifact { version, path, name, digest, size, media_type, .. } = written;
        let WrittenArtifact { properties, metadata, created, updated, created_by, replaces, .. } = written;
        Self {
            id: ArtifactId::of(&version, &path, &properties),
            version,
            path,
            name,
            digest,
            size,
            media_type,
            properties,
            metadata,
            created,
            updated,
            created_by,
            replaces,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_parses_back_to_itself() {
        let (version, path): (ArtifactVersion, ArtifactPath) = ("1.0".parse().unwrap(), "bin/app".parse().unwrap());
        let mut properties = Properties::default();
        properties.add("os", "linux").unwrap();
        let metadata = serde_json::json!({ "commit": { "author": "Ada" }, "n": 1.5 });
        let artifact = Artifact {
            id: ArtifactId::of(&version, &path, &properties),
            name: ArtifactFileName::of(&path),
            version,
            path,
            digest: format!("sha256:{}", "ab".repeat(32)).parse().unwrap(),
            size: 7,
            media_type: ArtifactMediaType::default(),
            properties,
            metadata: ArtifactMetadata::of(metadata.as_object().unwrap().clone()).unwrap(),
            created: "2026-11-30T20:00:00.5Z".parse().unwrap(),
            updated: "2026-11-30T21:00:00Z".parse().unwrap(),
            created_by: Some("alice".into()),
            replaces: Some(format!("art-{}", "a".repeat(26)).parse().unwrap()),
        };
        assert_eq!(Artifact::parse(&artifact.to_bytes()), Some(artifact.clone()));
        let plain = Artifact { replaces: None, created_by: None, ..artifact };
        assert_eq!(Artifact::parse(&plain.to_bytes()), Some(plain));
        assert_eq!(Artifact::parse(b"{}"), None);
    }
}
