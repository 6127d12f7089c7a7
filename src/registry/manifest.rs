//! Manifests: stored and returned as the exact bytes received.
//!
//! A deletion removes in the reverse order of a push: a crash leaves garbage, never a name that
//! points nowhere.
//!
//! Deleting a manifest deletes its tags. To find them without reading every tag of the repository,
//! each tag leaves an empty file in `tagged/` under the digest it points to, written before the tag.
//! It is only a hint and is verified when used, so stale ones are harmless.

use super::{Error, Registry, Result, revision::Revision, verify};
use crate::{
    oci::{Digest, ManifestType, Reference, RepositoryName, Tag},
    storage::{self, Dir, Durability, Expect, Item, Key, Put, Verdict, Version, Why},
};
use bytes::Bytes;
use std::time::{Duration, SystemTime};

/// A manifest of a repository, without its bytes.
#[derive(Clone, Debug)]
pub struct StoredManifest {
    /// Its digest.
    pub digest: Digest,
    /// What it was pushed as.
    pub media_type: ManifestType,
    /// Length in bytes.
    pub len: u64,
}

impl Registry {
    /// The manifest behind a tag or digest.
    ///
    /// # Errors
    /// [`Error::ManifestUnknown`].
    pub async fn manifest(&self, repository: &RepositoryName, reference: &Reference) -> Result<StoredManifest> {
        let unknown = || Error::ManifestUnknown(reference.clone());
        let digest = match reference {
            Reference::Digest(digest) => digest.clone(),
            Reference::Tag(tag) => self.tagged(repository, tag).await?.ok_or_else(unknown)?,
        };
        let revision = self.revision(repository, &digest).await?.ok_or_else(unknown)?;
        let media_type = ManifestType::of(&revision.media_type).ok_or_else(|| {
            let path = Key::Revision(repository.clone(), digest.clone()).path();
            storage::Error::damaged(path, format!("unknown media type {:?}", revision.media_type))
        })?;
        Ok(StoredManifest { digest, media_type, len: revision.size })
    }

    /// The bytes of a manifest. They are held against the digest: what was damaged on disk is an
    /// error, not an answer.
    ///
    /// # Errors
    /// [`Error::ManifestUnknown`] where the bytes are gone; [`storage::Error::Damaged`].
    pub async fn manifest_bytes(&self, digest: &Digest) -> Result<Bytes> {
        let unknown = || Error::ManifestUnknown(Reference::Digest(digest.clone()));
        let held = |digest: &Digest, bytes: &Bytes| verify::bytes(digest, bytes).is_ok();
        self.core.store.read(digest, held).await?.ok_or_else(unknown)
    }

    /// Whether the bytes of a manifest are there to be read: else a client is told so before it
    /// asks for them, and pushes them again. However long they are, none of them is read.
    ///
    /// # Errors
    /// [`Error::ManifestUnknown`] if not.
    pub async fn manifest_bytes_exist(&self, digest: &Digest) -> Result<()> {
        match self.core.store.open(digest).await? {
            Some(_) => Ok(()),
            None => Err(Error::ManifestUnknown(Reference::Digest(digest.clone()))),
        }
    }

    /// Removes a tag, or a manifest with all its tags.
    ///
    /// # Errors
    /// [`Error::ManifestUnknown`]; [`Error::TagImmutable`] where such a tag would be deleted;
    /// [`Error::ChildProtected`].
    pub async fn delete_manifest(&self, repository: &RepositoryName, reference: &Reference) -> Result<()> {
        let (registry, repository, reference) = (self.clone(), repository.clone(), reference.clone());
        self.shielded(async move {
            let unknown = || Error::ManifestUnknown(reference.clone());
            let gone = match &reference {
                Reference::Tag(tag) => {
                    let _pushes = registry.core.locks.tags(&repository, std::slice::from_ref(tag)).await;
                    let digest = registry.tagged(&repository, tag).await?.ok_or_else(unknown)?;
                    registry.may_untag(&repository, tag)?;
                    let _deleting = registry.core.locks.deleting(&repository, &digest).await;
                    registry.untag(&repository, tag, &digest, pointing_to(&digest)).await?
                }
                Reference::Digest(digest) => registry.delete_revision(&repository, digest).await?,
            };
            if gone { Ok(()) } else { Err(unknown()) }
        })
        .await
    }

    async fn delete_revision(&self, repository: &RepositoryName, digest: &Digest) -> Result<bool> {
        let store = &self.core.store;
        let _deleting = self.core.locks.deleting(repository, digest).await;
        let Some(revision) = self.revision(repository, digest).await? else { return Ok(false) };
        self.may_delete(repository, digest).await?;
        self.may_leave_parents(repository, digest).await?;
        let tagged = Dir::Tagged(repository.clone(), digest.clone());
        loop {
            let page = store.children(&tagged, None, 1000).await?;
            for child in &page.entries {
                if let Ok(tag) = child.name.parse() {
                    self.untag(repository, &tag, digest, pointing_to(digest)).await?;
                }
            }
            if !page.more {
                break;
            }
        }
        let entry = revision.subject.map(|subject| Key::Referrer {
            repository: repository.clone(),
            subject,
            referrer: digest.clone(),
        });
        if let Some(entry) = &entry {
            store.delete(entry, Expect::Any).await?;
        }
        let item = Item::Revision(repository.clone(), digest.clone());
        let verdict = store.condemn(&item, self.core.deletions.run(), Why::Deleted, Duration::ZERO).await?;
        // A collection that met the manifest without its entry may have listed it again.
        if let Some(entry) = &entry {
            store.delete(entry, Expect::Any).await?;
        }
        Ok(verdict == Verdict::Condemned)
    }

    /// Removes a tag that points to `digest` if it is as expected, and the note that it may. If another process,
    /// which no lock of ours holds up, pushes the tag again meanwhile, the note is put back.
    pub(super) async fn untag(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        digest: &Digest,
        expect: Expect,
    ) -> Result<bool> {
        let gone = self.core.store.delete(&Key::Tag(repository.clone(), tag.clone()), expect).await?;
        self.left_by(repository, tag, digest).await?;
        if gone && self.tagged(repository, tag).await?.as_ref() == Some(digest) {
            let note = Key::Tagged(repository.clone(), digest.clone(), tag.clone());
            self.core.store.put(vec![Put::any(note, "")], Durability::Durable).await?;
        }
        Ok(gone)
    }

    pub(super) async fn revision(&self, repository: &RepositoryName, digest: &Digest) -> Result<Option<Revision>> {
        Ok(self.revision_since(repository, digest).await?.map(|(revision, _)| revision))
    }

    /// A revision, and when it was pushed or left by a tag last.
    pub(super) async fn revision_since(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<(Revision, SystemTime)>> {
        let key = Key::Revision(repository.clone(), digest.clone());
        let Some(fact) = self.core.store.get(&key).await? else { return Ok(None) };
        match serde_json::from_slice(&fact.bytes) {
            Ok(revision) => Ok(Some((revision, fact.written))),
            Err(e) => Err(storage::Error::damaged(key.path(), e.to_string()).into()),
        }
    }
}

/// What is expected of a tag that points to this.
fn pointing_to(digest: &Digest) -> Expect {
    Expect::Is(Version::of(&tag_value(digest)))
}

/// What a tag's file holds.
pub(super) fn tag_value(digest: &Digest) -> Bytes {
    format!("{digest}\n").into()
}
