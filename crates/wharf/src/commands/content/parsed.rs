//! One image, pulled and parsed.

use super::platform_text;
use crate::{failure::Failure, place::ImageName, session::CommandSession};
use bytes::Bytes;
use client::{Client, Platform};
use oci::{Bounds, Digest, Manifest, ReferencedDigest, RepositoryName};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// An image and where it is.
pub struct ParsedImage {
    /// The registry.
    pub client: Client,
    /// The repository.
    pub repository: RepositoryName,
    /// The digest of the manifest.
    pub digest: Digest,
    /// The digest that the reference points to; another one if a platform was chosen.
    pub tagged: Digest,
    /// The media type.
    pub media_type: String,
    /// The manifest, as it was pushed.
    pub bytes: Bytes,
    /// The manifest, parsed.
    pub manifest: Manifest,
}

/// How much of a manifest is looked into.
pub const BOUNDS: Bounds = Bounds { depth: 64, descriptors: 100_000 };

/// The largest configuration that is read.
const MOST_CONFIG: usize = 16 << 20;

impl ParsedImage {
    /// Pulls the manifest of an image; of one for several platforms, that of a platform if one is given.
    pub async fn pull(
        name: &ImageName,
        platform: Option<&Platform>,
        session: &CommandSession,
    ) -> Result<Self, Failure> {
        let (client, repository) = session.registry_of(name)?;
        let reference = name.reference()?;
        let first = client.pull_manifest(&repository, &reference).await?;
        let tagged = first.digest.clone();
        let pulled = match platform {
            Some(platform) => client.pull_manifest_for(&repository, &reference, platform).await?,
            None => first,
        };
        let manifest = Manifest::parse(&pulled.bytes, Some(&pulled.media_type), BOUNDS)
            .map_err(|error| Failure::failed(format!("{name}: {error}")))?;
        let media_type = pulled.media_type;
        Ok(Self { client, repository, digest: pulled.digest, tagged, media_type, bytes: pulled.bytes, manifest })
    }

    /// The configuration, as it was pushed.
    pub async fn config_bytes(&self) -> Result<Bytes, Failure> {
        let config = self.manifest.config.as_ref();
        let config = config.ok_or_else(|| {
            Failure::failed("this is an image for several platforms; choose one with --platform, such as linux/amd64")
        })?;
        let ReferencedDigest::Known(digest) = &config.digest else {
            return Err(Failure::failed("the configuration's digest has an unknown algorithm"));
        };
        Ok(self.client.pull_blob(&self.repository, digest, Some(config.size)).bytes(MOST_CONFIG).await?)
    }

    /// The configuration.
    pub async fn config(&self) -> Result<Value, Failure> {
        let bytes = self.config_bytes().await?;
        oci::json::from_slice(&bytes)
            .map_err(|error| Failure::failed(format!("the configuration is not JSON: {error}")))
    }

    /// What the configuration says it runs on.
    pub async fn platform(&self) -> Result<Value, Failure> {
        let config = self.config().await?;
        let mut platform = json!({});
        for part in ["architecture", "os", "variant", "os.version"] {
            if let Some(value) = config.get(part).filter(|value| value.as_str().is_some_and(|text| !text.is_empty())) {
                platform[part] = value.clone();
            }
        }
        Ok(platform)
    }

    /// Its digest and what it consists of.
    pub async fn summary(&self, name: &ImageName) -> Result<Value, Failure> {
        let parsed: Value = oci::json::from_slice(&self.bytes)
            .map_err(|error| Failure::failed(format!("the manifest is not JSON: {error}")))?;
        let sizes = self.manifest.references().map(|(_, part)| part.size);
        let mut summary = json!({
            "name": name.to_string(),
            "digest": self.digest.as_str(),
            "media_type": self.media_type,
            "size": sizes.sum::<u64>() + self.bytes.len() as u64,
            "annotations": self.manifest.annotations,
            "manifest": parsed,
        });
        if self.manifest.config.is_some() {
            // Artifacts have configurations that are no JSON.
            let config = self.config().await.unwrap_or_default();
            summary["platforms"] = json!([platform_text(&config)]);
            summary["config"] = config;
            summary["layer_count"] = self.manifest.layers.len().into();
        } else {
            let children = parsed.get("manifests").and_then(Value::as_array).cloned().unwrap_or_default();
            let platforms = children.iter().filter_map(|child| child.get("platform")).map(platform_text);
            summary["platforms"] = platforms.filter(|platform| platform != "unknown/unknown").collect();
        }
        Ok(summary)
    }

