//! Platforms of images, as people write them.

use oci::{Digest, ReferencedDigest, json};
use serde::Deserialize;
use std::{collections::HashMap, fmt};

/// What an image runs on: `linux/arm64/v8`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlatformName(String);

/// The fields of a platform, as an image's configuration and an index have them.
#[derive(Debug, Default, Deserialize)]
struct PlatformFields {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    variant: String,
}

impl PlatformFields {
    /// `None` if it says nothing, as in the entries of an index that hold attestations.
    fn name(self) -> Option<PlatformName> {
        let is_said = |text: &str| !text.is_empty() && text != "unknown";
        if !is_said(&self.os) || !is_said(&self.architecture) {
            return None;
        }
        let parts = [self.os, self.architecture, self.variant];
        // Whoever pushed it chose the words.
        let is_word =
            |text: &String| text.len() <= 32 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        let words: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        words.iter().all(is_word).then(|| PlatformName(words.join("/")))
    }
}

impl PlatformName {
    /// The platform in the configuration of an image.
    pub(crate) fn of_config(config: &[u8]) -> Option<Self> {
        json::from_slice::<PlatformFields>(config).ok()?.name()
    }

    /// The platforms of an index, by the digests of the images.
    pub(crate) fn of_index(index: &[u8]) -> HashMap<Digest, Self> {
        #[derive(Deserialize)]
        struct Index {
            manifests: Vec<PlatformEntry>,
        }
        #[derive(Deserialize)]
        struct PlatformEntry {
            digest: String,
            // Whatever it is: a manifest with an odd platform was accepted.
            platform: Option<serde_json::Value>,
        }
        let named = |entry: PlatformEntry| {
            let fields: PlatformFields = PlatformFields::deserialize(entry.platform?).ok()?;
            Some((entry.digest.parse().ok()?, fields.name()?))
        };
        let index = json::from_slice::<Index>(index);
        index.map(|index| index.manifests.into_iter().filter_map(named).collect()).unwrap_or_default()
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PlatformName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The known digests among these.
pub(crate) fn known<'d>(digests: impl Iterator<Item = &'d ReferencedDigest>) -> impl Iterator<Item = &'d Digest> {
    digests.filter_map(|digest| match digest {
        ReferencedDigest::Known(digest) => Some(digest),
        ReferencedDigest::Foreign(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_is_named_by_its_fields() {
        for (config, name) in [
            (r#"{"os":"linux","architecture":"amd64"}"#, Some("linux/amd64")),
            (r#"{"os":"linux","architecture":"arm64","variant":"v8","config":{}}"#, Some("linux/arm64/v8")),
            (r#"{"os":"unknown","architecture":"unknown"}"#, None),
            (r#"{"os":"linux"}"#, None),
            (r#"{"os":"<b>","architecture":"amd64"}"#, None),
            ("{}", None),
            ("not JSON", None),
        ] {
            assert_eq!(PlatformName::of_config(config.as_bytes()).as_ref().map(PlatformName::as_str), name, "{config}");
        }
    }

    #[test]
    fn an_index_with_odd_platforms_has_those_that_can_be_read() {
        let hex = "ab".repeat(32);
        let index = format!(
            r#"{{"manifests":[{{"digest":"sha256:{hex}","platform":{{"os":"linux","architecture":"riscv64"}}}},
                {{"digest":"sha256:{hex}0"}},{{"digest":"x","platform":7}},{{"digest":"y","platform":{{"os":[]}}}}]}}"#
        );
        let found = PlatformName::of_index(index.as_bytes());
        assert_eq!(found.values().map(PlatformName::as_str).collect::<Vec<_>>(), ["linux/riscv64"]);
    }
}
