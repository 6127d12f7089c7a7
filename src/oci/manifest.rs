//! A manifest as a view on the bytes received: what it is, what it refers to, what it says of
//! itself. The bytes themselves are kept and served elsewhere, untouched.

use super::{
    Digest, InvalidDigest, ManifestType,
    json::{self, Object},
    media_type,
};
use base64::Engine as _;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

/// How much a manifest may hold.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Levels of nesting.
    pub depth: usize,
    /// Descriptors, all lists together.
    pub descriptors: usize,
}

/// Why some bytes are no manifest we accept. Each is said to the client.
#[derive(Debug, thiserror::Error)]
pub enum InvalidManifest {
    /// Not JSON, a repeated key, nested too deeply, or a field of a wrong type.
    #[error("not a manifest: {0}")]
    Json(#[from] serde_json::Error),
    /// A media type that is not served: Docker schema 1, or unknown.
    #[error("manifests of type {0:?} are not accepted")]
    Type(String),
    /// Neither `Content-Type` nor the body tell what it is.
    #[error("neither Content-Type nor the content tells what kind of manifest this is")]
    Unknown,
    /// Body and header disagree.
    #[error("the manifest says its mediaType is {body:?}, its Content-Type says {header:?}")]
    Disagreement {
        /// `mediaType` of the body.
        body: String,
        /// `Content-Type` of the request.
        header: String,
    },
    /// A field is missing, or stands where another kind of manifest has it.
    #[error("{0}")]
    Shape(&'static str),
    /// A descriptor that cannot be.
    #[error("descriptor {digest:?}: {why}")]
    Descriptor {
        /// Its `digest`, as written.
        digest: String,
        /// What is wrong.
        why: &'static str,
    },
    /// More descriptors than the bound.
    #[error("more than {0} descriptors")]
    TooMany(usize),
}

/// The digest in a descriptor. Its algorithm need not be one of ours: such content cannot be
/// here, but the manifest that names it is valid.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ReferencedDigest {
    /// Of an algorithm we store by.
    Known(Digest),
    /// Of another one, as written.
    Foreign(String),
}

impl ReferencedDigest {
    /// As written.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(digest) => digest.as_str(),
            Self::Foreign(text) => text,
        }
    }
}

/// A descriptor (image-spec, "OCI Content Descriptors"), as far as a registry looks into it.
#[derive(Clone, Debug)]
pub struct Descriptor {
    /// `mediaType`.
    pub media_type: String,
    /// `digest`.
    pub digest: ReferencedDigest,
    /// `size` in bytes.
    pub size: u64,
    /// `artifactType`, if given.
    pub artifact_type: Option<String>,
    /// `annotations`.
    pub annotations: BTreeMap<String, String>,
}

/// What a manifest says.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// Its type, agreed between header and body.
    pub media_type: ManifestType,
    /// `config` of an image.
    pub config: Option<Descriptor>,
    /// `layers` of an image, `blobs` of an artifact.
    pub layers: Vec<Descriptor>,
    /// `manifests` of an index.
    pub children: Vec<Descriptor>,
    /// `subject`.
    pub subject: Option<Digest>,
    /// `artifactType` as written.
    artifact_type: Option<String>,
    /// `annotations`.
    pub annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    schema_version: Option<u64>,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Object<RawDescriptor>>,
    #[serde(default, deserialize_with = "list")]
    layers: Option<Vec<Object<RawDescriptor>>>,
    #[serde(default, deserialize_with = "list")]
    blobs: Option<Vec<Object<RawDescriptor>>>,
    #[serde(default, deserialize_with = "list")]
    manifests: Option<Vec<Object<RawDescriptor>>>,
    subject: Option<Object<RawDescriptor>>,
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

/// Every key that is looked at here, or by those who read manifests elsewhere.
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

/// `null` is how Go writes an empty list: present and empty, unlike a key that is not there.
fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<Object<RawDescriptor>>>, D::Error> {
    Ok(Some(Option::deserialize(deserializer)?.unwrap_or_default()))
}

