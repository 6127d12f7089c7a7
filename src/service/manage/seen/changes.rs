//! Which repositories were changed by this process, of late.

use oci::RepositoryName;
use std::collections::{BTreeSet, VecDeque};

/// Repositories that are remembered: if more change, everything is looked at again.
const MOST: usize = 1000;

/// A push changes its repository many times. Among this many, it is remembered once.
const TOGETHER: usize = 32;

/// The last changes.
#[derive(Default)]
pub(super) struct ChangeLog {
    /// All changes so far.
    count: u64,
    /// What was changed, if that is known, and the number of the change, in ascending order.
    last: VecDeque<(Option<RepositoryName>, u64)>,
    /// The number of the last change that is not remembered.
    forgotten: u64,
}

impl ChangeLog {
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Notes a change of a repository, or of something that is not known.
    pub(super) fn note(&mut self, repository: Option<RepositoryName>) {
        self.count += 1;
        let late = self.last.len().saturating_sub(TOGETHER);
        if let Some(at) = self.last.range(late..).position(|(known, _)| *known == repository) {
            self.last.remove(late + at);
        }
        self.last.push_back((repository, self.count));
        if self.last.len() > MOST
            && let Some((_, number)) = self.last.pop_front()
        {
            self.forgotten = number;
        }
    }

    /// The repositories that changed after the first `count` changes; `None` if not all of them are known.
    pub(super) fn since(&self, count: u64) -> Option<BTreeSet<RepositoryName>> {
        if count < self.forgotten {
            return None;
        }
        self.last
            .iter()
            .rev()
            .take_while(|(_, number)| *number > count)
            .map(|(repository, _)| repository.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_known_as_long_as_they_are_few_and_have_names() {
        let mut log = ChangeLog::default();
        let name = |text: &str| text.parse::<RepositoryName>().unwrap();
        let since = |log: &ChangeLog, count| {
            log.since(count).map(|names| names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(since(&log, 0).as_deref(), Some(""));
        for text in ["a", "b", "a"] {
            log.note(Some(name(text)));
        }
        assert_eq!(log.count(), 3);
        let found = [0, 1, 2, 3].map(|count| since(&log, count));
        assert_eq!(found.each_ref().map(Option::as_deref), [Some("a b"), Some("a b"), Some("a"), Some("")]);
        log.note(None);
        assert_eq!((since(&log, 2), since(&log, 4).as_deref()), (None, Some("")), "anything may have changed");
        for _ in 0..2 * MOST {
            log.note(Some(name("c")));
            log.note(Some(name("d")));
        }
        assert_eq!(since(&log, 4).as_deref(), Some("c d"), "a long push is remembered");
        for i in 0..=MOST {
            log.note(Some(name(&format!("r{i}"))));
        }
        assert_eq!(since(&log, 4), None, "too many");
        assert_eq!(since(&log, log.count() - 1).as_deref(), Some("r1000"));
    }
}
