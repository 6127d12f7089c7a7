//! What views of a repository have found out, kept in memory: a page of a long list would otherwise read and order all
//! of it.
//!
//! It is used only while the stamp of the repository is the one from before it was read. Whatever changes a tag, a
//! manifest, a referrer or a link gives the repository another stamp.

use super::{
    shared::ManifestLinks,
    tags::{TagDetail, TagOrder, TagPlace, TaggedManifest},
};
use crate::{
    registry::{Repository, Result},
    storage::OutlineStamp,
};
use oci::{RepositoryName, Tag};
use quick_cache::{Weighter, sync::Cache};
use std::sync::Arc;

/// What is kept of orders, of tags, of what they point to, and of links, in bytes each.
const MOST_BYTES: u64 = 8 << 20;

/// Orders that are expected: so few that a long one fits into the part of the cache that it belongs to.
const ORDERS: usize = 16;

/// Tags that are expected. Few in tests, which create many registries.
const TAGS: usize = if cfg!(test) { 64 } else { 8192 };

/// Something about a repository with this stamp.
#[derive(Clone)]
struct Stamped<T> {
    stamp: OutlineStamp,
    content: T,
}

/// What was asked for recently.
pub(in crate::registry) struct KnownTags {
    orders: Cache<(RepositoryName, TagOrder), Stamped<Arc<[TagPlace]>>, OrderBytes>,
    details: Cache<(RepositoryName, Tag), Stamped<Arc<TagDetail>>, DetailBytes>,
    links: Cache<RepositoryName, Stamped<Arc<ManifestLinks>>, LinkBytes>,
    targets: Cache<RepositoryName, Stamped<Arc<[TaggedManifest]>>, TargetBytes>,
}

#[derive(Clone)]
struct OrderBytes;

impl Weighter<(RepositoryName, TagOrder), Stamped<Arc<[TagPlace]>>> for OrderBytes {
    fn weight(&self, _: &(RepositoryName, TagOrder), order: &Stamped<Arc<[TagPlace]>>) -> u64 {
        let bytes = order.content.iter().map(|place| size_of::<TagPlace>() + place.tag.as_str().len());
        bytes.sum::<usize>() as u64 + 1
    }
}

#[derive(Clone)]
struct DetailBytes;

impl Weighter<(RepositoryName, Tag), Stamped<Arc<TagDetail>>> for DetailBytes {
    fn weight(&self, (name, tag): &(RepositoryName, Tag), detail: &Stamped<Arc<TagDetail>>) -> u64 {
        (name.as_str().len() + tag.as_str().len() + detail.content.bytes()) as u64
    }
}

#[derive(Clone)]
struct TargetBytes;

impl Weighter<RepositoryName, Stamped<Arc<[TaggedManifest]>>> for TargetBytes {
    fn weight(&self, _: &RepositoryName, targets: &Stamped<Arc<[TaggedManifest]>>) -> u64 {
        let texts = targets.content.iter().map(|target| target.tag.as_str().len() + target.digest.as_str().len());
        (texts.sum::<usize>() + size_of_val(&*targets.content)) as u64 + 1
    }
}

#[derive(Clone)]
struct LinkBytes;

impl Weighter<RepositoryName, Stamped<Arc<ManifestLinks>>> for LinkBytes {
    fn weight(&self, name: &RepositoryName, links: &Stamped<Arc<ManifestLinks>>) -> u64 {
        (name.as_str().len() + links.content.bytes()) as u64
    }
}

impl Default for KnownTags {
    fn default() -> Self {
        Self {
            orders: Cache::with_weighter(ORDERS, MOST_BYTES, OrderBytes),
            details: Cache::with_weighter(TAGS, MOST_BYTES, DetailBytes),
            links: Cache::with_weighter(ORDERS, MOST_BYTES, LinkBytes),
            targets: Cache::with_weighter(ORDERS, MOST_BYTES, TargetBytes),
        }
    }
}

impl KnownTags {
    pub(super) fn order(&self, name: &RepositoryName, order: TagOrder, stamp: OutlineStamp) -> Option<Arc<[TagPlace]>> {
        let known = self.orders.get(&(name.clone(), order))?;
        (known.stamp == stamp).then_some(known.content)
    }

    pub(super) fn keep_order(
        &self,
        name: &RepositoryName,
        order: TagOrder,
        stamp: OutlineStamp,
        content: Arc<[TagPlace]>,
    ) {
        self.orders.insert((name.clone(), order), Stamped { stamp, content });
    }

    pub(super) fn targets(&self, name: &RepositoryName, stamp: OutlineStamp) -> Option<Arc<[TaggedManifest]>> {
        let known = self.targets.get(name)?;
        (known.stamp == stamp).then_some(known.content)
    }

    pub(super) fn keep_targets(&self, name: &RepositoryName, stamp: OutlineStamp, content: Arc<[TaggedManifest]>) {
        self.targets.insert(name.clone(), Stamped { stamp, content });
    }

    pub(super) fn links(&self, name: &RepositoryName, stamp: OutlineStamp) -> Option<Arc<ManifestLinks>> {
        let known = self.links.get(name)?;
        (known.stamp == stamp).then_some(known.content)
    }

    pub(super) fn keep_links(&self, name: &RepositoryName, stamp: OutlineStamp, content: Arc<ManifestLinks>) {
        self.links.insert(name.clone(), Stamped { stamp, content });
    }

    pub(super) fn detail(&self, name: &RepositoryName, tag: &Tag, stamp: OutlineStamp) -> Option<Arc<TagDetail>> {
        let known = self.details.get(&(name.clone(), tag.clone()))?;
        (known.stamp == stamp).then_some(known.content)
    }

    pub(super) fn keep_detail(&self, name: &RepositoryName, stamp: OutlineStamp, content: Arc<TagDetail>) {
        self.details.insert((name.clone(), content.tag.clone()), Stamped { stamp, content });
    }
}

impl Repository {
    /// The stamp of this repository, if it was not changed a moment ago.
    pub(super) async fn stamp(&self) -> Result<Option<OutlineStamp>> {
        Ok(self.registry.outlines(std::slice::from_ref(&self.name)).await?.first().and_then(|outline| outline.stamp))
    }
}
