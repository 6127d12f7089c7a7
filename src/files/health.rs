//! Whether the store may be written.
//!
//! A disk that fails may drop what was written and call the next sync fine, so trouble is not
//! tried again: writes are refused until somebody has looked and started the daemon anew. Reads go
//! on. A mark that has gone (the volume was unmounted, or somebody removed it) refuses them too,
//! and only until it is back.

use super::{sys::Sys, world};
use rustix::io::Errno;
use std::{
    collections::VecDeque,
    io,
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

/// So many failures within this time are no accident.
const FAILURES: usize = 3;
const WITHIN: Duration = Duration::from_secs(60);

/// The mark is looked for this often, in milliseconds.
const LOOK_EVERY: u64 = 1000;

/// Why a write was refused, as the source of an [`io::Error`] of the kind `ReadOnlyFilesystem`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// What is known of the disk's health.
#[derive(Default)]
pub(super) struct Health {
    /// What went wrong for good.
    trouble: OnceLock<String>,
    /// When writes failed lately.
    failures: Mutex<VecDeque<Duration>>,
    /// A file without which nothing is written.
    mark: OnceLock<&'static str>,
    /// When it was looked for last, in milliseconds; zero before the first time.
    looked: AtomicU64,
    missing: AtomicBool,
}

impl Health {
    /// From now on nothing is written unless this file is there.
    pub(super) fn demand(&self, mark: &'static str) {
        let _ = self.mark.set(mark);
    }

    /// Whether something may be written.
    ///
    /// # Errors
    /// [`Refused`] where not.
    pub(super) fn permit<S: Sys>(&self, sys: &S) -> io::Result<()> {
        if let Some(mark) = self.mark.get() {
            self.look(sys, mark)?;
        }
        self.why().map_or(Ok(()), |why| Err(io::Error::new(io::ErrorKind::ReadOnlyFilesystem, Refused(why))))
    }

    /// Why nothing may be written at the moment.
    pub(super) fn why(&self) -> Option<String> {
        if let Some(trouble) = self.trouble.get() {
            return Some(trouble.clone());
        }
        let mark = self.mark.get().filter(|_| self.missing.load(Ordering::Acquire));
        mark.map(|mark| format!("{mark} is missing: is the volume mounted?"))
    }

    fn look<S: Sys>(&self, sys: &S, mark: &str) -> io::Result<()> {
        let now = world::uptime().as_millis() as u64 + 1;
        let before = self.looked.load(Ordering::Acquire);
        let is_fresh = before != 0 && now.saturating_sub(before) < LOOK_EVERY;
        if is_fresh || self.looked.compare_exchange(before, now, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            return Ok(());
        }
        let missing = match sys.meta(mark) {
            Ok(_) => false,
            Err(e) if e.kind() == io::ErrorKind::NotFound => true,
            Err(e) => {
                // Not known, so not to be relied on: the next write looks again.
                self.looked.store(0, Ordering::Release);
                return Err(e);
            }
        };
        match (self.missing.swap(missing, Ordering::AcqRel), missing) {
            (false, true) => tracing::error!(
                "{mark} is missing from the storage directory: all writes are refused until it is back; pulls continue"
            ),
            (true, false) => tracing::warn!("{mark} is back: writes are accepted again"),
            _ => {}
        }
        Ok(())
    }

    /// Takes note of what came of a write.
    pub(super) fn wrote<T>(&self, written: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &written
            && Errno::from_io_error(error) == Some(Errno::IO)
        {
            let now = world::uptime();
            let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
            failures.push_back(now);
            failures.retain(|at| now.saturating_sub(*at) < WITHIN);
            if failures.len() >= FAILURES {
                self.give_up(format!("the disk failed {FAILURES} times within a minute; last error: {error}"));
            }
        }
        written
    }

    /// Takes note of what came of a directory's sync. Names that were said to be durable may not
    /// be, and nobody can tell which.
    pub(super) fn synced(&self, dir: &str, synced: io::Result<()>) -> io::Result<()> {
        if let Err(error) = &synced
            && !is_passing(error)
        {
            self.give_up(format!("cannot sync the directory {dir}: {error}"));
        }
        synced
    }

    fn give_up(&self, why: String) {
        if self.trouble.set(why).is_ok()
            && let Some(why) = self.trouble.get()
        {
            tracing::error!(
                "the store is read-only until a restart: {why}; pulls continue; check the disk before you restart"
            );
        }
    }
}

/// Failures that say nothing of the disk: the directory is gone, there is no room for what the file
/// system had put off, or it could not even be opened for want of something else.
fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind as K;
    let kinds = [K::NotFound, K::StorageFull, K::QuotaExceeded, K::Interrupted, K::OutOfMemory, K::PermissionDenied];
    kinds.contains(&error.kind()) || matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}
