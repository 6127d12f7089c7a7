//! Log lines go into a queue, and a thread writes them from there to stdout.
//!
//! Logging never blocks. If nobody reads stdout, the queue fills up; then lines are dropped and counted, and a line
//! reports the number once stdout accepts lines again.

use std::{
    cell::{Cell, RefCell},
    io::{self, Write},
    mem,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// The most bytes a thread holds back before it puts its lines into the queue.
const MOST_HELD: usize = 16 << 10;

/// The writer pauses this long after each write: lines that arrive meanwhile are written together, and wake no
/// thread.
const PAUSE: Duration = Duration::from_millis(1);

/// The least time between two lines that report dropped lines.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// A longer buffer is freed when it is empty.
const MOST_KEPT: usize = 256 << 10;

static QUEUE: LineQueue = LineQueue::new();

/// Log lines queued for stdout.
struct LineQueue {
    waiting: Mutex<WaitingLines>,
    /// Signals the writer that there are lines.
    filled: Condvar,
    /// Signals that the writer has written everything it took.
    written: Condvar,
    /// The most bytes queued.
    most_bytes: AtomicUsize,
    dropped: AtomicU64,
    has_writer: AtomicBool,
}

struct WaitingLines {
    text: Vec<u8>,
    lines: u64,
    /// Bytes that the writer has taken and not yet written.
    taken: usize,
    /// Whether the writer waits for lines.
    is_idle: bool,
}

impl LineQueue {
    const fn new() -> Self {
        Self {
            waiting: Mutex::new(WaitingLines { text: Vec::new(), lines: 0, taken: 0, is_idle: false }),
            filled: Condvar::new(),
            written: Condvar::new(),
            most_bytes: AtomicUsize::new(4 << 20),
            dropped: AtomicU64::new(0),
            has_writer: AtomicBool::new(false),
        }
    }

    fn lock(&self) -> MutexGuard<'_, WaitingLines> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues whole lines, or drops them if there is no room.
    fn push(&self, text: &[u8], lines: u64) {
        let mut waiting = self.lock();
        if waiting.taken + waiting.text.len() + text.len() > self.most_bytes.load(Ordering::Relaxed) {
            self.dropped.fetch_add(lines, Ordering::Relaxed);
            return;
        }
        waiting.text.extend_from_slice(text);
        waiting.lines += lines;
        if mem::take(&mut waiting.is_idle) {
            drop(waiting);
            self.filled.notify_one();
        }
    }

    /// Writes queued lines forever. `report` returns how many lines have been dropped since it was last called.
    fn write_to(&self, out: &mut impl Write, report: impl Fn(u64)) {
        let (mut text, mut reported, mut at) = (Vec::new(), 0, None::<Instant>);
        loop {
            let is_due = at.is_none_or(|at| at.elapsed() >= REPORT_EVERY);
            if self.dropped.load(Ordering::Relaxed) > reported && is_due {
                let dropped = self.dropped.load(Ordering::Relaxed);
                report(dropped - reported);
                (reported, at) = (dropped, Some(Instant::now()));
            }
            let lines = self.take(&mut text);
            // There is nowhere to report that writing failed.
            if !text.is_empty() && out.write_all(&text).and_then(|()| out.flush()).is_err() {
                self.dropped.fetch_add(lines, Ordering::Relaxed);
            }
            text.clear();
            text.shrink_to(MOST_KEPT);
            self.lock().taken = 0;
            self.written.notify_all();
            thread::sleep(PAUSE);
        }
    }

    /// Waits a while for lines, and takes them. Returns how many there are.
    fn take(&self, text: &mut Vec<u8>) -> u64 {
        let mut waiting = self.lock();
        if waiting.text.is_empty() {
            waiting.is_idle = true;
            let waited = self.filled.wait_timeout_while(waiting, REPORT_EVERY, |waiting| waiting.is_idle);
            waiting = waited.unwrap_or_else(PoisonError::into_inner).0;
            waiting.is_idle = false;
        }
        mem::swap(&mut waiting.text, text);
        waiting.taken = text.len();
        mem::take(&mut waiting.lines)
    }

    /// Waits briefly until everything is written, and returns whether it is.
    fn flush(&self, most: Duration) -> bool {
        let waiting = self.lock();
        let is_busy = |waiting: &mut WaitingLines| waiting.taken > 0 || !waiting.text.is_empty();
        let (mut waiting, _) =
            self.written.wait_timeout_while(waiting, most, is_busy).unwrap_or_else(PoisonError::into_inner);
        !is_busy(&mut waiting)
    }
}

/// Starts the writer thread. Before that, or if it cannot be started, each thread writes its own lines.
pub(super) fn start_writer() {
    let write = || {
        IS_WRITER.set(true);
        QUEUE.write_to(&mut io::stdout(), |dropped| {
            tracing::warn!(dropped, "log lines were dropped: stdout was not read fast enough");
        });
    };
    if !QUEUE.has_writer.swap(true, Ordering::AcqRel) {
        let started = thread::Builder::new().name("log".to_owned()).spawn(write);
        QUEUE.has_writer.store(started.is_ok(), Ordering::Release);
    }
}

/// Limits the number of bytes in the queue.
pub(super) fn set_most_bytes(bytes: usize) {
    QUEUE.most_bytes.store(bytes, Ordering::Relaxed);
}

/// The number of log lines dropped so far because nobody read stdout fast enough.
pub(in crate::cli) fn lines_dropped() -> u64 {
    QUEUE.dropped.load(Ordering::Relaxed)
}

/// Waits until everything logged so far is written, but no longer than this, because nobody may be reading stdout.
pub(in crate::cli) fn flush(most: Duration) {
    before_waiting();
    if QUEUE.has_writer.load(Ordering::Acquire) {
        QUEUE.flush(most);
    }
}

thread_local! {
    /// Held lines of a thread that calls [`before_waiting`] when it is idle; `None` for all others.
    static HELD: RefCell<Option<HeldLines>> = const { RefCell::new(None) };
    /// Whether this is the writer thread: its own lines go to stdout directly.
    static IS_WRITER: Cell<bool> = const { Cell::new(false) };
}

/// The held lines of one thread, queued at the latest when it ends.
#[derive(Default)]
struct HeldLines {
    text: Vec<u8>,
    lines: u64,
}

impl HeldLines {
    fn take_in(&mut self, line: &[u8], is_urgent: bool, put: impl FnOnce(&[u8], u64)) {
        self.text.extend_from_slice(line);
        self.lines += 1;
        if is_urgent || self.text.len() >= MOST_HELD {
            self.put(put);
        }
    }

    fn put(&mut self, put: impl FnOnce(&[u8], u64)) {
        if !self.text.is_empty() {
            put(&self.text, self.lines);
            self.text.clear();
            self.lines = 0;
        }
    }
}

impl Drop for HeldLines {
    fn drop(&mut self) {
        self.put(enqueue);
    }
}

fn enqueue(text: &[u8], lines: u64) {
    if QUEUE.has_writer.load(Ordering::Acquire) && !IS_WRITER.get() {
        QUEUE.push(text, lines);
    } else {
        // There is nowhere else to report that writing failed.
        let _ = io::stdout().write_all(text);
    }
}

/// Queues the lines of this thread. A thread that calls this whenever it is idle holds its lines until then: if a
/// busy thread queued each line separately, it would spend its time on the lock.
pub(in crate::cli) fn before_waiting() {
    HELD.with_borrow_mut(|held| held.get_or_insert_default().put(enqueue));
}

/// Stdout, through the queue.
pub(super) struct Out;

pub(super) struct QueuedLine {
    /// The process may end before the writer reaches this line.
    is_urgent: bool,
}

impl<'w> MakeWriter<'w> for Out {
    type Writer = QueuedLine;

    fn make_writer(&'w self) -> QueuedLine {
        QueuedLine { is_urgent: true }
    }

    fn make_writer_for(&'w self, meta: &Metadata<'_>) -> QueuedLine {
        QueuedLine { is_urgent: *meta.level() <= Level::WARN }
    }
}

impl Write for QueuedLine {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        HELD.with_borrow_mut(|held| match held {
            Some(held) => held.take_in(line, self.is_urgent, enqueue),
            None => enqueue(line, 1),
        });
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
