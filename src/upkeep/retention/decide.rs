//! Decides about a repository's tags and untagged manifests: takes facts and a rule, and returns a plan. Reads and
//! changes nothing.

use super::{
    attached::{Attached, Stage},
    plan::{Grounds, PlannedManifest, PlannedTag, RetentionPlan, RetentionVerdict},
};
use crate::registry::{
    Pulls,
    settings::{ImmutableHere, RetentionRule},
};
use oci::{Digest, RepositoryName, Tag};
use std::{
    collections::{HashMap, HashSet},
    time::{Duration, SystemTime},
};

/// What is known about a tag.
#[derive(Clone, Debug)]
pub(super) struct TagFacts {
    pub(super) tag: Tag,
    pub(super) digest: Digest,
    pub(super) pushed: SystemTime,
    pub(super) pulls: Pulls,
}

/// What is known about a manifest, tagged or not.
#[derive(Clone, Debug)]
pub(super) struct ManifestFacts {
    pub(super) digest: Digest,
    /// When it was last pushed.
    pub(super) pushed: SystemTime,
    /// When it was last pushed, or lost its last tag if that was later.
    pub(super) since: SystemTime,
    pub(super) pulls: Pulls,
    pub(super) subject: Option<Digest>,
    /// The manifests it lists, if it is an index.
    pub(super) children: Vec<Digest>,
    /// Whether an active push names it.
    pub(super) in_use: bool,
}

/// What is known about a repository.
#[derive(Clone, Debug, Default)]
pub(super) struct RetentionFacts {
    pub(super) tags: Vec<TagFacts>,
    pub(super) manifests: Vec<ManifestFacts>,
    /// Manifests that were removed from it, and when.
    pub(super) removed: HashMap<Digest, SystemTime>,
    /// How long items attached to a removed manifest stay.
    pub(super) grace: Duration,
}

/// Decides about a repository as of `now`.
pub(super) fn decide(
    repository: &RepositoryName,
    rules: &[RetentionRule],
    immutable: &ImmutableHere,
    facts: RetentionFacts,
    now: SystemTime,
) -> RetentionPlan {
    let rule = rules.iter().enumerate().find(|(_, rule)| rule.decides(repository));
    let attached = Attached::of(&facts, facts.grace, now);
    let RetentionFacts { mut tags, mut manifests, .. } = facts;
    tags.sort_by(|a, b| a.tag.cmp(&b.tag));
    manifests.sort_by(|a, b| a.digest.cmp(&b.digest));
    let staying = tags.iter().filter(|facts| !attached.removes(&facts.tag));
    let tagged: HashSet<&Digest> = staying.map(|facts| &facts.digest).collect();
    let untagged = untagged(rule, &manifests, &tagged, &attached, now);
    let mut companions = companions(&tags, &manifests);
    companions.extend(attached.tags.keys().cloned());
    let last = rule.map_or_else(HashSet::new, |(_, rule)| pushed_last(rule, &tags, &companions));
    let verdicts: Vec<RetentionVerdict> = tags
        .iter()
        .map(|facts| {
            let keep = |grounds| RetentionVerdict { keep: true, rule: None, grounds };
            if immutable.holds(&facts.tag) {
                return keep(Grounds::Immutable);
            }
            if let Some(subject) = attached.tags.get(&facts.tag) {
                let grounds = Grounds::of_subject(subject);
                return RetentionVerdict { keep: !attached.removes(&facts.tag), rule: None, grounds };
            }
            match rule {
                _ if companions.contains(&facts.tag) => keep(Grounds::Companion),
                None => keep(Grounds::NoRule),
                Some((place, rule)) => {
                    let grounds = reason(rule, facts, &last, now);
                    let keep = grounds.is_some();
                    RetentionVerdict { keep, rule: Some(place), grounds: grounds.unwrap_or(Grounds::NothingKeeps) }
                }
            }
        })
        .collect();
    let tags = tags.into_iter().zip(verdicts).map(|(facts, verdict)| {
        let TagFacts { tag, digest, pushed, pulls } = facts;
        PlannedTag { tag, digest, pushed, pulled: pulls.last, verdict }
    });
    let mut plan = RetentionPlan { tags: tags.collect(), untagged, subjects: HashSet::new() };
    plan.subjects = attached.subjects(&plan);
    plan
}

