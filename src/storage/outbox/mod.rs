//! Write-behind: writes are durable in a journal on this machine before they are answered, and uploaded later.
//!
//! [`WriteBehind`] is a store of objects over another one, which only one process writes to. What must stay true:
//!
//! - `Ok` means durable in the journal. A crash loses nothing of it; the next start goes on.
//! - Reads and lists see the journal first, and what is behind it second: that is known in memory once the server was
//!   listed, so a push asks the server for nothing.
//! - A write is uploaded after everything that was acknowledged before it began, so the server always has a state that
//!   clients could have seen: never a tag without its manifest, nor a manifest without its blobs. Writes that overlapped
//!   go together, and what relies on nothing goes at once, such as the bytes of blobs: nothing points to them before a
//!   later write does.
//! - A write is forgotten only when the server has it durably, and forgotten durably before the next one of its key is
//!   uploaded.

mod behind;
mod index;
mod journal;
mod lists;
mod objects;
mod reading;
mod status;
#[cfg(test)]
mod tests;
mod upload;
mod waiting;

pub use status::{OutboxItem, OutboxStatus, OutboxWatch};

use crate::{
    files::{Space, Stripes, world},
    storage::objects::{ObjectError, ObjectMeta, ObjectResult, Objects},
};
use index::KeyIndex;
use journal::{Journal, JournalRecord, on_disk};
use std::{
    io,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Mutex as AsyncMutex, Notify};
use waiting::{Waiting, WaitingWrite};

/// How long an object in parts may lie in the journal without growing.
const IDLE_PARTS: Duration = Duration::from_secs(7 * 24 * 3600);

/// How the journal is used.
#[derive(Clone, Copy, Debug)]
pub struct OutboxSettings {
    /// Most bytes that wait; further writes are refused.
    pub most_bytes: u64,
    /// Uploads at once.
    pub at_once: usize,
    /// Whether a key belongs to the bytes of a blob, which are not kept in memory.
    pub is_bulk: fn(&str) -> bool,
    /// Whether what is written to a key may be uploaded before older writes.
    pub is_free: fn(&str) -> bool,
}

/// Objects of another store, written to a journal first.
pub struct WriteBehind<O>(Arc<WriteBehindState<O>>);

/// Clones share the journal.
impl<O> Clone for WriteBehind<O> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// What the callers and the uploads of an outbox share.
struct WriteBehindState<O> {
    inner: O,
    journal: Arc<Journal>,
    settings: OutboxSettings,
    waiting: Mutex<Waiting>,
    turns: Stripes<AsyncMutex<()>>,
    /// Bytes of objects in parts that are not complete.
    growing: AtomicU64,
    /// What the server has.
    index: Mutex<KeyIndex>,
    values: behind::SmallValues,
    /// The room on the server.
    room: Mutex<Option<Space>>,
    /// Something changed: an entry more or less.
    changed: Notify,
    stopping: AtomicBool,
    uploads: AtomicU64,
    uploaded_bytes: AtomicU64,
    failures: AtomicU64,
}

impl<O: Objects> WriteBehind<O> {
    /// Opens the journal in a directory, which this process has for itself from now on. Nothing is uploaded before
    /// [`WriteBehind::start`].
    ///
    /// # Errors
    /// The operating system's, or the journal is damaged or in use.
    pub fn open(inner: O, dir: &Path, settings: OutboxSettings) -> io::Result<Self> {
        let journal = Journal::open(dir)?;
        journal.forget_growing(IDLE_PARTS)?;
        let waiting = Waiting::of(journal.load()?);
        let growing = AtomicU64::new(journal.growing()?);
        if waiting.len() > 0 {
            tracing::info!(
                writes = waiting.len(),
                bytes = waiting.bytes,
                "the journal has writes of an earlier run; uploading them"
            );
        }
        Ok(Self(Arc::new(WriteBehindState {
            inner,
            journal: Arc::new(journal),
            settings,
            waiting: Mutex::new(waiting),
            turns: Stripes::new(1024),
            growing,
            index: Mutex::default(),
            values: behind::small_values(),
            room: Mutex::default(),
            changed: Notify::new(),
            stopping: AtomicBool::new(false),
            uploads: AtomicU64::new(0),
            uploaded_bytes: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        })))
    }

    /// The store behind the journal.
    pub fn inner(&self) -> &O {
        &self.0.inner
    }
}

impl<O> WriteBehindState<O> {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        world::lock(&self.waiting)
    }

    /// The last write of a key that waits.
    fn last(&self, key: &str) -> Option<Arc<WaitingWrite>> {
        self.waiting().last(key).cloned()
    }

    /// Fails if so many bytes more do not fit.
    fn admit(&self, more: u64) -> ObjectResult<()> {
        let held = self.waiting().bytes + self.growing.load(Ordering::Relaxed);
        match held.saturating_add(more) > self.settings.most_bytes {
            true => Err(ObjectError::Full {
                why: format!(
                    "the journal holds {held} of {} bytes that are not uploaded yet",
                    self.settings.most_bytes
                ),
            }),
            false => Ok(()),
        }
    }

    /// Makes a write durable with `append`, and shows it to readers.
    async fn enter(
        self: &Arc<Self>,
        record: JournalRecord,
        append: impl FnOnce(&Journal, u64, &JournalRecord) -> io::Result<()> + Send + 'static,
    ) -> ObjectResult<Option<ObjectMeta>>
    where
        O: Objects,
    {
        self.inner.may_write()?;
        let number = self.waiting().number();
        // A caller that goes away must not leave a durable write that nobody sees until the next start.
        let state = self.clone();
        let entered = tokio::spawn(async move {
            let appended = record.clone();
            on_disk(&state.journal, move |journal| append(journal, number, &appended)).await?;
            let mut waiting = state.waiting();
            waiting.add(number, record);
            let meta = waiting.head_of(number);
            drop(waiting);
            state.changed.notify_waiters();
            Ok(meta)
        });
        entered.await.unwrap_or_else(|_| Err(ObjectError::Other { why: "the daemon is stopping".into() }))
    }
}
