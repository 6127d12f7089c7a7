//! What the clients of a simulation push: the same few things for every seed, so that they meet.

use bytes::Bytes;
use oci::{Algorithm, Digest, Hasher, Reference, RepositoryName, Tag, media_type};
use serde_json::{Value, json};
use std::sync::OnceLock;

/// A blob that is shared by images.
pub(super) struct BlobContent {
    pub(super) digest: Digest,
    pub(super) bytes: Bytes,
}

/// A manifest and what it refers to.
pub(super) struct Image {
    pub(super) digest: Digest,
    pub(super) bytes: Bytes,
    /// Blobs, by their place in [`Content`].
    pub(super) blobs: Vec<usize>,
    /// Manifests of an index, by their place.
    pub(super) children: Vec<usize>,
    /// What it refers to without needing it.
    pub(super) subject: Option<usize>,
}

/// Everything there is to push.
pub(super) struct Content {
    pub(super) blobs: Vec<BlobContent>,
    pub(super) images: Vec<Image>,
    pub(super) repositories: Vec<RepositoryName>,
    pub(super) tags: Vec<Tag>,
}

/// The content, made once.
pub(super) fn content() -> &'static Content {
    static CONTENT: OnceLock<Content> = OnceLock::new();
    CONTENT.get_or_init(Content::make)
}

impl Content {
    fn make() -> Self {
        let mut content = Self {
            blobs: ["{}", "a layer", "another layer, somewhat longer", "the third"]
                .iter()
                .map(|text| blob(text, Algorithm::Sha256))
                .collect(),
            images: Vec::new(),
            repositories: ["a", "b/c"].iter().map(|name| name.parse().unwrap()).collect(),
            tags: ["v1", "v2"].iter().map(|tag| tag.parse().unwrap()).collect(),
        };
        content.blobs.push(blob("hashed by the other algorithm", Algorithm::Sha512));
        content.image(&[0, 1], None);
        content.image(&[0, 1, 2], None);
        content.image(&[0, 3, 4], None);
        content.index(&[0, 1]);
        content.image(&[0, 2], Some(0));
        content
    }

    fn image(&mut self, blobs: &[usize], subject: Option<usize>) {
        let of = |i: &usize, media_type: &str| {
            let blob = &self.blobs[*i];
            json!({"mediaType": media_type, "digest": blob.digest, "size": blob.bytes.len()})
        };
        let layers: Vec<Value> = blobs[1..].iter().map(|i| of(i, "application/vnd.oci.image.layer.v1.tar")).collect();
        let mut manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_MANIFEST,
            "config": of(&blobs[0], "application/vnd.oci.image.config.v1+json"),
            "layers": layers,
        });
        if let Some(subject) = subject {
            manifest["subject"] = self.descriptor(subject);
        }
        self.add(&manifest, blobs.to_vec(), Vec::new(), subject);
    }

    fn index(&mut self, children: &[usize]) {
        let manifests: Vec<Value> = children.iter().map(|i| self.descriptor(*i)).collect();
        let manifest = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": manifests});
        self.add(&manifest, Vec::new(), children.to_vec(), None);
    }

    fn descriptor(&self, image: usize) -> Value {
        let image = &self.images[image];
        json!({"mediaType": media_type::OCI_MANIFEST, "digest": image.digest, "size": image.bytes.len()})
    }

    fn add(&mut self, manifest: &Value, blobs: Vec<usize>, children: Vec<usize>, subject: Option<usize>) {
        let bytes = Bytes::from(manifest.to_string());
        let digest = Hasher::digest(Algorithm::Sha256, &bytes);
        self.images.push(Image { digest, bytes, blobs, children, subject });
    }

    /// How an image is asked for by its digest.
    pub(super) fn by_digest(&self, image: usize) -> Reference {
        Reference::Digest(self.images[image].digest.clone())
    }

    /// The image of this digest.
    pub(super) fn image_of(&self, digest: &Digest) -> Option<usize> {
        self.images.iter().position(|image| image.digest == *digest)
    }
}

fn blob(text: &str, algorithm: Algorithm) -> BlobContent {
    let bytes = Bytes::copy_from_slice(text.as_bytes());
    BlobContent { digest: Hasher::digest(algorithm, &bytes), bytes }
}
