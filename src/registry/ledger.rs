//! How many upload sessions are open, whose they are and what they hold.

use crate::oci::UploadId;
use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Who a session belongs to; `None` is everybody who is not logged in.
pub(super) type Owner = Option<String>;

/// The open sessions this process knows of. Those of an earlier process join as they are met.
#[derive(Default)]
pub(super) struct Ledger(Mutex<Book>);

#[derive(Default)]
struct Book {
    sessions: HashMap<UploadId, (Owner, u64)>,
    owners: HashMap<Owner, Total>,
}

/// What one owner has open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Total {
    pub(super) sessions: usize,
    pub(super) bytes: u64,
}

impl Ledger {
    pub(super) fn len(&self) -> usize {
        self.book().sessions.len()
    }

    pub(super) fn sessions(&self) -> HashSet<UploadId> {
        self.book().sessions.keys().copied().collect()
    }

    pub(super) fn of(&self, owner: &Owner) -> Total {
        self.book().owners.get(owner).copied().unwrap_or_default()
    }

    /// Enters a session if `allows` the totals, over all and of its owner, as they would be.
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

    /// A session holds this many bytes now.
    pub(super) fn holds(&self, id: UploadId, owner: &Owner, bytes: u64) {
        self.book().set(id, owner, bytes);
    }

    /// A session is over.
    pub(super) fn close(&self, id: &UploadId) {
        self.book().remove(id);
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn set(&mut self, id: UploadId, owner: &Owner, bytes: u64) {
        self.remove(&id);
        self.sessions.insert(id, (owner.clone(), bytes));
        let total = self.owners.entry(owner.clone()).or_default();
        total.sessions += 1;
        total.bytes += bytes;
    }

    fn remove(&mut self, id: &UploadId) {
        let Some((owner, bytes)) = self.sessions.remove(id) else { return };
        if let Some(total) = self.owners.get_mut(&owner) {
            total.sessions -= 1;
            total.bytes -= bytes;
            if total.sessions == 0 {
                self.owners.remove(&owner);
            }
        }
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
        ledger.holds(a, &alice, 10);
        ledger.holds(a, &alice, 7);
        assert_eq!(ledger.of(&alice), Total { sessions: 1, bytes: 7 });
        ledger.close(&a);
        ledger.close(&a);
        assert_eq!((ledger.of(&alice), ledger.len()), (Total::default(), 1));
    }
}
