//! Gathering what arrives into batches for the disk.

use super::Interruption;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes on their way in.
pub trait Incoming: Stream<Item = Result<Bytes, Interruption>> + Unpin + Send {}
impl<T: Stream<Item = Result<Bytes, Interruption>> + Unpin + Send> Incoming for T {}

/// Bytes handed to the disk at once, at least: long enough to hash well, short enough to hold many.
pub(super) const BATCH: u64 = 256 << 10;

/// At most, while few send, if so many arrive before the last batch is written: handing one to another
/// thread and back costs some hundred microseconds (docs/performance.md, "Pushes").
const LARGE_BATCH: u64 = 1 << 20;

/// So many are few. Each holds a batch that is written and one that arrives.
const FEW: usize = 8;

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
    /// How many bytes may be gathered for a write now.
    pub(super) fn most(&self) -> u64 {
        if self.0.0.load(Ordering::Relaxed) <= FEW { LARGE_BATCH } else { BATCH }
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
    fn a_write_may_be_large_as_long_as_few_send() {
        let receivers = Receivers::default();
        let mut few: Vec<_> = (0..FEW).map(|_| receivers.enter()).collect();
        assert_eq!(few[0].most(), LARGE_BATCH);
        few.push(receivers.enter());
        assert_eq!(few[0].most(), BATCH);
        few.pop();
        assert_eq!(few[0].most(), LARGE_BATCH, "whoever has ended counts no more");
    }
}
