//! Content and names for tests.

use bytes::Bytes;
use client::{Client, PushOptions, Retries};
use oci::{Algorithm, Digest, Hasher, Reference, RepositoryName, Tag, media_type::OCI_MANIFEST};
use serde_json::json;
use std::time::Duration;

pub fn repository(name: &str) -> RepositoryName {
    name.parse().unwrap()
}

pub fn tag(name: &str) -> Tag {
    name.parse().unwrap()
}

pub fn tagged(name: &str) -> Reference {
    Reference::Tag(tag(name))
}

pub fn by(digest: &Digest) -> Reference {
    Reference::Digest(digest.clone())
}

pub fn digest(bytes: &[u8]) -> Digest {
    Hasher::digest(Algorithm::Sha256, bytes)
}

/// Bytes in which no chunk repeats.
pub fn content(length: usize) -> Bytes {
    let mut state = 0x9e37_79b9_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect::<Vec<_>>().into()
}

/// Retries with short pauses.
pub fn quick() -> Retries {
    let (pause, most_pause) = (Duration::from_millis(1), Duration::from_millis(5));
    Retries { attempts: 5, pause, most_pause, most_retry_after: Duration::from_secs(5) }
}

/// The manifest of an image with one layer.
pub fn image(layer: &[u8]) -> Bytes {
    image_with(layer, json!({}))
}

/// The same, with more fields.
pub fn image_with(layer: &[u8], more: serde_json::Value) -> Bytes {
    let mut image = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(b"{}"), "size": 2 },
        "layers": [{ "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest(layer), "size": layer.len() }],
    });
    for (key, value) in more.as_object().unwrap() {
        image[key] = value.clone();
    }
    image.to_string().into()
}

/// Pushes an image with one layer.
pub async fn push_image(client: &Client, name: &RepositoryName, layer: &Bytes, tags: &[Tag]) -> Digest {
    for blob in [&Bytes::from_static(b"{}"), layer] {
        client.push_blob(name, &digest(blob), blob.len() as u64, blob, &PushOptions::default()).await.unwrap();
    }
    client.push_manifest(name, OCI_MANIFEST, image(layer), tags).await.unwrap()
}
