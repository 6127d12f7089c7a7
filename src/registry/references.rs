//! Whether what a manifest refers to is in its repository.

use super::{AbsentReference, Error, MissingReferences, Registry, Result};
use crate::{
    oci::{Descriptor, Digest, Field, Manifest, ReferencedDigest, RepositoryName, media_type},
    storage::{Item, Presence},
};
use std::collections::{HashMap, HashSet};

impl Registry {
    /// What of a manifest's references is not in the repository, if that is allowed.
    pub(super) async fn check_references(
        &self,
        repository: &RepositoryName,
        manifest: &Manifest,
    ) -> Result<Vec<String>> {
        let policy = self.settings.missing_references;
        let is_wanted = |(field, d): &(Field, &Descriptor)| field.is_child() || !may_be_elsewhere(d);
        let wanted: Vec<_> = manifest.references().filter(is_wanted).map(|(field, d)| (field, &d.digest)).collect();
        let known = wanted.iter().filter_map(|(field, digest)| match digest {
            ReferencedDigest::Known(digest) => Some((digest, field.is_child())),
            ReferencedDigest::Foreign(_) => None,
        });
        let presence = self.presence(repository, known).await?;
        let is_here = |digest: &ReferencedDigest| match digest {
            ReferencedDigest::Known(digest) => presence.get(digest).copied().unwrap_or(false),
            ReferencedDigest::Foreign(_) => false,
        };
        let (mut refused, mut absent) = (Vec::new(), Vec::new());
        let mut met = HashSet::new();
        for (field, digest) in wanted {
            // Each is reported once, however often it is referred to.
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
            false => Err(Error::MissingReferences(refused)),
        }
    }

    /// Which of these digests the repository has: as a blob, or a child of an index also as a
    /// manifest (build caches are indexes of layers). What was about to be collected stays.
    async fn presence<'a>(
        &self,
        repository: &RepositoryName,
        wanted: impl Iterator<Item = (&'a Digest, bool)>,
    ) -> Result<HashMap<Digest, bool>> {
        let mut items = Vec::new();
        let mut asked: HashMap<Digest, (usize, usize)> = HashMap::new();
        for (digest, is_child) in wanted {
            if asked.contains_key(digest) {
                continue;
            }
            let start = items.len();
            items.push(Item::Blob(digest.clone()));
            items.push(Item::Link(repository.clone(), digest.clone()));
            if is_child {
                items.push(Item::Revision(repository.clone(), digest.clone()));
            }
            asked.insert(digest.clone(), (start, items.len()));
        }
        let found = self.ensure(&items).await?;
        let is_there = |i: usize| found.get(i).is_some_and(|p| *p != Presence::Missing);
        let both = |(start, end): (usize, usize)| is_there(start) && (start + 1..end).any(is_there);
        Ok(asked.into_iter().map(|(digest, range)| (digest, both(range))).collect())
    }
}

/// Layers that clients fetch from their `urls`.
pub(super) fn may_be_elsewhere(layer: &Descriptor) -> bool {
    media_type::is_foreign_layer(&layer.media_type)
}
