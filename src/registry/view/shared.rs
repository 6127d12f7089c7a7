//! What the manifests of a repository have to do with one another: layers that several of them have, and what was
//! attached to which.

use super::details::{ManifestDetail, ManifestReader};
use crate::registry::{Repository, Result};
use oci::Digest;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// Something that was attached to a manifest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttachedPlace {
    /// The manifest that it refers to, which may be missing.
    pub subject: Digest,
    /// The manifest that refers.
    pub referrer: Digest,
}

/// What the manifests of a repository have to do with one another.
#[derive(Default)]
pub struct ManifestLinks {
    /// In how many manifests each blob is.
    blobs: HashMap<Box<str>, u64>,
    /// Sorted.
    attached: Vec<AttachedPlace>,
}

/// Something attached, as it is shown.
#[derive(Clone, Debug)]
pub struct AttachedDetail {
    /// Where it is in the list.
    pub place: AttachedPlace,
    /// The manifest that refers.
    pub manifest: Arc<ManifestDetail>,
    /// Bytes of everything it consists of, each blob once.
    pub size: u64,
    /// Whether the subject is in the repository.
    pub has_subject: bool,
    /// Some tags of the subject.
    pub subject_tags: Vec<oci::Tag>,
}

/// Tags of a subject that are named.
const MOST_TAGS: usize = 5;

impl ManifestLinks {
    fn of(manifests: &[Arc<ManifestDetail>]) -> Self {
        let mut links = Self::default();
        for manifest in manifests {
            let blobs: HashSet<&str> = manifest.blobs().map(|blob| blob.digest.as_str()).collect();
            blobs.into_iter().for_each(|blob| *links.blobs.entry(blob.into()).or_default() += 1);
            if let Some(subject) = manifest.content.as_ref().and_then(|content| content.subject.clone()) {
                links.attached.push(AttachedPlace { subject, referrer: manifest.digest.clone() });
            }
        }
        links.attached.sort_unstable();
        links
    }

    /// How many other manifests have this blob of a manifest.
    pub fn others_with(&self, blob: &str) -> u64 {
        self.blobs.get(blob).map_or(0, |count| count.saturating_sub(1))
    }

    /// What it takes in memory, about.
    pub(super) fn bytes(&self) -> usize {
        let blobs: usize = self.blobs.keys().map(|blob| blob.len() + 32).sum();
        let of = |place: &AttachedPlace| place.subject.as_str().len() + place.referrer.as_str().len();
        blobs + self.attached.iter().map(|place| size_of::<AttachedPlace>() + of(place)).sum::<usize>()
    }
}

impl Repository {
    /// What its manifests have to do with one another. Reads all of them, unless nothing has changed since.
    ///
    /// # Errors
    /// Only the store's, except for damage.
    pub async fn manifest_links(&self) -> Result<Arc<ManifestLinks>> {
        let (stamp, known) = (self.stamp().await?, &self.registry.core.tags);
        if let Some(links) = stamp.and_then(|stamp| known.links(&self.name, stamp)) {
            return Ok(links);
        }
        let links = Arc::new(ManifestLinks::of(&self.all_manifests().await?));
        if let Some(stamp) = stamp {
            known.keep_links(&self.name, stamp, links.clone());
        }
        Ok(links)
    }

    /// What is attached to manifests, at most `most` after a place, in the order of subjects; and whether there is more.
    ///
    /// # Errors
    /// Only the store's, except for damage.
    pub async fn attached(&self, after: Option<&AttachedPlace>, most: usize) -> Result<(Vec<AttachedDetail>, bool)> {
        let links = self.manifest_links().await?;
        let from = after.map_or(0, |after| links.attached.partition_point(|place| place <= after));
        let rest = &links.attached[from..];
        let (mut reader, mut found) = (ManifestReader::of(self), Vec::new());
        let mut tags: HashMap<&Digest, Vec<oci::Tag>> = HashMap::new();
        for place in rest.iter().take(most) {
            let Some(manifest) = reader.get(&place.referrer).await? else { continue };
            if !tags.contains_key(&place.subject) {
                tags.insert(&place.subject, self.tags_of(&place.subject, MOST_TAGS).await?);
            }
            found.push(AttachedDetail {
                size: ManifestDetail::size_of(&reader.parts(&place.referrer).await?),
                has_subject: reader.get(&place.subject).await?.is_some(),
                subject_tags: tags.get(&place.subject).cloned().unwrap_or_default(),
                place: place.clone(),
                manifest,
            });
        }
        Ok((found, rest.len() > most))
    }
}
