//! The names and contents that requests refer to.

use bytes::Bytes;
use oci::{Algorithm, Digest, Hasher, RepositoryName, Tag, UploadId, UploadPlace};
use serde_json::json;
use testing::session::{OCI_INDEX, index};

/// The source of a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Another repository of the caller's.
    Own,
    /// One that no rule covers.
    Hidden,
}

/// Names and contents of one caller's repository, some of them new for each request.
#[derive(Clone)]
pub struct Site {
    pub repository: RepositoryName,
    /// The sources of mounts.
    pub own_source: RepositoryName,
    pub hidden_source: RepositoryName,
    /// Counts requests.
    pub n: u64,
    /// The session to be used.
    pub session: UploadId,
}

impl Site {
    /// The offset of the session to be used, as reported to its owner.
    pub fn place(&self) -> UploadPlace {
        UploadPlace { id: self.session, offset: Some(0) }
    }

    /// Always present.
    pub fn image(&self) -> Bytes {
        index(&[]).to_string().into()
    }

    pub fn image_digest(&self) -> Digest {
        sha256(&self.image())
    }

    pub fn blob(&self) -> Bytes {
        "a blob".into()
    }

    pub fn blob_digest(&self) -> Digest {
        sha256(&self.blob())
    }

    /// Exists for one request, or is created by it.
    pub fn manifest(&self) -> Bytes {
        let annotations = json!({ "n": self.n.to_string() });
        let manifest = json!({
            "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [], "annotations": annotations,
        });
        manifest.to_string().into()
    }

    pub fn manifest_digest(&self) -> Digest {
        sha256(&self.manifest())
    }

    pub fn tag(&self) -> Tag {
        format!("n{}", self.n).parse().unwrap()
    }

    pub fn other_tag(&self) -> Tag {
        format!("also-n{}", self.n).parse().unwrap()
    }

    pub fn content(&self) -> Bytes {
        format!("content {}", self.n).into()
    }

    pub fn digest(&self) -> Digest {
        sha256(&self.content())
    }

    /// Content that only that source has.
    pub fn source_content(&self, source: Source) -> Bytes {
        format!("{source:?} content {}", self.n).into()
    }

    pub fn source_digest(&self, source: Source) -> Digest {
        sha256(&self.source_content(source))
    }
}

fn sha256(bytes: &[u8]) -> Digest {
    Hasher::digest(Algorithm::Sha256, bytes)
}
