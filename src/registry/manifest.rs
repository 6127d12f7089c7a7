//! Manifests: kept and returned as the exact bytes received.
//!
//! A push writes in the order of dependence (bytes, revision, referrer's entry, tags), a deletion
//! in the reverse: a crash leaves garbage, never a name that points nowhere.

use super::{Error, Registry, Result, intent::Intent, revision::Revision, verify};
use crate::{
    oci::{Algorithm, Bounds, Digest, Hasher, Manifest, ManifestType, Reference, RepositoryName, Span, Tag},
    storage::{self, Dir, Durability, Expect, Item, Key, Outcome, PushId, Put, Verdict, Verified, Version, Why},
};
use bytes::Bytes;
use std::time::Duration;

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

/// What a push of a manifest did.
#[derive(Clone, Debug)]
pub struct Pushed {
    /// Its digest.
    pub digest: Digest,
    /// What it refers to by `subject`.
    pub subject: Option<Digest>,
    /// The tags that point to it now.
    pub tags: Vec<Tag>,
}

/// What must hold of the name a manifest is pushed to (`If-Match`, `If-None-Match`, RFC 9110 §13).
#[derive(Clone, Debug, Default)]
pub enum Condition {
    /// Nothing.
    #[default]
    None,
    /// It is not there.
    Absent,
    /// It is there.
    Present,
    /// It is one of these.
    OneOf(Vec<Digest>),
}

/// A manifest on its way in.
struct Push {
    repository: RepositoryName,
    reference: Reference,
    digest: Digest,
    manifest: Manifest,
    verified: Verified,
    bytes: Bytes,
    tags: Vec<Tag>,
}

