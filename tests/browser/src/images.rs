//! Images to push: layers with the steps that made them, indexes, and what is attached to them.

use crate::{Result, registry::Registry};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Bytes that are the same for the same seed.
pub fn noise(length: usize, seed: &str) -> Vec<u8> {
    let mut state = seed
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
        | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// An image of one platform.
pub struct Image {
    repository: String,
    machine: &'static str,
    /// Steps of the build; with the length and seed of the layer, if the step made one.
    steps: Vec<(String, Option<(usize, String)>)>,
    labels: serde_json::Map<String, Value>,
    environment: Vec<String>,
}

impl Image {
    pub fn new(repository: &str, machine: &'static str, version: &str) -> Self {
        let mut labels = serde_json::Map::new();
        labels.insert("org.opencontainers.image.version".into(), version.into());
        labels.insert("org.opencontainers.image.source".into(), format!("https://git.example.com/{repository}").into());
        let environment = vec!["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()];
        Self { repository: repository.to_owned(), machine, steps: Vec::new(), labels, environment }
    }

    pub fn layer(mut self, step: impl Into<String>, length: usize, seed: impl Into<String>) -> Self {
        self.steps.push((step.into(), Some((length, seed.into()))));
        self
    }

    /// A step that makes no layer.
    pub fn nothing(mut self, step: impl Into<String>) -> Self {
        self.steps.push((step.into(), None));
        self
    }

    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(name.into(), Value::String(value.into()));
        self
    }

    pub fn environment(mut self, line: impl Into<String>) -> Self {
        self.environment.push(line.into());
        self
    }

    /// Pushes it under a tag, or without one; returns its descriptor.
    pub async fn push(self, registry: &Registry, tag: &str) -> Result<Value> {
        let mut layers = Vec::new();
        for (length, seed) in self.steps.iter().filter_map(|(_, layer)| layer.as_ref()) {
            layers.push(registry.blob(&self.repository, LAYER, &noise(*length, seed)).await?);
        }
        let (machine, variant) = self.machine.split_once('/').unwrap_or((self.machine, ""));
        let history = |(step, layer): &(String, Option<(usize, String)>)| json!({ "created": "2026-11-02T08:15:00Z", "created_by": step, "comment": "buildkit.dockerfile.v0", "empty_layer": layer.is_none() });
        let mut config = json!({
            "architecture": machine, "os": "linux", "created": "2026-11-02T08:15:00Z",
            "config": { "Env": self.environment, "Entrypoint": ["/usr/local/bin/start"], "User": "10001", "WorkingDir": "/srv",
                "ExposedPorts": { "8080/tcp": {} }, "Labels": self.labels },
            "rootfs": { "type": "layers", "diff_ids": layers.iter().map(|layer| &layer["digest"]).collect::<Vec<_>>() },
            "history": self.steps.iter().map(history).collect::<Vec<_>>(),
        });
        if !variant.is_empty() {
            config["variant"] = variant.into();
        }
        let config = registry.blob(&self.repository, CONFIG, config.to_string().as_bytes()).await?;
        let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers });
        registry.manifest(&self.repository, tag, &manifest).await
    }
}

/// Pushes an index of images of these machines; returns its descriptor.
pub async fn index(registry: &Registry, repository: &str, tag: &str, children: &[(&str, Value)]) -> Result<Value> {
    let child = |(machine, descriptor): &(&str, Value)| {
        let (machine, variant) = machine.split_once('/').unwrap_or((machine, ""));
        let mut child = descriptor.clone();
        child["platform"] = json!({ "os": "linux", "architecture": machine });
        if !variant.is_empty() {
            child["platform"]["variant"] = variant.into();
        }
        child
    };
    let manifest =
        json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": children.iter().map(child).collect::<Vec<_>>() });
    registry.manifest(repository, tag, &manifest).await
}

/// Attaches something to a manifest, such as a signature.
pub async fn attach(registry: &Registry, repository: &str, subject: &Value, artifact_type: &str) -> Result<()> {
    let empty = registry.blob(repository, "application/vnd.oci.empty.v1+json", b"{}").await?;
    let content = noise(1800, &format!("{artifact_type}{}", subject["digest"]));
    let layer = registry.blob(repository, artifact_type, &content).await?;
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": artifact_type, "config": empty, "layers": [layer],
        "subject": subject, "annotations": { "org.opencontainers.image.created": "2026-11-02T08:20:00Z" },
    });
    registry.manifest(repository, "", &manifest).await.map(drop)
}

/// A tag, and how many days ago it is to have been pushed.
pub struct Pushed {
    repository: String,
    tag: String,
    days: u64,
}

impl Pushed {
    pub fn of(repository: &str, tag: &str, days: u64) -> Self {
        Self { repository: repository.to_owned(), tag: tag.to_owned(), days }
    }
}

/// Writes the times of pushes into the storage directory, as docs/layout.md says where they are.
pub fn age(data: &Path, pushed: &[Pushed]) -> Result<()> {
    let now = SystemTime::now();
    let mut last = BTreeMap::new();
    for (i, one) in pushed.iter().enumerate() {
        let manifests = data.join("repositories").join(&one.repository).join("_manifests");
        let at = now - Duration::from_secs(one.days * 86_400 + 2500 + 7 * i as u64);
        let tag = manifests.join("tags").join(&one.tag);
        let digest = fs::read_to_string(&tag)?;
        fs::File::options().write(true).open(&tag)?.set_modified(at)?;
        let (algorithm, hex) = digest.trim().split_once(':').ok_or("no digest")?;
        let revision = manifests.join("revisions").join(algorithm).join(hex);
        let mut record: Value = serde_json::from_slice(&fs::read(&revision)?)?;
        record["pushed"] = rfc3339(at).into();
        fs::write(&revision, format!("{record}\n"))?;
        let last = last.entry(&one.repository).or_insert(at);
        *last = at.max(*last);
    }
    // The time of a directory says when the repository was last changed.
    for (repository, at) in last {
        let repository = data.join("repositories").join(repository);
        for directory in ["_manifests/tags", "_manifests/revisions/sha256", "_layers/sha256"] {
            fs::File::open(repository.join(directory))?.set_modified(at)?;
        }
    }
    Ok(())
}

/// A time as RFC 3339 (the inverse of days_from_civil by Howard Hinnant).
fn rfc3339(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (days, of_day) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let (day, month) = (of_year - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = year + era * 400 + u64::from(month <= 2);
    format!("{year}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", of_day / 3600, of_day % 3600 / 60, of_day % 60)
}
