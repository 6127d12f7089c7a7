//! What code takes from its environment besides files: time, random numbers and threads.
//!
//! In production each function is the plain one of the standard library. A simulation runs many clients as coroutines
//! of one thread and provides time and random numbers, so that a seed repeats a run exactly. Work must not be handed to
//! another thread then, and whoever waits has to yield to the other coroutines.

use std::{
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError,
        TryLockResult,
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

/// Most threads of one [`each`].
const AT_ONCE: usize = 8;

/// The time of day.
pub fn now() -> SystemTime {
    #[cfg(test)]
    if let Some(world) = simulation::current() {
        return world.now();
    }
    SystemTime::now()
}

/// Time since some moment around startup; it never goes back, whatever happens to the clock.
pub fn uptime() -> Duration {
    #[cfg(test)]
    if let Some(world) = simulation::current() {
        return world.uptime();
    }
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

/// A random id.
pub fn uuid() -> uuid::Uuid {
    #[cfg(test)]
    if let Some(world) = simulation::current() {
        return uuid::Builder::from_random_bytes(world.random().to_le_bytes()).into_uuid();
    }
    uuid::Uuid::new_v4()
}

/// A random id that sorts after ids of earlier milliseconds.
pub fn ulid() -> ulid::Ulid {
    #[cfg(test)]
    if let Some(world) = simulation::current() {
        let since = world.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        return ulid::Ulid::from_parts(since.as_millis() as u64, world.random());
    }
    ulid::Ulid::new()
}

/// Identifies the current boot of the machine: what was not durable may be lost after it.
pub fn boot() -> String {
    #[cfg(test)]
    if let Some(world) = simulation::current() {
        return world.boot();
    }
    static BOOT: OnceLock<String> = OnceLock::new();
    let boot = BOOT.get_or_init(|| {
        let id = super::regular::read("/proc/sys/kernel/random/boot_id".as_ref());
        // Where the system does not tell, only this process can be trusted.
        id.map_or_else(|_| uuid().to_string(), |id| String::from_utf8_lossy(&id).trim().to_owned())
    });
    boot.clone()
}

/// Whether this is a simulation: then work must not be handed to another thread.
pub fn is_simulated() -> bool {
    #[cfg(test)]
    return simulation::current().is_some();
    #[cfg(not(test))]
    false
}

/// Yields during long work on data in memory, which never waits by itself.
pub async fn yield_now() {
    if !is_simulated() {
        tokio::task::yield_now().await;
    }
}

/// Waits for something that other clients bring about: blocked in `block`, or in a simulation by calling `attempt`
/// until it succeeds. Every lock that is held during a system call is taken this way.
pub fn wait<T>(attempt: impl FnMut() -> Option<T>, block: impl FnOnce() -> T) -> T {
    #[cfg(test)]
    if let Some(world) = simulation::current() {
        let mut attempt = attempt;
        loop {
            match attempt() {
                Some(done) => return done,
                None => world.pause(),
            }
        }
    }
    #[cfg(not(test))]
    drop(attempt);
    block()
}

/// Runs `work` for all items on a few threads; the results are in the order of the items.
pub fn each<T: Send, R: Send>(items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    if items.len() < 2 || is_simulated() {
        return items.into_iter().map(work).collect();
    }
    let helpers = items.len().min(AT_ONCE) - 1;
    let queue = Mutex::new(items.into_iter().enumerate());
    let done = Mutex::new(Vec::new());
    let next = || lock(&queue).next();
    let help = || {
        while let Some((place, item)) = next() {
            let result = work(item);
            lock(&done).push((place, result));
        }
    };
    thread::scope(|scope| {
        for _ in 0..helpers {
            // If the system has no more threads, this one does all the work.
            let _ = thread::Builder::new().spawn_scoped(scope, help);
        }
        help();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Locks a mutex that may be held during a system call.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    wait(|| got(mutex.try_lock()), || mutex.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Locks for reading a lock that may be held during a system call.
pub fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    wait(|| got(lock.try_read()), || lock.read().unwrap_or_else(PoisonError::into_inner))
}

/// Locks for writing a lock that may be held during a system call.
pub fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    wait(|| got(lock.try_write()), || lock.write().unwrap_or_else(PoisonError::into_inner))
}

fn got<T>(tried: TryLockResult<T>) -> Option<T> {
    match tried {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// Whether to do the sync of this name. Always true, except in a simulation that skips one to show that it matters.
pub(super) fn syncs(what: &'static str) -> bool {
    #[cfg(test)]
    if let Some(world) = simulation::current() {
        return world.syncs(what);
    }
    let _ = what;
    true
}

/// The world of a simulation, one for each thread.
#[cfg(test)]
pub(crate) mod simulation {
    use std::{
        cell::RefCell,
        rc::Rc,
        time::{Duration, SystemTime},
    };

    /// What a simulation provides instead of the real thing.
    pub(crate) trait World {
        fn now(&self) -> SystemTime;
        fn uptime(&self) -> Duration;
        fn random(&self) -> u128;
        fn boot(&self) -> String;
        /// Yields to other clients.
        fn pause(&self);
        fn syncs(&self, what: &'static str) -> bool;
    }

    thread_local! {
        static WORLD: RefCell<Option<Rc<dyn World>>> = const { RefCell::new(None) };
    }

    pub(super) fn current() -> Option<Rc<dyn World>> {
        WORLD.with_borrow(Clone::clone)
    }

    /// Yields to other clients of this thread's world.
    pub(crate) fn pause() {
        if let Some(world) = current() {
            world.pause();
        }
    }

    /// Puts this thread into a world, or back into the real one.
    pub(crate) fn enter(world: Option<Rc<dyn World>>) {
        WORLD.set(world);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    #[test]
    fn work_is_done_at_once_and_answered_in_order() {
        let (here, both) = (thread::current().id(), Barrier::new(2));
        let done = each(vec![1, 2], |i| {
            // Neither gets past this without the other.
            both.wait();
            i
        });
        assert_eq!(done, [1, 2]);
        assert_eq!(each((0..100).collect(), |i: u32| i * 2), (0..100).map(|i| i * 2).collect::<Vec<_>>());
        assert_eq!(each(vec![1], |i| (i, thread::current().id())), [(1, here)], "one needs no thread");
    }

    #[test]
    fn uptime_goes_forward() {
        let before = uptime();
        thread::sleep(Duration::from_millis(2));
        assert!(uptime() > before);
    }
}
