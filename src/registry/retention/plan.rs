//! What rules make of a repository: for each tag and each manifest without one whether it stays,
//! and why.

use super::attached::{Stage, Subject};
use crate::oci::{Digest, Expression, Tag};
use std::{
    collections::HashSet,
    fmt,
    time::{Duration, SystemTime},
};

/// What would become of a repository's tags and untagged manifests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Every tag, in byte order.
    pub tags: Vec<PlannedTag>,
    /// Every manifest that no tag points to, in order of their digests.
    pub untagged: Vec<PlannedManifest>,
    /// Manifests that were removed, and to which something is attached that is removed after them.
    pub subjects: HashSet<Digest>,
}

/// What would become of a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedTag {
    /// The tag.
    pub tag: Tag,
    /// What it points to.
    pub digest: Digest,
    /// When it was pushed last.
    pub pushed: SystemTime,
    /// When what it points to was pulled last, to the hour, if that is known.
    pub pulled: Option<SystemTime>,
    /// Whether it stays.
    pub verdict: Verdict,
}

/// What would become of a manifest without a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedManifest {
    /// Its digest.
    pub digest: Digest,
    /// When it was pushed last, or lost its last tag since.
    pub since: SystemTime,
    /// When it was pulled last, to the hour, if that is known.
    pub pulled: Option<SystemTime>,
    /// Whether it stays.
    pub verdict: Verdict,
}

/// Whether something stays, by which rule (its place in the settings, from 0) and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// It stays.
    pub keep: bool,
    /// The rule that decides about the repository, if any.
    pub rule: Option<usize>,
    /// Why.
    pub grounds: Grounds,
}

/// Why something stays or goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grounds {
    /// Stays: no rule decides about the repository.
    NoRule,
    /// Stays: the tag is immutable.
    Immutable,
    /// Stays: the tag is named after a manifest that is here.
    Companion,
    /// Stays: the rule speaks of other tags.
    OtherTags(Expression),
    /// Stays: the rule names no reason to keep a tag, so it deletes none.
    NoReason,
    /// Stays: it is one of so many that were pushed last.
    Last(usize),
    /// Stays: pushed within this time.
    Younger(Duration),
    /// Stays: pulled within this time.
    Pulled(Duration),
    /// Stays: perhaps pulled within this time; pulls are not known for so long yet.
    PullsUnknown(Duration),
    /// Stays: it matches.
    Matching(Expression),
    /// Stays: the rule does not delete untagged manifests.
    UntaggedStay,
    /// Stays: not untagged for so long yet.
    NotYet(Duration),
    /// Stays: an index lists it that stays.
    ChildOf(Digest),
    /// Stays: it refers to a manifest that stays.
    Refers(Digest),
    /// Stays: a push under way needs it.
    InUse,
    /// Goes: a tag that no reason of the rule keeps.
    NothingKeeps,
    /// Goes: untagged for longer than this.
    Untagged(Duration),
    /// Goes: it refers to a manifest that goes.
    GoesWith(Digest),
    /// Goes: it is attached to a manifest that was removed from the repository.
    SubjectRemoved(Digest),
    /// Stays for now: what it is attached to was removed less than a lease ago.
    SubjectJustRemoved(Digest),
    /// Stays for now: what it is attached to was removed, but its manifest is needed or lies in the graveyard.
    SubjectWaits(Digest),
}

impl Grounds {
    pub(super) fn of_subject(subject: &Subject) -> Self {
        let digest = subject.digest.clone();
        match subject.stage {
            Stage::Over => Self::SubjectRemoved(digest),
            Stage::Grace => Self::SubjectJustRemoved(digest),
            Stage::Waits => Self::SubjectWaits(digest),
        }
    }

    /// The manifest whose removal is the reason.
    pub(super) fn subject(&self) -> Option<&Digest> {
        match self {
            Self::SubjectRemoved(subject) | Self::SubjectJustRemoved(subject) | Self::SubjectWaits(subject) => {
                Some(subject)
            }
            _ => None,
        }
    }
}

impl Verdict {
    /// The manifest whose removal decided this, if that is the reason to delete something.
    pub(in crate::registry) fn subject(&self) -> Option<&Digest> {
        self.grounds.subject().filter(|_| !self.keep)
    }
}

impl Plan {
    /// The tags that go.
    pub fn deleted_tags(&self) -> impl Iterator<Item = &PlannedTag> {
        self.tags.iter().filter(|tag| !tag.verdict.keep)
    }

    /// The untagged manifests that go.
    pub fn deleted_manifests(&self) -> impl Iterator<Item = &PlannedManifest> {
        self.untagged.iter().filter(|manifest| !manifest.verdict.keep)
    }
}

/// The rule, as `settings.toml` would be asked for it, and its key.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Grounds as G;
        if let Some(rule) = self.rule {
            write!(f, "retention[{rule}]: ")?;
        }
        let days = |time: &Duration| time.as_secs() / 86_400;
        match &self.grounds {
            G::NoRule => f.write_str("no rule"),
            G::Immutable => f.write_str("immutable"),
            G::Companion => f.write_str("named after a manifest that is here"),
            G::OtherTags(tags) => write!(f, "tags = \"{tags}\" does not match"),
            G::NoReason => f.write_str("deletes no tags"),
            G::Last(n) => write!(f, "keep_last = {n}"),
            G::NotYet(after) => write!(f, "delete_untagged_after_days = {} are not over", days(after)),
            G::Younger(within) => write!(f, "keep_younger_than_days = {}", days(within)),
            G::Pulled(within) => write!(f, "keep_pulled_within_days = {}", days(within)),
            G::PullsUnknown(within) => {
                write!(f, "keep_pulled_within_days = {}, and pulls are not known for so long yet", days(within))
            }
            G::Matching(expression) => write!(f, "keep_matching = \"{expression}\""),
            G::UntaggedStay => f.write_str("deletes no untagged manifests"),
            G::ChildOf(index) => write!(f, "an index that stays lists it, {index}"),
            G::Refers(subject) => write!(f, "refers to a manifest that stays, {subject}"),
            G::InUse => f.write_str("a push under way needs it"),
            G::NothingKeeps => f.write_str("nothing keeps it"),
            G::Untagged(after) => write!(f, "delete_untagged_after_days = {}", days(after)),
            G::GoesWith(subject) => write!(f, "its subject is deleted too: {subject}"),
            G::SubjectRemoved(subject) => write!(f, "its subject was deleted: {subject}"),
            G::SubjectWaits(subject) => write!(f, "its subject was deleted, but its manifest is in use: {subject}"),
            G::SubjectJustRemoved(subject) => {
                write!(f, "its subject was deleted less than collection.lease_hours ago: {subject}")
            }
        }
    }
}
