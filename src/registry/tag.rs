//! Tags: their lists, and what one points to.

use super::{Error, Registry, Result};
use crate::{
    oci::{Digest, RepositoryName, Tag},
    storage::{self, Dir, Expect, Item, Key, Page},
};
use std::time::{Duration, SystemTime};

/// The names in a list that no request bounded: as many as fit this many bytes of reply. More
/// are had by the next page, so memory does not grow with the number of tags.
const LONGEST_REPLY: usize = 4 << 20;

/// No more than this are held at once, however short they are.
const MOST_TAGS: usize = 100_000;

impl Registry {
    /// Tags after `last` in byte order: `n` of them or, if that is not said, all that fit one
    /// reply.
    ///
    /// # Errors
    /// [`Error::NameUnknown`].
    pub async fn tags(
        &self,
        repository: &RepositoryName,
        last: Option<&str>,
        n: Option<usize>,
    ) -> Result<Page<String>> {
        let most = n.map_or(MOST_TAGS, |n| n.min(self.settings.page_max));
        let page = match most {
            0 => Page { entries: Vec::new(), more: false },
            most => self.core.store.listing(&Dir::Tags(repository.clone()), last, most).await?,
        };
        if page.entries.is_empty() && !self.is_repository(repository).await? {
            return Err(Error::NameUnknown(repository.clone()));
        }
        let mut tags: Vec<String> = page.entries.into_iter().map(|child| child.name).collect();
        let mut more = page.more;
        let mut bytes = 0;
        // Three bytes for quotes and comma.
        let fitting = tags.iter().take_while(|tag| {
            bytes += tag.len() + 3;
            bytes <= LONGEST_REPLY
        });
        let fitting = fitting.count();
        if fitting < tags.len() {
            tags.truncate(fitting);
            more = true;
        }
        Ok(Page { entries: tags, more })
    }

    /// A tag does not point to `digest` any more: the note that it may goes, and the time begins
    /// after which an untagged manifest may go.
    pub(super) async fn left_by(&self, repository: &RepositoryName, tag: &Tag, digest: &Digest) -> Result<()> {
        let note = Key::Tagged(repository.clone(), digest.clone(), tag.clone());
        self.core.store.delete(&note, Expect::Any).await?;
        self.core.store.renew(&Item::Revision(repository.clone(), digest.clone()), Duration::ZERO).await?;
        Ok(())
    }

    /// The digest a tag points to.
    pub(super) async fn tagged(&self, repository: &RepositoryName, tag: &Tag) -> Result<Option<Digest>> {
        Ok(self.tagged_since(repository, tag).await?.map(|(digest, _)| digest))
    }

    /// The digest a tag points to, and when it was pushed.
    pub(super) async fn tagged_since(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
    ) -> Result<Option<(Digest, SystemTime)>> {
        let key = Key::Tag(repository.clone(), tag.clone());
        let Some(fact) = self.core.store.get(&key).await? else { return Ok(None) };
        let text = std::str::from_utf8(&fact.bytes).ok().and_then(|text| text.strip_suffix('\n'));
        match text.and_then(|text| text.parse().ok()) {
            Some(digest) => Ok(Some((digest, fact.written))),
            None => Err(storage::Error::damaged(key.path(), "it does not hold a digest").into()),
        }
    }
}
