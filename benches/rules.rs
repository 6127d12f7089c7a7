//! What rules cost: reading and compiling them, deciding by them, pruning the catalog by them, and
//! the memory they take. `cargo bench --bench rules`; the figures are in docs/performance.md.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark ends with what goes wrong")]

use rustix::time::{ClockId, clock_gettime};
use std::{hint::black_box, time::Duration};
use wharfinger::{
    access::{Ceiling, Facts, Policy, Rights},
    oci::RepositoryName,
    who::{Action, Subject},
};

/// Rules as teams have them: exact names, one level, whole trees, one name anywhere.
fn ordinary(i: usize) -> String {
    match i % 4 {
        0 => format!("team-{i}/app"),
        1 => format!("team-{i}/*"),
        2 => format!("team-{i}/**"),
        _ => format!("**/service-{i}"),
    }
}

/// Stars in the middle of components, which no prefix rules out.
fn starred(i: usize) -> String {
    format!("*a*b{i}*c*")
}

fn file(rules: usize, pattern: fn(usize) -> String) -> String {
    let rule = |i| {
        let pattern = pattern(i);
        format!(
            r#"    {{ "repository": "{pattern}", "users": ["alice", "user-{i}"], "permissions": ["pull", "push"] }}"#
        )
    };
    let rules: Vec<_> = (0..rules).map(rule).collect();
    format!("{{\n  \"defaultPolicy\": \"deny\",\n  \"rules\": [\n{}\n  ]\n}}\n", rules.join(",\n"))
}

fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    pages.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4 / 1024
}

/// What this thread has used of a processor: others use this machine, too.
fn used() -> Duration {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(used.tv_sec.unsigned_abs(), u32::try_from(used.tv_nsec).unwrap())
}

/// The best of several rounds.
fn each(work: impl Fn()) -> Duration {
    const ROUNDS: u32 = 15;
    const TIMES: u32 = 2000;
    (0..ROUNDS)
        .map(|_| {
            let begun = used();
            (0..TIMES).for_each(|_| work());
            (used() - begun) / TIMES
        })
        .min()
        .unwrap_or_default()
}

fn read(text: &str) -> Duration {
    let begun = used();
    black_box(Policy::parse(text).unwrap());
    used() - begun
}

fn main() {
    println!("rules     kind      read+compile  MiB   short     249 bytes  last rule  prefix");
    for (kind, pattern) in [("ordinary", ordinary as fn(usize) -> String), ("starred", starred)] {
        for rules in [10, 1000, 10_000] {
            let (text, before) = (file(rules, pattern), resident());
            let (policy, _) = Policy::parse(&text).unwrap();
            let holds = resident().saturating_sub(before);
            let took = (0..10).map(|_| read(&text)).min().unwrap_or_default();
            let rights = Rights::Rules { policy, authenticated: true };
            let alice = Subject::User("alice".into());
            let decide = |name: &str| {
                let name: RepositoryName = name.parse().unwrap();
                each(|| {
                    black_box(rights.decide(&alice, &Ceiling::None, black_box(&name), Action::Pull, Facts));
                })
            };
            let prefix: RepositoryName = "elsewhere".parse().unwrap();
            let prefix = each(|| {
                black_box(rights.reaches(&alice, &Ceiling::None, black_box(&prefix)));
            });
            let long = "abc".repeat(83);
            let last = pattern(rules - 1).replace("**/", "x/").replace("**", "*").replace('*', "app");
            let (short, long, last) = (decide("other/app"), decide(&long), decide(&last));
            println!(
                "{rules:<9} {kind:<9} {took:<13.1?} {holds:<5} {short:<9.2?} {long:<10.2?} {last:<10.2?} {prefix:.2?}"
            );
        }
    }
}
