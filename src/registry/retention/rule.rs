//! What an operator may decide about tags: which go by themselves, which never change.

use crate::oci::{Expression, Patterns, RepositoryName, Tag};
use std::time::Duration;

/// A rule of retention. Of several, the first one whose repositories match a repository decides
/// about it, alone. Without rules nothing goes by itself.
///
/// A tag goes if the rule speaks of it, names at least one reason to keep a tag, and none of the
/// reasons holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetentionRule {
    /// The repositories it decides about: any of these.
    pub repositories: Patterns,
    /// The tags it speaks of; all if `None`.
    pub tags: Option<Expression>,
    /// Keep so many, those that were pushed last.
    pub keep_last: Option<usize>,
    /// Keep what was pushed within this time.
    pub keep_younger: Option<Duration>,
    /// Keep tags that were pulled or pushed within this time, and untagged manifests that were
    /// pulled.
    pub keep_pulled: Option<Duration>,
    /// Keep tags that match this.
    pub keep_matching: Option<Expression>,
    /// Manifests without a tag go after this time; never if `None`.
    pub delete_untagged: Option<Duration>,
}

/// Tags that never come to point elsewhere and are not deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImmutableTags {
    /// In these repositories.
    pub repositories: Patterns,
    /// The tags that match this. Those named after a manifest ([`Tag::companion`]) are exempt:
    /// clients rewrite them with every signature.
    pub tags: Expression,
}

impl RetentionRule {
    /// Whether the rule decides about a repository.
    pub(super) fn decides(&self, repository: &RepositoryName) -> bool {
        self.repositories.matches(repository, None)
    }

    /// Whether it says anything about a tag.
    pub(super) fn speaks_of(&self, tag: &Tag) -> bool {
        self.tags.as_ref().is_none_or(|tags| tags.matches(tag))
    }

    /// Whether it names a reason to keep a tag; else it deletes none.
    pub(super) fn keeps_some(&self) -> bool {
        let Self { keep_last, keep_younger, keep_pulled, keep_matching, .. } = self;
        keep_last.is_some() || keep_younger.is_some() || keep_pulled.is_some() || keep_matching.is_some()
    }
}

impl ImmutableTags {
    /// Whether a tag of a repository is one of these.
    pub(in super::super) fn hold(&self, repository: &RepositoryName, tag: &Tag) -> bool {
        tag.companion().is_none() && self.tags.matches(tag) && self.repositories.matches(repository, None)
    }
}
