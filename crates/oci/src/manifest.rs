//! A manifest as a view on the received bytes: its type, what it refers to, and its annotations. The bytes themselves
//! are stored and served elsewhere, unchanged.

use super::{Digest, InvalidDigest, ManifestType, json, media_type, quoted};
use base64::Engine as _;
use serde::{Deserialize, Deserializer, Serialize};
use std::{collections::BTreeMap, fmt};

/// Limits on a manifest.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Levels of nesting.
    pub depth: usize,
    /// Descriptors in all lists together.
    pub descriptors: usize,
}

/// Why some bytes are not an acceptable manifest. Clients show this to people, and mostly nothing else.
#[derive(Debug, thiserror::Error)]
pub enum InvalidManifest {
    /// Not JSON, a duplicate key, nested too deeply, or a field of a wrong type.
    #[error("invalid manifest: {0}")]
    Json(String),
    /// A media type that is not served: Docker schema 1, or unknown.
    #[error("manifests of type {0} are not accepted here")]
    Type(String),
    /// Neither `Content-Type` nor the body gives a type.
    #[error("cannot tell what kind of manifest this is: set Content-Type or mediaType")]
    Unknown,
    /// Body and header give different types.
    #[error("mediaType is {body:?}, but Content-Type is {header:?}")]
    Disagreement {
        /// `mediaType` of the body.
        body: String,
        /// `Content-Type` of the request.
        header: String,
    },
    /// A field is missing, or belongs to another kind of manifest.
    #[error("{0}")]
    Shape(&'static str),
    /// An invalid descriptor.
    #[error("{field}.{key}: {why}")]
    Descriptor {
        /// Which descriptor.
        field: Field,
        /// Which of its fields.
        key: &'static str,
        /// What is wrong.
        why: String,
    },
    /// More descriptors than the limit.
    #[error("the manifest has more than {0} descriptors")]
    TooMany(usize),
}

/// The place of a descriptor in a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    Config,
    Layers(usize),
    Blobs(usize),
    Manifests(usize),
    Subject,
}

impl Field {
    /// Whether it is a child of an index.
    pub fn is_child(self) -> bool {
        matches!(self, Self::Manifests(_))
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config => f.write_str("config"),
            Self::Layers(i) => write!(f, "layers[{i}]"),
            Self::Blobs(i) => write!(f, "blobs[{i}]"),
            Self::Manifests(i) => write!(f, "manifests[{i}]"),
            Self::Subject => f.write_str("subject"),
        }
    }
}

/// The digest in a descriptor. Its algorithm may be unknown: such content cannot be stored here, but the manifest that
/// refers to it is valid.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ReferencedDigest {
    /// With a supported algorithm.
    Known(Digest),
    /// With another algorithm, as written.
    Foreign(String),
}

impl ReferencedDigest {
    /// The digest, if its algorithm is supported.
    pub fn known(self) -> Option<Digest> {
        match self {
            Self::Known(digest) => Some(digest),
            Self::Foreign(_) => None,
        }
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(digest) => digest.as_str(),
            Self::Foreign(text) => text,
        }
    }
}

/// A descriptor (image-spec, "OCI Content Descriptors"), as far as a registry reads it.
#[derive(Clone, Debug)]
pub struct Descriptor {
    /// `mediaType`.
    pub media_type: String,
    pub digest: ReferencedDigest,
    /// `size` in bytes.
    pub size: u64,
    /// `artifactType`, if given.
    pub artifact_type: Option<String>,
    pub annotations: BTreeMap<String, String>,
}

/// The contents of a manifest.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// Its type, on which header and body agree.
    pub media_type: ManifestType,
    /// `config` of an image.
    pub config: Option<Descriptor>,
    /// `layers` of an image, `blobs` of an artifact.
    pub layers: Vec<Descriptor>,
    /// `manifests` of an index.
    pub children: Vec<Descriptor>,
    pub subject: Option<Digest>,
    /// `artifactType` as written.
    artifact_type: Option<String>,
    pub annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    schema_version: Option<u64>,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<RawDescriptor>,
    #[serde(default, deserialize_with = "list")]
    layers: Option<Vec<RawDescriptor>>,
    #[serde(default, deserialize_with = "list")]
    blobs: Option<Vec<RawDescriptor>>,
    #[serde(default, deserialize_with = "list")]
    manifests: Option<Vec<RawDescriptor>>,
    subject: Option<RawDescriptor>,
    annotations: Option<BTreeMap<String, String>>,
    fs_layers: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct RawDescriptor {
    media_type: String,
    digest: String,
    size: i64,
    artifact_type: Option<String>,
    annotations: Option<BTreeMap<String, String>>,
    data: Option<String>,
}

