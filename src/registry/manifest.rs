//! Manifests: stored and returned as the exact bytes received.
//!
//! A deletion removes in the reverse order of a push: a crash leaves garbage, never a name that points nowhere.
//!
//! Deleting a manifest deletes its tags. To find them without reading every tag of the repository,
//! each tag leaves an empty file in `tagged/` under the digest it points to, written before the tag.
//! It is only a hint and is verified when used, so stale ones are harmless.

use super::{Registry, RegistryError, Repository, Result, revision::RevisionRecord, verify};
use crate::storage::{self, Condemnation, DirOf, Durability, Expect, Fact, FactKey, Item, Put, Version, Why};
use bytes::Bytes;
use oci::{Bounds, Digest, Manifest, ManifestType, Reference, Tag, json};
use std::time::{Duration, SystemTime};

/// A manifest of a repository, without its bytes.
#[derive(Clone, Debug)]
pub struct StoredManifest {
    pub digest: Digest,
    /// The media type it was pushed with.
    pub media_type: ManifestType,
    /// Length in bytes, as recorded when it was pushed.
    pub noted_len: u64,
}

/// A manifest that was once accepted stays readable, whatever the limits were then.
const UNBOUNDED: Bounds = Bounds { depth: 128, descriptors: usize::MAX };

impl Repository {
    /// The manifest of a tag or digest.
    ///
    /// # Errors
    /// [`RegistryError::ManifestUnknown`].
    pub async fn manifest(&self, reference: &Reference) -> Result<StoredManifest> {
        let unknown = || RegistryError::ManifestUnknown(reference.clone());
        let digest = match reference {
            Reference::Digest(digest) => digest.clone(),
            Reference::Tag(tag) => self.tagged_to_read(tag).await?.ok_or_else(unknown)?,
        };
        let key = FactKey::Revision(self.name.clone(), digest.clone());
        let revision = revision_in(&key, &self.get_to_read(&key).await?.ok_or_else(unknown)?)?;
        let media_type = ManifestType::of(&revision.media_type).ok_or_else(|| {
            storage::StorageError::damaged(key.path(), format!("unknown media type {:?}", revision.media_type))
        })?;
        Ok(StoredManifest { digest, media_type, noted_len: revision.size })
    }

    /// Removes a tag, or a manifest with all its tags.
    ///
    /// # Errors
    /// [`RegistryError::ManifestUnknown`]; [`RegistryError::TagImmutable`] if such a tag would be deleted;
    /// [`RegistryError::ImmutableContent`]; [`RegistryError::ChildProtected`].
    pub async fn delete_manifest(&self, reference: &Reference) -> Result<()> {
        let (repository, reference) = (self.clone(), reference.clone());
        self.registry
            .shielded(async move {
                let locks = &repository.registry.core.locks;
                let unknown = || RegistryError::ManifestUnknown(reference.clone());
                let gone = match &reference {
                    Reference::Tag(tag) => {
                        let _pushes = locks.lock_tags(&repository.name, std::slice::from_ref(tag)).await;
                        let digest = repository.tagged(tag).await?.ok_or_else(unknown)?;
                        repository.may_untag(tag).await?;
                        let _deleting = locks.lock_for_deletion(&repository.name, &digest).await;
                        repository.untag(tag, &digest, pointing_to(&digest)).await?
                    }
                    Reference::Digest(digest) => repository.delete_revision(digest).await?,
                };
                if gone { Ok(()) } else { Err(unknown()) }
            })
            .await
    }

    async fn delete_revision(&self, digest: &Digest) -> Result<bool> {
        let immutable = self.immutable().await?;
        let _taking = self.lock_for_removal(&immutable).await;
        let _deleting = self.registry.core.locks.lock_for_deletion(&self.name, digest).await;
        let Some(revision) = self.revision(digest).await? else { return Ok(false) };
        self.may_delete(&immutable, digest).await?;
        self.check_removal(&immutable, digest).await?;
        self.may_leave_parents(digest).await?;
        self.take_revision(digest, revision.subject).await
    }

    /// Removes a manifest, its tags and its entry with its subject. The caller holds the lock for deleting it.
    pub(super) async fn take_revision(&self, digest: &Digest, subject: Option<Digest>) -> Result<bool> {
        let store = self.store();
        let mut tags = store.names(DirOf::tagged(&self.name, digest), 1000);
        while let Some(tag) = tags.next().await? {
            self.untag(&tag, digest, pointing_to(digest)).await?;
        }
        let entry = subject.map(|subject| FactKey::Referrer {
            repository: self.name.clone(),
            subject,
            referrer: digest.clone(),
        });
        if let Some(entry) = &entry {
            store.delete(entry, Expect::Any).await?;
        }
        let item = Item::Revision(self.name.clone(), digest.clone());
        let verdict = store.condemn(&item, self.registry.core.deletions.run(), Why::Deleted, Duration::ZERO).await?;
        // A collection that saw the manifest without its entry may have listed it again.
        if let Some(entry) = &entry {
            store.delete(entry, Expect::Any).await?;
        }
        Ok(verdict == Condemnation::Condemned)
    }

