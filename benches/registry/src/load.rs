//! Drives a server: clients in threads, in a closed loop (as fast as it answers) or an open one (by a schedule).

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Barrier, Mutex};
use std::time::{Duration, Instant};

use crate::Result;
use crate::client::Client;
use crate::http::Dial;

/// When a closed loop ends.
#[derive(Clone, Copy)]
pub enum Until {
    /// Each client ends its operation under way after so many seconds.
    Seconds(f64),
    /// After so many operations of each client.
    Times(u64),
}

/// What was done.
#[derive(Debug, Default, Clone)]
pub struct Done {
    /// From the first request to the end of the last.
    pub seconds: f64,
    /// Of content, in either direction.
    pub bytes: u64,
    /// HTTP requests.
    pub requests: u64,
    /// Operations that succeeded.
    pub operations: u64,
    /// Operations that failed.
    pub errors: u64,
    /// What the first of them said.
    pub first_error: Option<String>,
}

/// One operation of a client.
pub type Operation<'a> = dyn Fn(&mut Client) -> Result<()> + Sync + 'a;

/// After so many failures in a row a client gives up: nothing is measured any more.
const GIVE_UP: u64 = 20;

fn run_clients(dial: &Dial, clients: usize, each: impl Fn(&mut Client, &mut Done) + Sync) -> Done {
    let all = Mutex::new(Done::default());
    let barrier = Barrier::new(clients);
    let start = Mutex::new(None::<Instant>);
    std::thread::scope(|scope| {
        for index in 0..clients {
            let (all, barrier, start, each) = (&all, &barrier, &start, &each);
            scope.spawn(move || {
                let mut client = Client::new(dial, index);
                // If it fails, so does the first operation, which tells why.
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

/// One operation, counted. Returns whether it succeeded.
fn count(client: &mut Client, done: &mut Done, operation: &Operation<'_>) -> bool {
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

/// Each client begins its next operation when the last has ended: this shows how much a server can do.
pub fn closed(dial: &Dial, clients: usize, until: Until, operation: &Operation<'_>) -> Done {
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
pub struct Schedule {
    start: Instant,
    gap: f64,
    count: u64,
}

impl Schedule {
    /// `rate` operations a second for so many seconds.
    pub fn new(start: Instant, rate: f64, seconds: f64) -> Self {
        Self { start, gap: 1.0 / rate, count: (rate * seconds).ceil() as u64 }
    }

    /// The moment of operation `k`, or none when the schedule has ended.
    pub fn due(&self, k: u64) -> Option<Instant> {
        (k < self.count).then(|| self.start + Duration::from_secs_f64(self.gap * k as f64))
    }
}

/// Operations begin by a schedule, whether or not the server keeps up, and each latency in nanoseconds counts from
/// the scheduled moment: what waits because the server is slow is seen (no coordinated omission).
///
/// Ends with the schedule or when `stop` is set. The rate is limited by how long `clients` operations at once take;
/// beyond that they are late, which the latencies tell.
pub fn open(
    dial: &Dial,
    clients: usize,
    (rate, seconds): (f64, f64),
    stop: &AtomicBool,
    operation: &Operation<'_>,
) -> (Done, Vec<u64>) {
    let next = AtomicU64::new(0);
    let latencies = Mutex::new(Vec::new());
    // Time for the threads to connect before the first is due.
    let schedule = Schedule::new(Instant::now() + Duration::from_millis(100), rate, seconds);
    let done = run_clients(dial, clients, |client, done| {
        // Sleep to the microsecond instead of some fifty of them more; without it latencies are only a little longer.
        let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1000));
        let mut own = Vec::new();
        while let Some(due) = schedule.due(next.fetch_add(1, Ordering::Relaxed)) {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if stop.load(Ordering::Relaxed) {
                break;
            }
            // A failure is no quick answer: it is counted and has no latency.
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
        Dial { url: Url::parse("http://127.0.0.1:9").unwrap(), trust: None, authorization: None }
    }

    #[test]
    fn a_schedule_is_even_and_ends() {
        let start = Instant::now();
        let schedule = Schedule::new(start, 200.0, 0.5);
        assert_eq!(schedule.due(0), Some(start));
        assert_eq!(schedule.due(10), Some(start + Duration::from_millis(50)));
        assert!(schedule.due(99).is_some() && schedule.due(100).is_none());
    }

    #[test]
    fn an_open_loop_counts_what_waited_behind_a_slow_operation() {
        // One client and one operation of 200 ms; the others are instant, and due meanwhile.
        let first = AtomicBool::new(true);
        let operation = |_: &mut Client| {
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
    fn a_closed_loop_does_each_clients_share_and_gives_up_on_a_dead_server() {
        let done = closed(&nowhere(), 3, Until::Times(5), &|client| {
            client.bytes += 2;
            Ok(())
        });
        assert_eq!((done.operations, done.bytes, done.errors), (15, 30, 0));
        let done = closed(&nowhere(), 2, Until::Seconds(60.0), &|_| Err("dead".into()));
        assert_eq!((done.errors, done.first_error.as_deref()), (2 * GIVE_UP, Some("dead")));
    }
}