/// Times a push tries again because a collection overtook it. One that does is over in a moment;
/// the next is a day away unless somebody collects in a loop.
const ATTEMPTS: usize = 10;

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
        let blob = self.core.store.open(digest).await?.ok_or_else(unknown)?;
        let bytes = blob.read(Span::whole(blob.len())).await?;
        match verify::bytes(digest, &bytes) {
            Ok(_) => Ok(bytes),
            Err(_) => {
                Err(storage::Error::damaged(Item::Blob(digest.clone()).path(), "its bytes have another digest").into())
            }
        }
    }

    /// Whether the bytes of a manifest are there to be read: else a client is told so before it
    /// asks for them, and pushes them again.
    ///
    /// # Errors
    /// [`Error::ManifestUnknown`] if not.
    pub async fn manifest_is_whole(&self, digest: &Digest) -> Result<()> {
        match self.core.store.open(digest).await? {
            Some(_) => Ok(()),
            None => Err(Error::ManifestUnknown(Reference::Digest(digest.clone()))),
        }
    }

    /// Takes in a manifest under its digest, and under `reference` and `tags`.
    ///
    /// # Errors
    /// What is wrong with the manifest or the digest; [`Error::MissingReferences`] by the
    /// setting; [`Error::PreconditionFailed`]. Nothing was changed then.
    pub async fn put_manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
        tags: &[Tag],
        content_type: Option<&str>,
        bytes: Bytes,
        condition: Condition,
    ) -> Result<Pushed> {
        let settings = &self.settings;
        if bytes.len() as u64 > settings.manifest_bytes {
            return Err(Error::ManifestTooLarge(settings.manifest_bytes));
        }
        if tags.len() > settings.tags_per_push {
            return Err(Error::TooManyTags(settings.tags_per_push));
        }
        let digest = match reference {
            Reference::Digest(digest) => digest.clone(),
            Reference::Tag(_) => Hasher::digest(Algorithm::Sha256, &bytes),
        };
        let verified = verify::bytes(&digest, &bytes)?;
        let bounds = Bounds { depth: settings.manifest_depth, descriptors: settings.manifest_descriptors };
        let manifest = Manifest::parse(&bytes, content_type, bounds)?;
        self.admit(bytes.len() as u64).await?;
        let mut all_tags: Vec<Tag> = match reference {
            Reference::Tag(tag) => vec![tag.clone()],
            Reference::Digest(_) => Vec::new(),
        };
        for tag in tags {
            if !all_tags.contains(tag) {
                all_tags.push(tag.clone());
            }
        }
        let push = Push {
            repository: repository.clone(),
            reference: reference.clone(),
            digest,
            manifest,
            verified,
            bytes,
            tags: all_tags,
        };
        let registry = self.clone();
        self.shielded(async move { registry.publish_manifest(push, condition).await }).await
    }

    /// Publishes a manifest to the end. Once more if a collection let its intent expire meanwhile:
    /// what the push had seen need not be there any more then.
    async fn publish_manifest(&self, push: Push, condition: Condition) -> Result<Pushed> {
        let core = &self.core;
        let repository = &push.repository;
        let _tags = core.locks.tags(repository, &push.tags).await;
        let _manifest = core.locks.pushing(repository, &push.digest).await;
        let mut expect = self.expectation(repository, &push.reference, condition).await?;
        let before = self.tagged_before(repository, &push.tags, &push.digest).await?;
        let intent = Intent::of(&push.digest, &push.manifest);
        for _ in 0..ATTEMPTS {
            let id = self.declare(repository, &intent).await?;
            match self.publish_once(&push, id, &expect).await {
                Ok(true) => {
                    self.fulfilled(repository, id);
                    for (tag, old) in before {
                        core.store.delete(&Key::Tagged(repository.clone(), old, tag), Expect::Any).await?;
                    }
                    self.hint(&push.digest, repository);
                    return Ok(Pushed { digest: push.digest, subject: push.manifest.subject, tags: push.tags });
                }
                // The condition held; what stands there now is this very push.
                Ok(false) => expect = Expect::Any,
                Err(e) => {
                    self.withdraw(repository, id).await;
                    return Err(e);
                }
            }
        }
        Err(Error::Overtaken)
    }

    /// Looks whether what the manifest refers to is there, and writes it and its tags. `false` if
    /// the intent expired before all was visible: then nothing may be said of it.
    async fn publish_once(&self, push: &Push, id: PushId, expect: &Expect) -> Result<bool> {
        let (store, repository) = (&self.core.store, &push.repository);
        let absent = self.check_references(repository, &push.manifest).await?;
        let revision = Revision::of(&push.manifest, push.bytes.len() as u64, jiff::Timestamp::now(), absent);
        store.put_blob(&push.verified, push.bytes.clone()).await?;
        let (manifest, tags) = writes(push, &revision, expect);
        for puts in [manifest, tags] {
            if !puts.is_empty() && store.put(puts, Durability::Durable).await? != Outcome::Done {
                return Err(Error::PreconditionFailed);
            }
            if !self.is_declared(repository, id).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Removes a tag, or a manifest with all its tags.
    ///
    /// # Errors
    /// [`Error::ManifestUnknown`].
    pub async fn delete_manifest(&self, repository: &RepositoryName, reference: &Reference) -> Result<()> {
        let (registry, repository, reference) = (self.clone(), repository.clone(), reference.clone());
        self.shielded(async move {
            let unknown = || Error::ManifestUnknown(reference.clone());
            let gone = match &reference {
                Reference::Tag(tag) => {
                    let digest = registry.tagged(&repository, tag).await?.ok_or_else(unknown)?;
                    let _deleting = registry.core.locks.deleting(&repository, &digest).await;
                    registry.untag(&repository, tag, &digest).await?
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
        let tagged = Dir::Tagged(repository.clone(), digest.clone());
        loop {
            let page = store.children(&tagged, None, 1000).await?;
            for child in &page.entries {
                if let Ok(tag) = child.name.parse() {
                    self.untag(repository, &tag, digest).await?;
                }
            }
            if !page.more {
                break;
            }
        }
        if let Some(subject) = revision.subject {
            let entry = Key::Referrer { repository: repository.clone(), subject, referrer: digest.clone() };
            store.delete(&entry, Expect::Any).await?;
        }
        let item = Item::Revision(repository.clone(), digest.clone());
        Ok(store.condemn(&item, self.core.deletions.run(), Why::Deleted, Duration::ZERO).await? == Verdict::Condemned)
    }

    /// Removes a tag if it points to `digest`, and the note that it may.
    async fn untag(&self, repository: &RepositoryName, tag: &Tag, digest: &Digest) -> Result<bool> {
        let expect = Expect::Is(Version::of(&tag_value(digest)));
        let gone = self.core.store.delete(&Key::Tag(repository.clone(), tag.clone()), expect).await?;
        let note = Key::Tagged(repository.clone(), digest.clone(), tag.clone());
        self.core.store.delete(&note, Expect::Any).await?;
        Ok(gone)
    }

    /// The digest a tag points to.
    pub(super) async fn tagged(&self, repository: &RepositoryName, tag: &Tag) -> Result<Option<Digest>> {
        let key = Key::Tag(repository.clone(), tag.clone());
        let Some(fact) = self.core.store.get(&key).await? else { return Ok(None) };
        let text = std::str::from_utf8(&fact.bytes).ok().and_then(|text| text.strip_suffix('\n'));
        match text.and_then(|text| text.parse().ok()) {
            Some(digest) => Ok(Some(digest)),
            None => Err(storage::Error::damaged(key.path(), "it does not hold a digest").into()),
        }
    }

    pub(super) async fn revision(&self, repository: &RepositoryName, digest: &Digest) -> Result<Option<Revision>> {
        let key = Key::Revision(repository.clone(), digest.clone());
        let Some(fact) = self.core.store.get(&key).await? else { return Ok(None) };
        match serde_json::from_slice(&fact.bytes) {
            Ok(revision) => Ok(Some(revision)),
            Err(e) => Err(storage::Error::damaged(key.path(), e.to_string()).into()),
        }
    }

    /// What a condition asks of the store, decided by what the name is now and checked again
    /// with the write.
    async fn expectation(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
        condition: Condition,
    ) -> Result<Expect> {
        let allowed = match condition {
            Condition::None => return Ok(Expect::Any),
            Condition::Absent => return self.holds(repository, reference, Expect::Absent).await,
            Condition::Present => return self.holds(repository, reference, Expect::Present).await,
            Condition::OneOf(allowed) => allowed,
        };
        match reference {
            Reference::Digest(digest) if allowed.contains(digest) => Ok(Expect::Present),
            Reference::Tag(tag) => match self.tagged(repository, tag).await? {
                Some(now) if allowed.contains(&now) => Ok(Expect::Is(Version::of(&tag_value(&now)))),
                _ => Err(Error::PreconditionFailed),
            },
            Reference::Digest(_) => Err(Error::PreconditionFailed),
        }
    }

    /// The expectation, if it holds now: what is refused is to be refused before anything is
    /// written.
    async fn holds(&self, repository: &RepositoryName, reference: &Reference, expect: Expect) -> Result<Expect> {
        let key = match reference {
            Reference::Tag(tag) => Key::Tag(repository.clone(), tag.clone()),
            Reference::Digest(digest) => Key::Revision(repository.clone(), digest.clone()),
        };
        let found = self.core.store.get(&key).await?;
        match expect.holds(found.as_ref().map(|fact| fact.bytes.as_ref())) {
            true => Ok(expect),
            false => Err(Error::PreconditionFailed),
        }
    }

    /// The tags that point to another manifest than `digest`, and to which.
    async fn tagged_before(
        &self,
        repository: &RepositoryName,
        tags: &[Tag],
        digest: &Digest,
    ) -> Result<Vec<(Tag, Digest)>> {
        let mut before = Vec::new();
        for tag in tags {
            // A damaged tag is healed by this very push.
            if let Ok(Some(old)) = self.tagged(repository, tag).await
                && old != *digest
            {
                before.push((tag.clone(), old));
            }
        }
        Ok(before)
    }
}

/// The facts a push writes, in their order: those of the manifest, and its tags.
fn writes(push: &Push, revision: &Revision, expect: &Expect) -> (Vec<Put>, Vec<Put>) {
    let Push { repository, digest, .. } = push;
    let mut first = Put::any(Key::Revision(repository.clone(), digest.clone()), revision.to_bytes());
    if matches!(push.reference, Reference::Digest(_)) {
        first.expect = expect.clone();
    }
    let mut manifest = vec![first];
    if let Some(subject) = &push.manifest.subject {
        let key = Key::Referrer { repository: repository.clone(), subject: subject.clone(), referrer: digest.clone() };
        manifest.push(Put::any(key, super::referrer::entry(digest, &push.manifest, revision.size)));
    }
    let hints = push.tags.iter().map(|tag| Key::Tagged(repository.clone(), digest.clone(), tag.clone()));
    manifest.extend(hints.map(|hint| Put::any(hint, "")));
    let tag = |tag: &Tag| {
        let is_asked_for = push.reference == Reference::Tag(tag.clone());
        let expect = if is_asked_for { expect.clone() } else { Expect::Any };
        Put { key: Key::Tag(repository.clone(), tag.clone()), bytes: tag_value(digest), expect }
    };
    (manifest, push.tags.iter().map(tag).collect())
}

/// What a tag's file holds.
fn tag_value(digest: &Digest) -> Bytes {
    format!("{digest}\n").into()
}
