//! The store: which names exist now, and which recent changes are not certain yet.
//!
//! The same list of recent changes models two things. With caches, a reader may not see a recent change yet. With
//! crashes, a recent change is not on the disk yet. Without either, the list stays empty.

use crate::names::{ACTIVE, EXPIRED, NameSet};

/// What is uncertain about a recent change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uncertainty {
    /// Nothing: everybody sees it at once, and machines do not crash.
    Certain,
    /// Readers may see a directory as it was before the change, until it settles; changes settle in the order in which
    /// they were made. At most this many are unsettled at a time.
    Unseen(usize),
    /// A crash of the machine may undo the change, independently of others, until its directory is synced.
    Unsynced,
}

/// One change. A rename changes two names and is never half undone: file systems with a journal keep that promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct RecentChange {
    added: NameSet,
    removed: NameSet,
    /// Names that have to settle a second time, after the first wait was over.
    waited_for: NameSet,
}

/// The names that exist, and the recent changes, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct ModelStore {
    /// The names that exist.
    pub names: NameSet,
    recent: Vec<RecentChange>,
}

impl ModelStore {
    /// A store without recent changes.
    pub fn new(names: NameSet) -> Self {
        Self { names, recent: Vec::new() }
    }

    /// Adds and removes names in one step.
    pub fn change(&mut self, recent: Uncertainty, added: NameSet, removed: NameSet) {
        // Another intent that expires in the same bit has its own wait.
        let (added, removed) = (added - (self.names - EXPIRED), removed & self.names);
        self.names = (self.names - removed) | added;
        // Intents are never synced: a crash loses any of them, see `crash`.
        let (added, removed) = match recent {
            Uncertainty::Certain => return,
            Uncertainty::Unseen(_) => (added, removed),
            Uncertainty::Unsynced => (added - (ACTIVE | EXPIRED), removed - (ACTIVE | EXPIRED)),
        };
        if !(added | removed).is_empty() {
            self.recent.push(RecentChange { added, removed, waited_for: NameSet::NONE });
        }
    }

    /// The number of recent changes.
    pub fn recent(&self) -> usize {
        self.recent.len()
    }

    /// How a reader may see a directory: all of it as it was at one moment since the oldest recent change. Each view
    /// once.
    pub fn views(&self, recent: Uncertainty, directory: NameSet) -> Vec<NameSet> {
        let mut names = self.names;
        let mut views = vec![names & directory];
        if !matches!(recent, Uncertainty::Unseen(_)) {
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

    /// Makes the oldest change visible to everybody. Of the names it added, those in `twice` have to settle once more.
    pub fn settle(&mut self, twice: NameSet) {
        let oldest = self.recent.remove(0);
        let waited_for = oldest.added & twice;
        if !waited_for.is_empty() {
            self.recent.push(RecentChange { added: NameSet::NONE, removed: NameSet::NONE, waited_for });
        }
    }

    /// Those of these names that everybody has seen and that have settled twice where required.
    pub fn settled(&self, recent: Uncertainty, names: NameSet) -> NameSet {
        if !matches!(recent, Uncertainty::Unseen(_)) {
            return names;
        }
        self.recent.iter().fold(names, |left, change| left - (change.added | change.removed | change.waited_for))
    }

    /// Syncs the directory of a name, and everything that the name's state depends on.
    pub fn sync(&mut self, name: NameSet) {
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

    /// What may be left after a crash of the machine: any subset of the recent changes and of the intents. Each outcome
    /// once.
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
                // Renaming a name that does not exist changes nothing.
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
