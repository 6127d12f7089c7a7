//! Marking one repository: its pushes under way first, its manifests second.

use super::super::{
    PAGE, Pass, RepositoryReport, Result, Step,
    graveyard::Graveyard,
    marks::{self, Marks},
    stored::Stored,
};
use crate::{
    oci::{Digest, RepositoryName, Tag},
    storage::{Dir, Item, ItemKind},
};
use futures_util::{StreamExt, TryStreamExt, stream};
use std::collections::{HashMap, HashSet};

/// Manifests read at once: enough to keep a disk busy, few enough not to be felt.
const AT_ONCE: usize = 4;

/// A manifest as far as it is needed to tell what tags lead to.
struct Node {
    key: u64,
    len: u64,
    /// It lies in the graveyard, and could come back.
    condemned: bool,
    refers: Vec<(u64, u64)>,
    children: Vec<u64>,
    subject: Option<u64>,
}

impl Pass<'_> {
    pub(super) async fn mark_repository(
        &mut self,
        repository: &RepositoryName,
        graveyard: &Graveyard,
        marks: &mut Marks,
    ) -> Result<()> {
        let retained = self.retain(repository, graveyard).await?;
        // The order counts: what an intent named and was published since is found as a manifest.
        let mut needed = self.mark_intents(repository, marks).await?;
        let tagged = self.tagged_keys(repository, &retained.tags).await?;
        needed.extend(&tagged);
        let mut nodes = Vec::new();
        let mut after: Option<Item> = None;
        loop {
            let kind = ItemKind::Revisions(repository.clone());
            let page = self.registry.core.store.items(&kind, after.as_ref(), PAGE).await?;
            let live = page.entries.iter().filter_map(|aged| match &aged.item {
                Item::Revision(_, digest) => Some(digest.clone()),
                _ => None,
            });
            self.mark_manifests(repository, live.collect(), false, marks, &mut nodes).await?;
            after = page.entries.into_iter().next_back().map(|aged| aged.item);
            if !page.more {
                break;
            }
        }
        // These could come back, and are worth nothing without what they refer to. Listed before the
        // live ones: whatever came back since is found there.
        self.mark_manifests(repository, graveyard.revisions(repository), true, marks, &mut nodes).await?;
        if nodes.is_empty() && needed.is_empty() {
            return Ok(());
        }
        need(&nodes, &retained.manifests, &mut needed);
        needed.iter().for_each(|key| marks.revisions.add(marks::within(repository, *key)));
        let leaving = retained.manifests.difference(&needed).copied().collect();
        self.tell_untagged(repository, &nodes, &tagged, &leaving, marks);
        Ok(())
    }

    /// Marks what pushes under way refer to; the manifests among it.
    async fn mark_intents(&mut self, repository: &RepositoryName, marks: &mut Marks) -> Result<HashSet<u64>> {
        let mut needed = HashSet::new();
        for intent in self.registry.intents(repository).await? {
            for digest in intent.refers.iter().chain([&intent.manifest]) {
                let key = marks::blob(digest);
                marks.blobs.add(key);
                marks.tagged.add(key);
                marks.links.add(marks::within(repository, key));
                needed.insert(key);
            }
        }
        Ok(needed)
    }

    /// What the tags of a repository point to.
    async fn tagged_keys(&mut self, repository: &RepositoryName, ignored: &HashSet<Tag>) -> Result<HashSet<u64>> {
        let mut tagged = HashSet::new();
        let mut after: Option<String> = None;
        loop {
            let dir = Dir::Tags(repository.clone());
            let page = self.registry.core.store.children(&dir, after.as_deref(), PAGE).await?;
            for child in &page.entries {
                self.pace.wait(1).await;
                if let Ok(tag) = child.name.parse()
                    && !ignored.contains(&tag)
                    && let Some(digest) = self.registry.tagged(repository, &tag).await?
                {
                    tagged.insert(marks::blob(&digest));
                }
            }
            after = page.entries.into_iter().next_back().map(|child| child.name);
            if !page.more {
                return Ok(tagged);
            }
        }
    }

    async fn mark_manifests(
        &mut self,
        repository: &RepositoryName,
        digests: Vec<Digest>,
        condemned: bool,
        marks: &mut Marks,
        nodes: &mut Vec<Node>,
    ) -> Result<()> {
        let registry = self.registry;
        let reads = digests.into_iter().map(|digest| async move { registry.stored(repository, &digest).await });
        let mut reads = stream::iter(reads).buffered(AT_ONCE);
        while let Some(stored) = reads.try_next().await? {
            let Some(mut stored) = stored else { continue };
            if !condemned {
                self.report.manifests += 1;
                if let Some((manifest, entry)) = stored.unlisted.take().filter(|_| !self.options.dry_run)
                    && let Err(error) = registry.list_again(repository, &stored.digest, &manifest, entry).await
                {
                    self.report.error(&error);
                }
            }
            self.at(Step::Mark, self.report.manifests).await;
            nodes.push(mark(repository, stored, condemned, marks));
        }
        Ok(())
    }

    /// Counts what no tag leads to, and marks what one does.
    fn tell_untagged(
        &mut self,
        repository: &RepositoryName,
        nodes: &[Node],
        tagged: &HashSet<u64>,
        leaving: &HashSet<u64>,
        marks: &mut Marks,
    ) {
        let mut reached = reach(nodes, tagged);
        // What leaves is told as such, and no setting is needed for it.
        reached.extend(leaving);
        let mut blobs = HashSet::new();
        for node in nodes.iter().filter(|node| reached.contains(&node.key)) {
            for key in node.refers.iter().map(|(key, _)| *key).chain([node.key]) {
                marks.tagged.add(key);
                blobs.insert(key);
            }
        }
        let mut told = RepositoryReport::default();
        for node in nodes.iter().filter(|node| !node.condemned) {
            told.manifests += 1;
            if reached.contains(&node.key) {
                continue;
            }
            told.untagged_manifests += 1;
            for (key, len) in node.refers.iter().copied().chain([(node.key, node.len)]) {
                if blobs.insert(key) {
                    told.untagged_bytes = told.untagged_bytes.saturating_add(len);
                }
            }
        }
        self.report.repositories += u64::from(told.manifests > 0);
        self.report.untagged.manifests += told.untagged_manifests;
        if told.untagged_manifests > 0 {
            let of = self.report.of(repository.as_str());
            (of.manifests, of.untagged_manifests) = (told.manifests, told.untagged_manifests);
            of.untagged_bytes = told.untagged_bytes;
        }
    }
}

