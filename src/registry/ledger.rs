//! The open upload sessions: their number, owners and sizes, and the latest turn at each.

use crate::storage::UploadTurn;
use oci::UploadId;
use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The owner of a session; `None` stands for all anonymous callers.
pub(super) type Owner = Option<String>;

/// The open sessions that this process knows. Those of an earlier process are added when they are seen.
#[derive(Default)]
pub(crate) struct Ledger(Mutex<Book>);

#[derive(Default)]
struct Book {
    sessions: HashMap<UploadId, LedgerEntry>,
    owners: HashMap<Owner, Total>,
}

struct LedgerEntry {
    owner: Owner,
    bytes: u64,
    /// The first turn; all others are derived from it.
    turn: UploadTurn,
}

/// The open sessions of one owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Total {
    pub(super) sessions: usize,
    pub(super) bytes: u64,
}

impl Ledger {
    pub(super) fn len(&self) -> usize {
        self.book().sessions.len()
    }

    pub(crate) fn sessions(&self) -> HashSet<UploadId> {
        self.book().sessions.keys().copied().collect()
    }

    pub(super) fn of(&self, owner: &Owner) -> Total {
        self.book().owners.get(owner).copied().unwrap_or_default()
    }

    /// Adds a session if `allows` accepts the resulting totals, overall and of its owner.
    pub(super) fn open(&self, id: UploadId, owner: &Owner, allows: impl Fn(usize, Total) -> bool) -> bool {
        let mut book = self.book();
        let total = book.owners.get(owner).copied().unwrap_or_default();
        let would_be = Total { sessions: total.sessions + 1, ..total };
        if !allows(book.sessions.len() + 1, would_be) {
            return false;
        }
        book.set(id, owner, 0);
        true
    }

    /// Adds a session of an earlier process, or updates its size.
    pub(super) fn register(&self, id: UploadId, owner: &Owner, bytes: u64) {
        self.book().set(id, owner, bytes);
    }

    /// Updates the size of a session. One that has ended stays removed.
    pub(super) fn holds(&self, id: &UploadId, bytes: u64) {
        let Book { sessions, owners } = &mut *self.book();
        if let Some(entry) = sessions.get_mut(id)
            && let Some(total) = owners.get_mut(&entry.owner)
        {
            total.bytes = total.bytes - entry.bytes + bytes;
            entry.bytes = bytes;
        }
    }

    /// The latest turn at a session; `None` if it is not in the ledger yet.
    pub(super) fn turn(&self, id: &UploadId) -> Option<UploadTurn> {
        self.book().sessions.get(id).map(|entry| entry.turn.latest())
    }

    /// Removes a session that has ended.
    pub(crate) fn close(&self, id: &UploadId) {
        self.book().remove(id);
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn set(&mut self, id: UploadId, owner: &Owner, bytes: u64) {
        let turn = self.remove(&id).unwrap_or_default();
        self.sessions.insert(id, LedgerEntry { owner: owner.clone(), bytes, turn });
        let total = self.owners.entry(owner.clone()).or_default();
        total.sessions += 1;
        total.bytes += bytes;
    }

    fn remove(&mut self, id: &UploadId) -> Option<UploadTurn> {
        let LedgerEntry { owner, bytes, turn } = self.sessions.remove(id)?;
        if let Some(total) = self.owners.get_mut(&owner) {
            total.sessions -= 1;
            total.bytes -= bytes;
            if total.sessions == 0 {
                self.owners.remove(&owner);
            }
        }
        Some(turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_and_bytes_are_counted_per_owner() {
        let ledger = Ledger::default();
        let (a, b) = (UploadId::random(), UploadId::random());
        let alice = Some("alice".to_owned());
        assert!(ledger.open(a, &alice, |all, own| all == 1 && own.sessions == 1));
        assert!(ledger.open(b, &None, |all, own| all == 2 && own.sessions == 1));
        assert!(!ledger.open(UploadId::random(), &None, |_, own| own.sessions < 2));
        ledger.holds(&a, 10);
        ledger.holds(&a, 7);
        assert_eq!(ledger.of(&alice), Total { sessions: 1, bytes: 7 });
        ledger.close(&a);
        ledger.close(&a);
        ledger.holds(&a, 9);
        assert_eq!((ledger.of(&alice), ledger.len()), (Total::default(), 1));
    }
}
