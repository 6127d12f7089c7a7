//! Lists of tags with what they point to, in several orders.

use super::{
    details::{ManifestDetail, ManifestReader},
    order::{by_version, natural},
    platform::PlatformName,
};
use crate::{
    registry::{RegistryError, Repository, Result, settings::ImmutableHere},
    storage::{DirOf, FactKey, StorageError},
};
use oci::{Digest, Tag};
use std::{
    cmp::Ordering,
    sync::Arc,
    time::{Duration, SystemTime},
};

/// Names per page.
const PAGE: usize = 10_000;

/// The most aliases that are named with a tag.
const MOST_ALIASES: usize = 20;

/// The order of a list of tags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TagOrder {
    /// By name, with numbers as numbers.
    #[default]
    Name,
    /// By version.
    Version,
    /// By the time of the push.
    Pushed,
    /// By size.
    Size,
}

/// What a list of tags is to contain.
#[derive(Clone, Debug, Default)]
pub struct TagListing {
    /// Only tags with this in their names; all if empty.
    pub containing: String,
    /// The order.
    pub order: TagOrder,
    /// Backwards.
    pub descending: bool,
    /// Only tags after this one in that order.
    pub after: Option<TagCursor>,
    /// At most this many.
    pub most: usize,
}

/// A place in a list of tags. The tag need not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagCursor {
    /// Size in bytes, or nanoseconds since 1970, if that decides the order.
    key: u64,
    tag: Box<str>,
}

/// A tag and what it points to.
#[derive(Clone, Debug)]
pub struct TagDetail {
    /// The tag.
    pub tag: Tag,
    /// Its target.
    pub digest: Digest,
    /// When it was set.
    pub pushed: SystemTime,
    /// Who set it, if that was recorded.
    pub pushed_by: Option<String>,
    /// The manifest, unless it is missing.
    pub manifest: Option<Arc<ManifestDetail>>,
    /// Bytes of everything it consists of, each blob once.
    pub size: u64,
    /// What it runs on.
    pub platforms: Vec<PlatformName>,
    /// Some other tags of the same manifest.
    pub aliases: Vec<Tag>,
    /// It cannot be moved or deleted.
    pub immutable: bool,
    /// Something that looks like a signature is attached; it is not verified.
    pub has_signature: bool,
    /// When the manifest was last pulled, to the hour, if known.
    pub last_pulled: Option<SystemTime>,
}

impl TagCursor {
    /// Parses the text that [`TagDetail::cursor`] wrote.
    pub fn parse(order: TagOrder, text: &str) -> Option<Self> {
        match order {
            TagOrder::Name | TagOrder::Version => Some(Self { key: 0, tag: text.into() }),
            TagOrder::Pushed | TagOrder::Size => {
                let (key, tag) = text.split_once('~')?;
                Some(Self { key: key.parse().ok()?, tag: tag.into() })
            }
        }
    }

    fn compare(&self, other: &Self, order: TagOrder) -> Ordering {
        match order {
            TagOrder::Name => natural(&self.tag, &other.tag),
            TagOrder::Version => by_version(&self.tag, &other.tag),
            TagOrder::Pushed | TagOrder::Size => self.key.cmp(&other.key).then_with(|| natural(&self.tag, &other.tag)),
        }
    }
}

impl TagDetail {
    /// Its place in a list of this order.
    pub fn cursor(&self, order: TagOrder) -> String {
        match order {
            TagOrder::Name | TagOrder::Version => self.tag.to_string(),
            TagOrder::Pushed => format!("{}~{}", nanos(self.pushed), self.tag),
            TagOrder::Size => format!("{}~{}", self.size, self.tag),
        }
    }
}

fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

impl Repository {
    /// Tags with what they point to, and whether there are more. An order by size reads every manifest with a tag, one
    /// by time every tag.
    ///
    /// # Errors
    /// [`RegistryError::NameUnknown`]; the store's, except for damage.
    pub async fn tag_details(&self, listing: &TagListing) -> Result<(Vec<TagDetail>, bool)> {
        let mut reader = ManifestReader::of(self);
        let mut places = Vec::new();
        for tag in self.tag_names(&listing.containing).await? {
            let key = self.sort_key(&mut reader, &tag, listing.order).await?;
            places.push((TagCursor { key, tag: tag.as_str().into() }, tag));
        }
        if places.is_empty() && !self.exists().await? {
            return Err(RegistryError::NameUnknown(self.name.clone()));
        }
        let compare = |a: &TagCursor, b: &TagCursor| {
            let order = a.compare(b, listing.order);
            if listing.descending { order.reverse() } else { order }
        };
        if let Some(after) = &listing.after {
            places.retain(|(place, _)| compare(place, after).is_gt());
        }
        places.sort_unstable_by(|(a, _), (b, _)| compare(a, b));
        let more = places.len() > listing.most;
        places.truncate(listing.most);
        let mut details = Vec::with_capacity(places.len());
        let immutable = self.immutable().await?;
        for (_, tag) in places {
            details.extend(self.tag_detail(&mut reader, &immutable, &tag).await?);
        }
        self.note_pulls(&mut details).await?;
        Ok((details, more))
    }

