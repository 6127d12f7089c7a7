//! What a repository of another registry holds: its manifests, what they refer to, and its tags.

use super::{
    ImportProblem,
    source::{SourceLimits, SourceRepository},
    tree::SourceTree,
};
use crate::files::world;
use bytes::Bytes;
use oci::{Digest, Hasher, Manifest, ManifestType, ReferencedDigest, RepositoryName, Tag};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::SystemTime,
};

/// What a repository holds.
pub(super) struct RepositoryContents {
    pub(super) name: RepositoryName,
    /// Its directory in the source.
    pub(super) root: String,
    /// Its manifests; what an index lists comes in an earlier group than the index.
    pub(super) manifests: Vec<Vec<FoundManifest>>,
    /// The tags of each manifest.
    pub(super) tags: BTreeMap<Digest, Vec<FoundTag>>,
    /// Layers and configs.
    pub(super) blobs: BTreeSet<Digest>,
    /// Manifests that cannot be used.
    pub(super) bad_manifests: u64,
    /// Tags that cannot be used.
    pub(super) bad_tags: u64,
    pub(super) problems: Vec<ImportProblem>,
}

#[derive(Clone)]
pub(super) struct FoundManifest {
    pub(super) digest: Digest,
    /// What is recorded outside of its bytes.
    pub(super) media_type: Option<String>,
    /// When it was pushed, as far as the source tells.
    pub(super) pushed: Option<SystemTime>,
}

#[derive(Clone)]
pub(super) struct FoundTag {
    pub(super) tag: Tag,
    /// When it was set.
    pub(super) since: SystemTime,
}

/// What a repository says it holds, before its manifests are read.
#[derive(Default)]
pub(super) struct ListedContents {
    /// Each with the media type that is recorded outside of its bytes.
    pub(super) manifests: BTreeMap<Digest, Option<String>>,
    /// When they were pushed, where something else tells than the time of their bytes.
    pub(super) pushed: HashMap<Digest, SystemTime>,
    pub(super) tags: Vec<(FoundTag, Digest)>,
    pub(super) blobs: BTreeSet<Digest>,
    pub(super) bad_tags: u64,
    pub(super) problems: Vec<ImportProblem>,
}

/// A manifest that was read and verified.
struct ReadManifest {
    /// The manifests that it lists.
    children: Vec<(Digest, String)>,
    blobs: Vec<Digest>,
    /// When its bytes were written.
    written: SystemTime,
}

impl ListedContents {
    /// Reads the manifests, and finds what they refer to. Children are followed where `follows` says that the source
    /// has them as manifests.
    pub(super) fn read(
        mut self,
        tree: &SourceTree,
        repository: &SourceRepository,
        limits: SourceLimits,
        path_of: &(dyn Fn(&Digest) -> String + Sync),
        follows: &dyn Fn(&Digest) -> bool,
    ) -> RepositoryContents {
        let mut read = HashMap::new();
        let mut bad_manifests = 0;
        let mut ahead: Vec<_> = std::mem::take(&mut self.manifests).into_iter().collect();
        let mut known: BTreeMap<Digest, Option<String>> = ahead.iter().cloned().collect();
        while !ahead.is_empty() {
            let mut next = Vec::new();
            let results = world::each(ahead, |(digest, media_type)| {
                let manifest = manifest(tree, &path_of(&digest), &digest, media_type.as_deref(), limits);
                (digest, manifest)
            });
            for (digest, manifest) in results {
                match manifest {
                    Ok(manifest) => {
                        for (child, media_type) in &manifest.children {
                            if ManifestType::of(media_type).is_some() && !known.contains_key(child) && follows(child) {
                                known.insert(child.clone(), Some(media_type.clone()));
                                next.push((child.clone(), Some(media_type.clone())));
                            }
                        }
                        read.insert(digest, manifest);
                    }
                    Err(problem) => {
                        bad_manifests += 1;
                        self.problems.push(problem);
                    }
                }
            }
            ahead = next;
        }
        self.settle(repository, known, read, bad_manifests)
    }

