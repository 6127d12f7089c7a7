//! The requests that are timed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Scale, store};
use crate::Result;
use crate::figures::percentile;
use crate::http::{Body, Dial, HttpConnection, Sink};

/// A page of a list must not take longer, in milliseconds (half of the requests).
const LIST_BOUND: f64 = 10.0;
/// Nor a web page: the server's part of what people wait for.
const PAGE_BOUND: f64 = 5.0;
/// The first dashboard, and the following ones.
const DASHBOARD_BOUNDS: [f64; 2] = [2000.0, 50.0];
/// What others wait while the first dashboard is counted.
const OTHERS_BOUND: f64 = 50.0;

/// A request and how long its answers took.
pub struct TimedRequest {
    what: String,
    caller: &'static str,
    /// Sorted.
    nanos: Vec<u64>,
    bound: f64,
}

impl TimedRequest {
    fn ms(&self, part: f64) -> f64 {
        percentile(&self.nanos, part) as f64 / 1e6
    }

    /// As a row of the table.
    pub fn row(&self) -> Vec<String> {
        let over = if self.ms(0.5) > self.bound { " (over)" } else { "" };
        let times = [0.5, 0.99, 1.0].map(|part| format!("{:.2}", self.ms(part)));
        [vec![self.what.clone(), self.caller.to_owned()], times.to_vec(), vec![format!("{:.0}{over}", self.bound)]]
            .concat()
    }

    /// As JSON.
    pub fn figures(&self) -> Value {
        json!({
            "what": self.what, "caller": self.caller, "requests": self.nanos.len(), "bound ms": self.bound,
            "p50 ms": self.ms(0.5), "p99 ms": self.ms(0.99), "max ms": self.ms(1.0),
        })
    }
}

/// One request; returns its time in nanoseconds.
fn time(connection: &mut HttpConnection, path: &str) -> Result<u64> {
    // Only the pages look at it.
    let accept = [("Accept", "text/html,*/*;q=0.8")];
    let start = Instant::now();
    let (head, _) = connection.send("GET", path, &accept, Body::None, Sink::Discard)?;
    let nanos = u64::try_from(start.elapsed().as_nanos())?;
    match head.status {
        200 => Ok(nanos),
        status => Err(format!("{path}: {status}").into()),
    }
}