/// Every key that is read here, or by other readers of manifests.
const KEYS: &[&str] = &[
    "schemaVersion",
    "mediaType",
    "artifactType",
    "config",
    "layers",
    "blobs",
    "manifests",
    "subject",
    "annotations",
    "fsLayers",
    "digest",
    "size",
    "data",
    "urls",
    "platform",
];

/// Go writes an empty list as `null`: it is present and empty, unlike a missing key.
fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<RawDescriptor>>, D::Error> {
    Ok(Some(Option::deserialize(deserializer)?.unwrap_or_default()))
}

impl Manifest {
    /// Reads a manifest. `content_type` is the request's header, if it had one.
    ///
    /// # Errors
    /// [`InvalidManifest`], with a text for the client.
    pub fn parse(bytes: &[u8], content_type: Option<&str>, bounds: Bounds) -> Result<Self, InvalidManifest> {
        let raw: Raw = json::read(bytes, bounds.depth, KEYS).map_err(InvalidManifest::Json)?;
        let media_type = raw.agreed_type(content_type)?;
        raw.check_shape(media_type)?;
        let all = [&raw.layers, &raw.blobs, &raw.manifests];
        if all.iter().map(|l| l.as_ref().map_or(0, Vec::len)).sum::<usize>() > bounds.descriptors {
            return Err(InvalidManifest::TooMany(bounds.descriptors));
        }
        let subject = match raw.subject.map(|raw| raw.read(Field::Subject)).transpose()? {
            // Docker types have no subject; there it is an unknown key.
            Some(_) if matches!(media_type, ManifestType::DockerImage | ManifestType::DockerList) => None,
            Some(Descriptor { digest: ReferencedDigest::Known(digest), .. }) => Some(digest),
            Some(Descriptor { digest: ReferencedDigest::Foreign(digest), .. }) => {
                let why = format!("{} is neither sha256 nor sha512, which a subject must be", quoted(&digest));
                return Err(InvalidManifest::Descriptor { field: Field::Subject, key: "digest", why });
            }
            None => None,
        };
        let mut layers = read(raw.layers, Field::Layers)?;
        layers.extend(read(raw.blobs, Field::Blobs)?);
        Ok(Self {
            media_type,
            config: raw.config.map(|raw| raw.read(Field::Config)).transpose()?,
            layers,
            children: read(raw.manifests, Field::Manifests)?,
            subject,
            artifact_type: raw.artifact_type.filter(|t| !t.is_empty()),
            annotations: raw.annotations.unwrap_or_default(),
        })
    }

    /// All descriptors it refers to, with their places: config, layers or blobs, and children.
    pub fn references(&self) -> impl Iterator<Item = (Field, &Descriptor)> {
        let of_layers = if self.media_type == ManifestType::OciArtifact { Field::Blobs } else { Field::Layers };
        let layers = self.layers.iter().enumerate().map(move |(i, layer)| (of_layers(i), layer));
        let children = self.children.iter().enumerate().map(|(i, child)| (Field::Manifests(i), child));
        self.config.iter().map(|config| (Field::Config, config)).chain(layers).chain(children)
    }

    /// The `artifactType` under which this manifest is listed as a referrer: its own, or an image's config type, or
    /// none (distribution-spec, "Listing Referrers").
    pub fn artifact_type(&self) -> Option<&str> {
        let of_config = || self.config.as_ref().map(|c| c.media_type.as_str());
        self.artifact_type.as_deref().or_else(of_config)
    }
}