    /// Its layers, as the manifest has them.
    pub fn layers(&self) -> Vec<Value> {
        let layer = |part: &oci::Descriptor| json!({ "digest": part.digest.as_str(), "size": part.size, "mediaType": part.media_type });
        self.manifest.layers.iter().map(layer).collect()
    }

    /// The digests of its layers, lowest first.
    pub fn layer_digests(&self) -> Vec<&str> {
        self.manifest.layers.iter().map(|layer| layer.digest.as_str()).collect()
    }

    /// The steps that built it, each with the size of its layer.
    pub async fn history(&self) -> Result<Vec<Value>, Failure> {
        let config = self.config().await?;
        let steps = config.get("history").and_then(Value::as_array).cloned().unwrap_or_default();
        let mut layers = self.manifest.layers.iter();
        let with_size = |mut step: Value| {
            if step.get("empty_layer").and_then(Value::as_bool) != Some(true)
                && let Some(layer) = layers.next()
            {
                step["size"] = layer.size.into();
                step["digest"] = layer.digest.as_str().into();
            }
            step
        };
        Ok(steps.into_iter().filter(Value::is_object).map(with_size).collect())
    }
}

/// What two images do not share: one row each, `-` for the first and `+` for the second.
pub async fn differences(from: &ParsedImage, to: &ParsedImage) -> Result<Vec<Value>, Failure> {
    let mut rows = Vec::new();
    if from.digest == to.digest {
        return Ok(rows);
    }
    let parts = |image: &ParsedImage| -> Vec<(String, u64)> {
        let parts = image.manifest.layers.iter().chain(&image.manifest.children);
        parts.map(|part| (part.digest.as_str().to_owned(), part.size)).collect()
    };
    let (before, after) = (parts(from), parts(to));
    let what = if from.manifest.config.is_some() { "layer" } else { "manifest" };
    for (sign, these, others) in [("-", &before, &after), ("+", &after, &before)] {
        let others: BTreeSet<_> = others.iter().map(|(digest, _)| digest).collect();
        for (digest, size) in these.iter().filter(|(digest, _)| !others.contains(digest)) {
            rows.push(json!({ "sign": sign, "what": what, "value": digest, "size": size }));
        }
    }
    if from.manifest.config.is_some() && to.manifest.config.is_some() {
        let (before, after) = (from.config().await?, to.config().await?);
        compare("", &before, &after, &mut rows);
    }
    for (sign, these, others) in [("-", from, to), ("+", to, from)] {
        for (key, value) in &these.manifest.annotations {
            if others.manifest.annotations.get(key) != Some(value) {
                rows.push(json!({ "sign": sign, "what": format!("annotation {key}"), "value": value }));
            }
        }
    }
    Ok(rows)
}

/// The values of two objects that differ, by their paths.
fn compare(path: &str, before: &Value, after: &Value, rows: &mut Vec<Value>) {
    // The history repeats what layers and configuration say, and the layers are compared already.
    if before == after || matches!(path, "/history" | "/rootfs") {
        return;
    }
    if let (Value::Object(old), Value::Object(new)) = (before, after) {
        for key in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
            let of = |object: &serde_json::Map<String, Value>| object.get(key).cloned().unwrap_or_default();
            compare(&format!("{path}/{key}"), &of(old), &of(new), rows);
        }
        return;
    }
    for (sign, value) in [("-", before), ("+", after)] {
        if !value.is_null() {
            rows.push(json!({ "sign": sign, "what": path.trim_start_matches('/'), "value": value }));
        }
    }
}
