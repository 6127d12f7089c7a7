//! Gathering what arrives into batches for the disk.

use super::Interruption;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes on their way in.
pub trait Incoming: Stream<Item = Result<Bytes, Interruption>> + Unpin + Send {}
impl<T: Stream<Item = Result<Bytes, Interruption>> + Unpin + Send> Incoming for T {}

/// What all requests together are to hold: each a batch that is written and one that arrives. Each of them may be longer
/// by what one read of its connection brings, and none is to be shorter than [`SMALLEST`].
const HELD: u64 = 16 << 20;

/// Bytes handed to the disk at once, at least: long enough to hash well. Where many send each has its share of
/// [`HELD`], down to what is read from a connection at once.
const BATCH: u64 = 256 << 10;
const SMALLEST: u64 = 64 << 10;

/// At most, while few send, if so many arrive before the last batch is written: handing one to another
/// thread and back costs some hundred microseconds (docs/performance.md, "Pushes").
const LARGE_BATCH: u64 = 1 << 20;

/// Parts of one batch: a client that sends byte by byte costs a handle for each.
const MOST_PARTS: usize = 1024;

/// Requests that bring bytes at this moment.
#[derive(Default)]
pub(super) struct Receivers(AtomicUsize);

impl Receivers {
    /// One more, for as long as what is returned lives.
    pub(super) fn enter(&self) -> Receiver<'_> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Receiver(self)
    }
}

/// One of the [`Receivers`].
pub(super) struct Receiver<'a>(&'a Receivers);

impl Receiver<'_> {
    /// A batch, if all have the same.
    fn share(&self) -> u64 {
        HELD / 2 / self.0.0.load(Ordering::Relaxed).max(1) as u64
    }

    /// How many bytes are gathered for a write, unless no more come.
    pub(super) fn least(&self) -> u64 {
        self.share().clamp(SMALLEST, BATCH)
    }

    /// How many may be gathered while the last ones are written.
    pub(super) fn most(&self) -> u64 {
        self.share().clamp(SMALLEST, LARGE_BATCH)
    }
}

impl Drop for Receiver<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Bytes gathered for one write.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) parts: Vec<Bytes>,
    pub(super) len: u64,
    /// Set when no more follow: the body ended, well or early.
    pub(super) ended: Option<Result<(), Interruption>>,
}

impl Batch {
    /// Adds what arrives until there are `most` bytes or no more follow. What was added stays when this is
    /// dropped before its end.
    pub(super) async fn fill(&mut self, bytes: &mut impl Incoming, most: u64) {
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
    fn a_write_is_large_while_few_send_and_all_of_them_hold_so_much_at_most() {
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
        assert_eq!(all[0].most(), LARGE_BATCH, "whoever has ended counts no more");
    }
}