impl Manifest {
    /// Reads a manifest. `content_type` is the request's header, if it had one.
    ///
    /// # Errors
    /// [`InvalidManifest`], with words for the client.
    pub fn parse(bytes: &[u8], content_type: Option<&str>, bounds: Bounds) -> Result<Self, InvalidManifest> {
        json::check(bytes, bounds.depth, KEYS)?;
        let Object(raw): Object<Raw> = serde_json::from_slice(bytes)?;
        let media_type = raw.agreed_type(content_type)?;
        raw.check_shape(media_type)?;
        let all = [&raw.layers, &raw.blobs, &raw.manifests];
        if all.iter().map(|l| l.as_ref().map_or(0, Vec::len)).sum::<usize>() > bounds.descriptors {
            return Err(InvalidManifest::TooMany(bounds.descriptors));
        }
        let read = |list: Option<Vec<Object<RawDescriptor>>>| -> Result<Vec<_>, _> {
            list.unwrap_or_default().into_iter().map(|Object(raw)| raw.read()).collect()
        };
        let subject = match raw.subject.map(|Object(raw)| raw.read()).transpose()? {
            // Docker types have no subject; the key is just an unknown one there.
            Some(_) if matches!(media_type, ManifestType::DockerImage | ManifestType::DockerList) => None,
            Some(Descriptor { digest: ReferencedDigest::Known(digest), .. }) => Some(digest),
            Some(Descriptor { digest: ReferencedDigest::Foreign(digest), .. }) => {
                let why = "a subject must have a sha256 or sha512 digest, or its referrers could not be listed";
                return Err(InvalidManifest::Descriptor { digest, why });
            }
            None => None,
        };
        let mut layers = read(raw.layers)?;
        layers.extend(read(raw.blobs)?);
        Ok(Self {
            media_type,
            config: raw.config.map(|Object(raw)| raw.read()).transpose()?,
            layers,
            children: read(raw.manifests)?,
            subject,
            artifact_type: raw.artifact_type.filter(|t| !t.is_empty()),
            annotations: raw.annotations.unwrap_or_default(),
        })
    }

    /// The `artifactType` under which this manifest is listed as a referrer: its own, else an
    /// image's config type, else none (distribution-spec, "Listing Referrers").
    pub fn artifact_type(&self) -> Option<&str> {
        let of_config = || self.config.as_ref().map(|c| c.media_type.as_str());
        self.artifact_type.as_deref().or_else(of_config)
    }
}

impl Raw {
    fn agreed_type(&self, content_type: Option<&str>) -> Result<ManifestType, InvalidManifest> {
        let known = |t: &str| ManifestType::of(t).ok_or_else(|| InvalidManifest::Type(t.to_owned()));
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

    /// A document that is two kinds of manifest at once means different things to different
    /// readers (CVE-2021-41190).
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
                    return wrong("an image manifest has neither 'manifests' nor 'blobs'");
                }
                if self.config.is_none() || self.layers.is_none() {
                    return wrong("an image manifest needs 'config' and 'layers'");
                }
            }
            ManifestType::OciIndex | ManifestType::DockerList => {
                if self.config.is_some() || self.layers.is_some() || self.blobs.is_some() {
                    return wrong("an index has none of 'config', 'layers' and 'blobs'");
                }
                if self.manifests.is_none() {
                    return wrong("an index needs 'manifests'");
                }
            }
            ManifestType::OciArtifact => {
                if self.config.is_some() || self.layers.is_some() || self.manifests.is_some() {
                    return wrong("an artifact manifest has none of 'config', 'layers' and 'manifests'");
                }
            }
        }
        Ok(())
    }
}

impl RawDescriptor {
    fn read(self) -> Result<Descriptor, InvalidManifest> {
        let wrong = |digest: &str, why| InvalidManifest::Descriptor { digest: digest.to_owned(), why };
        let digest = match self.digest.parse::<Digest>() {
            Ok(digest) => ReferencedDigest::Known(digest),
            Err(InvalidDigest::Unsupported) => ReferencedDigest::Foreign(self.digest.clone()),
            Err(InvalidDigest::Grammar) => return Err(wrong(&self.digest, "not a digest")),
        };
        let size = u64::try_from(self.size).map_err(|_| wrong(&self.digest, "its size is negative"))?;
        if self.media_type.is_empty() {
            return Err(wrong(&self.digest, "its mediaType is empty"));
        }
        if let Some(data) = &self.data {
            let data = base64::engine::general_purpose::STANDARD
                .decode(data)
                .map_err(|_| wrong(&self.digest, "its data is not base64"))?;
            let matches = match &digest {
                ReferencedDigest::Known(d) => super::Hasher::digest(d.algorithm(), &data) == *d,
                ReferencedDigest::Foreign(_) => true,
            };
            if data.len() as u64 != size || !matches {
                return Err(wrong(&self.digest, "its data is not the content it describes"));
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
