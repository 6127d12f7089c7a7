//! Sending a file's pages without reading them, below hyper.
//!
//! A body yields a *marker*, which is a frame of zeros of the right length, and queues the window of the file in the
//! connection's [`SendfileSlot`]. The connection's IO recognises the marker by its address and sends the window with
//! `sendfile(2)` instead. hyper still counts lengths and keeps connections alive as usual.
//!
//! A marker that reached any other writer would send zeros. So a marker cannot be made without a slot, the server makes
//! a slot only where it chose plain HTTP/1.1 itself, and that connection's IO refuses a marker anywhere but at the
//! start of a vectored write.
//!
//! A body with a slot works like this. While bytes are left, it takes the next [`WINDOW`] of them at most. Unless
//! [`is_warm`], it has them read into memory on the blocking pool ([`files::warm`]). Then it yields what
//! [`SendfileSlot::window`] returns. If it is dropped before its end, it calls [`SendfileSlot::clear`]. Every layer must pass the
//! marker frame on as it is: a layer that copied it would send zeros.
//!
//! Windows are small: hyper writes several without yielding the thread, and a large one delays every other connection.
//! Pages that are not in memory would make the kernel wait for the disk on the reactor's thread, so a body first asks
//! [`is_warm`] and has cold ones read by another thread.

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

/// Largest window in bytes.
pub const WINDOW: usize = 256 << 10;

/// Markers point into this; its bytes are never written or read.
static MARK: [u8; WINDOW] = [0; WINDOW];

/// The windows that one connection still has to send, in order.
#[derive(Default)]
pub struct SendfileSlot {
    queue: Mutex<VecDeque<Window>>,
    /// A response was cut short: nothing more may be sent on this connection.
    cut: AtomicBool,
}

/// A range of a file.
pub struct Window {
    pub file: Arc<File>,
    /// Offset of the window in the file.
    pub offset: u64,
    /// Length in bytes.
    pub len: usize,
    /// Another window follows immediately.
    pub more: bool,
}

impl SendfileSlot {
    /// Queues a window of at most [`WINDOW`] bytes and returns the marker that stands for it.
    pub fn window(&self, window: Window) -> Bytes {
        let len = window.len.min(WINDOW);
        self.queue().push_back(Window { len, ..window });
        Bytes::from_static(&MARK[..len])
    }

    /// Called when a body that queued windows is dropped before its end. If some were not sent yet, the connection
    /// cannot be used any more: the announced length cannot be met. (The body of a HEAD response is dropped too, but it
    /// queued none.)
    pub fn clear(&self) {
        let mut queue = self.queue();
        if !queue.is_empty() {
            self.cut.store(true, Ordering::Release);
            queue.clear();
        }
    }

    /// Whether [`SendfileSlot::clear`] was called.
    pub fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Acquire)
    }

    /// The queued windows. The first one is the next to be sent.
    pub fn queue(&self) -> MutexGuard<'_, VecDeque<Window>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether these bytes are a marker, or the rest of one.
pub fn is_marker(bytes: &[u8]) -> bool {
    let mark = MARK.as_ptr_range();
    !bytes.is_empty() && mark.contains(&bytes.as_ptr())
}

/// Whether a range of a file can be read without waiting for the disk: its first, middle and last page are in memory.
/// `false` where the system cannot tell. The first page is not checked if the range `follows` one whose last page was.
pub fn is_warm(file: &File, offset: u64, len: u64, follows: bool) -> bool {
    let present = |at| files::read_now(file, &mut [0], at) == 1;
    let last = offset + len.saturating_sub(1);
    (follows || present(offset)) && present(offset + len / 2) && present(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_recognised_by_its_address_and_not_by_its_bytes() {
        let file = Arc::new(tempfile::tempfile().unwrap());
        let slot = SendfileSlot::default();
        let marker = slot.window(Window { file, offset: 0, len: WINDOW + 1, more: false });
        assert_eq!(marker.len(), WINDOW);
        assert!(is_marker(&marker) && is_marker(&marker[WINDOW - 1..]));
        assert!(!is_marker(&[0; 100]) && !is_marker(&[]));
        assert_eq!(slot.queue().len(), 1);
        slot.clear();
        assert!(slot.is_cut() && slot.queue().is_empty());
        let unused = SendfileSlot::default();
        unused.clear();
        assert!(!unused.is_cut(), "nothing was promised");
    }
}
