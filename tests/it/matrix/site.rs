//! Names and contents of which a request speaks.

use crate::session::{OCI_INDEX, index};
use bytes::Bytes;
use serde_json::json;
use wharfinger::oci::{Algorithm, Digest, Hasher, RepositoryName, Tag, UploadId, UploadPlace};

/// Where a mount comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Another repository of the caller's.
    Own,
    /// One that no rule speaks of.
    Hidden,
}

/// Names and contents of one caller's repository, some of them new with each request.
#[derive(Clone)]
pub struct Site {
    pub repository: RepositoryName,
    /// Where mounts come from.
    pub own_source: RepositoryName,
    pub hidden_source: RepositoryName,
    /// Counts requests.
    pub n: u64,
    /// The session to be used.
    pub session: UploadId,
}

impl Site {
    /// Where the session to be used stands, as its owner was told.
    pub fn place(&self) -> UploadPlace {
        UploadPlace { id: self.session, offset: Some(0) }
    }

    /// What is there all the time.
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

    /// What is there for one request, or comes to be by it.
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

    /// What only that source has.
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
