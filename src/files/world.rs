//! What code takes from outside besides files: time, chance, and other threads.
//!
//! In production each function is the plain one of the standard library. A simulation runs many
//! clients as coroutines of one thread: it gives its own time and its own chance, so that a seed
//! gives the same run again, nothing may be handed to another thread, and whoever waits has to let
//! the other coroutines go on.

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

/// Time since some moment near the start; it never goes back, whatever is done to the clock.
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

/// A random id; one made in a later millisecond sorts after it.
pub fn ulid() -> ulid::Ulid {
    #[cfg(test)]
    if let Some(world) = simulation::current() {
        let since = world.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        return ulid::Ulid::from_parts(since.as_millis() as u64, world.random());
    }
    ulid::Ulid::new()
}

/// Tells this run of the machine from any other: what was not durable may be gone after it.
pub fn boot() -> String {
    #[cfg(test)]
    if let Some(world) = simulation::current() {
        return world.boot();
    }
    static BOOT: OnceLock<String> = OnceLock::new();
    let boot = BOOT.get_or_init(|| {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
        // Where the system does not say, a process is as far as trust goes.
        id.map_or_else(|_| uuid().to_string(), |id| id.trim().to_owned())
    });
    boot.clone()
}

/// Whether this is a simulation: nothing may be handed to another thread then.
pub fn is_simulated() -> bool {
    #[cfg(test)]
    return simulation::current().is_some();
    #[cfg(not(test))]
    false
}

/// Waits for something that other clients bring about: asleep in `block`, or in a simulation by
/// asking `attempt` until it answers. Every lock that is held over a system call is taken so.
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

/// Does all of `work` at the same time, as far as a few threads go; what came of it is in the
/// order of the items.
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
            // A system that has no more threads to give leaves it all to this one.
            let _ = thread::Builder::new().spawn_scoped(scope, help);
        }
        help();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Locks a mutex that its holders may keep over a system call.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    wait(|| got(mutex.try_lock()), || mutex.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Locks for reading what its holders may keep over a system call.
pub fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    wait(|| got(lock.try_read()), || lock.read().unwrap_or_else(PoisonError::into_inner))
}

/// Locks for writing what its holders may keep over a system call.
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

/// Whether the sync of this name is to be done. It always is; a simulation leaves one out, to
/// show that it would be missed.
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

    /// What a simulation gives instead of the real thing.
    pub(crate) trait World {
        fn now(&self) -> SystemTime;
        fn uptime(&self) -> Duration;
        fn random(&self) -> u128;
        fn boot(&self) -> String;
        /// Lets other clients go on.
        fn pause(&self);
        fn syncs(&self, what: &'static str) -> bool;
    }

    thread_local! {
        static WORLD: RefCell<Option<Rc<dyn World>>> = const { RefCell::new(None) };
    }

    pub(super) fn current() -> Option<Rc<dyn World>> {
        WORLD.with_borrow(Clone::clone)
    }

    /// Lets other clients of this thread's world go on.
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
            // Nobody gets on unless the other is there.
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
