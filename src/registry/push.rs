//! Taking in manifests.
//!
//! A push says first what it refers to, then looks whether that is there, then writes in the order
//! of dependence (bytes, revision, referrer's entry, tags), and looks once more whether its word
//! still stands: a crash leaves garbage, never a name that points nowhere, and no collection can
//! come in between.

use super::{Error, Registry, Result, intent::Intent, manifest::tag_value, revision::Revision, verify};
use crate::{
    oci::{Bounds, Digest, Manifest, Reference, RepositoryName, Tag},
    storage::{self, Durability, Expect, Key, Outcome, PushId, Put, Verified, Version},
};
use bytes::Bytes;

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

/// What a manifest says, once its bytes are those that were named.
fn understood(
    bytes: &Bytes,
    named: Option<Digest>,
    content_type: Option<&str>,
    bounds: Bounds,
) -> Result<(Verified, Manifest)> {
    let verified = match &named {
        Some(digest) => verify::bytes(digest, bytes)?,
        None => verify::by_itself(bytes),
    };
    Ok((verified, Manifest::parse(bytes, content_type, bounds)?))
}

impl Registry {
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
        let bounds = Bounds { depth: settings.manifest_depth, descriptors: settings.manifest_descriptors };
        let named = match reference {
            Reference::Digest(digest) => Some(digest.clone()),
            Reference::Tag(_) => None,
        };
        let (content, content_type) = (bytes.clone(), content_type.map(str::to_owned));
        let understand = move || Ok(understood(&content, named, content_type.as_deref(), bounds));
        let (verified, manifest) = storage::work_on(bytes.len(), understand).await??;
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
            digest: verified.digest().clone(),
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
        let _manifests = core.locks.pushing(repository, &push.digest, &push.manifest).await;
        let mut expect = self.expectation(repository, &push.reference, condition).await?;
        let before = self.tagged_before(repository, &push.tags, &push.digest).await?;
        let intent = Intent::of(&push.digest, &push.manifest, core.store.instance());
        for _ in 0..ATTEMPTS {
            let id = self.declare(repository, &intent).await?;
            match self.publish_once(&push, id, &expect).await {
                Ok(true) => {
                    self.fulfilled(repository, id).await;
                    for (tag, old) in before {
                        // The push is whole; what is left is a note that nobody trusts.
                        if let Err(error) = self.left_by(repository, &tag, &old).await {
                            tracing::warn!(%repository, %tag, %error, "cannot delete the hint of a tag that moved; it is harmless");
                        }
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
        let guards = self.guard(repository, &push.tags, &push.digest).await?;
        let absent = self.check_references(repository, &push.manifest).await?;
        let revision = Revision::of(&push.manifest, push.bytes.len() as u64, super::note::timestamp(), absent);
        store.put_blob(&push.verified, push.bytes.clone()).await?;
        let (manifest, mut tags) = writes(push, &revision, expect);
        guards.apply(&mut tags);
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
        match expect.holds(found.as_ref()) {
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
            match self.tagged(repository, tag).await {
                Ok(Some(old)) if old != *digest => before.push((tag.clone(), old)),
                // A damaged tag is healed by this very push.
                Ok(_) | Err(Error::Storage(storage::Error::Damaged { .. })) => {}
                Err(error) => return Err(error),
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
