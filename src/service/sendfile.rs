//! Sending a file's pages without reading them, beneath hyper.
//!
//! A body yields a *marker*: a frame of zeros of the right length, and queues the file's window
//! in the connection's [`Slot`]. The connection's IO knows the marker by its address and sends the
//! window by `sendfile(2)` in its place; hyper counts lengths and keeps connections as ever.
//!
//! A marker that reached any other writer would send zeros. So it cannot be made without a slot,
//! the server makes a slot only where it chose plain HTTP/1.1 itself, and that connection's IO
//! refuses a marker anywhere but at the head of a vectored write.
//!
//! A body with a slot goes on like this: while bytes are left, take the next [`WINDOW`] of them at
//! most; unless [`is_warm`], have them brought into memory on the blocking pool
//! ([`files::warm`]); yield what [`Slot::window`] returns. Dropped before its
//! end it calls [`Slot::clear`]. The marker frame is passed on as it is: a layer that copied it
//! would send zeros.
//!
//! Windows are small: hyper writes several without giving the thread away, and a large one keeps
//! every other connection waiting. Pages that are not in memory make the kernel wait for the disk
//! on the reactor's thread, so a body first asks [`is_warm`] and has cold ones brought in elsewhere.

use crate::files;
use bytes::Bytes;
use std::{
    collections::VecDeque,
    fs::File,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// Most bytes of one window.
pub const WINDOW: usize = 256 << 10;

/// What markers point into; never written nor read.
static MARK: [u8; WINDOW] = [0; WINDOW];

/// The windows of one connection that are to be sent, in order.
#[derive(Default)]
pub struct Slot {
    queue: Mutex<VecDeque<Window>>,
    /// A response ended half way: nothing more may go out on this connection.
    cut: AtomicBool,
}

/// A run of a file's bytes.
pub struct Window {
    /// The file.
    pub file: Arc<File>,
    /// Where the window begins.
    pub offset: u64,
    /// How long it is.
    pub len: usize,
    /// Another window follows it, with nothing between them.
    pub more: bool,
}

impl Slot {
    /// Queues a window of at most [`WINDOW`] bytes and returns the marker that stands for it.
    pub fn window(&self, window: Window) -> Bytes {
        let len = window.len.min(WINDOW);
        self.queue().push_back(Window { len, ..window });
        Bytes::from_static(&MARK[..len])
    }

    /// The body that queued these windows ended before its length. If some were not sent yet, the
    /// connection is of no more use: what was promised cannot be. (The answer to a HEAD has its
    /// body dropped too, but none of it was queued.)
    pub fn clear(&self) {
        let mut queue = self.queue();
        if !queue.is_empty() {
            self.cut.store(true, Ordering::Release);
            queue.clear();
        }
    }

    /// Whether [`Slot::clear`] was called.
    pub fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Acquire)
    }

    /// The first window, to be sent or advanced.
    pub fn queue(&self) -> MutexGuard<'_, VecDeque<Window>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether these bytes are a marker, or a rest of one.
pub fn is_marker(bytes: &[u8]) -> bool {
    let mark = MARK.as_ptr_range();
    !bytes.is_empty() && mark.contains(&bytes.as_ptr())
}

/// Whether a file's bytes can be had without waiting for the disk: the first, middle and last
/// page of the run are in memory. Where the system cannot tell, they are not. The first is not
/// asked for if the run `follows` one whose last page was.
pub fn is_warm(file: &File, offset: u64, len: u64, follows: bool) -> bool {
    let present = |at| files::read_now(file, &mut [0], at) == 1;
    let last = offset + len.saturating_sub(1);
    (follows || present(offset)) && present(offset + len / 2) && present(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_known_by_its_address_and_not_by_its_bytes() {
        let file = Arc::new(tempfile::tempfile().unwrap());
        let slot = Slot::default();
        let marker = slot.window(Window { file, offset: 0, len: WINDOW + 1, more: false });
        assert_eq!(marker.len(), WINDOW);
        assert!(is_marker(&marker) && is_marker(&marker[WINDOW - 1..]));
        assert!(!is_marker(&[0; 100]) && !is_marker(&[]));
        assert_eq!(slot.queue().len(), 1);
        slot.clear();
        assert!(slot.is_cut() && slot.queue().is_empty());
        let unused = Slot::default();
        unused.clear();
        assert!(!unused.is_cut(), "nothing was promised");
    }
}
