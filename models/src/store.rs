//! The store: which names there are now, and what changed so lately that it is not certain yet.
//!
//! The same list of recent changes serves two worlds. Where hosts cache names and directories, a
//! recent change is one that a reader may not see yet. Where machines crash, it is one that is not
//! on the disk yet. Where neither happens the list stays empty.

use crate::names::{ACTIVE, EXPIRED, Names};

/// What is uncertain about a recent change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recent {
    /// Nothing: everybody sees it at once, and machines do not crash.
    Certain,
    /// Readers may see a directory as it was before it, until it settles; changes settle in the
    /// order they were made. At most so many are unsettled at a time.
    Unseen(usize),
    /// A crash of the machine may undo it, each alone, until its directory is synced.
    Unsynced,
}

/// One change. A rename is one change of two names and never half undone: file systems with a
/// journal keep that promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Change {
    added: Names,
    removed: Names,
    /// Somebody waits a second time for these, from when the first wait was over.
    waited_for: Names,
}

/// The names, and the recent changes, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Store {
    /// What there is.
    pub names: Names,
    recent: Vec<Change>,
}

impl Store {
    /// A store in which nothing happened lately.
    pub fn new(names: Names) -> Self {
        Self { names, recent: Vec::new() }
    }

    /// Adds and removes names in one step.
    pub fn change(&mut self, recent: Recent, added: Names, removed: Names) {
        // Another intent that expires under the same bit has its own wait.
        let (added, removed) = (added - (self.names - EXPIRED), removed & self.names);
        self.names = (self.names - removed) | added;
        // Intents are never synced: a crash takes any of them, see `crash`.
        let (added, removed) = match recent {
            Recent::Certain => return,
            Recent::Unseen(_) => (added, removed),
            Recent::Unsynced => (added - (ACTIVE | EXPIRED), removed - (ACTIVE | EXPIRED)),
        };
        if !(added | removed).is_empty() {
            self.recent.push(Change { added, removed, waited_for: Names::NONE });
        }
    }

    /// How many changes are recent.
    pub fn recent(&self) -> usize {
        self.recent.len()
    }

    /// What a reader may see of a directory: all of it as it was at one moment since the oldest
    /// recent change. Each view once.
    pub fn views(&self, recent: Recent, directory: Names) -> Vec<Names> {
        let mut names = self.names;
        let mut views = vec![names & directory];
        if !matches!(recent, Recent::Unseen(_)) {
            return views;
        }
        for change in self.recent.iter().rev() {
            names = (names - change.added) | change.removed;
            if !views.contains(&(names & directory)) {
                views.push(names & directory);
            }
        }
        views
    }

    /// The oldest change is now seen by everybody. Of what it added, `twice` is to be waited for
    /// once more.
    pub fn settle(&mut self, twice: Names) {
        let oldest = self.recent.remove(0);
        let waited_for = oldest.added & twice;
        if !waited_for.is_empty() {
            self.recent.push(Change { added: Names::NONE, removed: Names::NONE, waited_for });
        }
    }

    /// Of these names, those whose change everybody has seen, and waited for twice where that is
    /// asked for.
    pub fn settled(&self, recent: Recent, names: Names) -> Names {
        if !matches!(recent, Recent::Unseen(_)) {
            return names;
        }
        self.recent.iter().fold(names, |left, change| left - (change.added | change.removed | change.waited_for))
    }

    /// Syncs the directory of a name, and with it what the state of that name depends on.
    pub fn sync(&mut self, name: Names) {
        let mut touched = name;
        let mut left = Vec::new();
        for change in self.recent.drain(..).rev() {
            if (change.added | change.removed).meets(touched) {
                touched |= change.added | change.removed;
            } else {
                left.push(change);
            }
        }
        left.reverse();
        self.recent = left;
    }

    /// What may be left after the machine crashed: any subset of the recent changes and of the
    /// intents. Each outcome once.
    pub fn crash(&self) -> Vec<Self> {
        let intents = self.names & (ACTIVE | EXPIRED);
        let mut before = self.names - intents;
        for change in self.recent.iter().rev() {
            before = (before - change.added) | change.removed;
        }
        let mut outcomes = vec![before];
        for change in &self.recent {
            for i in 0..outcomes.len() {
                let names = outcomes[i];
                // A rename of what is not there happened to nothing.
                if names.has(change.removed) {
                    let after = (names - change.removed) | change.added;
                    if !outcomes.contains(&after) {
                        outcomes.push(after);
                    }
                }
            }
        }
        for intent in intents.each() {
            for i in 0..outcomes.len() {
                outcomes.push(outcomes[i] | intent);
            }
        }
        outcomes.into_iter().map(Self::new).collect()
    }
}
