//! Manifests with what they refer to, read once each.

use super::platform::{PlatformName, known};
use crate::{
    registry::{RegistryError, Repository, Result, revision::RevisionRecord, verify},
    storage::{StorageError, work_on},
};
use bytes::Bytes;
use oci::{Descriptor, Digest, Manifest, ManifestType, Span};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::SystemTime,
};

/// What kind of thing a manifest describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ManifestKind {
    /// A container image.
    Image,
    /// A list of other manifests, such as the images of several platforms.
    Index,
    /// A Helm chart.
    Chart,
    /// Anything else, or something that cannot be read.
    Artifact,
}

/// A manifest of a repository, and what is recorded about it.
#[derive(Debug)]
pub struct ManifestDetail {
    /// Its digest.
    pub digest: Digest,
    /// The media type it was pushed with.
    pub media_type: String,
    /// Length of its own bytes.
    pub len: u64,
    /// When it was last pushed.
    pub pushed: SystemTime,
    /// Who pushed it then, if that was recorded.
    pub pushed_by: Option<String>,
    /// Its content, unless that is missing or damaged.
    pub content: Option<Manifest>,
    /// The platforms of the children of an index.
    pub children_platforms: HashMap<Digest, PlatformName>,
}

impl ManifestKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Image, Self::Index, Self::Chart, Self::Artifact];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Index => "index",
            Self::Chart => "chart",
            Self::Artifact => "artifact",
        }
    }

    fn of(manifest: &Manifest) -> Self {
        if manifest.media_type.is_index() {
            return Self::Index;
        }
        match manifest.artifact_type() {
            Some(config) if IMAGE_CONFIGS.contains(&config) => Self::Image,
            Some("application/vnd.cncf.helm.config.v1+json") => Self::Chart,
            _ => Self::Artifact,
        }
    }
}

impl ManifestDetail {
    /// What kind of thing it describes.
    pub fn kind(&self) -> ManifestKind {
        self.content.as_ref().map_or(ManifestKind::Artifact, ManifestKind::of)
    }

    /// What it says it contains, unless that is an ordinary image.
    pub fn artifact_type(&self) -> Option<&str> {
        let stated = self.content.as_ref()?.artifact_type()?;
        (!IMAGE_CONFIGS.contains(&stated)).then_some(stated)
    }

    /// Configuration and layers.
    pub fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        self.content.iter().flat_map(|content| content.config.iter().chain(&content.layers))
    }

    /// The manifests that an index lists.
    pub fn children(&self) -> impl Iterator<Item = &Digest> {
        known(self.content.iter().flat_map(|content| &content.children).map(|child| &child.digest))
    }
}

/// The types of the configuration of images.
const IMAGE_CONFIGS: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];

/// Reads manifests of a repository, each once.
pub struct ManifestReader {
    repository: Repository,
    read: HashMap<Digest, Option<Arc<ManifestDetail>>>,
}

/// Manifests that count as parts of one: an index of indexes can name very many.
const MOST_PARTS: usize = 1000;

/// The longest configuration of an image that is read.
const LONGEST_CONFIG: u64 = 4 << 20;

impl ManifestReader {
    /// For one repository.
    pub fn of(repository: &Repository) -> Self {
        Self { repository: repository.clone(), read: HashMap::new() }
    }

    /// A manifest; `None` if the repository does not have it.
    ///
    /// # Errors
    /// The store's, except for damage: then the manifest has no content.
    pub async fn get(&mut self, digest: &Digest) -> Result<Option<Arc<ManifestDetail>>> {
        if let Some(known) = self.read.get(digest) {
            return Ok(known.clone());
        }
        let detail = self.repository.detail(digest).await?.map(Arc::new);
        self.read.insert(digest.clone(), detail.clone());
        Ok(detail)
    }

