//! What is attached to manifests that were removed from a repository: tags named after one (`sha256-<hex>.sig`), the
//! manifests these tags point to, and manifests whose `subject` it was.

use super::{
    decide::{ManifestFacts, RetentionFacts},
    plan::{Grounds, RetentionPlan},
};
use oci::{Digest, Tag};
use std::{
    collections::{HashMap, HashSet},
    time::{Duration, SystemTime},
};

/// What something is attached to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RemovedSubject {
    /// The manifest that was removed.
    pub(super) digest: Digest,
    /// Whether attached items are removed too.
    pub(super) stage: Stage,
}

/// Whether something is removed because its subject was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Not yet: the subject was removed only a short while ago.
    Grace,
    /// Not yet: an active push names the manifest behind the tag, or it lies in the graveyard.
    Waits,
    /// Yes.
    Over,
}

/// Everything in a repository that is attached to a removed manifest.
#[derive(Debug, Default)]
pub(super) struct Attached {
    pub(super) tags: HashMap<Tag, RemovedSubject>,
    pub(super) manifests: HashMap<Digest, RemovedSubject>,
}

impl Attached {
    /// Counts only what was pushed before the subject was removed: anything newer may be waiting for the subject to
    /// be pushed again.
    pub(super) fn of(facts: &RetentionFacts, grace: Duration, now: SystemTime) -> Self {
        let here: HashMap<&Digest, &ManifestFacts> = facts.manifests.iter().map(|m| (&m.digest, m)).collect();
        let removed = facts.removed.iter().filter(|(digest, _)| !here.contains_key(digest));
        let removed: HashMap<&Digest, SystemTime> = removed.map(|(digest, at)| (digest, *at)).collect();
        let mut attached = Self::default();
        if removed.is_empty() {
            return attached;
        }
        let subject = |digest: &Digest, at: SystemTime| RemovedSubject {
            digest: digest.clone(),
            stage: if now.duration_since(at).is_ok_and(|age| age >= grace) { Stage::Over } else { Stage::Grace },
        };
        for manifest in &facts.manifests {
            if let Some(digest) = &manifest.subject
                && let Some(at) = removed.get(digest)
                && manifest.pushed < *at
            {
                attached.manifests.insert(manifest.digest.clone(), subject(digest, *at));
            }
        }
        let by_name: HashMap<Tag, (&Digest, SystemTime)> =
            removed.iter().map(|(digest, at)| (digest.fallback_tag(), (*digest, *at))).collect();
        for tag in &facts.tags {
            let named = tag.tag.companion().and_then(|name| by_name.get(&name.parse::<Tag>().ok()?));
            let Some((digest, at)) = named.copied() else { continue };
            if tag.pushed >= at {
                continue;
            }
            let (manifest, waits) =
                (here.get(&tag.digest), RemovedSubject { digest: digest.clone(), stage: Stage::Waits });
            if manifest.is_none_or(|manifest| manifest.in_use) {
                attached.tags.insert(tag.tag.clone(), waits);
            } else if manifest.is_some_and(|manifest| manifest.pushed < at) {
                attached.tags.insert(tag.tag.clone(), subject(digest, at));
                attached.manifests.entry(tag.digest.clone()).or_insert_with(|| subject(digest, at));
            }
        }
        attached
    }

    /// Whether a tag is removed because of what it is attached to.
    pub(super) fn removes(&self, tag: &Tag) -> bool {
        self.tags.get(tag).is_some_and(|subject| subject.stage == Stage::Over)
    }

    /// The removed manifests with attached items that are, or will be, removed after them.
    pub(super) fn subjects(&self, plan: &RetentionPlan) -> HashSet<Digest> {
        let awaited = |grounds: &Grounds| grounds.subject().is_some() || *grounds == Grounds::InUse;
        let untagged = plan.untagged.iter().filter(|planned| awaited(&planned.verdict.grounds));
        let manifests = untagged.filter_map(|planned| self.manifests.get(&planned.digest));
        self.tags.values().chain(manifests).map(|subject| subject.digest.clone()).collect()
    }
}