/// Waits until an answer says no more that repositories are missing; returns how long the last answer took.
fn wait_until_complete(connection: &mut HttpConnection, path: &str) -> Result<Duration> {
    loop {
        let (start, mut answer) = (Instant::now(), Vec::new());
        connection.send("GET", path, &[], Body::None, Sink::Keep(&mut answer))?;
        if serde_json::from_slice::<Value>(&answer)?["incomplete"] != true {
            return Ok(start.elapsed());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn repeated(connection: &mut HttpConnection, path: &str, count: usize) -> Result<Vec<u64>> {
    let mut nanos = (0..count).map(|_| time(connection, path)).collect::<Result<Vec<_>>>()?;
    nanos.sort_unstable();
    Ok(nanos)
}

/// All of them, in an order in which the first dashboard finds nothing counted.
pub fn all(asked: &Scale, dial: &impl Fn(&str) -> Dial) -> Result<Vec<TimedRequest>> {
    let mut answers = dashboards(asked, dial)?;
    let middle = store::name(asked.repositories / 2);
    let lists = [
        ("admin", "/repositories?n=100".to_owned()),
        ("admin", format!("/repositories?n=100&last={middle}")),
        ("admin", format!("/repositories?n=100&namespace=ns-{}", asked.repositories / 2 / store::PER_NAMESPACE)),
        ("admin", "/repositories?n=100&include=tags".to_owned()),
        ("admin", "/repositories?n=100&sort=pushed".to_owned()),
        ("admin", format!("/repositories?n=100&q=app-{}", asked.repositories - 1)),
        ("user-0", "/repositories?n=100".to_owned()),
        ("user-0", "/repositories?n=100&owner=me".to_owned()),
        ("", "/repositories?n=100".to_owned()),
        ("admin", format!("/repositories/{middle}/-/tags?n=100")),
        ("admin", format!("/repositories/{middle}/-/tags?n=100&sort=pushed")),
        ("admin", "/namespaces?n=100".to_owned()),
        ("user-0", "/namespaces?n=100".to_owned()),
        ("admin", format!("/search?q=app-{}", asked.repositories / 2)),
        ("admin", "/users?n=100".to_owned()),
        ("admin", "/groups?n=100".to_owned()),
        ("admin", "/rules?n=100".to_owned()),
    ];
    for (caller, path) in lists {
        let mut connection = HttpConnection::new(&dial(caller));
        let nanos = repeated(&mut connection, &format!("/api/v1{path}"), asked.requests)?;
        let caller = if caller.is_empty() { "nobody" } else { caller };
        answers.push(TimedRequest { what: path, caller, nanos, bound: LIST_BOUND });
    }
    answers.extend(pages(asked, dial)?);
    Ok(answers)
}

/// The web pages.
fn pages(asked: &Scale, dial: &impl Fn(&str) -> Dial) -> Result<Vec<TimedRequest>> {
    let middle = store::name(asked.repositories / 2);
    let namespace = asked.repositories / 2 / store::PER_NAMESPACE;
    let large = store::LARGE;
    let pages = [
        ("admin", "/".to_owned()),
        ("user-0", "/".to_owned()),
        ("admin", "/repositories".to_owned()),
        ("admin", format!("/repositories?sort=name&last={middle}")),
        ("admin", "/repositories?sort=size".to_owned()),
        ("admin", format!("/repositories?q=app-{}", asked.repositories - 1)),
        ("admin", format!("/repositories?namespace=ns-{namespace}")),
        ("user-0", "/repositories".to_owned()),
        ("user-0", "/repositories?show=mine".to_owned()),
        ("", "/repositories".to_owned()),
        ("admin", format!("/repositories/{middle}")),
        ("admin", format!("/repositories/{large}")),
        ("admin", format!("/repositories/{large}?q=99")),
        ("admin", format!("/repositories/{large}?sort=pushed")),
        ("admin", format!("/repositories/{large}/-/manifests/1.0")),
        ("admin", format!("/repositories/{large}/-/untagged")),
        ("admin", format!("/repositories/{large}/-/retention")),
        ("admin", format!("/repositories/{large}/-/access")),
        ("admin", format!("/repositories/{large}/-/settings")),
        ("admin", format!("/search?q=app-{}", asked.repositories / 2)),
        ("admin", "/users".to_owned()),
        ("admin", "/users/user-0".to_owned()),
        ("admin", "/groups".to_owned()),
        ("admin", "/access".to_owned()),
        ("admin", "/settings".to_owned()),
        ("admin", "/profile".to_owned()),
        ("admin", "/system".to_owned()),
        ("", "/login".to_owned()),
    ];
    let mut answers = Vec::new();
    for (caller, path) in pages {
        let mut connection = HttpConnection::new(&dial(caller));
        // The password is verified, and the totals are counted, before.
        time(&mut connection, &path)?;
        let nanos = repeated(&mut connection, &path, asked.requests)?;
        let caller = if caller.is_empty() { "nobody" } else { caller };
        answers.push(TimedRequest { what: format!("page {path}"), caller, nanos, bound: PAGE_BOUND });
    }
    Ok(answers)
}

/// The first dashboard while somebody else asks for something small, and the following ones.
fn dashboards(asked: &Scale, dial: &impl Fn(&str) -> Dial) -> Result<Vec<TimedRequest>> {
    const PATH: &str = "/api/v1/dashboard";
    let mut answers = Vec::new();
    for caller in ["admin", "user-0"] {
        let mut connection = HttpConnection::new(&dial(caller));
        // The password is verified before.
        time(&mut connection, "/api/v1/auth/me")?;
        let counted = Arc::new(AtomicBool::new(false));
        let others = std::thread::spawn({
            let (dial, counted) = (dial(""), counted.clone());
            move || -> std::result::Result<Vec<u64>, String> {
                let (mut other, mut nanos) = (HttpConnection::new(&dial), Vec::new());
                while !counted.load(Ordering::Relaxed) || nanos.is_empty() {
                    nanos.push(time(&mut other, "/api/v1/system").map_err(|error| error.to_string())?);
                }
                nanos.sort_unstable();
                Ok(nanos)
            }
        });
        let started = Instant::now();
        let first = time(&mut connection, PATH);
        counted.store(true, Ordering::Relaxed);
        let others = others.join().map_err(|_| "the other client failed")??;
        let what = |what: &str| what.to_owned();
        let complete = wait_until_complete(&mut connection, PATH)?;
        println!("{caller} saw all repositories after {:.1} s", (started.elapsed() - complete).as_secs_f64());
        answers.push(TimedRequest {
            what: what("/dashboard, first"),
            caller,
            nanos: vec![first?],
            bound: DASHBOARD_BOUNDS[0],
        });
        answers.push(TimedRequest {
            what: what("others meanwhile"),
            caller: "nobody",
            nanos: others,
            bound: OTHERS_BOUND,
        });
        let later = repeated(&mut connection, PATH, asked.requests)?;
        answers.push(TimedRequest {
            what: what("/dashboard, later"),
            caller,
            nanos: later,
            bound: DASHBOARD_BOUNDS[1],
        });
    }
    Ok(answers)
}