    fn settle(
        mut self,
        repository: &SourceRepository,
        mut known: BTreeMap<Digest, Option<String>>,
        read: HashMap<Digest, ReadManifest>,
        bad_manifests: u64,
    ) -> RepositoryContents {
        for manifest in read.values() {
            self.blobs.extend(manifest.blobs.iter().cloned());
            // An index may list layers, as build caches do.
            let layers = manifest
                .children
                .iter()
                .filter(|(child, media_type)| ManifestType::of(media_type).is_none() && !known.contains_key(child));
            self.blobs.extend(layers.map(|(child, _)| child.clone()));
        }
        let mut tags = BTreeMap::<Digest, Vec<FoundTag>>::new();
        for (tag, digest) in self.tags {
            // A manifest that cannot be used has a problem of its own.
            match read.contains_key(&digest) {
                true => tags.entry(digest).or_default().push(tag),
                false => self.bad_tags += 1,
            }
        }
        // An empty repository has nothing that a client could pull.
        if read.is_empty() {
            self.blobs.clear();
        }
        let manifests = in_order_of_need(&read)
            .into_iter()
            .map(|group| {
                let found = |digest: Digest| {
                    let media_type = known.remove(&digest).flatten();
                    let written = read.get(&digest).map(|manifest| manifest.written);
                    let pushed = self.pushed.get(&digest).copied().or(written);
                    FoundManifest { digest, media_type, pushed }
                };
                group.into_iter().map(found).collect()
            })
            .collect();
        RepositoryContents {
            name: repository.name.clone(),
            root: repository.root.clone(),
            manifests,
            tags,
            blobs: self.blobs,
            bad_manifests,
            bad_tags: self.bad_tags,
            problems: self.problems,
        }
    }
}

/// The bytes of a manifest, verified, and when they were written.
pub(super) fn manifest_bytes(
    tree: &SourceTree,
    path: &str,
    digest: &Digest,
    limits: SourceLimits,
) -> Result<(Bytes, SystemTime), ImportProblem> {
    let Some((bytes, written)) = tree.read(path, limits.manifest_bytes)? else {
        return Err(ImportProblem::new(path, "the manifest is missing"));
    };
    match Hasher::digest(digest.algorithm(), &bytes) {
        actual if actual == *digest => Ok((bytes, written)),
        actual => Err(ImportProblem::new(path, format!("is damaged: its bytes have the digest {actual}"))),
    }
}

fn manifest(
    tree: &SourceTree,
    path: &str,
    digest: &Digest,
    media_type: Option<&str>,
    limits: SourceLimits,
) -> Result<ReadManifest, ImportProblem> {
    let (bytes, written) = manifest_bytes(tree, path, digest, limits)?;
    let manifest = Manifest::parse(&bytes, media_type, limits.bounds)
        .map_err(|error| ImportProblem::new(path, error.to_string()))?;
    let digest_of = |digest: &ReferencedDigest| digest.clone().known();
    let children = manifest.children.iter();
    let children = children.filter_map(|child| Some((digest_of(&child.digest)?, child.media_type.clone()))).collect();
    let blobs = manifest.config.iter().chain(&manifest.layers);
    // A layer that clients fetch from elsewhere may be missing.
    let blobs = blobs.filter(|blob| !oci::media_type::is_foreign_layer(&blob.media_type));
    Ok(ReadManifest { children, blobs: blobs.filter_map(|blob| digest_of(&blob.digest)).collect(), written })
}

/// Groups of manifests: what an index lists comes in an earlier group than the index.
fn in_order_of_need(read: &HashMap<Digest, ReadManifest>) -> Vec<Vec<Digest>> {
    let mut missing = HashMap::new();
    let mut parents = HashMap::<&Digest, Vec<&Digest>>::new();
    for (digest, manifest) in read {
        let children: BTreeSet<_> =
            manifest.children.iter().map(|(child, _)| child).filter(|child| read.contains_key(*child)).collect();
        for child in &children {
            parents.entry(child).or_default().push(digest);
        }
        missing.insert(digest, children.len());
    }
    let mut ready: Vec<_> = missing.iter().filter(|(_, missing)| **missing == 0).map(|(digest, _)| *digest).collect();
    let mut groups = Vec::new();
    while !ready.is_empty() {
        ready.sort_unstable();
        let mut next = Vec::new();
        for parent in ready.iter().filter_map(|digest| parents.get(digest)).flatten() {
            if let Some(left) = missing.get_mut(parent) {
                *left -= 1;
                if *left == 0 {
                    next.push(*parent);
                }
            }
        }
        groups.push(ready.into_iter().cloned().collect());
        ready = next;
    }
    groups
}
