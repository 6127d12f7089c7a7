//! Checks whether what a manifest refers to is in its repository.

use super::{AbsentReference, MissingReferences, RegistryError, Repository, Result};
use crate::storage::{Item, Presence};
use oci::{Descriptor, Digest, Field, Manifest, ReferencedDigest, media_type};
use std::collections::{HashMap, HashSet};

impl Repository {
    /// The references of a manifest that are not in the repository, if they may be missing.
    pub(crate) async fn check_references(&self, manifest: &Manifest) -> Result<Vec<String>> {
        let policy = self.settings().missing_references;
        let is_wanted = |(field, d): &(Field, &Descriptor)| field.is_child() || !may_be_elsewhere(d);
        let wanted: Vec<_> = manifest.references().filter(is_wanted).map(|(field, d)| (field, &d.digest)).collect();
        let known = wanted.iter().filter_map(|(field, digest)| match digest {
            ReferencedDigest::Known(digest) => Some((digest, field.is_child())),
            ReferencedDigest::Foreign(_) => None,
        });
        let presence = self.presence(known).await?;
        let is_here = |digest: &ReferencedDigest| match digest {
            ReferencedDigest::Known(digest) => presence.get(digest).copied().unwrap_or(false),
            ReferencedDigest::Foreign(_) => false,
        };
        let (mut refused, mut absent) = (Vec::new(), Vec::new());
        let mut met = HashSet::new();
        for (field, digest) in wanted {
            // Each is reported once, however often the manifest refers to it.
            if is_here(digest) || !met.insert((digest, field.is_child())) {
                continue;
            }
            let allowed = match policy {
                MissingReferences::Refuse => false,
                MissingReferences::Children => field.is_child(),
                MissingReferences::Accept => true,
            };
            if allowed {
                absent.push(digest.as_str().to_owned());
            } else {
                refused.push(AbsentReference { field, digest: digest.clone() });
            }
        }
        match refused.is_empty() {
            true => Ok(absent),
            false => Err(RegistryError::MissingReferences(refused)),
        }
    }

    /// Which of these digests the repository has: as a blob, or for the children of an index also as a manifest
    /// (build caches are indexes of layers). Restores what was condemned.
    async fn presence<'a>(&self, wanted: impl Iterator<Item = (&'a Digest, bool)>) -> Result<HashMap<Digest, bool>> {
        let mut items = Vec::new();
        let mut asked: HashMap<Digest, (usize, usize)> = HashMap::new();
        for (digest, is_child) in wanted {
            if asked.contains_key(digest) {
                continue;
            }
            let start = items.len();
            items.push(Item::Blob(digest.clone()));
            items.push(Item::Link(self.name.clone(), digest.clone()));
            if is_child {
                items.push(Item::Revision(self.name.clone(), digest.clone()));
            }
            asked.insert(digest.clone(), (start, items.len()));
        }
        let found = self.registry.ensure(&items).await?;
        let is_there = |i: usize| found.get(i).is_some_and(|p| *p != Presence::Missing);
        let both = |(start, end): (usize, usize)| is_there(start) && (start + 1..end).any(is_there);
        Ok(asked.into_iter().map(|(digest, range)| (digest, both(range))).collect())
    }
}

/// Layers that clients fetch from their `urls`.
pub(crate) fn may_be_elsewhere(layer: &Descriptor) -> bool {
    media_type::is_foreign_layer(&layer.media_type)
}