    /// The tags that contain a text, in byte order.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn tag_names(&self, containing: &str) -> Result<Vec<Tag>> {
        let mut tags = Vec::new();
        let mut names = self.store().names(DirOf::tags(&self.name), PAGE).from_memory();
        while let Some(tag) = names.next().await? {
            if tag.as_str().contains(containing) {
                tags.push(tag);
            }
        }
        Ok(tags)
    }

    /// A tag with what it points to; `None` if it does not exist.
    ///
    /// # Errors
    /// The store's, except for damage.
    pub async fn one_tag_detail(&self, tag: &Tag) -> Result<Option<TagDetail>> {
        let immutable = self.immutable().await?;
        let mut details: Vec<_> =
            self.tag_detail(&mut ManifestReader::of(self), &immutable, tag).await?.into_iter().collect();
        self.note_pulls(&mut details).await?;
        Ok(details.pop())
    }

    /// Some tags that point to a manifest, in byte order.
    ///
    /// # Errors
    /// The store's, except for damage.
    pub async fn tags_of(&self, digest: &Digest, most: usize) -> Result<Vec<Tag>> {
        let mut tags = Vec::new();
        let mut hints = self.store().names(DirOf::tagged(&self.name, digest), PAGE).from_memory();
        while tags.len() < most
            && let Some(tag) = hints.next().await?
        {
            if self.readable_tag(&tag).await?.is_some_and(|(found, _)| found == *digest) {
                tags.push(tag);
            }
        }
        Ok(tags)
    }

    /// The target of a tag and when it was set; `None` also for a damaged one.
    ///
    /// # Errors
    /// The store's.
    pub async fn readable_tag(&self, tag: &Tag) -> Result<Option<(Digest, SystemTime)>> {
        match self.tagged_since(tag).await {
            Err(RegistryError::Storage(StorageError::Damaged { .. })) => Ok(None),
            found => found,
        }
    }

    async fn sort_key(&self, reader: &mut ManifestReader, tag: &Tag, order: TagOrder) -> Result<u64> {
        if matches!(order, TagOrder::Name | TagOrder::Version) {
            return Ok(0);
        }
        let Some((digest, pushed)) = self.readable_tag(tag).await? else { return Ok(0) };
        match order {
            TagOrder::Size => Ok(ManifestDetail::size_of(&reader.parts(&digest).await?)),
            _ => Ok(nanos(pushed)),
        }
    }

    async fn tag_detail(
        &self,
        reader: &mut ManifestReader,
        immutable: &ImmutableHere,
        tag: &Tag,
    ) -> Result<Option<TagDetail>> {
        let Some((digest, pushed)) = self.readable_tag(tag).await? else { return Ok(None) };
        let parts = reader.parts(&digest).await?;
        let manifest = parts.first().cloned();
        let platforms = match &manifest {
            Some(manifest) => reader.platforms(manifest).await?,
            None => Vec::new(),
        };
        let mut aliases = self.tags_of(&digest, MOST_ALIASES + 1).await?;
        aliases.retain(|alias| alias != tag);
        aliases.truncate(MOST_ALIASES);
        Ok(Some(TagDetail {
            pushed_by: self.tag_set_by(tag, &digest).await?,
            has_signature: self.has_signature(&digest).await?,
            size: ManifestDetail::size_of(&parts),
            immutable: immutable.holds(tag),
            tag: tag.clone(),
            digest,
            pushed,
            manifest,
            platforms,
            aliases,
            last_pulled: None,
        }))
    }

    async fn note_pulls(&self, details: &mut [TagDetail]) -> Result<()> {
        let times = self.pull_times(SystemTime::now()).await?;
        details.iter_mut().for_each(|detail| detail.last_pulled = times.of(&detail.digest).last);
        Ok(())
    }

    /// Who set a tag to this manifest, if that was recorded.
    async fn tag_set_by(&self, tag: &Tag, digest: &Digest) -> Result<Option<String>> {
        let hint = FactKey::Tagged(self.name.clone(), digest.clone(), tag.clone());
        let name = |bytes: &[u8]| Some(std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?.to_owned());
        Ok(self.store().get(&hint).await?.and_then(|fact| name(&fact.bytes)))
    }

    /// Whether something that looks like a signature is attached to a manifest: a tag or a referrer, by its type.
    ///
    /// # Errors
    /// The store's.
    pub async fn has_signature(&self, digest: &Digest) -> Result<bool> {
        const TYPES: [&str; 4] = [
            "application/vnd.dev.cosign.artifact.sig.v1+json",
            "application/vnd.cncf.notary.signature",
            "application/vnd.dev.sigstore.bundle.v0.3+json",
            "application/vnd.dev.sigstore.bundle+json;version=0.3",
        ];
        if let Ok(tag) = format!("{}.sig", digest.fallback_tag()).parse::<Tag>()
            && self.readable_tag(&tag).await?.is_some()
        {
            return Ok(true);
        }
        let types = TYPES.map(str::to_owned);
        Ok(!self.referrers(digest, &types, None).await?.descriptors.is_empty())
    }
}
