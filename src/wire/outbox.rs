//! Pieces of blobs in memory, on their way to one client.
//!
//! Where the kernel does not move the pages, a client that does not read still holds the pieces that were read for it;
//! on HTTP/2, those of every stream. A connection holds at most [`MOST`] bytes of them. Beyond that, or when the memory
//! for clients is used up, each response has one short piece at a time, so that no response waits for the reader of
//! another one.

use super::memory::{HeldBytes, MemoryShare};
use bytes::Bytes;
use futures_util::task::AtomicWaker;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

/// Length of a piece.
const PIECE: usize = 128 << 10;

/// Length of a piece while there is little room.
const SHORT: usize = 16 << 10;

/// Most bytes of pieces that one connection holds.
const MOST: usize = 4 << 20;

/// The pieces of one connection.
pub struct Outbox {
    share: Arc<MemoryShare>,
    held: AtomicUsize,
}

/// The pieces of one response.
pub struct Pieces {
    outbox: Option<Arc<Outbox>>,
    /// Allocated with the first piece.
    own: Option<Arc<Own>>,
}

#[derive(Default)]
struct Own {
    held: AtomicUsize,
    /// Woken when a piece is sent.
    waker: AtomicWaker,
}

/// Room for one piece, taken before it is read and returned when it is sent.
pub struct PieceRoom {
    len: usize,
    outbox: Arc<Outbox>,
    own: Arc<Own>,
    _held: HeldBytes,
}

impl Outbox {
    /// The outbox of a connection, which counts against its client's share.
    pub fn new(share: Arc<MemoryShare>) -> Arc<Self> {
        Arc::new(Self { share, held: AtomicUsize::new(0) })
    }

    /// The client's share of the memory.
    pub fn share(&self) -> &Arc<MemoryShare> {
        &self.share
    }
}

impl Pieces {
    /// No pieces yet. Without an outbox they are not counted.
    pub fn of(outbox: Option<Arc<Outbox>>) -> Self {
        Self { outbox, own: None }
    }

    /// How long the next piece may be; `None` if it has to wait.
    pub fn room(&self) -> Option<u64> {
        let Some(outbox) = &self.outbox else { return Some(PIECE as u64) };
        if outbox.held.load(Ordering::Relaxed) + PIECE <= MOST && outbox.share.has_room(PIECE) {
            return Some(PIECE as u64);
        }
        let has_none = self.own.as_ref().is_none_or(|own| own.held.load(Ordering::Acquire) == 0);
        has_none.then_some(SHORT as u64)
    }

    /// Waits until the next piece may be read.
    pub fn poll_room(&self, cx: &mut Context<'_>) -> Poll<u64> {
        if let Some(len) = self.room() {
            return Poll::Ready(len);
        }
        if let Some(own) = &self.own {
            own.waker.register(cx.waker());
        }
        // A piece may have been sent in the meantime.
        self.room().map_or(Poll::Pending, Poll::Ready)
    }

    /// Takes room for a piece.
    pub fn reserve(&mut self, len: u64) -> Option<PieceRoom> {
        let (outbox, len) = (self.outbox.clone()?, len as usize);
        let own = self.own.get_or_insert_default().clone();
        outbox.held.fetch_add(len, Ordering::Relaxed);
        own.held.fetch_add(len, Ordering::Relaxed);
        let held = outbox.share.take_anyway(len);
        Some(PieceRoom { len, outbox, own, _held: held })
    }
}

impl PieceRoom {
    /// The piece's bytes, counted until their last clone is dropped.
    pub fn filled(self, bytes: Bytes) -> Bytes {
        Bytes::from_owner(Filled { bytes, _place: self })
    }
}

impl Drop for PieceRoom {
    fn drop(&mut self) {
        self.outbox.held.fetch_sub(self.len, Ordering::Relaxed);
        self.own.held.fetch_sub(self.len, Ordering::Release);
        self.own.waker.wake();
    }
}

struct Filled {
    bytes: Bytes,
    _place: PieceRoom,
}

impl AsRef<[u8]> for Filled {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::memory::ClientMemory;
    use std::task::Waker;

    #[test]
    fn a_connection_buffers_a_bounded_amount_and_every_response_progresses() {
        let memory = ClientMemory::new(1 << 30);
        let outbox = Outbox::new(memory.share(false));
        let (mut one, mut two) = (Pieces::of(Some(outbox.clone())), Pieces::of(Some(outbox)));
        let mut held: Vec<_> = (0..MOST / PIECE).map(|_| one.reserve(PIECE as u64).unwrap()).collect();
        assert_eq!((memory.held(), one.room()), (MOST, None));
        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(two.poll_room(&mut cx), Poll::Ready(SHORT as u64), "it has no budget left");
        let short = two.reserve(SHORT as u64);
        assert_eq!(two.poll_room(&mut cx), Poll::Pending);
        drop(short);
        assert_eq!(two.poll_room(&mut cx), Poll::Ready(SHORT as u64));
        held.pop();
        assert_eq!(one.room(), Some(PIECE as u64));
    }

    #[test]
    fn an_exhausted_budget_shortens_the_pieces() {
        let memory = ClientMemory::new(4 * PIECE);
        let mut pieces = Pieces::of(Some(Outbox::new(memory.share(false))));
        let piece = pieces.reserve(PIECE as u64).unwrap();
        assert_eq!(pieces.room(), None);
        drop(piece.filled(Bytes::from_static(b"x")));
        memory.allow(0);
        assert_eq!(pieces.room(), Some(SHORT as u64));
    }
}
