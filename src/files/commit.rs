//! Shared directory syncs, and what is known about names that are not durable yet.
//!
//! While a directory is being synced, everybody who needs it next waits for one following sync: the first of them syncs
//! for all, and all get its result. A sync that has already begun does not count, because it may have passed their
//! names already.
//!
//! A name that is visible is not yet durable: its writer may still be syncing the directory, or may have been killed
//! before. So whoever acknowledges their own writes first settles what these rely on (`AtomicFiles::settle`). This module
//! knows which directories have names that no sync has covered, so settling usually costs nothing.

use super::world;
use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// How many directories are remembered. A forgotten one is synced once more than necessary.
const MOST_KNOWN: usize = 65_536;

/// The directories in which names change.
#[derive(Default)]
pub(super) struct Directories {
    lines: Mutex<HashMap<String, Arc<DirectorySyncs>>>,
    /// How many callers were served by the sync of another.
    shared: AtomicU64,
}

#[derive(Default)]
struct DirectorySyncs {
    state: Mutex<SyncState>,
    changed: Condvar,
}

#[derive(Default)]
struct SyncState {
    /// A sync is running.
    running: bool,
    /// The sync that new callers have to wait for.
    next: Arc<Round>,
    /// Names being added or removed at this moment: they may be visible already.
    naming: usize,
    /// Names added or removed so far.
    names: u64,
    /// How many of those the last successful sync covered; `None` before the first.
    durable: Option<u64>,
}

/// The result of one sync.
type Round = OnceLock<Result<(), SharedError>>;

/// An error that several callers get.
#[derive(Clone)]
struct SharedError {
    kind: io::ErrorKind,
    code: Option<i32>,
    text: String,
}

enum Turn {
    /// Do the sync, which covers this many names.
    Lead(u64),
    /// Another caller has done it.
    Done(Result<(), SharedError>),
}

impl Directories {
    /// Runs `naming`, which puts a name into `dir`.
    pub(super) fn naming<T>(&self, dir: &str, naming: impl FnOnce() -> T) -> T {
        let line = self.line(dir);
        // Before and after: whoever sees the name must find it counted, and a sync that began before the name existed
        // must not count as covering it.
        line.state().naming += 1;
        let named = naming();
        let mut state = line.state();
        state.naming -= 1;
        state.names += 1;
        named
    }

    /// Runs `removing`, which takes a name out of `dir`: whoever sees that it is missing may have to make that durable.
    /// Nothing is remembered of a directory that nobody syncs.
    pub(super) fn removing<T>(&self, dir: &str, removing: impl FnOnce() -> T) -> T {
        let known = || self.lines().get(dir).cloned();
        match known() {
            Some(_) => self.naming(dir, removing),
            None => {
                let removed = removing();
                if let Some(line) = known() {
                    line.state().names += 1;
                }
                removed
            }
        }
    }

    /// Makes the names that are in `dir` now durable, by `sync` or by the sync of another caller.
    pub(super) fn sync(&self, dir: &str, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let line = self.line(dir);
        let round = line.state().next.clone();
        let turn = world::wait(
            || line.state().turn(&round),
            || {
                let mut state = line.state();
                loop {
                    match state.turn(&round) {
                        Some(turn) => return turn,
                        None => state = line.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                    }
                }
            },
        );
        let covered = match turn {
            Turn::Lead(covered) => covered,
            Turn::Done(outcome) => {
                self.shared.fetch_add(1, Ordering::Relaxed);
                return outcome.map_err(SharedError::error);
            }
        };
        let outcome = sync();
        let mut state = line.state();
        state.running = false;
        if outcome.is_ok() {
            state.durable = Some(covered);
        }
        let _ = round.set(outcome.as_ref().copied().map_err(SharedError::of));
        line.changed.notify_all();
        outcome
    }

    /// Whether every name in `dir` is known to be durable.
    pub(super) fn are_durable(&self, dir: &str) -> bool {
        let state = |line: &Arc<DirectorySyncs>| {
            let state = line.state();
            state.naming == 0 && state.durable == Some(state.names)
        };
        self.lines().get(dir).is_some_and(state)
    }

