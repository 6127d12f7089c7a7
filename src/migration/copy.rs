//! Copies one image: its blobs, its manifests, what refers to it, and its tag last.

use super::{
    blob::BlobCopy,
    engine::Engine,
    failure::CopyFailure,
    limits::{DEEPEST, WAITING_BLOBS},
    meter::ImageMeter,
    tree::{SourceManifest, TreeReader},
};
use crate::registry::{Condition, RegistryError, Repository};
use client::ErrorKind;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use oci::{Bounds, Digest, Reference, RepositoryName, Tag, media_type};
use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

/// An image that is being copied.
pub(super) struct ImageCopy<'a> {
    pub(super) engine: &'a Engine,
    pub(super) source: &'a RepositoryName,
    pub(super) target: &'a Repository,
    pub(super) meter: &'a Arc<ImageMeter>,
    /// Blobs that were counted already: several manifests can share one.
    pub(super) counted: Mutex<HashSet<Digest>>,
}

/// What became of an image.
pub(super) enum CopyOutcome {
    Copied,
    /// All of it was here.
    Unchanged,
    /// It was left as it is, for this reason.
    Kept(&'static str),
}

impl ImageCopy<'_> {
    /// Copies the image. `resolved` is called with its digest as soon as that is known.
    pub(super) async fn run(
        &self,
        reference: &Reference,
        resolved: impl FnOnce(&Digest),
    ) -> Result<CopyOutcome, CopyFailure> {
        let plan = &self.engine.plan;
        let settings = self.target.settings();
        let bounds = Bounds { depth: settings.manifest_depth, descriptors: settings.manifest_descriptors };
        let mut reader = TreeReader::new(&self.engine.client, self.source, &self.engine.platforms, bounds);
        let manifests = reader.read(reference).await?;
        // The reader returns at least the manifest that it was asked for, and that last.
        let Some(digest) = manifests.last().map(|root| root.digest.clone()) else {
            return Ok(CopyOutcome::Unchanged);
        };
        resolved(&digest);
        let tag = match reference {
            Reference::Tag(tag) => Some(tag),
            Reference::Digest(_) => None,
        };
        let before = match tag {
            Some(tag) => self.tagged(tag).await?,
            None => None,
        };
        if before.as_ref().is_some_and(|before| *before != digest) && !plan.overwrite {
            return Ok(CopyOutcome::Kept("its tag points to another image here, and tags are not to be moved"));
        }
        let mut is_changed = self.copy_manifests(&manifests).await?;
        if plan.referrers {
            is_changed |= self.copy_referrers(&mut reader, &manifests).await?;
        }
        if let Some(tag) = tag.filter(|_| before.as_ref() != Some(&digest)) {
            is_changed = true;
            if let Some(root) = manifests.last() {
                self.put(root, std::slice::from_ref(tag)).await?;
            }
        }
        Ok(if is_changed { CopyOutcome::Copied } else { CopyOutcome::Unchanged })
    }

    /// What a tag points to here.
    async fn tagged(&self, tag: &Tag) -> Result<Option<Digest>, CopyFailure> {
        match self.target.manifest(&Reference::Tag(tag.clone())).await {
            Ok(found) => Ok(Some(found.digest)),
            Err(RegistryError::ManifestUnknown(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Copies manifests and their blobs, in their order. Returns whether something was copied.
    async fn copy_manifests(&self, manifests: &[SourceManifest]) -> Result<bool, CopyFailure> {
        let mut blobs = Vec::new();
        for manifest in manifests {
            for descriptor in manifest.parsed.config.iter().chain(&manifest.parsed.layers) {
                let Some(digest) = descriptor.digest.clone().known() else { continue };
                if self.counted.lock().unwrap_or_else(PoisonError::into_inner).insert(digest.clone()) {
                    self.meter.found(descriptor.size);
                    blobs.push((digest, descriptor.size, media_type::is_foreign_layer(&descriptor.media_type)));
                }
            }
        }
        let copies = blobs.into_iter().map(|(digest, size, may_be_missing)| {
            let copy = async move {
                let Self { engine, source, target, meter, .. } = *self;
                let copy = BlobCopy { engine, source, target, digest: &digest, size, meter };
                match copy.run().await {
                    // Such layers may be available elsewhere only (image-spec, "Non-Distributable Layers").
                    Err(CopyFailure::Source(error)) if may_be_missing && error.kind() == ErrorKind::NotFound => {
                        Ok(false)
                    }
                    copied => copied,
                }
            };
            copy.boxed()
        });
        let copied: Vec<bool> = stream::iter(copies).buffer_unordered(WAITING_BLOBS).try_collect().await?;
        let mut is_changed = copied.contains(&true);
        for manifest in manifests {
            let known = self.target.revision(&manifest.digest).await?;
            // One that was stored without something may have all of it now.
            if known.is_none_or(|revision| revision.has_absent()) {
                is_changed = true;
                self.put(manifest, &[]).await?;
            }
        }
        Ok(is_changed)
    }

    /// Stores a manifest under its own digest, and under these tags.
    async fn put(&self, manifest: &SourceManifest, tags: &[Tag]) -> Result<(), CopyFailure> {
        if self.engine.plan.dry_run {
            return Ok(());
        }
        let reference = Reference::Digest(manifest.digest.clone());
        let (media_type, bytes) = (Some(manifest.media_type.as_str()), manifest.bytes.clone());
        self.target.put_manifest(&reference, tags, media_type, bytes, Condition::None).await?;
        Ok(())
    }

    /// Copies what refers to these manifests, and what refers to that.
    async fn copy_referrers(
        &self,
        reader: &mut TreeReader<'_>,
        manifests: &[SourceManifest],
    ) -> Result<bool, CopyFailure> {
        let companions = self.engine.companions(self.source).await?;
        let mut ahead: Vec<(Digest, usize)> = manifests.iter().map(|m| (m.digest.clone(), 0)).collect();
        let (mut seen, mut is_changed): (HashSet<Digest>, bool) =
            (ahead.iter().map(|(d, _)| d.clone()).collect(), false);
        while let Some((subject, depth)) = ahead.pop() {
            if depth == DEEPEST {
                return Err(CopyFailure::Final(format!("referrers refer to each other more than {DEEPEST} deep")));
            }
            for referrer in self.engine.client.referrers(self.source, &subject, None).await? {
                if !seen.insert(referrer.digest.clone()) {
                    continue;
                }
                let found = reader.read(&Reference::Digest(referrer.digest.clone())).await?;
                is_changed |= self.copy_manifests(&found).await?;
                ahead.extend(found.into_iter().map(|manifest| (manifest.digest, depth + 1)));
            }
            let stem = subject.fallback_tag();
            for tag in companions.iter().filter(|tag| tag.companion() == Some(stem.as_str())) {
                let found = reader.read(&Reference::Tag(tag.clone())).await?;
                let Some(root) = found.last() else { continue };
                is_changed |= self.copy_manifests(&found).await?;
                let before = self.tagged(tag).await?;
                if before.as_ref() != Some(&root.digest) && (before.is_none() || self.engine.plan.overwrite) {
                    is_changed = true;
                    self.put(root, std::slice::from_ref(tag)).await?;
                }
                ahead
                    .extend(found.into_iter().filter(|m| seen.insert(m.digest.clone())).map(|m| (m.digest, depth + 1)));
            }
        }
        Ok(is_changed)
    }
}
