//! Whether the store may be written.
//!
//! A failing disk may drop what was written and report success for the next sync, so nothing is retried: writes are
//! refused until somebody has checked the disk and restarted the daemon. Reads continue. Writes are also refused while
//! the mark is missing (the volume was unmounted, or somebody removed the file), but only until it is back.

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

/// This many failures within this time are not a coincidence.
const FAILURES: usize = 3;
const WITHIN: Duration = Duration::from_secs(60);

/// Time between two checks of the mark, in milliseconds.
const LOOK_EVERY: u64 = 1000;

/// Why a write was refused, as the source of an [`io::Error`] of the kind `ReadOnlyFilesystem`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WriteRefused(pub String);

/// What is known of the disk's health.
#[derive(Default)]
pub(super) struct DiskHealth {
    /// The permanent failure, once there is one.
    trouble: OnceLock<String>,
    /// When writes failed recently.
    failures: Mutex<VecDeque<Duration>>,
    /// Without this file nothing is written.
    mark: OnceLock<&'static str>,
    /// When it was last checked, in milliseconds; zero before the first check.
    looked: AtomicU64,
    missing: AtomicBool,
}

impl DiskHealth {
    /// Refuses writes from now on while this file does not exist.
    pub(super) fn require(&self, mark: &'static str) {
        let _ = self.mark.set(mark);
    }

    /// Checks that writing is allowed.
    ///
    /// # Errors
    /// [`WriteRefused`] if it is not.
    pub(super) fn permit<S: Sys>(&self, sys: &S) -> io::Result<()> {
        if let Some(mark) = self.mark.get() {
            self.check_mark(sys, mark)?;
        }
        self.why().map_or(Ok(()), |why| Err(io::Error::new(io::ErrorKind::ReadOnlyFilesystem, WriteRefused(why))))
    }

    /// Why writing has stopped, if it has.
    pub(super) fn why(&self) -> Option<String> {
        if let Some(trouble) = self.trouble.get() {
            return Some(trouble.clone());
        }
        let mark = self.mark.get().filter(|_| self.missing.load(Ordering::Acquire));
        mark.map(|mark| format!("{mark} is missing: is the volume mounted?"))
    }

    fn check_mark<S: Sys>(&self, sys: &S, mark: &str) -> io::Result<()> {
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
                // Unknown, so not to be relied on: the next write checks again.
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

    pub(super) fn record_write<T>(&self, written: io::Result<T>) -> io::Result<T> {
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

    /// Records the result of a directory's sync. After a failure, names that were reported as durable may not be, and
    /// nobody can tell which.
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

/// Failures that say nothing about the disk: the directory is gone, there is no space for what the file system had
/// postponed, or the directory could not even be opened for lack of some other resource.
fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind as K;
    let room = [K::StorageFull, K::QuotaExceeded, K::FileTooLarge, K::OutOfMemory];
    let kinds = [K::NotFound, K::Interrupted, K::PermissionDenied];
    room.contains(&error.kind())
        || kinds.contains(&error.kind())
        || matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}
