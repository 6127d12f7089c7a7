//! The manifests of an image: that of its tag, and what it lists, without the platforms that are not wanted.

use super::{
    failure::CopyFailure,
    limits::{DEEPEST, MOST_MANIFEST_BYTES, MOST_MANIFESTS},
};
use bytes::Bytes;
use client::{Client, ErrorKind, Platform};
use futures_util::future::BoxFuture;
use oci::{Bounds, Digest, InvalidManifest, Manifest, ManifestType, Reference, RepositoryName, json};
use serde::Deserialize;
use std::collections::{BTreeMap, HashSet};

/// A manifest of the other registry. Its bytes have its digest.
pub(super) struct SourceManifest {
    pub(super) digest: Digest,
    pub(super) media_type: ManifestType,
    pub(super) bytes: Bytes,
    pub(super) parsed: Manifest,
}

/// Reads the manifests of one image and of what refers to it.
pub(super) struct TreeReader<'a> {
    client: &'a Client,
    repository: &'a RepositoryName,
    platforms: &'a [Platform],
    bounds: Bounds,
    /// What was read, so that nothing is read twice.
    seen: HashSet<Digest>,
    bytes: usize,
}

/// An entry of an index, as far as the choice of platforms needs it.
#[derive(Deserialize)]
struct ListedPlatform {
    digest: String,
    #[serde(default)]
    platform: Option<Platform>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct ListedPlatforms {
    #[serde(default)]
    manifests: Option<Vec<ListedPlatform>>,
}

/// Names the image that an entry of an index attests to, as BuildKit writes it.
const ATTESTS_TO: &str = "vnd.docker.reference.digest";

impl<'a> TreeReader<'a> {
    pub(super) fn new(
        client: &'a Client,
        repository: &'a RepositoryName,
        platforms: &'a [Platform],
        bounds: Bounds,
    ) -> Self {
        Self { client, repository, platforms, bounds, seen: HashSet::new(), bytes: 0 }
    }

    /// The manifest of a tag or digest, and before it those that it lists and that were not read before. What a
    /// manifest lists comes before it.
    pub(super) async fn read(&mut self, reference: &Reference) -> Result<Vec<SourceManifest>, CopyFailure> {
        let mut found = Vec::new();
        self.visit(reference.clone(), DEEPEST, &mut found).await?;
        Ok(found)
    }

    fn visit<'v>(
        &'v mut self,
        reference: Reference,
        depth: usize,
        found: &'v mut Vec<SourceManifest>,
    ) -> BoxFuture<'v, Result<(), CopyFailure>> {
        Box::pin(async move {
            let pulled = self.client.pull_manifest(self.repository, &reference).await?;
            if self.seen.insert(pulled.digest.clone()) {
                self.bytes += pulled.bytes.len();
            }
            if self.seen.len() > MOST_MANIFESTS || self.bytes > MOST_MANIFEST_BYTES {
                return Err(CopyFailure::Final(format!(
                    "the image and what refers to it have more than {MOST_MANIFESTS} manifests, or {} of them",
                    crate::files::Size(MOST_MANIFEST_BYTES as u64)
                )));
            }
            let media_type = ManifestType::of(&pulled.media_type);
            let media_type = media_type.ok_or_else(|| CopyFailure::of_type(&pulled.media_type));
            let parsed = Manifest::parse(&pulled.bytes, Some(&pulled.media_type), self.bounds);
            let parsed = match (parsed, &media_type) {
                (Ok(parsed), _) => parsed,
                // Without a media type in its header, a manifest of schema 1 is recognised by its fields.
                (Err(InvalidManifest::Type(found)), _) if found.contains("schema 1") => {
                    return Err(CopyFailure::of_type("application/vnd.docker.distribution.manifest.v1+json"));
                }
                (Err(_), Err(_)) => return Err(CopyFailure::of_type(&pulled.media_type)),
                (Err(error), Ok(_)) => return Err(CopyFailure::Final(error.to_string())),
            };
            let media_type = media_type?;
            for child in wanted(&pulled.bytes, &parsed, self.platforms)? {
                if self.seen.contains(&child) {
                    continue;
                }
                if depth == 0 {
                    return Err(CopyFailure::Final(format!("it nests indexes more than {DEEPEST} deep")));
                }
                match self.visit(Reference::Digest(child), depth - 1, found).await {
                    // The other registry does not have it either; whether the index may be stored without it is decided
                    // when it is.
                    Err(CopyFailure::Source(error)) if error.kind() == ErrorKind::NotFound => {}
                    read => read?,
                }
            }
            let (digest, bytes) = (pulled.digest, pulled.bytes);
            found.push(SourceManifest { digest, media_type, bytes, parsed });
            Ok(())
        })
    }
}

