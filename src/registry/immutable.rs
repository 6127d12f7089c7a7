//! Immutable tags: they never change their target, and their images stay complete.
//!
//! A push holds the lock of its tags, so the result of a check stays valid until the tag is written; the store
//! compares once more.

use super::{RegistryError, Repository, Result, settings::ImmutableHere};
use crate::{
    files::world,
    storage::{DirOf, Expect, FactKey, Put, Version},
};
use oci::{Digest, Manifest, Tag};
use std::collections::HashSet;
use tokio::sync::{RwLockReadGuard, RwLockWriteGuard};

/// Tags per page: every page reads the whole directory.
const PAGE: usize = 10_000;

/// What must hold for the immutable tags of a push.
pub(super) struct Guards(Vec<(Tag, Expect)>);

impl Guards {
    /// Adds the expectations to the writes of these tags, unless the client has set its own.
    pub(super) fn apply(&self, puts: &mut [Put]) {
        for put in puts.iter_mut().filter(|put| put.expect == Expect::Any) {
            if let FactKey::Tag(_, tag) = &put.key
                && let Some((_, expect)) = self.0.iter().find(|(guarded, _)| guarded == tag)
            {
                put.expect = expect.clone();
            }
        }
    }
}

impl Repository {
    /// Which tags never come to point elsewhere.
    ///
    /// # Errors
    /// The store's, also if the repository's own rule is malformed: then it is unknown what it protects.
    pub(crate) async fn immutable(&self) -> Result<ImmutableHere> {
        Ok(ImmutableHere::of(&self.settings().immutable, &self.name, self.own_immutable().await?))
    }

    /// Checks whether a push may point these tags to this manifest: an immutable tag must be new, or point there
    /// already. The caller holds the locks of the tags.
    ///
    /// # Errors
    /// [`RegistryError::TagImmutable`]; then nothing of the push may be written.
    pub(super) async fn guard(&self, immutable: &ImmutableHere, tags: &[Tag], digest: &Digest) -> Result<Guards> {
        let mut guards = Vec::new();
        for tag in tags.iter().filter(|tag| immutable.holds(tag)) {
            let expect = match self.tagged(tag).await? {
                None => Expect::Absent,
                Some(now) if now == *digest => Expect::Is(Version::of(&super::manifest::tag_value(&now))),
                Some(_) => return Err(RegistryError::TagImmutable(tag.clone())),
            };
            guards.push((tag.clone(), expect));
        }
        Ok(Guards(guards))
    }

    /// Checks whether a client may delete a tag.
    ///
    /// # Errors
    /// [`RegistryError::TagImmutable`].
    pub(super) async fn may_untag(&self, tag: &Tag) -> Result<()> {
        match self.immutable().await?.holds(tag) {
            true => Err(RegistryError::TagImmutable(tag.clone())),
            false => Ok(()),
        }
    }

    /// Checks whether a client may delete a manifest, and with it all its tags. The caller prevents concurrent pushes
    /// of it.
    ///
    /// # Errors
    /// [`RegistryError::TagImmutable`], if one of the tags is.
    pub(super) async fn may_delete(&self, immutable: &ImmutableHere, digest: &Digest) -> Result<()> {
        if immutable.is_empty() {
            return Ok(());
        }
        let mut hints = self.store().names(DirOf::tagged(&self.name, digest), 1000);
        while let Some(tag) = hints.next().await? {
            if immutable.holds(&tag) && self.tagged(&tag).await?.as_ref() == Some(digest) {
                return Err(RegistryError::TagImmutable(tag));
            }
        }
        Ok(())
    }

    /// Held by a push that sets an immutable tag: what it has checked stays valid until the tag is set.
    pub(super) async fn lock_for_immutable_tag(
        &self,
        immutable: &ImmutableHere,
        tags: &[Tag],
    ) -> Option<RwLockReadGuard<'_, ()>> {
        match tags.iter().any(|tag| immutable.holds(tag)) {
            true => Some(self.registry.core.locks.lock_for_immutable_tag(&self.name).await),
            false => None,
        }
    }

    /// Held while a blob or a manifest is removed from the repository, from before [`Repository::check_removal`].
    pub(super) async fn lock_for_removal(&self, immutable: &ImmutableHere) -> Option<RwLockWriteGuard<'_, ()>> {
        match immutable.is_empty() {
            false => Some(self.registry.core.locks.lock_for_removal(&self.name).await),
            true => None,
        }
    }

    /// Checks whether a client may remove a blob or a manifest from a repository: not if the image of an immutable
    /// tag contains it. Visits every manifest of these images.
    ///
    /// # Errors
    /// [`RegistryError::ImmutableContent`]; the store's, also if a tag or a manifest cannot be read, because it is unknown
    /// what it keeps.
    pub(super) async fn check_removal(&self, immutable: &ImmutableHere, digest: &Digest) -> Result<()> {
        if immutable.is_empty() {
            return Ok(());
        }
        let mut tags = self.store().names(DirOf::tags(&self.name), PAGE);
        let mut met = HashSet::new();
        while let Some(tag) = tags.next().await? {
            if immutable.holds(&tag)
                && let Some(image) = self.tagged(&tag).await?
                && self.consists_of(&image, digest, &mut met).await?
            {
                return Err(RegistryError::ImmutableContent(tag));
            }
        }
        Ok(())
    }

    /// Whether an image is or leads to `wanted`, through manifests that were not visited before.
    async fn consists_of(&self, image: &Digest, wanted: &Digest, met: &mut HashSet<Digest>) -> Result<bool> {
        let mut next = vec![image.clone()];
        while let Some(digest) = next.pop() {
            if digest == *wanted {
                return Ok(true);
            }
            if met.contains(&digest) {
                continue;
            }
            world::yield_now().await;
            let contents = match self.registry.known_contents(&digest) {
                // The repository has what its tags point to, but perhaps not what its indexes list.
                Some(known) if digest == *image => Some(known),
                _ => self.contents(&digest).await?,
            };
            if let Some(contents) = contents {
                if contents.blobs.contains(wanted) {
                    return Ok(true);
                }
                next.extend_from_slice(&contents.children);
            }
            met.insert(digest);
        }
        Ok(false)
    }

    /// Checks whether a manifest may be pushed under its digest with this type. The bytes of some manifests can be
    /// one of two types; the `Content-Type` of the push decides.
    ///
    /// # Errors
    /// [`RegistryError::ImmutableContent`] if an immutable tag has it with the other type.
    pub(super) async fn may_restate(
        &self,
        immutable: &ImmutableHere,
        digest: &Digest,
        manifest: &Manifest,
    ) -> Result<()> {
        if immutable.is_empty() {
            return Ok(());
        }
        match self.revision(digest).await? {
            Some(revision) if revision.media_type != manifest.media_type.as_str() => {
                self.check_removal(immutable, digest).await
            }
            _ => Ok(()),
        }
    }
}
