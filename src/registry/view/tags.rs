//! Lists of tags with what they point to, in several orders.

use super::{
    details::{ManifestDetail, ManifestKind, ManifestReader},
    platform::PlatformName,
};
use crate::{
    registry::{RegistryError, Repository, Result, settings::ImmutableHere},
    storage::{DirOf, FactKey, OutlineStamp, StorageError, work_on},
};
use oci::{
    Digest, Tag,
    order::{by_version, natural},
};
use std::{
    cmp::Ordering,
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

/// Names per page.
const PAGE: usize = 10_000;

/// The most aliases that are named with a tag.
const MOST_ALIASES: usize = 20;

/// The order of a list of tags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
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

/// A tag in its place of an order.
pub(super) struct TagPlace {
    /// As in [`TagCursor`].
    key: u64,
    pub(super) tag: Tag,
}

/// The manifest of a tag.
#[derive(Debug)]
pub struct TaggedManifest {
    /// The tag.
    pub tag: Tag,
    /// What it points to.
    pub digest: Digest,
    /// When it was pushed.
    pub pushed: SystemTime,
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
    /// What its manifest describes; an artifact if that is missing.
    pub kind: ManifestKind,
    /// The media type of the manifest, unless it is missing.
    pub media_type: Option<String>,
    /// What it says it contains, if that is not implied by its media type.
    pub artifact_type: Option<String>,
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
}

/// Compares two places by their keys and tags.
fn compare(a: (u64, &str), b: (u64, &str), order: TagOrder) -> Ordering {
    match order {
        TagOrder::Name => natural(a.1, b.1),
        TagOrder::Version => by_version(a.1, b.1),
        TagOrder::Pushed | TagOrder::Size => a.0.cmp(&b.0).then_with(|| natural(a.1, b.1)),
    }
}

impl TagPlace {
    fn place(&self) -> (u64, &str) {
        (self.key, self.tag.as_str())
    }

    fn compare(&self, cursor: &TagCursor, order: TagOrder) -> Ordering {
        compare(self.place(), (cursor.key, &cursor.tag), order)
    }
}

/// Reads what tags point to, and each manifest once.
struct TagReader {
    manifests: ManifestReader,
    immutable: ImmutableHere,
    aliases: HashMap<Digest, Vec<Tag>>,
    signed: HashMap<Digest, bool>,
}

impl TagDetail {
    /// What it takes in memory, about.
    pub(super) fn bytes(&self) -> usize {
        let texts = [&self.pushed_by, &self.media_type, &self.artifact_type];
        let texts: usize = texts.into_iter().flatten().map(String::len).sum();
        let aliases: usize = self.aliases.iter().map(|tag| size_of::<Tag>() + tag.as_str().len()).sum();
        let platforms: usize = self.platforms.iter().map(|name| size_of::<PlatformName>() + name.as_str().len()).sum();
        size_of::<Self>() + self.digest.as_str().len() + texts + aliases + platforms
    }

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
        let stamp = self.stamp().await?;
        let places = self.ordered(listing.order, stamp).await?;
        if places.is_empty() && !self.exists().await? {
            return Err(RegistryError::NameUnknown(self.name.clone()));
        }
        let is_before = |place: &TagPlace, order: fn(Ordering) -> bool| match &listing.after {
            Some(after) => order(place.compare(after, listing.order)),
            None => listing.descending,
        };
        let contains = |place: &&TagPlace| place.tag.as_str().contains(&listing.containing);
        let most = listing.most.saturating_add(1);
        let mut page: Vec<&TagPlace> = match listing.descending {
            true => {
                let end = places.partition_point(|place| is_before(place, Ordering::is_lt));
                places[..end].iter().rev().filter(contains).take(most).collect()
            }
            false => {
                let start = places.partition_point(|place| is_before(place, Ordering::is_le));
                places[start..].iter().filter(contains).take(most).collect()
            }
        };
        let more = page.len() > listing.most;
        page.truncate(listing.most);
        let (mut reader, mut details) = (self.tag_reader().await?, Vec::with_capacity(page.len()));
        for place in page {
            details.extend(self.known_detail(&mut reader, stamp, &place.tag).await?);
        }
        self.note_pulls(&mut details).await?;
        Ok((details, more))
    }

    /// All tags in an order. Whatever was found out of them is kept as long as the repository has this stamp.
    async fn ordered(&self, order: TagOrder, stamp: Option<OutlineStamp>) -> Result<Arc<[TagPlace]>> {
        let known = &self.registry.core.tags;
        if let Some(places) = stamp.and_then(|stamp| known.order(&self.name, order, stamp)) {
            return Ok(places);
        }
        let (mut reader, mut places) = (ManifestReader::of(self), Vec::new());
        for tag in self.tag_names("").await? {
            let key = self.sort_key(&mut reader, &tag, order).await?;
            places.push(TagPlace { key, tag });
        }
        // Comparing takes longer than other work on as many bytes: a few thousand take a millisecond.
        let bytes = places.len() * 64;
        let sort = move || {
            places.sort_unstable_by(|a, b| compare(a.place(), b.place(), order));
            Ok(Arc::<[TagPlace]>::from(places))
        };
        let places = work_on(bytes, sort).await?;
        if let Some(stamp) = stamp {
            known.keep_order(&self.name, order, stamp, places.clone());
        }
        Ok(places)
    }

    /// All tags and what they point to, in byte order. They are kept as long as the repository has the same stamp.
    ///
    /// # Errors
    /// The store's, also if a tag cannot be read.
    pub async fn tag_targets(&self) -> Result<Arc<[TaggedManifest]>> {
        let (known, stamp) = (&self.registry.core.tags, self.stamp().await?);
        if let Some(targets) = stamp.and_then(|stamp| known.targets(&self.name, stamp)) {
            return Ok(targets);
        }
        let (mut targets, mut tags) = (Vec::new(), self.store().names(DirOf::tags(&self.name), PAGE));
        while let Some(tag) = tags.next().await? {
            // Somebody may have deleted it meanwhile.
            if let Some((digest, pushed)) = self.tagged_since(&tag).await? {
                targets.push(TaggedManifest { tag, digest, pushed });
            }
        }
        let targets = Arc::<[TaggedManifest]>::from(targets);
        if let Some(stamp) = stamp {
            known.keep_targets(&self.name, stamp, targets.clone());
        }
        Ok(targets)
    }

    async fn known_detail(
        &self,
        reader: &mut TagReader,
        stamp: Option<OutlineStamp>,
        tag: &Tag,
    ) -> Result<Option<TagDetail>> {
        let known = &self.registry.core.tags;
        if let Some(detail) = stamp.and_then(|stamp| known.detail(&self.name, tag, stamp)) {
            // That is up to the settings.
            return Ok(Some(TagDetail { immutable: reader.immutable.holds(tag), ..TagDetail::clone(&detail) }));
        }
        let detail = self.tag_detail(reader, tag).await?;
        if let (Some(stamp), Some(detail)) = (stamp, &detail) {
            known.keep_detail(&self.name, stamp, Arc::new(detail.clone()));
        }
        Ok(detail)
    }

    async fn tag_reader(&self) -> Result<TagReader> {
        Ok(TagReader {
            manifests: ManifestReader::of(self),
            immutable: self.immutable().await?,
            aliases: HashMap::new(),
            signed: HashMap::new(),
        })
    }

    /// The tags that come last by version, at most `most`, in that order; `latest` comes after all of them.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn newest_tags(&self, most: usize) -> Result<Vec<Tag>> {
        let places = self.ordered(TagOrder::Version, self.stamp().await?).await?;
        let is_latest = |place: &&TagPlace| place.tag.as_str() == "latest";
        let latest = places.iter().find(is_latest);
        let versions = places.iter().rev().filter(|place| !is_latest(place));
        let newest_first = latest.into_iter().chain(versions).take(most);
        let mut tags: Vec<_> = newest_first.map(|place| place.tag.clone()).collect();
        tags.reverse();
        Ok(tags)
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
        let mut details: Vec<_> = self.tag_detail(&mut self.tag_reader().await?, tag).await?.into_iter().collect();
        self.note_pulls(&mut details).await?;
        Ok(details.pop())
    }

    /// Some tags that point to a manifest, in byte order.
    ///
    /// # Errors
    /// The store's, except for damage.
    pub async fn tags_of(&self, digest: &Digest, most: usize) -> Result<Vec<Tag>> {
        let mut tags = Vec::new();
        // Nearly all of them are right, so few more are needed.
        let page = most.clamp(16, PAGE);
        let mut hints = self.store().names(DirOf::tagged(&self.name, digest), page).from_memory();
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

    async fn tag_detail(&self, reader: &mut TagReader, tag: &Tag) -> Result<Option<TagDetail>> {
        let Some((digest, pushed)) = self.readable_tag(tag).await? else { return Ok(None) };
        let parts = reader.manifests.parts(&digest).await?;
        let manifest = parts.first();
        let platforms = match manifest {
            Some(manifest) => reader.manifests.platforms(manifest).await?,
            None => Vec::new(),
        };
        let has_signature = match reader.signed.get(&digest) {
            Some(signed) => *signed,
            None => self.has_signature(&digest).await?,
        };
        reader.signed.insert(digest.clone(), has_signature);
        Ok(Some(TagDetail {
            pushed_by: self.tag_set_by(tag, &digest).await?,
            size: ManifestDetail::size_of(&parts),
            immutable: reader.immutable.holds(tag),
            aliases: self.aliases(reader, &digest, tag).await?,
            kind: manifest.map_or(ManifestKind::Artifact, |manifest| manifest.kind()),
            media_type: manifest.map(|manifest| manifest.media_type.clone()),
            artifact_type: manifest.and_then(|manifest| manifest.artifact_type()).map(str::to_owned),
            tag: tag.clone(),
            digest,
            pushed,
            platforms,
            has_signature,
            last_pulled: None,
        }))
    }

    /// Some other tags of the same manifest. The tags of a manifest are read once, not for each of them.
    async fn aliases(&self, reader: &mut TagReader, digest: &Digest, tag: &Tag) -> Result<Vec<Tag>> {
        let all = match reader.aliases.get(digest) {
            Some(all) => all,
            None => {
                let all = self.tags_of(digest, MOST_ALIASES + 1).await?;
                reader.aliases.entry(digest.clone()).or_insert(all)
            }
        };
        Ok(all.iter().filter(|alias| *alias != tag).take(MOST_ALIASES).cloned().collect())
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