    /// A manifest and all manifests that it leads to, each once, as far as the repository has them.
    ///
    /// # Errors
    /// As [`ManifestReader::get`].
    pub async fn parts(&mut self, digest: &Digest) -> Result<Vec<Arc<ManifestDetail>>> {
        let (mut parts, mut ahead, mut met) = (Vec::new(), vec![digest.clone()], HashSet::new());
        while let Some(digest) = ahead.pop() {
            if parts.len() < MOST_PARTS
                && met.insert(digest.clone())
                && let Some(detail) = self.get(&digest).await?
            {
                ahead.extend(detail.children().cloned());
                parts.push(detail);
            }
        }
        Ok(parts)
    }

    /// The platforms of an image, or of the images of an index.
    ///
    /// # Errors
    /// The store's.
    pub async fn platforms(&mut self, detail: &ManifestDetail) -> Result<Vec<PlatformName>> {
        let mut platforms: Vec<_> = detail.children_platforms.values().cloned().collect();
        if detail.kind() == ManifestKind::Image {
            platforms.extend(self.config(detail).await?.and_then(|config| PlatformName::of_config(&config)));
        }
        platforms.sort();
        platforms.dedup();
        Ok(platforms)
    }

    /// The configuration of an image or artifact, if the repository has it and it is not extremely long.
    ///
    /// # Errors
    /// The store's, except for damage.
    pub async fn config(&mut self, detail: &ManifestDetail) -> Result<Option<Bytes>> {
        let config = detail.content.as_ref().and_then(|content| content.config.as_ref());
        let Some(digest) = config.and_then(|config| config.digest.clone().known()) else { return Ok(None) };
        // By its own link: the digest in a manifest grants nothing.
        let Some((blob, _)) = self.repository.linked(&digest).await? else { return Ok(None) };
        if blob.len() > LONGEST_CONFIG {
            return Ok(None);
        }
        let bytes = blob.read(Span::whole(blob.len())).await?;
        let checked = bytes.clone();
        let is_sound = work_on(bytes.len(), move || Ok(verify::bytes(&digest, &checked).is_ok())).await?;
        Ok(is_sound.then_some(bytes))
    }
}

impl ManifestDetail {
    /// The bytes of these manifests and everything they consist of, each blob once.
    pub fn size_of(manifests: &[Arc<Self>]) -> u64 {
        let mut sizes: HashMap<&str, u64> = HashMap::new();
        for manifest in manifests {
            sizes.insert(manifest.digest.as_str(), manifest.len);
            for blob in manifest.blobs() {
                sizes.entry(blob.digest.as_str()).or_insert(blob.size);
            }
        }
        sizes.values().fold(0, |sum, size| sum.saturating_add(*size))
    }
}

impl Repository {
    async fn detail(&self, digest: &Digest) -> Result<Option<ManifestDetail>> {
        let (record, since) = match self.revision_since(digest).await {
            Ok(Some(found)) => found,
            Ok(None) | Err(RegistryError::Storage(StorageError::Damaged { .. })) => return Ok(None),
            Err(error) => return Err(error),
        };
        let RevisionRecord { media_type, size, pushed_by, .. } = &record;
        let (content, children_platforms) = self.content(digest, media_type).await?;
        Ok(Some(ManifestDetail {
            digest: digest.clone(),
            media_type: media_type.clone(),
            len: *size,
            pushed: record.pushed().unwrap_or(since),
            pushed_by: pushed_by.clone(),
            content,
            children_platforms,
        }))
    }

    async fn content(
        &self,
        digest: &Digest,
        media_type: &str,
    ) -> Result<(Option<Manifest>, HashMap<Digest, PlatformName>)> {
        let content = match self.registry.parsed(digest, media_type).await {
            Ok(content) => content,
            Err(
                RegistryError::ManifestUnknown(_)
                | RegistryError::ManifestInvalid(_)
                | RegistryError::Storage(StorageError::Damaged { .. }),
            ) => return Ok((None, HashMap::new())),
            Err(error) => return Err(error),
        };
        if !ManifestType::is_index(content.media_type) {
            return Ok((Some(content), HashMap::new()));
        }
        let bytes = self.registry.manifest_bytes(digest).await?;
        let platforms = work_on(bytes.len(), move || Ok(PlatformName::of_index(&bytes))).await?;
        Ok((Some(content), platforms))
    }
}
