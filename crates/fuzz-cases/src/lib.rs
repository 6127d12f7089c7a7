//! The fuzz targets: one function each, which checks its input against an oracle.
//!
//! The functions do not depend on the fuzzer. `fuzz/fuzz_targets` gives them to it. `tests/replay.rs` runs them with the
//! corpora, so that `cargo test` repeats everything that was ever found.
//!
//! Inputs are texts that a person can write: one line feed at the end belongs to the file and not to the input.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a property that does not hold must end the run")]

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

/// The name of a target, and its function.
pub type Target = (&'static str, fn(&[u8]));

/// All targets. The name is that of the file in `fuzz/fuzz_targets` and of the directory in `fuzz/corpus`.
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

/// Runs asynchronous work on this thread.
fn wait<T>(work: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    }
    RUNTIME.with(|runtime| runtime.block_on(work))
}
