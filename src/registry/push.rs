//! Pushes of manifests.
//!
//! A push first publishes what it refers to, then checks whether that exists, then writes in the order of dependence
//! (bytes, revision, referrer's entry, tags), and then checks that its intent is still valid. So a crash leaves
//! garbage, never a name that points nowhere, and no collection can interfere.

use super::{
    RegistryError, Repository, Result, intent::Intent, manifest::tag_value, revision::RevisionRecord,
    settings::ImmutableHere, verify,
};
use crate::storage::{self, Durability, Expect, FactKey, PushId, Put, PutOutcome, Verified, Version};
use bytes::Bytes;
use oci::{Bounds, Digest, Manifest, Reference, Tag};
use std::{collections::HashMap, time::SystemTime};

/// The result of a push of a manifest.
#[derive(Clone, Debug)]
pub struct PushedManifest {
    pub digest: Digest,
    pub subject: Option<Digest>,
    /// The tags that point to it now.
    pub tags: Vec<Tag>,
}

/// The condition on the name that a manifest is pushed to (`If-Match`, `If-None-Match`, RFC 9110 §13).
#[derive(Clone, Debug, Default)]
pub enum Condition {
    /// No condition.
    #[default]
    None,
    /// It must not exist.
    Absent,
    /// It must exist.
    Present,
    /// It must be one of these.
    OneOf(Vec<Digest>),
}

/// A manifest that is being pushed.
struct Push {
    reference: Reference,
    digest: Digest,
    manifest: Manifest,
    verified: Verified,
    bytes: Bytes,
    tags: Vec<Tag>,
    times: PushTimes,
}

/// When something was pushed that comes from elsewhere.
#[derive(Clone, Debug, Default)]
pub struct PushTimes {
    /// The manifest; now unless it is known.
    pub manifest: Option<SystemTime>,
    /// Its tags; now for those that are not among them. Object stores have the time of the write in any case.
    pub tags: HashMap<Tag, SystemTime>,
}

/// How often a push retries because a collection overtook it. A collection is soon over; the next is a day away
/// unless somebody collects in a loop.
const ATTEMPTS: usize = 10;

/// A parsed manifest whose bytes match the stated digest.
fn understood(
    bytes: &Bytes,
    named: Option<Digest>,
    content_type: Option<&str>,
    bounds: Bounds,
) -> Result<(Verified, Manifest)> {
    let verified = match &named {
        Some(digest) => verify::bytes(digest, bytes)?,
        None => verify::hash_bytes(bytes),
    };
    Ok((verified, Manifest::parse(bytes, content_type, bounds)?))
}

impl Repository {
    /// Stores a manifest under its digest, and under `reference` and `tags`.
    ///
    /// # Errors
    /// Problems with the manifest or the digest; [`RegistryError::MissingReferences`] depending on the settings;
    /// [`RegistryError::PreconditionFailed`]. In these cases nothing was changed.
    pub async fn put_manifest(
        &self,
        reference: &Reference,
        tags: &[Tag],
        content_type: Option<&str>,
        bytes: Bytes,
        condition: Condition,
    ) -> Result<PushedManifest> {
        self.put_manifest_of(reference, tags, content_type, bytes, (condition, PushTimes::default())).await
    }

