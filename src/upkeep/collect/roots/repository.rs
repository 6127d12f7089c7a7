//! Marks one repository: first its active pushes, then its manifests.

use super::super::{
    CollectionStep, PAGE, Pass, RepositoryReport, Result,
    graveyard::Graveyard,
    marks::{self, Marks},
    stored::Stored,
};
use crate::{
    registry::Repository,
    storage::{DirOf, ItemsOf},
};
use futures_util::{StreamExt, TryStreamExt, stream};
use oci::{Digest, RepositoryName, Tag};
use std::collections::{HashMap, HashSet};

/// Manifests read at once: enough to keep a disk busy, few enough not to slow requests.
const AT_ONCE: usize = 4;

/// What has to be known of a manifest to follow the tags.
struct ManifestNode {
    key: u64,
    len: u64,
    /// It lies in the graveyard, and could be restored.
    condemned: bool,
    refers: Vec<(u64, u64)>,
    children: Vec<u64>,
    subject: Option<u64>,
}

impl Pass<'_> {
    pub(super) async fn mark_repository(
        &mut self,
        repository: &Repository,
        graveyard: &Graveyard,
        marks: &mut Marks,
    ) -> Result<()> {
        let retained = self.retain(repository, graveyard).await?;
        // The order matters: if a manifest was published after its intent was read, it is found as a manifest.
        let mut needed = self.mark_intents(repository, marks).await?;
        let tagged = self.tagged_keys(repository, &retained.tags).await?;
        needed.extend(&tagged);
        let mut nodes = Vec::new();
        let mut live = repository.store().aged(ItemsOf::revisions(repository.name()), PAGE);
        while let Some(page) = live.next_page().await? {
            let digests = page.into_iter().map(|aged| aged.item).collect();
            self.mark_manifests(repository, digests, false, marks, &mut nodes).await?;
        }
        // These could be restored, and are useless without what they refer to. They are listed before the live ones:
        // anything restored meanwhile is found there.
        self.mark_manifests(repository, graveyard.revisions(repository.name()), true, marks, &mut nodes).await?;
        if nodes.is_empty() && needed.is_empty() {
            return Ok(());
        }
        need(&nodes, &retained.manifests, &mut needed);
        needed.iter().for_each(|key| marks.revisions.add(marks::within(repository.name(), *key)));
        let leaving = retained.manifests.difference(&needed).copied().collect();
        self.tell_untagged(repository, &nodes, &tagged, &leaving, marks);
        Ok(())
    }

    /// Marks what active pushes refer to; returns the manifests among it.
    async fn mark_intents(&mut self, repository: &Repository, marks: &mut Marks) -> Result<HashSet<u64>> {
        let mut needed = HashSet::new();
        for intent in repository.intents().await? {
            for digest in intent.refers.iter().chain([&intent.manifest]) {
                let key = marks::blob(digest);
                marks.blobs.add(key);
                marks.tagged.add(key);
                marks.links.add(marks::within(repository.name(), key));
                needed.insert(key);
            }
        }
        Ok(needed)
    }

    /// The targets of a repository's tags.
    async fn tagged_keys(&mut self, repository: &Repository, ignored: &HashSet<Tag>) -> Result<HashSet<u64>> {
        let mut tagged = HashSet::new();
        let mut tags = repository.store().names(DirOf::tags(repository.name()), PAGE);
        while let Some(tag) = tags.next().await? {
            self.pace.wait(1).await;
            if !ignored.contains(&tag)
                && let Some(digest) = repository.tagged(&tag).await?
            {
                tagged.insert(marks::blob(&digest));
            }
        }
        Ok(tagged)
    }

    async fn mark_manifests(
        &mut self,
        repository: &Repository,
        digests: Vec<Digest>,
        condemned: bool,
        marks: &mut Marks,
        nodes: &mut Vec<ManifestNode>,
    ) -> Result<()> {
        let reads = digests.into_iter().map(|digest| async move { repository.stored(&digest).await });
        let mut reads = stream::iter(reads).buffered(AT_ONCE);
        while let Some(stored) = reads.try_next().await? {
            let Some(mut stored) = stored else { continue };
            if !condemned {
                self.report.manifests += 1;
                if let Some((manifest, entry)) = stored.unlisted.take().filter(|_| !self.options.dry_run)
                    && let Err(error) = repository.list_again(&stored.digest, &manifest, entry).await
                {
                    self.report.error(&error);
                }
            }
            self.at(CollectionStep::Mark, self.report.manifests).await;
            nodes.push(mark(repository.name(), stored, condemned, marks));
        }
        Ok(())
    }

    /// Counts what no tag reaches, and marks what a tag reaches.
    fn tell_untagged(
        &mut self,
        repository: &Repository,
        nodes: &[ManifestNode],
        tagged: &HashSet<u64>,
        leaving: &HashSet<u64>,
        marks: &mut Marks,
    ) {
        let mut reached = reachable(nodes, tagged);
        // What is about to be deleted is reported as such, and needs no setting.
        reached.extend(leaving);
        let mut blobs = HashSet::new();
        for node in nodes.iter().filter(|node| reached.contains(&node.key)) {
            for key in node.refers.iter().map(|(key, _)| *key).chain([node.key]) {
                marks.tagged.add(key);
                blobs.insert(key);
            }
        }
        let mut found = RepositoryReport::default();
        for node in nodes.iter().filter(|node| !node.condemned) {
            found.manifests += 1;
            if reached.contains(&node.key) {
                continue;
            }
            found.untagged_manifests += 1;
            for (key, len) in node.refers.iter().copied().chain([(node.key, node.len)]) {
                if blobs.insert(key) {
                    found.untagged_bytes = found.untagged_bytes.saturating_add(len);
                }
            }
        }
        self.report.repositories += u64::from(found.manifests > 0);
        self.report.untagged.manifests += found.untagged_manifests;
        if found.untagged_manifests > 0 {
            let of = self.report.of(repository.name().as_str());
            (of.manifests, of.untagged_manifests) = (found.manifests, found.untagged_manifests);
            of.untagged_bytes = found.untagged_bytes;
        }
    }
}

