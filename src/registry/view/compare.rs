//! How two manifests of a repository differ.

use super::details::{ManifestDetail, ManifestReader};
use crate::registry::{RegistryError, Repository, Result};
use oci::{Descriptor, Reference, json};
use serde_json::{Map, Value};
use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

/// Two manifests, and how they differ.
#[derive(Clone, Debug)]
pub struct ImageComparison {
    /// The first one.
    pub from: Arc<ManifestDetail>,
    /// The second one.
    pub to: Arc<ManifestDetail>,
    /// Bytes of everything the first one consists of.
    pub from_size: u64,
    /// The same of the second one.
    pub to_size: u64,
    /// Layers and children that both have.
    pub common: Vec<Descriptor>,
    /// Those that only the first one has.
    pub removed: Vec<Descriptor>,
    /// Those that only the second one has.
    pub added: Vec<Descriptor>,
    /// How the configurations differ.
    pub config: Vec<ConfigChange>,
}

/// A value of an image's configuration that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigChange {
    /// Its key, such as `config.Env`.
    pub key: String,
    /// The first value, if there is one.
    pub from: Option<Value>,
    /// The second value, if there is one.
    pub to: Option<Value>,
}

impl Repository {
    /// Compares two manifests.
    ///
    /// # Errors
    /// [`RegistryError::ManifestUnknown`]; the store's, except for damage.
    pub async fn compare(&self, from: &Reference, to: &Reference) -> Result<ImageComparison> {
        let mut reader = ManifestReader::of(self);
        let (from, from_size, from_config) = self.side(&mut reader, from).await?;
        let (to, to_size, to_config) = self.side(&mut reader, to).await?;
        let (removed, common) = split(&from, &to);
        let (added, _) = split(&to, &from);
        let config = changes(&from_config, &to_config);
        Ok(ImageComparison { from, to, from_size, to_size, common, removed, added, config })
    }

    async fn side(
        &self,
        reader: &mut ManifestReader,
        reference: &Reference,
    ) -> Result<(Arc<ManifestDetail>, u64, Map<String, Value>)> {
        let digest = self.manifest(reference).await?.digest;
        let parts = reader.parts(&digest).await?;
        let first = parts.first().cloned().ok_or_else(|| RegistryError::ManifestUnknown(reference.clone()))?;
        let config = reader.config(&first).await?.and_then(|config| json::from_slice(&config).ok());
        Ok((first, ManifestDetail::size_of(&parts), config.unwrap_or_default()))
    }
}

/// What only `one` has, and what both have.
fn split(one: &ManifestDetail, other: &ManifestDetail) -> (Vec<Descriptor>, Vec<Descriptor>) {
    let content = |detail: &ManifestDetail| -> Vec<Descriptor> {
        detail.content.iter().flat_map(|content| content.layers.iter().chain(&content.children)).cloned().collect()
    };
    let others: HashSet<String> = content(other).iter().map(|d| d.digest.as_str().to_owned()).collect();
    content(one).into_iter().partition(|descriptor| !others.contains(descriptor.digest.as_str()))
}

/// The values that differ; those of `config` each by itself. History and layers are compared elsewhere.
fn changes(from: &Map<String, Value>, to: &Map<String, Value>) -> Vec<ConfigChange> {
    let flat = |config: &Map<String, Value>| -> Map<String, Value> {
        let mut flat = Map::new();
        for (key, value) in config.iter().filter(|(key, _)| !matches!(key.as_str(), "history" | "rootfs")) {
            match value {
                Value::Object(inner) if key == "config" => {
                    flat.extend(inner.iter().map(|(key, value)| (format!("config.{key}"), value.clone())));
                }
                other => drop(flat.insert(key.clone(), other.clone())),
            }
        }
        flat
    };
    let (from, to) = (flat(from), flat(to));
    let keys: BTreeSet<&String> = from.keys().chain(to.keys()).collect();
    let change =
        |key: &String| ConfigChange { key: key.clone(), from: from.get(key).cloned(), to: to.get(key).cloned() };
    keys.into_iter().map(change).filter(|change| change.from != change.to).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn configurations_differ_by_their_values() {
        let map = |value: Value| value.as_object().unwrap().clone();
        let from = map(json!({ "os": "linux", "history": [1], "config": { "Env": ["A=1"], "User": "root" } }));
        let to = map(json!({ "os": "linux", "history": [2], "config": { "Env": ["A=2"] }, "author": "me" }));
        let change = |key: &str, from, to| ConfigChange { key: key.to_owned(), from, to };
        assert_eq!(
            changes(&from, &to),
            [
                change("author", None, Some(json!("me"))),
                change("config.Env", Some(json!(["A=1"])), Some(json!(["A=2"]))),
                change("config.User", Some(json!("root")), None),
            ]
        );
        assert_eq!(changes(&from, &from), []);
    }
}