/// The manifests that are copied of those that an index lists.
fn wanted(bytes: &[u8], parsed: &Manifest, platforms: &[Platform]) -> Result<Vec<Digest>, CopyFailure> {
    let all = || parsed.children.iter().filter_map(|child| child.digest.clone().known());
    if platforms.is_empty() || parsed.children.is_empty() {
        return Ok(all().collect());
    }
    let unreadable = |_| CopyFailure::Final("its index has an unreadable platform".to_owned());
    let listed = json::from_slice::<ListedPlatforms>(bytes).map_err(unreadable)?.manifests.unwrap_or_default();
    let is_wanted = |entry: &ListedPlatform| {
        let has = entry.platform.as_ref();
        has.is_some_and(|has| platforms.iter().any(|asked| covers(asked, has)))
    };
    let kept: HashSet<&str> = listed.iter().filter(|e| is_wanted(e)).map(|entry| entry.digest.as_str()).collect();
    let has_platforms = listed.iter().any(|entry| entry.platform.as_ref().is_some_and(|has| has.os != "unknown"));
    if kept.is_empty() && has_platforms {
        let there: Vec<String> = listed.iter().filter_map(|e| e.platform.as_ref().map(ToString::to_string)).collect();
        let there = client::escaped(&there.join(", ").chars().take(200).collect::<String>());
        return Err(CopyFailure::Final(format!("it is not for any of the platforms asked for; it is for {there}")));
    }
    let attests_to_kept = |entry: &ListedPlatform| {
        let to = entry.annotations.as_ref().and_then(|annotations| annotations.get(ATTESTS_TO));
        to.is_some_and(|to| kept.contains(to.as_str()))
    };
    // What names no platform is not for another one.
    let goes_along = |entry: &ListedPlatform| entry.platform.is_none() || attests_to_kept(entry);
    let chosen = listed.iter().filter(|entry| kept.contains(entry.digest.as_str()) || goes_along(entry));
    let chosen: HashSet<&str> = chosen.map(|entry| entry.digest.as_str()).collect();
    Ok(all().filter(|child| chosen.contains(child.as_str())).collect())
}

/// Whether an image for `has` is one for the platform that was asked for. Without a variant, all of them are.
fn covers(asked: &Platform, has: &Platform) -> bool {
    asked.os == has.os
        && asked.architecture == has.architecture
        && asked.variant.as_ref().is_none_or(|variant| has.variant.as_ref() == Some(variant))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn digest(n: u8) -> String {
        format!("sha256:{}", format!("{n:02x}").repeat(32))
    }

    fn entry(n: u8, more: Value) -> Value {
        let mut entry = json!({ "mediaType": oci::media_type::OCI_MANIFEST, "digest": digest(n), "size": 2 });
        entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        entry
    }

    fn chosen(entries: &[Value], platforms: &[&str]) -> Result<Vec<u8>, CopyFailure> {
        let index = json!({ "schemaVersion": 2, "mediaType": oci::media_type::OCI_INDEX, "manifests": entries });
        let bytes = index.to_string().into_bytes();
        let parsed = Manifest::parse(&bytes, None, Bounds { depth: 32, descriptors: 100 }).unwrap();
        let platforms: Vec<Platform> = platforms.iter().map(|text| text.parse().unwrap()).collect();
        let wanted = wanted(&bytes, &parsed, &platforms)?;
        Ok(wanted.iter().map(|d| u8::from_str_radix(&d.hex()[..2], 16).unwrap()).collect())
    }

    #[test]
    fn an_index_is_copied_for_the_platforms_that_were_asked_for() {
        let of = |os: &str, architecture: &str| json!({ "platform": { "os": os, "architecture": architecture } });
        let attestation = json!({
            "platform": { "os": "unknown", "architecture": "unknown" },
            "annotations": { ATTESTS_TO: digest(1) },
        });
        let entries = [
            entry(1, of("linux", "amd64")),
            entry(2, json!({ "platform": { "os": "linux", "architecture": "arm", "variant": "v7" } })),
            entry(3, json!({ "platform": { "os": "linux", "architecture": "arm", "variant": "v6" } })),
            entry(4, attestation),
            entry(5, json!({})),
        ];
        assert_eq!(chosen(&entries, &[]).unwrap(), [1, 2, 3, 4, 5]);
        assert_eq!(chosen(&entries, &["linux/amd64"]).unwrap(), [1, 4, 5]);
        assert_eq!(chosen(&entries, &["linux/arm"]).unwrap(), [2, 3, 5]);
        assert_eq!(chosen(&entries, &["linux/arm/v7", "linux/amd64"]).unwrap(), [1, 2, 4, 5]);
        let none = chosen(&entries[..4], &["windows/amd64"]).unwrap_err().to_string();
        assert!(none.contains("linux/arm/v7"), "{none}");
    }
}
