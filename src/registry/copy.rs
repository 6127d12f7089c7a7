//! Copies images from one repository to another. Blobs are mounted, so no bytes are copied.

use super::{
    Condition, Everything, RegistryError, Repository, Result,
    view::{ManifestDetail, ManifestReader},
};
use crate::storage::DirOf;
use oci::{Digest, Reference, Tag};
use std::{collections::HashSet, sync::Arc};

/// What a copy did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CopyReport {
    /// The tags that were set, and their targets.
    pub tags: Vec<(Tag, Digest)>,
    /// How many manifests were copied.
    pub manifests: u64,
}

/// Endings of tags named after a manifest, under which older tools keep what belongs to it.
const COMPANIONS: [&str; 4] = ["", ".sig", ".att", ".sbom"];

impl Repository {
    /// Copies tags and what they point to from another repository, whose content the caller may read. With `referrers`,
    /// also signatures and everything else that refers to it.
    ///
    /// # Errors
    /// [`RegistryError::ManifestUnknown`]; those of [`Repository::put_manifest`]. Tags before the failure were copied.
    pub async fn copy_from(&self, source: &Self, tags: &[Tag], referrers: bool) -> Result<CopyReport> {
        let mut report = CopyReport::default();
        let mut copied = HashSet::new();
        for tag in tags {
            let digest = source.manifest(&Reference::Tag(tag.clone())).await?.digest;
            self.copy_image(source, &digest, referrers, &mut copied).await?;
            self.copy_manifest(source, &digest, &Reference::Tag(tag.clone())).await?;
            report.tags.push((tag.clone(), digest));
        }
        report.manifests = copied.len() as u64;
        Ok(report)
    }

    /// Copies a manifest with its parts, and what refers to any of them.
    async fn copy_image(
        &self,
        source: &Self,
        digest: &Digest,
        referrers: bool,
        copied: &mut HashSet<Digest>,
    ) -> Result<()> {
        let mut reader = ManifestReader::of(source);
        let (mut ahead, mut companions) = (vec![digest.clone()], Vec::new());
        while let Some(digest) = ahead.pop() {
            for part in in_order_of_need(reader.parts(&digest).await?) {
                if !copied.insert(part.digest.clone()) {
                    continue;
                }
                for blob in part.blobs().filter_map(|blob| blob.digest.clone().known()) {
                    self.mount(&blob, Some(source.name()), &Everything).await?;
                }
                self.copy_manifest(source, &part.digest, &Reference::Digest(part.digest.clone())).await?;
                if referrers {
                    ahead.extend(source.all_referrers(&part.digest).await?);
                    for (tag, digest) in source.companions(&part.digest).await? {
                        ahead.push(digest.clone());
                        companions.push((tag, digest));
                    }
                }
            }
        }
        // Tags last, as in a push.
        for (tag, digest) in companions {
            self.copy_manifest(source, &digest, &Reference::Tag(tag)).await?;
        }
        Ok(())
    }

    async fn copy_manifest(&self, source: &Self, digest: &Digest, reference: &Reference) -> Result<()> {
        let manifest = source.manifest(&Reference::Digest(digest.clone())).await?;
        let bytes = source.registry.manifest_bytes(digest).await?;
        self.put_manifest(reference, &[], Some(manifest.media_type.as_str()), bytes, Condition::None).await?;
        Ok(())
    }

    /// The tags that are named after a manifest, and their targets.
    async fn companions(&self, digest: &Digest) -> Result<Vec<(Tag, Digest)>> {
        let mut found = Vec::new();
        for ending in COMPANIONS {
            let Ok(tag) = format!("{}{ending}", digest.fallback_tag()).parse::<Tag>() else { continue };
            match self.manifest(&Reference::Tag(tag.clone())).await {
                Ok(companion) => found.push((tag, companion.digest)),
                Err(RegistryError::ManifestUnknown(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    async fn all_referrers(&self, subject: &Digest) -> Result<Vec<Digest>> {
        let names = self.store().names(DirOf::referrers(&self.name, subject), 1000);
        let mut names = names.from_memory();
        let mut referrers = Vec::new();
        while let Some(referrer) = names.next().await? {
            referrers.push(referrer);
        }
        Ok(referrers)
    }
}

/// What an index lists comes before the index.
fn in_order_of_need(mut waiting: Vec<Arc<ManifestDetail>>) -> Vec<Arc<ManifestDetail>> {
    let mut order = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let missing: HashSet<Digest> = waiting.iter().map(|part| part.digest.clone()).collect();
        let (ready, rest) = waiting.into_iter().partition(|part| !part.children().any(|child| missing.contains(child)));
        let ready: Vec<_> = ready;
        waiting = rest;
        if ready.is_empty() {
            // A manifest cannot lead to itself, since its digest is the hash of its content.
            order.append(&mut waiting);
        }
        order.extend(ready);
    }
    order
}