    /// Forgets all that was known to be durable.
    pub(super) fn forget(&self) {
        for line in self.lines().values() {
            line.state().durable = None;
        }
    }

    pub(super) fn shared(&self) -> u64 {
        self.shared.load(Ordering::Relaxed)
    }

    fn line(&self, dir: &str) -> Arc<DirectorySyncs> {
        let mut lines = self.lines();
        if let Some(line) = lines.get(dir) {
            return line.clone();
        }
        if lines.len() >= MOST_KNOWN {
            // Directories in use stay.
            lines.retain(|_, line| Arc::strong_count(line) > 1);
        }
        lines.entry(dir.to_owned()).or_default().clone()
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<String, Arc<DirectorySyncs>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DirectorySyncs {
    /// Never held during a system call.
    fn state(&self) -> MutexGuard<'_, SyncState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SyncState {
    /// What a caller that waits for `round` has to do; `None` if they have to wait.
    fn turn(&mut self, round: &Arc<Round>) -> Option<Turn> {
        if let Some(outcome) = round.get() {
            return Some(Turn::Done(outcome.clone()));
        }
        if self.running {
            return None;
        }
        self.running = true;
        self.next = Arc::default();
        Some(Turn::Lead(self.names))
    }
}

impl SharedError {
    fn of(error: &io::Error) -> Self {
        Self { kind: error.kind(), code: error.raw_os_error(), text: error.to_string() }
    }

    fn error(self) -> io::Error {
        self.code.map_or_else(|| io::Error::new(self.kind, self.text), io::Error::from_raw_os_error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::Barrier, thread, time::Duration};

    #[test]
    fn callers_that_arrive_during_a_sync_share_the_next_one() {
        let directories = Directories::default();
        let syncs = AtomicU64::new(0);
        let under_way = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                directories.sync("d", || {
                    under_way.wait();
                    thread::sleep(Duration::from_millis(100));
                    syncs.fetch_add(1, Ordering::SeqCst);
                    Ok(())
                })
            });
            under_way.wait();
            for _ in 0..10 {
                scope.spawn(|| {
                    let sync = || {
                        assert_eq!(syncs.fetch_add(1, Ordering::SeqCst), 1, "not before the first has ended");
                        Ok(())
                    };
                    directories.sync("d", sync).unwrap();
                });
            }
        });
        assert_eq!((syncs.into_inner(), directories.shared()), (2, 9));
    }

    #[test]
    fn all_callers_of_a_failed_sync_get_the_error_and_the_next_sync_is_a_new_one() {
        let directories = Directories::default();
        let under_way = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                directories.sync("d", || {
                    under_way.wait();
                    thread::sleep(Duration::from_millis(100));
                    Ok(())
                })
            });
            under_way.wait();
            let others: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| directories.sync("d", || Err(io::Error::from_raw_os_error(5))).unwrap_err()))
                .collect();
            for other in others {
                assert_eq!(other.join().unwrap().raw_os_error(), Some(5));
            }
        });
        assert!(directories.sync("d", || Ok(())).is_ok());
        assert!(directories.sync("e", || Err(io::Error::other("else"))).unwrap_err().to_string().contains("else"));
    }

    #[test]
    fn a_name_is_durable_after_a_sync_that_began_when_it_existed() {
        let directories = Directories::default();
        assert!(!directories.are_durable("d"), "of an earlier process nothing is known");
        directories.sync("d", || Ok(())).unwrap();
        assert!(directories.are_durable("d"));
        directories
            .naming("d", || assert!(!directories.are_durable("d"), "it may be seen before it is said to be there"));
        assert!(!directories.are_durable("d"));
        directories
            .sync("d", || {
                directories.naming("d", || ());
                Ok(())
            })
            .unwrap();
        assert!(!directories.are_durable("d"), "the sync may have passed by it");
        directories.sync("d", || Err(io::Error::other("no"))).unwrap_err();
        assert!(!directories.are_durable("d"));
        directories.sync("d", || Ok(())).unwrap();
        assert!(directories.are_durable("d"));
        directories.forget();
        assert!(!directories.are_durable("d"));
    }
}
