//! What repositories hold, for display.

use super::{AT_ONCE, LIST_PAGE, ObjectStorage};
use crate::storage::{Dir, Item, ItemKind, OutlineNames, RepositoryOutline, Result};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use oci::{Digest, RepositoryName};
use std::collections::BTreeSet;

impl ObjectStorage {
    pub(super) async fn outline(&self, name: &RepositoryName) -> Result<RepositoryOutline> {
        let dir = Dir::Tags(name.clone());
        let prefix = format!("{}/", dir.path());
        let tags = self.list_all(&prefix).await?;
        let is_tag = |name: &&str| dir.lists(name);
        let names: Vec<String> = tags
            .iter()
            .filter(|tag| tag.len != super::facts::TOMBSTONE.len() as u64)
            .filter_map(|tag| tag.key.strip_prefix(&prefix).filter(is_tag).map(str::to_owned))
            .collect();
        let pushed = tags.iter().map(|tag| tag.modified).max();
        let (manifests, manifests_changed) = self.digests(ItemKind::Revisions(name.clone())).await?;
        let (linked, links_changed) = self.digests(ItemKind::Links(name.clone())).await?;
        let all: Vec<Digest> = manifests.union(&linked).cloned().collect();
        let lens: Vec<_> = all.iter().map(|digest| self.len_of(digest)).collect();
        let bytes =
            stream::iter(lens).buffer_unordered(AT_ONCE).try_fold(0u64, |sum, len| async move { Ok(sum + len) });
        Ok(RepositoryOutline {
            tags: names.len() as u64,
            manifests: manifests.len() as u64,
            blobs: linked.difference(&manifests).count() as u64,
            bytes: bytes.await?,
            pushed,
            changed: pushed.max(manifests_changed).max(links_changed),
            names: OutlineNames::of(&names, manifests.iter()),
            stamp: None,
        })
    }

    async fn digests(&self, kind: ItemKind) -> Result<(BTreeSet<Digest>, Option<std::time::SystemTime>)> {
        let (mut digests, mut changed, mut after) = (BTreeSet::new(), None, None);
        loop {
            let page = self.items_of(&kind, after.as_ref(), LIST_PAGE).await?;
            after = page.entries.last().map(|aged| aged.item.clone());
            for aged in page.entries {
                changed = changed.max(Some(aged.renewed));
                if let Item::Link(_, digest) | Item::Revision(_, digest) = aged.item {
                    digests.insert(digest);
                }
            }
            if !page.more {
                return Ok((digests, changed));
            }
        }
    }

    /// The length of a blob; zero if there is none.
    async fn len_of(&self, digest: &Digest) -> Result<u64> {
        if let Some(len) = self.memory.length(digest) {
            return Ok(len);
        }
        let looked = self.generations(&Item::Blob(digest.clone())).await?;
        let Some(latest) = looked.generations.last() else { return Ok(0) };
        self.memory.keep_length(digest, latest.generation.len);
        Ok(latest.generation.len)
    }
}
