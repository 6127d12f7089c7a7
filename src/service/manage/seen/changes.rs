//! What was changed by this process, of late.

use super::super::{ManageEndpoint, UserEndpoint};
use crate::service::endpoint::Endpoint;
use oci::RepositoryName;
use std::collections::{BTreeSet, VecDeque};

/// Changes that are remembered: if there are more, everything is looked at again.
const MOST: usize = 10_000;

/// A push changes its repository many times. Among this many, it is remembered once.
const TOGETHER: usize = 32;

/// What a request changed, as far as lists of repositories are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super::super) enum ChangedContent {
    /// Nothing that lists contain.
    Nothing,
    /// A repository.
    Repository(RepositoryName),
    /// Which namespaces there are.
    Namespaces,
    /// Possibly everything.
    Anything,
}

impl ChangedContent {
    /// What a request that writes may change. Creating a repository is noted where its name is read.
    pub(in super::super::super) fn by(endpoint: &Endpoint) -> Self {
        match (endpoint.repository(), endpoint) {
            (Some(name), _) => Self::Repository(name.clone()),
            (None, Endpoint::Manage(ManageEndpoint::Namespace(_))) => Self::Namespaces,
            // Whoever is gone owns nothing.
            (None, Endpoint::Manage(ManageEndpoint::User(UserEndpoint::Delete(_)))) => Self::Anything,
            (None, Endpoint::Manage(ManageEndpoint::Task(_) | ManageEndpoint::Alias(_))) => Self::Anything,
            (None, _) => Self::Nothing,
        }
    }
}

/// The last changes.
#[derive(Default)]
pub(super) struct ChangeLog {
    /// All changes so far.
    count: u64,
    /// What was changed, and the number of the change, in ascending order.
    last: VecDeque<(ChangedContent, u64)>,
    /// The number of the last change that is not remembered.
    forgotten: u64,
}

/// What changed since a moment.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ChangesSince {
    pub(super) repositories: BTreeSet<RepositoryName>,
    pub(super) namespaces: bool,
}

impl ChangeLog {
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Notes a change.
    pub(super) fn note(&mut self, content: ChangedContent) {
        if content == ChangedContent::Nothing {
            return;
        }
        self.count += 1;
        let late = self.last.len().saturating_sub(TOGETHER);
        if let Some(at) = self.last.range(late..).position(|(known, _)| *known == content) {
            self.last.remove(late + at);
        }
        self.last.push_back((content, self.count));
        if self.last.len() > MOST
            && let Some((_, number)) = self.last.pop_front()
        {
            self.forgotten = number;
        }
    }

    /// What changed after the first `count` changes; `None` if that may be anything.
    pub(super) fn since(&self, count: u64) -> Option<ChangesSince> {
        if count < self.forgotten {
            return None;
        }
        let mut since = ChangesSince::default();
        for (content, _) in self.last.iter().rev().take_while(|(_, number)| *number > count) {
            match content {
                ChangedContent::Repository(name) => _ = since.repositories.insert(name.clone()),
                ChangedContent::Namespaces => since.namespaces = true,
                ChangedContent::Nothing => {}
                ChangedContent::Anything => return None,
            }
        }
        Some(since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_known_as_long_as_they_are_few_and_have_names() {
        let mut log = ChangeLog::default();
        let repository = |text: &str| ChangedContent::Repository(text.parse().unwrap());
        let since = |log: &ChangeLog, count| {
            let names = log.since(count)?.repositories;
            Some(names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(since(&log, 0).as_deref(), Some(""));
        for text in ["a", "b", "a"] {
            log.note(repository(text));
        }
        assert_eq!(log.count(), 3);
        let found = [0, 1, 2, 3].map(|count| since(&log, count));
        assert_eq!(found.each_ref().map(Option::as_deref), [Some("a b"), Some("a b"), Some("a"), Some("")]);
        log.note(ChangedContent::Nothing);
        assert_eq!(log.count(), 3);
        log.note(ChangedContent::Namespaces);
        let namespaces = ChangesSince { namespaces: true, ..ChangesSince::default() };
        assert_eq!(log.since(3), Some(namespaces));
        log.note(ChangedContent::Anything);
        assert_eq!((since(&log, 2), since(&log, 5).as_deref()), (None, Some("")), "anything may have changed");
        for _ in 0..2 * MOST {
            log.note(repository("c"));
            log.note(repository("d"));
        }
        assert_eq!(since(&log, 5).as_deref(), Some("c d"), "a long push is remembered");
        for i in 0..=MOST {
            log.note(repository(&format!("r{i}")));
        }
        assert_eq!(since(&log, 5), None, "too many");
        assert_eq!(since(&log, log.count() - 1).as_deref(), Some(format!("r{MOST}").as_str()));
    }
}