/// The tags named after a manifest that exists: they stay as long as it does.
fn companions(tags: &[TagFacts], manifests: &[ManifestFacts]) -> HashSet<Tag> {
    let named: HashSet<&str> = tags.iter().filter_map(|facts| facts.tag.companion()).collect();
    if named.is_empty() {
        return HashSet::new();
    }
    let fallback = manifests.iter().map(|manifest| manifest.digest.fallback_tag());
    let here: HashSet<String> =
        fallback.filter(|tag| named.contains(tag.as_str())).map(|tag| tag.as_str().to_owned()).collect();
    let stays = |tag: &Tag| tag.companion().is_some_and(|stem| here.contains(stem));
    tags.iter().filter(|facts| stays(&facts.tag)).map(|facts| facts.tag.clone()).collect()
}

/// The tags that `keep_last` keeps: newest first, and by name among tags of the same time. Tags that the rule does
/// not match, and tags that stay because of their manifest, are not counted.
fn pushed_last(rule: &RetentionRule, tags: &[TagFacts], companions: &HashSet<Tag>) -> HashSet<Tag> {
    let Some(most) = rule.keep_last else { return HashSet::new() };
    let spoken_of = |facts: &&TagFacts| rule.speaks_of(&facts.tag) && !companions.contains(&facts.tag);
    let mut counted: Vec<&TagFacts> = tags.iter().filter(spoken_of).collect();
    counted.sort_by(|a, b| b.pushed.cmp(&a.pushed).then_with(|| a.tag.cmp(&b.tag)));
    counted.into_iter().take(most).map(|facts| facts.tag.clone()).collect()
}

/// Why a rule keeps a tag, if it does.
fn reason(rule: &RetentionRule, facts: &TagFacts, last: &HashSet<Tag>, now: SystemTime) -> Option<Grounds> {
    if let Some(tags) = rule.tags.as_ref().filter(|tags| !tags.matches(&facts.tag)) {
        return Some(Grounds::OtherTags(tags.clone()));
    }
    if !rule.keeps_some() {
        return Some(Grounds::NoReason);
    }
    if let Some(expression) = rule.keep_matching.as_ref().filter(|e| e.matches(&facts.tag)) {
        return Some(Grounds::Matching(expression.clone()));
    }
    if let Some(most) = rule.keep_last.filter(|_| last.contains(&facts.tag)) {
        return Some(Grounds::Last(most));
    }
    if let Some(age) = rule.keep_younger.filter(|age| is_within(*age, facts.pushed, now)) {
        return Some(Grounds::Younger(age));
    }
    // A push counts as a pull: what was just pushed had no chance to be pulled.
    let pulls =
        Pulls { last: Some(facts.pulls.last.map_or(facts.pushed, |last| last.max(facts.pushed))), ..facts.pulls };
    pulled(rule, pulls, now)
}

/// Why the time of the last pull keeps something, if it does.
fn pulled(rule: &RetentionRule, pulls: Pulls, now: SystemTime) -> Option<Grounds> {
    let within = rule.keep_pulled?;
    if pulls.last.is_some_and(|last| is_within(within, last, now)) {
        return Some(Grounds::Pulled(within));
    }
    is_within(within, pulls.known_since, now).then_some(Grounds::PullsUnknown(within))
}

/// Whether less than `time` has passed. A moment in the future counts as recent, so a clock that was set back deletes
/// nothing.
fn is_within(time: Duration, moment: SystemTime, now: SystemTime) -> bool {
    now.duration_since(moment).map_or(true, |age| age < time)
}

