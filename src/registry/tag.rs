//! Tags: lists of them, and their targets.

use super::{RegistryError, Repository, Result};
use crate::storage::{self, DirOf, Expect, Fact, FactKey, Item, ListingPage};
use oci::{Digest, Tag};
use std::time::{Duration, SystemTime};

/// The size in bytes of a reply to a list request without a limit. Further names are on the next page, so memory does
/// not grow with the number of tags.
const LONGEST_REPLY: usize = 4 << 20;

/// The most names in memory at once, however short they are.
const MOST_TAGS: usize = 100_000;

/// The first of two lists in byte order. A page that has more holds as many as are wanted, so no name is left out.
fn merged(page: ListingPage<Tag>, others: &[Tag], most: usize) -> ListingPage<Tag> {
    let mut here = page.entries.into_iter().peekable();
    let mut others = others.iter().peekable();
    let mut entries = Vec::new();
    while entries.len() < most {
        let is_ours = match (here.peek(), others.peek()) {
            (None, None) => break,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (Some(ours), Some(other)) => {
                if ours == *other {
                    others.next();
                    continue;
                }
                ours.as_str() < other.as_str()
            }
        };
        entries.extend(if is_ours { here.next() } else { others.next().cloned() });
    }
    let more = page.more || here.peek().is_some() || others.peek().is_some();
    ListingPage { entries, more }
}

impl Repository {
    /// Tags after `last` in byte order: at most `n`, or without a limit all that fit one reply.
    ///
    /// # Errors
    /// [`RegistryError::NameUnknown`].
    pub async fn tags(&self, last: Option<&str>, n: Option<usize>) -> Result<ListingPage<Tag>> {
        self.tags_with(&[], last, n).await
    }

    /// The same with others in byte order that are not here, or not all of them.
    ///
    /// # Errors
    /// [`RegistryError::NameUnknown`] if there are no others either.
    pub async fn tags_with(&self, others: &[Tag], last: Option<&str>, n: Option<usize>) -> Result<ListingPage<Tag>> {
        let most = n.map_or(MOST_TAGS, |n| n.min(self.settings().page_max));
        let page = match most {
            0 => ListingPage { entries: Vec::new(), more: false },
            most => self.store().page(&DirOf::tags(&self.name), last, most).await?,
        };
        if page.entries.is_empty() && others.is_empty() && !self.exists().await? {
            return Err(RegistryError::NameUnknown(self.name.clone()));
        }
        let after = others.partition_point(|tag| last.is_some_and(|last| tag.as_str() <= last));
        let page = if others.is_empty() { page } else { merged(page, &others[after..], most) };
        let ListingPage { entries: mut tags, mut more } = page;
        let mut bytes = 0;
        // Three bytes for quotes and comma.
        let fitting = tags.iter().take_while(|tag| {
            bytes += tag.as_str().len() + 3;
            bytes <= LONGEST_REPLY
        });
        let fitting = fitting.count();
        if fitting < tags.len() {
            tags.truncate(fitting);
            more = true;
        }
        Ok(ListingPage { entries: tags, more })
    }

    /// A tag no longer points to `digest`: removes its hint, and starts the time after which an untagged manifest may
    /// be deleted.
    pub(super) async fn left_by(&self, tag: &Tag, digest: &Digest) -> Result<()> {
        let note = FactKey::Tagged(self.name.clone(), digest.clone(), tag.clone());
        self.store().delete(&note, Expect::Any).await?;
        self.store().renew(&Item::Revision(self.name.clone(), digest.clone()), Duration::ZERO).await?;
        Ok(())
    }

    /// Removes a tag unless it was pushed again since; returns whether it was removed.
    pub(crate) async fn expire_tag(&self, tag: &Tag, digest: &Digest, pushed: SystemTime) -> Result<bool> {
        let (repository, tag, digest) = (self.clone(), tag.clone(), digest.clone());
        // Runs to completion: a tag and its hint are removed together.
        let expire = async move {
            let _pushes = repository.registry.core.locks.lock_tags(&repository.name, std::slice::from_ref(&tag)).await;
            let immutable = repository.immutable().await?;
            let found = repository.store().get(&FactKey::Tag(repository.name.clone(), tag.clone())).await?;
            match found.filter(|fact| fact.written == pushed && !immutable.holds(&tag)) {
                Some(found) => repository.untag(&tag, &digest, Expect::Unchanged(found)).await,
                None => Ok(false),
            }
        };
        self.registry.shielded(expire).await
    }

    /// The digest a tag points to.
    pub(crate) async fn tagged(&self, tag: &Tag) -> Result<Option<Digest>> {
        Ok(self.tagged_since(tag).await?.map(|(digest, _)| digest))
    }

    /// The digest a tag points to, and when it was pushed.
    pub(crate) async fn tagged_since(&self, tag: &Tag) -> Result<Option<(Digest, SystemTime)>> {
        let key = FactKey::Tag(self.name.clone(), tag.clone());
        let Some(fact) = self.store().get(&key).await? else { return Ok(None) };
        Ok(Some((pointed_to(&key, &fact)?, fact.written)))
    }

    /// The digest a tag points to, for a client that reads it.
    pub(super) async fn tagged_to_read(&self, tag: &Tag) -> Result<Option<Digest>> {
        let key = FactKey::Tag(self.name.clone(), tag.clone());
        self.get_to_read(&key).await?.map(|fact| pointed_to(&key, &fact)).transpose()
    }
}

fn pointed_to(key: &FactKey, fact: &Fact) -> Result<Digest> {
    let text = std::str::from_utf8(&fact.bytes).ok().and_then(|text| text.strip_suffix('\n'));
    let digest = text.and_then(|text| text.parse().ok());
    digest.ok_or_else(|| storage::StorageError::damaged(key.path(), "it does not hold a digest").into())
}
