//! The cost of rules: reading and compiling them, decisions, pruning the catalog, the largest token request, and
//! memory. `cargo bench --bench rules`; the figures are in docs/performance.md.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark ends with what goes wrong")]

use oci::RepositoryName;
use rustix::time::{ClockId, clock_gettime};
use std::{hint::black_box, time::Duration};
use wharfinger::{
    access::{Ceiling, Policy, RepositoryFacts, Rights},
    who::{Action, Subject},
};

/// Typical rules of teams: exact names, one level, whole trees, one name anywhere.
fn ordinary(i: usize) -> String {
    match i % 4 {
        0 => format!("team-{i}/app"),
        1 => format!("team-{i}/*"),
        2 => format!("team-{i}/**"),
        _ => format!("**/service-{i}"),
    }
}

/// Stars in the middle of components, which no prefix excludes.
fn starred(i: usize) -> String {
    format!("*a*b{i}*c*")
}

/// Everything below a user's own name, which is checked rule by rule.
fn personal(i: usize) -> String {
    format!("**/${{user}}/x{i}/**")
}

/// One repository of many users, each with a rule of their own.
fn shared(_: usize) -> String {
    "team/**".to_owned()
}

/// The names of the largest token request: a hundred of maximum length, with as many components as possible, all
/// different.
fn scopes() -> Vec<RepositoryName> {
    (0..100_u64)
        .map(|i| {
            let mut dice = i + 1;
            let letter = || {
                dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                char::from(b"abcx0123"[(dice >> 61) as usize])
            };
            let letters: Vec<_> = std::iter::repeat_with(letter).take(125).map(String::from).collect();
            format!("team/{}", letters.join("/")).parse().unwrap()
        })
        .collect()
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

/// The name of a kind of rules, its patterns, and the user who makes the requests.
type RuleKind = (&'static str, fn(usize) -> String, &'static str);

fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    pages.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4 / 1024
}

/// CPU time of this thread, as others use this machine too.
fn used() -> Duration {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(used.tv_sec.unsigned_abs(), u32::try_from(used.tv_nsec).unwrap())
}

/// The best of several rounds.
fn each(work: impl Fn()) -> Duration {
    best_of(2000, work)
}

fn best_of(times: u32, work: impl Fn()) -> Duration {
    const ROUNDS: u32 = 15;
    (0..ROUNDS)
        .map(|_| {
            let begun = used();
            (0..times).for_each(|_| work());
            (used() - begun) / times
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
    println!("rules     kind      read+compile  MiB   short     249 bytes  last rule  token     prefix");
    let kinds: [RuleKind; 4] = [
        ("ordinary", ordinary, "alice"),
        ("starred", starred, "alice"),
        ("personal", personal, "alice"),
        // None of the matching rules is for this user.
        ("shared", shared, "bob"),
    ];
    for (kind, pattern, user) in kinds {
        for rules in [10, 1000, 10_000] {
            let (text, before) = (file(rules, pattern), resident());
            let (policy, _) = Policy::parse(&text).unwrap();
            let holds = resident().saturating_sub(before);
            let took = (0..10).map(|_| read(&text)).min().unwrap_or_default();
            let rights = Rights::Rules { policy, authenticated: true };
            let user = Subject::User(user.into());
            let decide = |name: &str| {
                let name: RepositoryName = name.parse().unwrap();
                each(|| {
                    black_box(rights.decide(
                        &user,
                        &Ceiling::None,
                        black_box(&name),
                        Action::Pull,
                        &RepositoryFacts::default(),
                    ));
                })
            };
            let prefix: RepositoryName = "elsewhere".parse().unwrap();
            let prefix = each(|| {
                black_box(rights.reaches(&user, &Ceiling::None, black_box(&prefix)));
            });
            let names = scopes();
            let token = best_of(1, || {
                let rights = rights.of(&user, &Ceiling::None, names.len());
                for name in &names {
                    let all = [Action::Pull, Action::Push, Action::Delete];
                    black_box(rights.decide(black_box(name), &all));
                }
            });
            let long = "abc".repeat(83);
            let last = pattern(rules - 1)
                .replace("**/", "x/")
                .replace("**", "*")
                .replace('*', "app")
                .replace("${user}", "alice");
            let (short, long, last) = (decide("other/app"), decide(&long), decide(&last));
            println!(
                "{rules:<9} {kind:<9} {took:<13.1?} {holds:<5} {short:<9.2?} {long:<10.2?} {last:<10.2?} {token:<9.2?} {prefix:.2?}"
            );
        }
    }
}
