//! Rules of the operator about tags: which are deleted automatically, and which are immutable.

use oci::{Expression, Patterns, RepositoryName, Tag};
use std::time::Duration;

/// A retention rule. The first rule whose repositories match a repository applies to it, alone. Without rules nothing
/// is deleted automatically.
///
/// A tag is deleted if the rule matches it, has at least one condition that keeps tags, and none of the conditions
/// holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetentionRule {
    /// The repositories it applies to: any of these patterns.
    pub repositories: Patterns,
    /// The tags it applies to; all if `None`.
    pub tags: Option<Expression>,
    /// Keep this many tags, those that were pushed last.
    pub keep_last: Option<usize>,
    /// Keep what was pushed within this time.
    pub keep_younger: Option<Duration>,
    /// Keep tags that were pulled or pushed within this time, and untagged manifests that were pulled.
    pub keep_pulled: Option<Duration>,
    /// Keep tags that match this.
    pub keep_matching: Option<Expression>,
    /// Delete manifests without a tag after this time; never if `None`.
    pub delete_untagged: Option<Duration>,
}

/// Immutable tags: they never change their target and are not deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImmutableTags {
    /// In these repositories.
    pub repositories: Patterns,
    /// The tags that match this. Those named after a manifest ([`Tag::companion`]) are exempt:
    /// clients rewrite them with every signature.
    pub tags: Expression,
}

impl RetentionRule {
    /// Whether the rule applies to a repository.
    pub(crate) fn decides(&self, repository: &RepositoryName) -> bool {
        self.repositories.matches(repository, None)
    }

    /// Whether the rule applies to a tag.
    pub(crate) fn speaks_of(&self, tag: &Tag) -> bool {
        self.tags.as_ref().is_none_or(|tags| tags.matches(tag))
    }

    /// Whether it has a condition that keeps tags; otherwise it deletes none.
    pub(crate) fn keeps_some(&self) -> bool {
        let Self { keep_last, keep_younger, keep_pulled, keep_matching, .. } = self;
        keep_last.is_some() || keep_younger.is_some() || keep_pulled.is_some() || keep_matching.is_some()
    }
}

/// The rules about immutable tags that apply to one repository: the operator's, and the repository's own.
#[derive(Clone, Debug, Default)]
pub(crate) struct ImmutableHere(Vec<Expression>);

impl ImmutableHere {
    pub(crate) fn of(rules: &[ImmutableTags], repository: &RepositoryName, own: Option<Expression>) -> Self {
        let rules = rules.iter().filter(|rule| rule.repositories.matches(repository, None));
        Self(rules.map(|rule| rule.tags.clone()).chain(own).collect())
    }

    /// Whether no tag is immutable.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a tag is immutable.
    pub(crate) fn holds(&self, tag: &Tag) -> bool {
        tag.companion().is_none() && self.0.iter().any(|tags| tags.matches(tag))
    }
}