impl Raw {
    fn agreed_type(&self, content_type: Option<&str>) -> Result<ManifestType, InvalidManifest> {
        let known = |t: &str| ManifestType::of(t).ok_or_else(|| InvalidManifest::Type(quoted(t)));
        let header = content_type.filter(|t| !media_type::is_generic(t)).map(known).transpose()?;
        let body = self.media_type.as_deref().filter(|t| !t.is_empty()).map(known).transpose()?;
        match (header, body) {
            (Some(header), Some(body)) if header != body => Err(InvalidManifest::Disagreement {
                body: body.as_str().to_owned(),
                header: header.as_str().to_owned(),
            }),
            (Some(agreed), _) | (None, Some(agreed)) => Ok(agreed),
            (None, None) if self.fs_layers.is_some() => Err(InvalidManifest::Type("Docker schema 1".to_owned())),
            (None, None) if self.manifests.is_some() => Ok(ManifestType::OciIndex),
            (None, None) if self.config.is_some() => Ok(ManifestType::OciImage),
            (None, None) => Err(InvalidManifest::Unknown),
        }
    }

    /// Refuses a document that is two kinds of manifest at once: it means different things to different readers
    /// (CVE-2021-41190).
    fn check_shape(&self, media_type: ManifestType) -> Result<(), InvalidManifest> {
        let wrong = |why| Err(InvalidManifest::Shape(why));
        if self.fs_layers.is_some() {
            return wrong("Docker schema 1 manifests are not accepted");
        }
        let version_expected = media_type != ManifestType::OciArtifact;
        if self.schema_version != Some(2) && (version_expected || self.schema_version.is_some()) {
            return wrong("schemaVersion must be 2");
        }
        match media_type {
            ManifestType::OciImage | ManifestType::DockerImage => {
                if self.manifests.is_some() || self.blobs.is_some() {
                    return wrong("an image manifest must not have 'manifests' or 'blobs'");
                }
                if self.config.is_none() || self.layers.is_none() {
                    return wrong("an image manifest needs 'config' and 'layers'");
                }
            }
            ManifestType::OciIndex | ManifestType::DockerList => {
                if self.config.is_some() || self.layers.is_some() || self.blobs.is_some() {
                    return wrong("an index must not have 'config', 'layers' or 'blobs'");
                }
                if self.manifests.is_none() {
                    return wrong("an index needs 'manifests'");
                }
            }
            ManifestType::OciArtifact => {
                if self.config.is_some() || self.layers.is_some() || self.manifests.is_some() {
                    return wrong("an artifact manifest must not have 'config', 'layers' or 'manifests'");
                }
            }
        }
        Ok(())
    }
}

fn read(list: Option<Vec<RawDescriptor>>, of: fn(usize) -> Field) -> Result<Vec<Descriptor>, InvalidManifest> {
    list.unwrap_or_default().into_iter().enumerate().map(|(i, raw)| raw.read(of(i))).collect()
}

impl RawDescriptor {
    fn read(self, field: Field) -> Result<Descriptor, InvalidManifest> {
        let wrong = |key, why: &str| InvalidManifest::Descriptor { field, key, why: why.to_owned() };
        let digest = match self.digest.parse::<Digest>() {
            Ok(digest) => ReferencedDigest::Known(digest),
            Err(InvalidDigest::Unsupported) => ReferencedDigest::Foreign(self.digest),
            Err(InvalidDigest::Grammar) => {
                return Err(wrong("digest", &format!("{} is not a digest", quoted(&self.digest))));
            }
        };
        let size = u64::try_from(self.size).map_err(|_| wrong("size", &format!("{} is negative", self.size)))?;
        if self.media_type.is_empty() {
            return Err(wrong("mediaType", "must not be empty"));
        }
        if let Some(data) = &self.data {
            let data =
                base64::engine::general_purpose::STANDARD.decode(data).map_err(|_| wrong("data", "is not base64"))?;
            let matches = match &digest {
                ReferencedDigest::Known(d) => super::Hasher::digest(d.algorithm(), &data) == *d,
                ReferencedDigest::Foreign(_) => true,
            };
            if data.len() as u64 != size || !matches {
                return Err(wrong("data", "does not match the descriptor's digest and size"));
            }
        }
        Ok(Descriptor {
            media_type: self.media_type,
            digest,
            size,
            artifact_type: self.artifact_type.filter(|t| !t.is_empty()),
            annotations: self.annotations.unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests;
