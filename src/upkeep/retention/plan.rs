//! What the rules decide about a repository: whether each tag and each untagged manifest stays, and why.

use super::attached::{RemovedSubject, Stage};
use oci::{Digest, Expression, Tag};
use std::{
    collections::HashSet,
    fmt,
    time::{Duration, SystemTime},
};

/// What would happen to a repository's tags and untagged manifests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetentionPlan {
    /// Every tag, in byte order.
    pub tags: Vec<PlannedTag>,
    /// Every manifest without a tag, ordered by digest.
    pub untagged: Vec<PlannedManifest>,
    /// Removed manifests with attached items that are removed after them.
    pub subjects: HashSet<Digest>,
}

/// What would happen to a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedTag {
    pub tag: Tag,
    /// The manifest it points to.
    pub digest: Digest,
    /// When it was last pushed.
    pub pushed: SystemTime,
    /// When its manifest was last pulled, to the hour, if known.
    pub pulled: Option<SystemTime>,
    /// Whether it stays.
    pub verdict: RetentionVerdict,
}

/// What would happen to a manifest without a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedManifest {
    pub digest: Digest,
    /// When it was last pushed, or lost its last tag if that was later.
    pub since: SystemTime,
    /// When it was last pulled, to the hour, if known.
    pub pulled: Option<SystemTime>,
    /// Whether it stays.
    pub verdict: RetentionVerdict,
}

/// Whether something stays, by which rule (its position in the settings, from 0) and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetentionVerdict {
    /// It stays.
    pub keep: bool,
    /// The rule that applies to the repository, if any.
    pub rule: Option<usize>,
    /// Why.
    pub grounds: Grounds,
}

/// Why something stays or is deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grounds {
    /// Stays: no rule applies to the repository.
    NoRule,
    /// Stays: the tag is immutable.
    Immutable,
    /// Stays: the tag is named after a manifest that exists.
    Companion,
    /// Stays: the rule does not match this tag.
    OtherTags(Expression),
    /// Stays: the rule has no condition that keeps tags, so it deletes none.
    NoReason,
    /// Stays: it is one of this many tags that were pushed last.
    Last(usize),
    /// Stays: pushed within this time.
    Younger(Duration),
    /// Stays: pulled within this time.
    Pulled(Duration),
    /// Stays: perhaps pulled within this time; pull times have not been recorded for that long yet.
    PullsUnknown(Duration),
    /// Stays: it matches this pattern.
    Matching(Expression),
    /// Stays: the rule does not delete untagged manifests.
    UntaggedStay,
    /// Stays: not untagged for this long yet.
    NotYet(Duration),
    /// Stays: an index that stays lists it.
    ChildOf(Digest),
    /// Stays: its subject stays.
    Refers(Digest),
    /// Stays: an active push needs it.
    InUse,
    /// Deleted: no condition of the rule keeps the tag.
    NothingKeeps,
    /// Deleted: untagged for longer than this.
    Untagged(Duration),
    /// Deleted: its subject is deleted.
    GoesWith(Digest),
    /// Deleted: it is attached to a manifest that was removed from the repository.
    SubjectRemoved(Digest),
    /// Stays for now: what it is attached to was removed less than a lease ago.
    SubjectJustRemoved(Digest),
    /// Stays for now: what it is attached to was removed, but its own manifest is needed or lies in the graveyard.
    SubjectWaits(Digest),
}

impl Grounds {
    pub(super) fn of_subject(subject: &RemovedSubject) -> Self {
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

impl RetentionVerdict {
    /// The manifest whose removal is the reason to delete this, if it is.
    pub(in crate::upkeep) fn subject(&self) -> Option<&Digest> {
        self.grounds.subject().filter(|_| !self.keep)
    }
}

impl RetentionPlan {
    /// The tags to delete.
    pub fn deleted_tags(&self) -> impl Iterator<Item = &PlannedTag> {
        self.tags.iter().filter(|tag| !tag.verdict.keep)
    }

    /// The untagged manifests to delete.
    pub fn deleted_manifests(&self) -> impl Iterator<Item = &PlannedManifest> {
        self.untagged.iter().filter(|manifest| !manifest.verdict.keep)
    }
}

/// The rule as a key of `settings.toml`, and the setting in it that decides.
impl fmt::Display for RetentionVerdict {
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
