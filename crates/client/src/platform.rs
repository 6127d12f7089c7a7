//! Images for several platforms: an index, and the choice of one of its manifests.

use crate::{
    Client, Error, PulledManifest,
    error::{ErrorCause, ErrorKind},
    pages,
};
use oci::{Digest, ManifestType, Reference, RepositoryName};
use std::{fmt, str::FromStr};

/// Which machine an image is for: `linux/amd64`, `linux/arm/v7`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Deserialize)]
pub struct Platform {
    /// As Go names it.
    pub os: String,
    /// As Go names it.
    pub architecture: String,
    /// The version of the architecture.
    #[serde(default)]
    pub variant: Option<String>,
}

/// A text that is no platform.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a platform is os/architecture or os/architecture/variant, such as linux/arm64")]
pub struct InvalidPlatform;

/// An entry of an index, as far as the choice needs it.
#[derive(serde::Deserialize)]
struct IndexEntry {
    digest: Digest,
    #[serde(default)]
    platform: Option<Platform>,
}

#[derive(serde::Deserialize)]
struct IndexEntries {
    // An entry with a digest of another algorithm cannot be pulled, and is no reason to fail.
    manifests: Option<Vec<serde_json::Value>>,
}

/// Indexes within indexes that are followed.
const MOST_DEPTH: usize = 4;

impl Client {
    /// Pulls the manifest for a platform: the one of the reference itself, unless that is an index.
    ///
    /// # Errors
    /// As [`Client::pull_manifest`], and of the kind [`ErrorKind::NotFound`] if the index has none
    /// for the platform.
    pub async fn pull_manifest_for(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
        platform: &Platform,
    ) -> Result<PulledManifest, Error> {
        let pull = async {
            let mut pulled = self.manifest_once(repository, reference).await?;
            for _ in 0..MOST_DEPTH {
                if !ManifestType::of(&pulled.media_type).is_some_and(ManifestType::is_index) {
                    return Ok(pulled);
                }
                let chosen = choose(&pulled.bytes, platform)?;
                pulled = self.manifest_once(repository, &Reference::Digest(chosen)).await?;
            }
            Err(ErrorCause::protocol("indexes are nested too deeply"))
        };
        pull.await.map_err(|fault: ErrorCause| {
            fault.during(format!("{} for {platform}", self.about("pull manifest", repository, reference)))
        })
    }
}

/// The manifest of an index that fits a platform best.
fn choose(index: &[u8], platform: &Platform) -> Result<Digest, ErrorCause> {
    let entries = pages::json::<IndexEntries>(index)?.manifests.unwrap_or_default();
    let entries = entries.iter().filter_map(|entry| pages::json::<IndexEntry>(entry.to_string().as_bytes()).ok());
    let mut best: Option<(u32, Digest)> = None;
    let mut there = Vec::new();
    for entry in entries {
        let Some(has) = entry.platform else { continue };
        if let Some(fit) = platform.fit(&has)
            && best.as_ref().is_none_or(|(before, _)| fit < *before)
        {
            best = Some((fit, entry.digest));
        }
        there.push(has.to_string());
    }
    best.map(|(_, digest)| digest).ok_or_else(|| {
        let there = crate::text::shown(&there.join(", "));
        let there = if there.is_empty() { "none that names a platform".to_owned() } else { there };
        ErrorCause::new(ErrorKind::NotFound, format!("the image has none for this platform; it has: {there}"))
    })
}

impl Platform {
    /// How well an image for `has` runs here; 0 is best, `None` not at all.
    fn fit(&self, has: &Self) -> Option<u32> {
        if self.os != has.os || self.architecture != has.architecture {
            return None;
        }
        match (self.version(), has.version()) {
            // An older version of an architecture runs on a newer one.
            (Some(wanted), Some(offered)) => wanted.checked_sub(offered),
            _ if self.variant == has.variant => Some(0),
            _ if has.variant.is_none() => Some(1),
            _ if self.variant.is_none() => Some(2),
            _ => None,
        }
    }

    /// The variant as a number, with the one that is meant if none is named.
    fn version(&self) -> Option<u32> {
        let default = match self.architecture.as_str() {
            "arm64" => "v8",
            "arm" => "v7",
            "amd64" => "v1",
            _ => return None,
        };
        self.variant.as_deref().filter(|v| !v.is_empty()).unwrap_or(default).strip_prefix('v')?.parse().ok()
    }
}

impl FromStr for Platform {
    type Err = InvalidPlatform;

    fn from_str(text: &str) -> Result<Self, InvalidPlatform> {
        let parts: Vec<&str> = text.split('/').collect();
        if parts.iter().any(|part| part.is_empty()) {
            return Err(InvalidPlatform);
        }
        let (os, architecture, variant) = match parts[..] {
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some(variant.to_owned())),
            _ => return Err(InvalidPlatform),
        };
        Ok(Self { os: os.to_owned(), architecture: architecture.to_owned(), variant })
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The number of the entry that is chosen, from platforms as they stand in an index.
    fn chosen(wanted: &str, offered: &[&str]) -> Result<usize, String> {
        let digest = |i: usize| format!("sha256:{i:064}");
        let entries: Vec<_> = offered
            .iter()
            .enumerate()
            .map(|(i, platform)| match platform.parse::<Platform>() {
                Ok(p) => json!({ "digest": digest(i), "platform": { "os": p.os, "architecture": p.architecture, "variant": p.variant } }),
                Err(_) => json!({ "digest": platform }),
            })
            .collect();
        let index = json!({ "manifests": entries }).to_string();
        let found = choose(index.as_bytes(), &wanted.parse().unwrap()).map_err(|f| f.during("x").to_string())?;
        Ok((0..offered.len()).find(|i| digest(*i) == found.as_str()).unwrap())
    }

    #[test]
    fn the_manifest_that_fits_best_is_chosen() {
        for (wanted, offered, index) in [
            ("linux/arm64", &["linux/amd64", "linux/arm64/v8"][..], 1),
            ("linux/arm64/v8", &["linux/arm64"], 0),
            ("linux/arm/v7", &["linux/arm/v5", "linux/arm/v6", "linux/arm64/v8"], 1),
            ("linux/arm", &["linux/arm/v6", "linux/arm/v7"], 1),
            ("linux/amd64", &["linux/amd64/v2", "linux/amd64"], 1),
            ("linux/amd64/v3", &["linux/amd64", "linux/amd64/v2", "linux/amd64/v4"], 1),
            ("linux/ppc64le", &["unknown/unknown", "linux/ppc64le"], 1),
            ("linux/amd64", &["blake3:aa", "linux/amd64", "linux/amd64"], 1),
        ] {
            assert_eq!(chosen(wanted, offered), Ok(index), "{wanted} of {offered:?}");
        }
    }

    #[test]
    fn the_error_for_a_missing_platform_lists_those_that_exist() {
        let error = chosen("linux/arm/v5", &["linux/arm/v6", "windows/amd64"]).unwrap_err();
        assert!(error.contains("it has: linux/arm/v6, windows/amd64"), "{error}");
        assert!(chosen("linux/amd64", &[]).unwrap_err().contains("none that names a platform"));
        for bad in ["", "linux", "linux/", "/amd64", "a/b/c/d"] {
            assert_eq!(bad.parse::<Platform>(), Err(InvalidPlatform), "{bad}");
        }
    }
}
