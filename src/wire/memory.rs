//! A budget for the bytes held in memory for clients: parts of incomplete requests, and responses that clients do not
//! read.
//!
//! Bytes are counted as they arrive, or before they are read from the disk. What does not fit is refused with 503: the
//! newest request waits, and nothing that was accepted is dropped. One client may hold a quarter of the budget, unless
//! it is a trusted proxy.

use bytes::Bytes;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// How much memory all clients together hold, and how much they may hold.
#[derive(Debug)]
pub struct ClientMemory {
    most: AtomicUsize,
    held: AtomicUsize,
}

/// One client may hold this fraction of the budget: a quarter.
const SHARE: usize = 4;

/// How much memory one client holds.
#[derive(Debug)]
pub struct MemoryShare {
    all: Arc<ClientMemory>,
    held: AtomicUsize,
    /// A trusted proxy, which may use the whole budget.
    is_proxy: bool,
}

/// Bytes that count against the budget until this is dropped.
#[derive(Debug)]
pub struct HeldBytes {
    share: Arc<MemoryShare>,
    bytes: usize,
}

/// The budget is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the memory for clients is used up: retry in a few seconds")]
pub struct MemoryUsedUp;

impl ClientMemory {
    /// A budget of `most` bytes.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most: AtomicUsize::new(most), held: AtomicUsize::new(0) })
    }

    /// Changes the budget. Bytes that are held already stay.
    pub fn allow(&self, most: usize) {
        self.most.store(most, Relaxed);
    }

    /// Bytes held now.
    pub fn held(&self) -> usize {
        self.held.load(Relaxed)
    }

    /// The share of a new client.
    pub fn share(self: &Arc<Self>, is_proxy: bool) -> Arc<MemoryShare> {
        Arc::new(MemoryShare { all: self.clone(), held: AtomicUsize::new(0), is_proxy })
    }
}

impl MemoryShare {
    /// Holds no bytes yet; it can grow.
    pub fn nothing(self: &Arc<Self>) -> HeldBytes {
        HeldBytes { share: self.clone(), bytes: 0 }
    }

    /// Takes `bytes` from the budget.
    ///
    /// # Errors
    /// [`MemoryUsedUp`], by all clients or by this one.
    pub fn take(self: &Arc<Self>, bytes: usize) -> Result<HeldBytes, MemoryUsedUp> {
        let mut held = self.nothing();
        held.grow(bytes).map(|()| held)
    }

    /// Takes `bytes` even if there is no room, for work that must continue.
    pub fn take_anyway(self: &Arc<Self>, bytes: usize) -> HeldBytes {
        self.all.held.fetch_add(bytes, Relaxed);
        self.held.fetch_add(bytes, Relaxed);
        HeldBytes { share: self.clone(), bytes }
    }

    /// Whether `bytes` fit now.
    pub fn has_room(&self, bytes: usize) -> bool {
        let most = self.all.most.load(Relaxed);
        self.all.held().saturating_add(bytes) <= most
            && self.held.load(Relaxed).saturating_add(bytes) <= self.most_of(most)
    }

    /// Bytes that all clients together hold now.
    pub fn held_by_all(&self) -> usize {
        self.all.held()
    }

    fn most_of(&self, all: usize) -> usize {
        if self.is_proxy { all } else { all / SHARE }
    }
}

impl HeldBytes {
    /// Takes `bytes` more.
    ///
    /// # Errors
    /// [`MemoryUsedUp`]; nothing changes then.
    pub fn grow(&mut self, bytes: usize) -> Result<(), MemoryUsedUp> {
        let share = &self.share;
        let most = share.all.most.load(Relaxed);
        let own = share.held.fetch_add(bytes, Relaxed).saturating_add(bytes);
        let all = share.all.held.fetch_add(bytes, Relaxed).saturating_add(bytes);
        if all > most || own > share.most_of(most) {
            share.release(bytes);
            return Err(MemoryUsedUp);
        }
        self.bytes += bytes;
        Ok(())
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns all bytes to the budget.
    pub fn clear(&mut self) {
        self.share.release(std::mem::take(&mut self.bytes));
    }

    /// Counts these bytes until their last clone is dropped.
    pub fn until_dropped(self, bytes: Bytes) -> Bytes {
        Bytes::from_owner(Kept { bytes, _held: self })
    }
}

impl MemoryShare {
    fn release(&self, bytes: usize) {
        if bytes > 0 {
            self.held.fetch_sub(bytes, Relaxed);
            self.all.held.fetch_sub(bytes, Relaxed);
        }
    }
}

impl Drop for HeldBytes {
    fn drop(&mut self) {
        self.clear();
    }
}

struct Kept {
    bytes: Bytes,
    _held: HeldBytes,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_gets_a_quarter_of_the_memory_and_a_proxy_all_of_it() {
        let all = ClientMemory::new(400);
        let (one, two, proxy) = (all.share(false), all.share(false), all.share(true));
        let mut held = one.take(99).unwrap();
        held.grow(1).unwrap();
        assert_eq!(held.grow(1), Err(MemoryUsedUp));
        assert_eq!((held.bytes(), all.held()), (100, 100));
        let other = two.take(100).unwrap();
        let rest = proxy.take(200).unwrap();
        assert!(proxy.take(1).is_err() && !proxy.has_room(1));
        let bytes = other.until_dropped(Bytes::from_static(b"x"));
        let copy = bytes.clone();
        drop((rest, bytes));
        assert_eq!(all.held(), 200);
        drop(copy);
        assert!(two.has_room(100) && !two.has_room(101));
        all.allow(80);
        assert!(!proxy.has_room(1), "what is held stays");
        held.clear();
        assert_eq!(all.held(), 0);
        let insisted = one.take_anyway(1000);
        assert_eq!(all.held(), 1000);
        drop(insisted);
        assert!(two.take(20).is_ok());
    }
}