fn mark(repository: &RepositoryName, stored: Stored, condemned: bool, marks: &mut Marks) -> ManifestNode {
    let key = marks::blob(&stored.digest);
    marks.blobs.add(key);
    let refers = stored.refers.iter().map(|(digest, len)| (marks::blob(digest), *len));
    let refers: Vec<_> = refers.collect();
    for (key, _) in &refers {
        marks.blobs.add(*key);
        marks.links.add(marks::within(repository, *key));
    }
    ManifestNode { key, len: stored.len, condemned, refers, children: stored.children, subject: stored.subject }
}

/// Adds the manifests that other manifests need: children of an index that exists and is not about to be deleted, or
/// that is itself needed.
fn need(nodes: &[ManifestNode], leaving: &HashSet<u64>, needed: &mut HashSet<u64>) {
    let by_key: HashMap<u64, &ManifestNode> = nodes.iter().map(|node| (node.key, node)).collect();
    let stays = |node: &&ManifestNode| !node.condemned && !leaving.contains(&node.key) || needed.contains(&node.key);
    let there = nodes.iter().filter(stays);
    let mut ahead: Vec<u64> = there.flat_map(|node| node.children.iter().copied()).collect();
    while let Some(key) = ahead.pop() {
        if needed.insert(key)
            && let Some(node) = by_key.get(&key)
        {
            ahead.extend(&node.children);
        }
    }
}

/// The manifests that tags reach: their targets, the children of these, and what refers to any of them.
fn reachable(nodes: &[ManifestNode], tagged: &HashSet<u64>) -> HashSet<u64> {
    let by_key: HashMap<u64, &ManifestNode> = nodes.iter().map(|node| (node.key, node)).collect();
    let mut referrers: HashMap<u64, Vec<u64>> = HashMap::new();
    for node in nodes {
        if let Some(subject) = node.subject {
            referrers.entry(subject).or_default().push(node.key);
        }
    }
    let mut ahead: Vec<u64> = tagged.iter().copied().collect();
    let mut reached = HashSet::new();
    while let Some(key) = ahead.pop() {
        if reached.insert(key) {
            ahead.extend(by_key.get(&key).map(|node| &node.children).into_iter().flatten());
            ahead.extend(referrers.get(&key).into_iter().flatten());
        }
    }
    reached
}
