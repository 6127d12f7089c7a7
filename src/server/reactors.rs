//! The threads that serve connections.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::JoinHandle,
};
use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
};

/// Threads with a reactor each. A connection stays on one thread, so that a request wakes no other thread and moves to
/// no other core: with 64 clients reading manifests that cost a tenth of the CPU.
#[derive(Clone)]
pub struct Reactors(Arc<[Reactor]>);

struct Reactor {
    handle: Handle,
    /// Open connections on this reactor.
    open: Arc<AtomicUsize>,
    /// The thread, and the channel that stops it when dropped.
    thread: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

/// A connection's place on a reactor.
pub(super) struct Seat {
    pub(super) handle: Handle,
    open: Arc<AtomicUsize>,
}

impl Reactors {
    /// Starts `count` threads, at least one, each with at most `blocking_threads` more for blocking work.
    /// `before_waiting` runs on a reactor's thread whenever it has nothing left to do.
    ///
    /// # Errors
    /// The system gives no more threads or descriptors.
    pub fn start(count: usize, blocking_threads: usize, before_waiting: fn()) -> io::Result<Self> {
        (0..count.max(1))
            .map(|i| Reactor::start(i, blocking_threads, before_waiting))
            .collect::<io::Result<_>>()
            .map(Self)
    }

    /// Uses the current runtime, for callers that have one already.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn current_runtime() -> Self {
        Self(Arc::new([Reactor { handle: Handle::current(), open: Arc::default(), thread: None }]))
    }

    /// A place on the reactor with the fewest connections.
    pub(super) fn assign(&self) -> Seat {
        let open = |reactor: &Reactor| reactor.open.load(Ordering::Relaxed);
        let idlest = self.0[1..].iter().fold(&self.0[0], |a, b| if open(b) < open(a) { b } else { a });
        idlest.open.fetch_add(1, Ordering::Relaxed);
        Seat { handle: idlest.handle.clone(), open: idlest.open.clone() }
    }
}

impl Reactor {
    fn start(number: usize, blocking_threads: usize, before_waiting: fn()) -> io::Result<Self> {
        let mut builder = Builder::new_current_thread();
        let builder = builder.enable_all().max_blocking_threads(blocking_threads).on_thread_park(before_waiting);
        let runtime = builder.build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        // The sender may have sent or been dropped: both stop the reactor.
        let serve = move || drop(runtime.block_on(stopped));
        let thread = std::thread::Builder::new().name(format!("reactor-{number}")).spawn(serve)?;
        Ok(Self { handle, open: Arc::default(), thread: Some((stop, thread)) })
    }
}

/// Waits for the blocking work of requests that nobody waits for any more.
impl Drop for Reactor {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.thread.take() {
            drop(stop);
            // A panic has been logged already.
            let _ = thread.join();
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn connections_go_to_the_least_busy_thread_and_finish_there() {
        static WAITED: AtomicBool = AtomicBool::new(false);
        let reactors = Reactors::start(3, 1, || WAITED.store(true, Ordering::Relaxed)).unwrap();
        let mut seats: Vec<_> = (0..6).map(|_| reactors.assign()).collect();
        let open = |reactors: &Reactors| -> Vec<_> {
            reactors.0.iter().map(|reactor| reactor.open.load(Ordering::Relaxed)).collect()
        };
        assert_eq!(open(&reactors), [2, 2, 2]);
        drop(seats.remove(1));
        assert_eq!(open(&reactors), [2, 1, 2]);
        let seat = reactors.assign();
        assert_eq!(open(&reactors), [2, 2, 2]);

        let thread = seat.handle.spawn(async { std::thread::current().name().map(str::to_owned) });
        let finished = Arc::new(AtomicBool::new(false));
        let slow = finished.clone();
        seat.handle.spawn_blocking(move || {
            std::thread::sleep(std::time::Duration::from_millis(50));
            slow.store(true, Ordering::Relaxed);
        });
        let mut runtime = Builder::new_current_thread();
        let name = runtime.build().unwrap().block_on(thread).unwrap();
        assert_eq!(name.as_deref(), Some("reactor-1"));
        drop(reactors);
        assert!(finished.load(Ordering::Relaxed), "what was begun was dropped");
        assert!(WAITED.load(Ordering::Relaxed));
    }
}
