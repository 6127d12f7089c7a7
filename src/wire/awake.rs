//! Time that counts only while this process runs.
//!
//! A process can be stopped by a signal, with its machine, or while its machine migrates. When it continues, all its
//! timers fire at once, although nobody could send or read anything meanwhile. So limits on clients are measured with a
//! [`Moment`]: a [`beat`] shows how long the process was stopped, and that time is added to every limit.

use std::{
    future::Future,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

/// Time between two beats.
const BEAT: Duration = Duration::from_millis(500);

/// A longer gap between two beats shows that the process was stopped.
const STOPPED: Duration = Duration::from_secs(1);

/// How long the process was stopped in all, in milliseconds.
static STOPPED_FOR: AtomicU64 = AtomicU64::new(0);

static HEART: Mutex<Heart> = Mutex::new(Heart { beating: 0, last: None });

struct Heart {
    /// Listeners whose servers beat. Without any, a gap shows nothing.
    beating: usize,
    last: Option<std::time::Instant>,
}

/// A time, and how long the process had been stopped before it.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    at: Instant,
    stopped: u64,
}

impl Moment {
    /// The current moment.
    pub fn now() -> Self {
        Self { at: Instant::now(), stopped: STOPPED_FOR.load(Ordering::Relaxed) }
    }

    /// The time by the clock.
    pub fn at(&self) -> Instant {
        self.at
    }

    /// The moment `allowed` later, unless the process is stopped (again).
    pub fn after(&self, allowed: Duration) -> Instant {
        let stopped = STOPPED_FOR.load(Ordering::Relaxed).saturating_sub(self.stopped);
        self.at + allowed + Duration::from_millis(stopped)
    }

    /// Whether the process has run for `allowed` since.
    pub fn is_past(&self, allowed: Duration) -> bool {
        if Instant::now() < self.after(allowed) {
            return false;
        }
        record_alive();
        Instant::now() >= self.after(allowed)
    }
}

/// Sleeps for `allowed`, not counting time in which the process is stopped.
pub async fn sleep(allowed: Duration) {
    let since = Moment::now();
    while !since.is_past(allowed) {
        tokio::time::sleep_until(since.after(allowed)).await;
    }
}

/// The output of a future, or `None` if it takes longer than `allowed`.
pub async fn timeout<F: Future>(allowed: Duration, future: F) -> Option<F::Output> {
    tokio::select! {
        biased;
        output = future => Some(output),
        () = sleep(allowed) => None,
    }
}

/// Records that the process runs, for as long as this future is polled.
pub async fn beat() {
    let _beating = Beating::begin();
    loop {
        record_alive();
        tokio::time::sleep(BEAT).await;
    }
}

/// Records that the process runs. Called wherever a time limit is found reached, as the beat may come later.
fn record_alive() {
    let mut heart = HEART.lock().unwrap_or_else(PoisonError::into_inner);
    if heart.beating == 0 {
        return;
    }
    let now = std::time::Instant::now();
    let silence = heart.last.replace(now).map_or(Duration::ZERO, |last| now - last);
    if silence >= STOPPED {
        STOPPED_FOR.fetch_add(silence.as_millis() as u64, Ordering::Relaxed);
        tracing::info!(ms = silence.as_millis() as u64, "the process was stopped; time limits are extended");
    }
}

struct Beating;

impl Beating {
    fn begin() -> Self {
        HEART.lock().unwrap_or_else(PoisonError::into_inner).beating += 1;
        Self
    }
}

impl Drop for Beating {
    fn drop(&mut self) {
        let mut heart = HEART.lock().unwrap_or_else(PoisonError::into_inner);
        heart.beating -= 1;
        if heart.beating == 0 {
            heart.last = None;
        }
    }
}
