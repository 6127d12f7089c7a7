//! Collects incoming bytes into batches for the disk.

use super::Interruption;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The incoming bytes of a request.
pub trait IncomingBytes: Stream<Item = Result<Bytes, Interruption>> + Unpin + Send {}
impl<T: Stream<Item = Result<Bytes, Interruption>> + Unpin + Send> IncomingBytes for T {}

/// The memory for the batches of all requests together: each has one batch that is written and one that arrives. Each
/// of them may be longer by one read of its connection, and none is shorter than [`SMALLEST`].
const HELD: u64 = 16 << 20;

/// The least number of bytes written at once: enough to hash efficiently. With many senders each gets its share of
/// [`HELD`], down to the size of one read of a connection.
const BATCH: u64 = 256 << 10;
const SMALLEST: u64 = 64 << 10;

/// The most, while few send, if this many arrive before the last batch is written: handing a batch to another thread
/// and back costs some hundred microseconds (docs/performance.md, "Pushes").
const LARGE_BATCH: u64 = 1 << 20;

/// The most parts of one batch: a client that sends byte by byte costs a handle for each.
const MOST_PARTS: usize = 1024;

/// The number of requests that are sending bytes now.
#[derive(Default)]
pub(super) struct Receivers(AtomicUsize);

impl Receivers {
    /// Counts one more for as long as the returned value lives.
    pub(super) fn enter(&self) -> Receiver<'_> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Receiver(self)
    }
}

pub(super) struct Receiver<'a>(&'a Receivers);

impl Receiver<'_> {
    /// The batch size, if all have the same.
    fn share(&self) -> u64 {
        HELD / 2 / self.0.0.load(Ordering::Relaxed).max(1) as u64
    }

    /// How many bytes are collected before a write, unless the body ends first.
    pub(super) fn least(&self) -> u64 {
        self.share().clamp(SMALLEST, BATCH)
    }

    /// How many bytes may be collected while the previous batch is written.
    pub(super) fn most(&self) -> u64 {
        self.share().clamp(SMALLEST, LARGE_BATCH)
    }
}

impl Drop for Receiver<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Bytes collected for one write.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) parts: Vec<Bytes>,
    pub(super) len: u64,
    /// Set when no more follow: the body has ended, completely or early.
    pub(super) ended: Option<Result<(), Interruption>>,
}

impl Batch {
    /// Adds incoming bytes until there are `most` or no more follow. What was added stays if this future is dropped
    /// early.
    pub(super) async fn fill(&mut self, bytes: &mut impl IncomingBytes, most: u64) {
        while self.ended.is_none() && self.len < most && self.parts.len() < MOST_PARTS {
            match bytes.next().await {
                Some(Ok(part)) if part.is_empty() => {}
                Some(Ok(part)) => {
                    self.len += part.len() as u64;
                    self.parts.push(part);
                }
                Some(Err(interruption)) => self.ended = Some(Err(interruption)),
                None => self.ended = Some(Ok(())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_large_while_few_clients_send_and_their_memory_is_bounded() {
        let receivers = Receivers::default();
        let mut all = Vec::new();
        let mut last = (u64::MAX, u64::MAX);
        for n in 1..=1000 {
            all.push(receivers.enter());
            let (least, most) = (all[0].least(), all[0].most());
            assert!(SMALLEST <= least && least <= most && least <= last.0 && most <= last.1);
            assert!(most == SMALLEST || n * (least + most) <= HELD, "{n} hold more");
            assert_eq!((most == LARGE_BATCH, least == BATCH), (n <= 8, n <= 32), "{n}");
            last = (least, most);
        }
        all.truncate(8);
        assert_eq!(all[0].most(), LARGE_BATCH, "requests that have ended do not count");
    }
}