fn mark(repository: &RepositoryName, stored: Stored, condemned: bool, marks: &mut Marks) -> Node {
    let key = marks::blob(&stored.digest);
    marks.blobs.add(key);
    let refers = stored.refers.iter().map(|(digest, len)| (marks::blob(digest), *len));
    let refers: Vec<_> = refers.collect();
    for (key, _) in &refers {
        marks.blobs.add(*key);
        marks.links.add(marks::within(repository, *key));
    }
    Node { key, len: stored.len, condemned, refers, children: stored.children, subject: stored.subject }
}

/// Adds the manifests that other manifests need: children of an index that is there and not
/// leaving, or that is itself needed.
fn need(nodes: &[Node], leaving: &HashSet<u64>, needed: &mut HashSet<u64>) {
    let by_key: HashMap<u64, &Node> = nodes.iter().map(|node| (node.key, node)).collect();
    let stays = |node: &&Node| !node.condemned && !leaving.contains(&node.key) || needed.contains(&node.key);
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

/// The manifests tags lead to: themselves, their children, and what refers to one of these.
fn reach(nodes: &[Node], tagged: &HashSet<u64>) -> HashSet<u64> {
    let by_key: HashMap<u64, &Node> = nodes.iter().map(|node| (node.key, node)).collect();
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
