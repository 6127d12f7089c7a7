//! Drives a server: clients in threads, in a closed loop (as fast as it answers) or an open loop (by a schedule).

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Barrier, Mutex};
use std::time::{Duration, Instant};

use crate::Result;
use crate::http::Dial;
use crate::loader::Loader;

/// When a closed loop ends.
#[derive(Clone, Copy)]
pub enum Until {
    /// After this many seconds; each client completes its current operation.
    Seconds(f64),
    /// After this many operations of each client.
    Times(u64),
}

/// What was done in a load.
#[derive(Debug, Default, Clone)]
pub struct Done {
    /// From the first request to the end of the last.
    pub seconds: f64,
    /// Content bytes in both directions.
    pub bytes: u64,
    /// HTTP requests.
    pub requests: u64,
    /// Operations that succeeded.
    pub operations: u64,
    /// Operations that failed.
    pub errors: u64,
    /// The first error.
    pub first_error: Option<String>,
}

/// One operation of a client.
pub type LoadOperation<'a> = dyn Fn(&mut Loader) -> Result<()> + Sync + 'a;

/// After this many failures in a row a client gives up: nothing useful is measured any more.
const GIVE_UP: u64 = 20;

fn run_clients(dial: &Dial, clients: usize, each: impl Fn(&mut Loader, &mut Done) + Sync) -> Done {
    let all = Mutex::new(Done::default());
    let barrier = Barrier::new(clients);
    let start = Mutex::new(None::<Instant>);
    std::thread::scope(|scope| {
        for index in 0..clients {
            let (all, barrier, start, each) = (&all, &barrier, &start, &each);
            scope.spawn(move || {
                let mut client = Loader::new(dial, index);
                // If this fails, the first operation fails too, and reports why.
                let _ = client.conn.connect();
                barrier.wait();
                if let Ok(mut start) = start.lock() {
                    start.get_or_insert_with(Instant::now);
                }
                let mut done = Done::default();
                each(&mut client, &mut done);
                if let Ok(mut all) = all.lock() {
                    all.bytes += client.bytes;
                    all.requests += client.requests;
                    all.operations += done.operations;
                    all.errors += done.errors;
                    all.first_error = all.first_error.take().or(done.first_error);
                }
            });
        }
    });
    let mut done = all.into_inner().unwrap_or_default();
    let start = start.into_inner().ok().flatten();
    done.seconds = start.map_or(0.0, |start| start.elapsed().as_secs_f64());
    done
}

/// Runs one operation and counts it. Returns whether it succeeded.
fn count(client: &mut Loader, done: &mut Done, operation: &LoadOperation<'_>) -> bool {
    match operation(client) {
        Ok(()) => done.operations += 1,
        Err(error) => {
            done.errors += 1;
            done.first_error.get_or_insert_with(|| error.to_string());
            return false;
        }
    }
    true
}

/// Each client starts its next operation when the last one has ended: this shows how much a server can do.
pub fn closed(dial: &Dial, clients: usize, until: Until, operation: &LoadOperation<'_>) -> Done {
    run_clients(dial, clients, |client, done| {
        let (start, mut times, mut failed) = (Instant::now(), 0, 0);
        while failed < GIVE_UP {
            let over = match until {
                Until::Seconds(seconds) => start.elapsed().as_secs_f64() >= seconds,
                Until::Times(most) => times == most,
            };
            if over {
                break;
            }
            failed = if count(client, done, operation) { 0 } else { failed + 1 };
            times += 1;
        }
    })
}

/// When each operation of an open loop is due.
#[derive(Debug, Clone, Copy)]
pub struct OpenLoopSchedule {
    start: Instant,
    gap: f64,
    count: u64,
}

impl OpenLoopSchedule {
    /// `rate` operations per second for `seconds`.
    pub fn new(start: Instant, rate: f64, seconds: f64) -> Self {
        Self { start, gap: 1.0 / rate, count: (rate * seconds).ceil() as u64 }
    }

    /// When operation `k` is due; `None` after the end of the schedule.
    pub fn due(&self, k: u64) -> Option<Instant> {
        (k < self.count).then(|| self.start + Duration::from_secs_f64(self.gap * k as f64))
    }
}

/// Operations start by a schedule, whether or not the server keeps up, and each latency in nanoseconds counts from the
/// scheduled moment: the delays of a slow server are measured (no coordinated omission).
///
/// Ends with the schedule or when `stop` is set. At most `clients` operations run at once, which limits the rate;
/// beyond it they start late, and the latencies show it.
pub fn open(
    dial: &Dial,
    clients: usize,
    (rate, seconds): (f64, f64),
    stop: &AtomicBool,
    operation: &LoadOperation<'_>,
) -> (Done, Vec<u64>) {
    let next = AtomicU64::new(0);
    let latencies = Mutex::new(Vec::new());
    // Time for the threads to connect before the first operation is due.
    let schedule = OpenLoopSchedule::new(Instant::now() + Duration::from_millis(100), rate, seconds);
    let done = run_clients(dial, clients, |client, done| {
        // Sleep to the microsecond, not some fifty more. If this fails, latencies are only a little longer.
        let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1000));
        let mut own = Vec::new();
        while let Some(due) = schedule.due(next.fetch_add(1, Ordering::Relaxed)) {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if stop.load(Ordering::Relaxed) {
                break;
            }
            // A failure must not count as a quick answer: it is counted, without a latency.
            if count(client, done, operation) {
                own.push(u64::try_from(due.elapsed().as_nanos()).unwrap_or(u64::MAX));
            }
        }
        if let Ok(mut all) = latencies.lock() {
            all.append(&mut own);
        }
    });
    (done, latencies.into_inner().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Url;

    fn nowhere() -> Dial {
        Dial { url: Url::parse("http://127.0.0.1:9").unwrap(), trust: None, credentials: None }
    }

    #[test]
    fn a_schedule_is_even_and_ends() {
        let start = Instant::now();
        let schedule = OpenLoopSchedule::new(start, 200.0, 0.5);
        assert_eq!(schedule.due(0), Some(start));
        assert_eq!(schedule.due(10), Some(start + Duration::from_millis(50)));
        assert!(schedule.due(99).is_some() && schedule.due(100).is_none());
    }

    #[test]
    fn an_open_loop_measures_the_wait_behind_a_slow_operation() {
        // One client and one operation of 200 ms; the others are instant, and due in the meantime.
        let first = AtomicBool::new(true);
        let operation = |_: &mut Loader| {
            if first.swap(false, Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(200));
            }
            Ok(())
        };
        let (done, latencies) = open(&nowhere(), 1, (100.0, 0.3), &AtomicBool::new(false), &operation);
        assert_eq!((done.operations, latencies.len()), (30, 30));
        let late = latencies.iter().filter(|nanos| **nanos > 50_000_000).count();
        assert!(late >= 10, "only {late} were late");
    }

    #[test]
    fn each_client_of_a_closed_loop_does_its_share_and_gives_up_on_a_dead_server() {
        let done = closed(&nowhere(), 3, Until::Times(5), &|client| {
            client.bytes += 2;
            Ok(())
        });
        assert_eq!((done.operations, done.bytes, done.errors), (15, 30, 0));
        let done = closed(&nowhere(), 2, Until::Seconds(60.0), &|_| Err("dead".into()));
        assert_eq!((done.errors, done.first_error.as_deref()), (2 * GIVE_UP, Some("dead")));
    }
}