    /// Removes a tag that points to `digest`, if it is as expected, and its hint. If another process, which our locks
    /// do not hold up, pushes the tag again meanwhile, the hint is put back.
    pub(crate) async fn untag(&self, tag: &Tag, digest: &Digest, expect: Expect) -> Result<bool> {
        let gone = self.store().delete(&FactKey::Tag(self.name.clone(), tag.clone()), expect).await?;
        self.left_by(tag, digest).await?;
        if gone && self.tagged(tag).await?.as_ref() == Some(digest) {
            let note = FactKey::Tagged(self.name.clone(), digest.clone(), tag.clone());
            self.store().put(vec![Put::any(note, "")], Durability::Durable).await?;
        }
        Ok(gone)
    }

    pub(crate) async fn revision(&self, digest: &Digest) -> Result<Option<RevisionRecord>> {
        Ok(self.revision_since(digest).await?.map(|(revision, _)| revision))
    }

    /// A revision, and when it was pushed or lost its last tag, whichever is later.
    pub(crate) async fn revision_since(&self, digest: &Digest) -> Result<Option<(RevisionRecord, SystemTime)>> {
        let key = FactKey::Revision(self.name.clone(), digest.clone());
        let Some(fact) = self.store().get(&key).await? else { return Ok(None) };
        Ok(Some((revision_in(&key, &fact)?, fact.written)))
    }
}

fn revision_in(key: &FactKey, fact: &Fact) -> Result<RevisionRecord> {
    json::from_slice(&fact.bytes).map_err(|e| storage::StorageError::damaged(key.path(), e.to_string()).into())
}

impl Registry {
    /// The bytes of a manifest. They are verified: damage on disk is an error, not a response.
    ///
    /// # Errors
    /// [`RegistryError::ManifestUnknown`] where the bytes are gone; [`storage::StorageError::Damaged`].
    pub async fn manifest_bytes(&self, digest: &Digest) -> Result<Bytes> {
        let unknown = || RegistryError::ManifestUnknown(Reference::Digest(digest.clone()));
        let held = |digest: &Digest, bytes: &Bytes| verify::bytes(digest, bytes).is_ok();
        self.core.store.read(digest, held).await?.ok_or_else(unknown)
    }

    /// A parsed manifest, even one that exceeds today's limits.
    ///
    /// # Errors
    /// Those of [`Registry::manifest_bytes`]; [`RegistryError::ManifestInvalid`].
    pub(super) async fn parsed(&self, digest: &Digest, media_type: &str) -> Result<Manifest> {
        let (bytes, media_type) = (self.manifest_bytes(digest).await?, media_type.to_owned());
        let parsed = storage::work_on(bytes.len(), move || Ok(Manifest::parse(&bytes, Some(&media_type), UNBOUNDED)));
        Ok(parsed.await??)
    }

    /// The manifests that an index lists.
    pub(crate) async fn children(&self, digest: &Digest, media_type: &str) -> Result<Vec<Digest>> {
        let index = self.parsed(digest, media_type).await?;
        Ok(index.children.into_iter().filter_map(|child| child.digest.known()).collect())
    }

    /// The length of a manifest, after a check that its bytes exist: otherwise a client learns that they are missing
    /// before it requests them, and pushes them again. The bytes are read only if the record is wrong.
    ///
    /// # Errors
    /// Those of [`Registry::manifest_bytes`].
    pub async fn manifest_len(&self, manifest: &StoredManifest) -> Result<u64> {
        match self.core.store.open(&manifest.digest).await? {
            Some(blob) if blob.len() == manifest.noted_len => Ok(blob.len()),
            Some(_) => Ok(self.manifest_bytes(&manifest.digest).await?.len() as u64),
            None => Err(RegistryError::ManifestUnknown(Reference::Digest(manifest.digest.clone()))),
        }
    }
}

/// The expected content of a tag that points to this.
fn pointing_to(digest: &Digest) -> Expect {
    Expect::Is(Version::of(&tag_value(digest)))
}

/// The content of a tag's file.
pub(super) fn tag_value(digest: &Digest) -> Bytes {
    format!("{digest}\n").into()
}