    /// The same for one that was pushed elsewhere before.
    ///
    /// # Errors
    /// As for [`Repository::put_manifest`].
    pub(crate) async fn put_manifest_of(
        &self,
        reference: &Reference,
        tags: &[Tag],
        content_type: Option<&str>,
        bytes: Bytes,
        (condition, times): (Condition, PushTimes),
    ) -> Result<PushedManifest> {
        let settings = self.settings();
        if bytes.len() as u64 > settings.manifest_bytes {
            return Err(RegistryError::ManifestTooLarge(settings.manifest_bytes));
        }
        if tags.len() > settings.tags_per_push {
            return Err(RegistryError::TooManyTags(settings.tags_per_push));
        }
        let bounds = Bounds { depth: settings.manifest_depth, descriptors: settings.manifest_descriptors };
        let named = match reference {
            Reference::Digest(digest) => Some(digest.clone()),
            Reference::Tag(_) => None,
        };
        let (content, content_type) = (bytes.clone(), content_type.map(str::to_owned));
        let understand = move || Ok(understood(&content, named, content_type.as_deref(), bounds));
        let (verified, manifest) = storage::work_on(bytes.len(), understand).await??;
        self.may_be_pushed_to().await?;
        self.registry.admit(bytes.len() as u64).await?;
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
            reference: reference.clone(),
            digest: verified.digest().clone(),
            manifest,
            verified,
            bytes,
            tags: all_tags,
            times,
        };
        let repository = self.clone();
        self.registry.shielded(async move { repository.publish_manifest(push, condition).await }).await
    }

    /// Publishes a manifest; runs to completion. Retries if a collection expired its intent meanwhile: what the push
    /// had found may no longer exist.
    async fn publish_manifest(&self, push: Push, condition: Condition) -> Result<PushedManifest> {
        let locks = &self.registry.core.locks;
        let _tags = locks.lock_tags(&self.name, &push.tags).await;
        let immutable = self.immutable().await?;
        let _immutable = self.lock_for_immutable_tag(&immutable, &push.tags).await;
        let _staying = self.staying().await?;
        let _manifests = locks.lock_for_push(&self.name, &push.digest, &push.manifest).await;
        let mut expect = self.expectation(&push.reference, condition).await?;
        let before = self.tagged_before(&push.tags, &push.digest).await?;
        self.claim_quotas(self.growth_of_push(push.bytes.len() as u64, &push.tags).await?).await?;
        let intent = Intent::of(&push.digest, &push.manifest, self.store().instance());
        for _ in 0..ATTEMPTS {
            let id = self.declare(&intent).await?;
            match self.publish_once(&push, &immutable, id, &expect).await {
                Ok(true) => {
                    self.complete(id).await;
                    for (tag, old) in before {
                        // The push is complete; what is left is a note that nobody relies on.
                        if let Err(error) = self.left_by(&tag, &old).await {
                            tracing::warn!(repository = %self.name, %tag, %error, "cannot delete the hint of a tag that moved; it is harmless");
                        }
                    }
                    self.hint(&push.digest);
                    return Ok(PushedManifest { digest: push.digest, subject: push.manifest.subject, tags: push.tags });
                }
                // The condition was met; what the name points to now comes from this very push.
                Ok(false) => expect = Expect::Any,
                Err(e) => {
                    self.withdraw(id).await;
                    return Err(e);
                }
            }
        }
        Err(RegistryError::Overtaken)
    }

    /// Checks whether the manifest's references exist, and writes it and its tags. `false` if the intent expired
    /// before everything was visible: then the push must not be acknowledged.
    async fn publish_once(&self, push: &Push, immutable: &ImmutableHere, id: PushId, expect: &Expect) -> Result<bool> {
        let store = self.store();
        let guards = self.guard(immutable, &push.tags, &push.digest).await?;
        self.may_restate(immutable, &push.digest, &push.manifest).await?;
        let absent = self.check_references(&push.manifest).await?;
        self.created_by_push().await?;
        let by = self.registry.caller.name();
        let pushed = push.times.manifest.map_or_else(super::note::timestamp, super::note::timestamp_of);
        let revision = RevisionRecord::of(&push.manifest, push.bytes.len() as u64, pushed, by, absent);
        store.put_blob(&push.verified, push.bytes.clone()).await?;
        let (manifest, mut tags) = self.writes(push, &revision, expect);
        guards.apply(&mut tags);
        for puts in [manifest, tags] {
            if !puts.is_empty() && store.put(puts, Durability::Durable).await? != PutOutcome::Done {
                return Err(RegistryError::PreconditionFailed);
            }
            if !self.is_declared(id).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The expectation that a condition places on the store, based on the current target of the name. It is checked
    /// again with the write.
    async fn expectation(&self, reference: &Reference, condition: Condition) -> Result<Expect> {
        let allowed = match condition {
            Condition::None => return Ok(Expect::Any),
            Condition::Absent => return self.holds(reference, Expect::Absent).await,
            Condition::Present => return self.holds(reference, Expect::Present).await,
            Condition::OneOf(allowed) => allowed,
        };
        match reference {
            Reference::Digest(digest) if allowed.contains(digest) => Ok(Expect::Present),
            Reference::Tag(tag) => match self.tagged(tag).await? {
                Some(now) if allowed.contains(&now) => Ok(Expect::Is(Version::of(&tag_value(&now)))),
                _ => Err(RegistryError::PreconditionFailed),
            },
            Reference::Digest(_) => Err(RegistryError::PreconditionFailed),
        }
    }

    /// The expectation, if it holds now: an unmet condition must be refused before anything is written.
    async fn holds(&self, reference: &Reference, expect: Expect) -> Result<Expect> {
        let key = match reference {
            Reference::Tag(tag) => FactKey::Tag(self.name.clone(), tag.clone()),
            Reference::Digest(digest) => FactKey::Revision(self.name.clone(), digest.clone()),
        };
        let found = self.store().get(&key).await?;
        match expect.holds(found.as_ref()) {
            true => Ok(expect),
            false => Err(RegistryError::PreconditionFailed),
        }
    }

    /// The tags that point to another manifest than `digest`, and their targets.
    async fn tagged_before(&self, tags: &[Tag], digest: &Digest) -> Result<Vec<(Tag, Digest)>> {
        let mut before = Vec::new();
        for tag in tags {
            match self.tagged(tag).await {
                Ok(Some(old)) if old != *digest => before.push((tag.clone(), old)),
                // This very push repairs a damaged tag.
                Ok(_) | Err(RegistryError::Storage(storage::StorageError::Damaged { .. })) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(before)
    }

    /// The facts that a push writes, in order: those of the manifest, then its tags.
    fn writes(&self, push: &Push, revision: &RevisionRecord, expect: &Expect) -> (Vec<Put>, Vec<Put>) {
        let (repository, digest) = (&self.name, &push.digest);
        let mut first = Put::any(FactKey::Revision(repository.clone(), digest.clone()), revision.to_bytes());
        if matches!(push.reference, Reference::Digest(_)) {
            first.expect = expect.clone();
        }
        let mut manifest = vec![first];
        if let Some(subject) = &push.manifest.subject {
            let key = FactKey::Referrer {
                repository: repository.clone(),
                subject: subject.clone(),
                referrer: digest.clone(),
            };
            manifest.push(Put::any(key, super::referrer::entry(digest, &push.manifest, revision.size)));
        }
        let hints = push.tags.iter().map(|tag| FactKey::Tagged(repository.clone(), digest.clone(), tag.clone()));
        let by = self.registry.caller.name().map(|name| format!("{name}\n")).unwrap_or_default();
        manifest.extend(hints.map(|hint| Put::any(hint, by.clone())));
        let tag = |tag: &Tag| {
            let is_asked_for = push.reference == Reference::Tag(tag.clone());
            let expect = if is_asked_for { expect.clone() } else { Expect::Any };
            let since = push.times.tags.get(tag).copied();
            Put { key: FactKey::Tag(repository.clone(), tag.clone()), bytes: tag_value(digest), expect, since }
        };
        (manifest, push.tags.iter().map(tag).collect())
    }
}
