//! Manifests: any bytes are accepted or refused, and an accepted manifest has the content that a plain JSON reader finds.

use super::{first_line, grammar};
use oci::{Bounds, Descriptor, Manifest, ManifestType};
use serde_json::Value;

/// The default bounds, with fewer descriptors.
const BOUNDS: Bounds = Bounds { depth: 32, descriptors: 64 };

/// A line with the `Content-Type`, or `-` for none; then the body.
pub fn manifest(data: &[u8]) {
    let Some((content_type, body)) = first_line(data) else { return };
    let content_type = Some(content_type).filter(|text| *text != "-");
    let Ok(manifest) = Manifest::parse(body, content_type, BOUNDS) else { return };
    let json: Value = serde_json::from_slice(body).expect("an accepted manifest is JSON");
    // A key with a special meaning in the JSON library changes the value.
    if body.windows(20).any(|part| part == b"$serde_json::private") || body.contains(&b'\\') {
        return;
    }
    assert!(depth(&json) <= BOUNDS.depth);
    agrees(&manifest, &json, content_type);
    // Spaces and the order of keys do not matter.
    let plain = serde_json::to_vec(&json).unwrap();
    let again = Manifest::parse(&plain, content_type, BOUNDS).expect("the same, written plainly");
    assert_eq!(format!("{again:?}"), format!("{manifest:?}"));
    // The type in the header changes nothing.
    let reply = Manifest::parse(body, Some(manifest.media_type.as_str()), BOUNDS).expect("the same, with its type");
    assert_eq!(format!("{reply:?}"), format!("{manifest:?}"));
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// Every reader sees the same type, the same config, layers, children and subject.
fn agrees(manifest: &Manifest, json: &Value, content_type: Option<&str>) {
    let own = json["mediaType"].as_str().filter(|text| !text.is_empty());
    if let Some(own) = own {
        assert_eq!(ManifestType::of(own), Some(manifest.media_type));
    }
    if let Some(reply) = content_type.and_then(ManifestType::of) {
        assert_eq!(reply, manifest.media_type);
    }
    let list = |key: &str| json[key].as_array().map_or(&[][..], Vec::as_slice);
    let (layers, blobs, children) = (list("layers"), list("blobs"), list("manifests"));
    // One document is one kind of manifest.
    let is_there = |key: &str| json.get(key).is_some();
    let kinds = [
        json.get("config").is_some_and(|config| !config.is_null()) || is_there("layers"),
        is_there("manifests"),
        is_there("blobs"),
    ];
    match manifest.media_type {
        ManifestType::OciImage | ManifestType::DockerImage => assert_eq!(kinds, [true, false, false]),
        ManifestType::OciIndex | ManifestType::DockerList => assert_eq!(kinds, [false, true, false]),
        ManifestType::OciArtifact => assert!(!kinds[0] && !kinds[1]),
    }
    assert!(layers.len() + blobs.len() + children.len() <= BOUNDS.descriptors);
    assert_eq!(manifest.layers.len(), layers.len() + blobs.len());
    manifest.layers.iter().zip(layers.iter().chain(blobs)).for_each(|(read, json)| same(read, json));
    assert_eq!(manifest.children.len(), children.len());
    manifest.children.iter().zip(children).for_each(|(read, json)| same(read, json));
    assert_eq!(manifest.config.is_some(), json.get("config").is_some_and(|config| !config.is_null()));
    manifest.config.iter().for_each(|config| same(config, &json["config"]));
    if let Some(subject) = &manifest.subject {
        assert_eq!(json["subject"]["digest"].as_str(), Some(subject.as_str()));
    } else if !matches!(manifest.media_type, ManifestType::DockerImage | ManifestType::DockerList) {
        assert!(json["subject"].is_null(), "the subject is kept");
    }
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let of_config = || manifest.config.as_ref().map(|config| config.media_type.clone());
    let artifact_type = text(&json["artifactType"]).or_else(of_config);
    assert_eq!(manifest.artifact_type().map(str::to_owned), artifact_type);
    same_annotations(&manifest.annotations, &json["annotations"]);
}

fn same(read: &Descriptor, json: &Value) {
    assert_eq!(json["mediaType"].as_str(), Some(read.media_type.as_str()));
    assert_eq!(json["digest"].as_str(), Some(read.digest.as_str()));
    assert!(grammar::is_any_digest(read.digest.as_str()));
    assert_eq!(json["size"].as_u64(), Some(read.size));
    assert!(!read.media_type.is_empty() && i64::try_from(read.size).is_ok());
    assert_eq!(json["artifactType"].as_str().filter(|text| !text.is_empty()), read.artifact_type.as_deref());
    same_annotations(&read.annotations, &json["annotations"]);
}

fn same_annotations(read: &std::collections::BTreeMap<String, String>, json: &Value) {
    let written = json.as_object().into_iter().flatten();
    let written: Vec<_> = written.map(|(key, value)| (key.as_str(), value.as_str().unwrap())).collect();
    let mut read: Vec<_> = read.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    read.sort_unstable();
    let mut sorted = written;
    sorted.sort_unstable();
    assert_eq!(read, sorted);
}