/// Decides about the manifests without a tag. Manifests with a tag stay, even if all their tags are deleted: they
/// become untagged now, and their time starts.
fn untagged(
    rule: Option<(usize, &RetentionRule)>,
    manifests: &[ManifestFacts],
    tagged: &HashSet<&Digest>,
    attached: &Attached,
    now: SystemTime,
) -> Vec<PlannedManifest> {
    let by_digest: HashMap<&Digest, usize> = manifests.iter().enumerate().map(|(i, m)| (&m.digest, i)).collect();
    let mut referrers: HashMap<usize, Vec<usize>> = HashMap::new();
    for (i, manifest) in manifests.iter().enumerate() {
        if let Some(subject) = manifest.subject.as_ref().and_then(|subject| by_digest.get(subject)) {
            referrers.entry(*subject).or_default().push(i);
        }
    }
    let has_subject = |manifest: &ManifestFacts| manifest.subject.as_ref().is_some_and(|s| by_digest.contains_key(s));
    // First what stays by itself, then what stays because something else does.
    let mut kept: Vec<Option<Grounds>> = vec![None; manifests.len()];
    let mut fresh = Vec::new();
    for (i, manifest) in manifests.iter().enumerate() {
        let by_itself = match rule {
            _ if tagged.contains(&manifest.digest) => Some(Grounds::UntaggedStay),
            _ if manifest.in_use => Some(Grounds::InUse),
            _ if let Some(subject) = attached.manifests.get(&manifest.digest) => {
                (subject.stage != Stage::Over).then(|| Grounds::of_subject(subject))
            }
            None => Some(Grounds::NoRule),
            Some((_, rule)) => match rule.delete_untagged {
                None => Some(Grounds::UntaggedStay),
                // It follows its subject and nothing else.
                Some(_) if has_subject(manifest) => None,
                Some(after) if is_within(after, manifest.since, now) => Some(Grounds::NotYet(after)),
                Some(_) => pulled(rule, manifest.pulls, now),
            },
        };
        if by_itself.is_some() {
            fresh.push(i);
        }
        kept[i] = by_itself;
    }
    while let Some(i) = fresh.pop() {
        let digest = &manifests[i].digest;
        let children = manifests[i].children.iter().filter_map(|child| by_digest.get(child));
        let children = children.map(|child| (*child, Grounds::ChildOf(digest.clone())));
        let referrers = referrers.get(&i).into_iter().flatten().map(|r| (*r, Grounds::Refers(digest.clone())));
        for (follows, grounds) in children.chain(referrers) {
            if kept[follows].is_none() {
                kept[follows] = Some(grounds);
                fresh.push(follows);
            }
        }
    }
    let verdict = |manifest: &ManifestFacts, kept: Option<Grounds>| {
        let keep = kept.is_some();
        let goes = || match &manifest.subject {
            _ if let Some(subject) = attached.manifests.get(&manifest.digest) => Grounds::of_subject(subject),
            Some(subject) if has_subject(manifest) => Grounds::GoesWith(subject.clone()),
            _ => Grounds::Untagged(rule.and_then(|(_, rule)| rule.delete_untagged).unwrap_or_default()),
        };
        let grounds = kept.unwrap_or_else(goes);
        let of_a_rule = grounds.subject().is_none()
            && !matches!(grounds, Grounds::InUse | Grounds::ChildOf(_) | Grounds::Refers(_));
        RetentionVerdict { keep, rule: rule.map(|(place, _)| place).filter(|_| of_a_rule), grounds }
    };
    let plan = |(manifest, kept): (&ManifestFacts, Option<Grounds>)| PlannedManifest {
        digest: manifest.digest.clone(),
        since: manifest.since,
        pulled: manifest.pulls.last,
        verdict: verdict(manifest, kept),
    };
    let planned = manifests.iter().zip(kept).filter(|(manifest, _)| !tagged.contains(&manifest.digest));
    planned.map(plan).collect()
}

#[cfg(test)]
mod tests;
