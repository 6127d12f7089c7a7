//! Where log lines go: into a queue, and from there to stdout by a thread of its own.
//!
//! Whoever logs never waits. While nobody reads stdout the queue fills up; then lines are dropped and counted, and a
//! line says so once stdout takes lines again.

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

/// What a thread holds back before it puts its lines into the queue, whatever it has to do.
const MOST_HELD: usize = 16 << 10;

/// The writer pauses so long after each write: what comes meanwhile is written at once, and wakes nobody.
const PAUSE: Duration = Duration::from_millis(1);

/// Between two lines that say how many were dropped there is at least this time.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// An empty buffer that is longer is given back to the system.
const MOST_KEPT: usize = 256 << 10;

static QUEUE: Queue = Queue::new();

/// Lines on their way to stdout.
struct Queue {
    waiting: Mutex<Waiting>,
    /// There are lines for the writer.
    filled: Condvar,
    /// The writer has written what it had.
    written: Condvar,
    /// Most bytes on their way.
    most_bytes: AtomicUsize,
    dropped: AtomicU64,
    has_writer: AtomicBool,
}

struct Waiting {
    text: Vec<u8>,
    lines: u64,
    /// Bytes the writer has taken and not written yet.
    taken: usize,
    /// The writer waits for lines.
    is_idle: bool,
}

impl Queue {
    const fn new() -> Self {
        Self {
            waiting: Mutex::new(Waiting { text: Vec::new(), lines: 0, taken: 0, is_idle: false }),
            filled: Condvar::new(),
            written: Condvar::new(),
            most_bytes: AtomicUsize::new(4 << 20),
            dropped: AtomicU64::new(0),
            has_writer: AtomicBool::new(false),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes whole lines, or drops them if there is no room.
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

    /// Writes what comes, for ever. `report` says how many lines have been dropped since it was last called.
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
            // Nobody is left to be told that it failed.
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

    /// Waits a while for lines, and takes them. How many there are.
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

    /// Waits until everything is written, but not for long. Whether it is.
    fn flush(&self, most: Duration) -> bool {
        let waiting = self.lock();
        let is_busy = |waiting: &mut Waiting| waiting.taken > 0 || !waiting.text.is_empty();
        let (mut waiting, _) =
            self.written.wait_timeout_while(waiting, most, is_busy).unwrap_or_else(PoisonError::into_inner);
        !is_busy(&mut waiting)
    }
}

/// Starts the thread that writes. Until then, and where there can be none, whoever logs writes.
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

/// Limits the bytes that wait to be written.
pub(super) fn set_most_bytes(bytes: usize) {
    QUEUE.most_bytes.store(bytes, Ordering::Relaxed);
}

/// Log lines that were dropped so far, because nobody read stdout fast enough.
pub(in crate::cli) fn lines_dropped() -> u64 {
    QUEUE.dropped.load(Ordering::Relaxed)
}

/// Waits until what was logged is written, but no longer than this: nobody may read stdout.
pub(in crate::cli) fn flush(most: Duration) {
    before_waiting();
    if QUEUE.has_writer.load(Ordering::Acquire) {
        QUEUE.flush(most);
    }
}

thread_local! {
    /// Lines of a thread that tells when it has nothing left to do; `None` for all others.
    static HELD: RefCell<Option<Held>> = const { RefCell::new(None) };
    /// This is the thread that writes: what it logs itself goes to stdout at once.
    static IS_WRITER: Cell<bool> = const { Cell::new(false) };
}

/// Lines of one thread, put into the queue when it ends at the latest.
#[derive(Default)]
struct Held {
    text: Vec<u8>,
    lines: u64,
}

impl Held {
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

impl Drop for Held {
    fn drop(&mut self) {
        self.put(enqueue);
    }
}

fn enqueue(text: &[u8], lines: u64) {
    if QUEUE.has_writer.load(Ordering::Acquire) && !IS_WRITER.get() {
        QUEUE.push(text, lines);
    } else {
        // There is no other place to say that it failed.
        let _ = io::stdout().write_all(text);
    }
}

/// Puts the lines of this thread into the queue. A thread that calls this whenever it has nothing left to do holds its
/// lines until then: a busy one that put each line there by itself would spend its time on the lock.
pub(in crate::cli) fn before_waiting() {
    HELD.with_borrow_mut(|held| held.get_or_insert_default().put(enqueue));
}

/// Stdout, by way of the queue.
pub(super) struct Out;

pub(super) struct Line {
    /// The process may not live long enough to get to the end of its turn.
    is_urgent: bool,
}

impl<'w> MakeWriter<'w> for Out {
    type Writer = Line;

    fn make_writer(&'w self) -> Line {
        Line { is_urgent: true }
    }

    fn make_writer_for(&'w self, meta: &Metadata<'_>) -> Line {
        Line { is_urgent: *meta.level() <= Level::WARN }
    }
}

impl Write for Line {
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
