//! What is fuzzed: one function per target, each holding whatever it is given against an oracle.
//!
//! The functions know nothing of the fuzzer. `fuzz_targets/` hands them to it; in the main
//! package `tests/fuzz_replay.rs` takes this file as a module and gives them the corpora, so that
//! an ordinary `cargo test` replays whatever was ever found.
//!
//! Inputs are texts a person can write: one line feed at their end belongs to the file.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what does not hold is to end the run")]
#![allow(missing_docs, unreachable_pub, reason = "a test program takes it as a module")]

mod access;
mod credentials;
mod digest;
mod grammar;
mod list;
mod manifest;
mod path;
mod query;
mod range;
mod requests;
mod stored;

pub use access::{rules, scope};
pub use credentials::{authorization, htpasswd, jwt};
pub use digest::{digest, name};
pub use list::catalog;
pub use manifest::manifest;
pub use path::path;
pub use query::query;
pub use range::{content_range, range};
pub use requests::requests;
pub use stored::stored;

/// A target's name, and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// Every target by its name: of its file in `fuzz_targets/`, and of its directory in `corpus/`.
pub const TARGETS: &[Target] = &[
    ("authorization", authorization),
    ("catalog", catalog),
    ("content_range", content_range),
    ("digest", digest),
    ("htpasswd", htpasswd),
    ("jwt", jwt),
    ("manifest", manifest),
    ("name", name),
    ("path", path),
    ("query", query),
    ("range", range),
    ("requests", requests),
    ("rules", rules),
    ("scope", scope),
    ("stored", stored),
];

/// The input as text, if it is text.
fn text(data: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(data).ok()?;
    Some(text.strip_suffix('\n').unwrap_or(text))
}

/// The first line and what follows it.
fn first_line(data: &[u8]) -> Option<(&str, &[u8])> {
    let end = data.iter().position(|&b| b == b'\n')?;
    Some((std::str::from_utf8(&data[..end]).ok()?, &data[end + 1..]))
}

/// Runs what is asynchronous, on this thread alone.
fn wait<T>(work: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    }
    RUNTIME.with(|runtime| runtime.block_on(work))
}
