//! Tags that never come to point elsewhere.
//!
//! Whoever pushes a tag holds its lock, so that what is found here is still so when it is written;
//! the store compares once more.

use super::{Error, Registry, Result};
use crate::{
    oci::{Digest, RepositoryName, Tag},
    storage::{Dir, Expect, Key, Put, Version},
};

/// What must hold of the immutable tags of a push.
pub(super) struct Guards(Vec<(Tag, Expect)>);

impl Guards {
    /// Puts the expectations on the writes of these tags, where the client has not put its own.
    pub(super) fn apply(&self, puts: &mut [Put]) {
        for put in puts.iter_mut().filter(|put| put.expect == Expect::Any) {
            if let Key::Tag(_, tag) = &put.key
                && let Some((_, expect)) = self.0.iter().find(|(guarded, _)| guarded == tag)
            {
                put.expect = expect.clone();
            }
        }
    }
}

impl Registry {
    /// Looks whether a push may set these tags to this manifest: an immutable one only if it is
    /// new, or points there already. The caller holds the locks of the tags.
    ///
    /// # Errors
    /// [`Error::TagImmutable`]; nothing of the push may be written then.
    pub(super) async fn guard(&self, repository: &RepositoryName, tags: &[Tag], digest: &Digest) -> Result<Guards> {
        let mut guards = Vec::new();
        for tag in tags.iter().filter(|tag| self.settings.is_immutable(repository, tag)) {
            let expect = match self.tagged(repository, tag).await? {
                None => Expect::Absent,
                Some(now) if now == *digest => Expect::Is(Version::of(&super::manifest::tag_value(&now))),
                Some(_) => return Err(Error::TagImmutable(tag.clone())),
            };
            guards.push((tag.clone(), expect));
        }
        Ok(Guards(guards))
    }

    /// Whether a client may remove a tag.
    ///
    /// # Errors
    /// [`Error::TagImmutable`].
    pub(super) fn may_untag(&self, repository: &RepositoryName, tag: &Tag) -> Result<()> {
        match self.settings.is_immutable(repository, tag) {
            true => Err(Error::TagImmutable(tag.clone())),
            false => Ok(()),
        }
    }

    /// Whether a client may remove a manifest, and with it all its tags. The caller keeps others
    /// from pushing it meanwhile.
    ///
    /// # Errors
    /// [`Error::TagImmutable`], if one of the tags is.
    pub(super) async fn may_delete(&self, repository: &RepositoryName, digest: &Digest) -> Result<()> {
        if self.settings.immutable.is_empty() {
            return Ok(());
        }
        let hints = Dir::Tagged(repository.clone(), digest.clone());
        let mut last: Option<String> = None;
        loop {
            let page = self.core.store.children(&hints, last.as_deref(), 1000).await?;
            for tag in page.entries.iter().filter_map(|child| child.name.parse::<Tag>().ok()) {
                if self.settings.is_immutable(repository, &tag)
                    && self.tagged(repository, &tag).await?.as_ref() == Some(digest)
                {
                    return Err(Error::TagImmutable(tag));
                }
            }
            last = page.entries.into_iter().next_back().map(|child| child.name);
            if !page.more {
                return Ok(());
            }
        }
    }
}
