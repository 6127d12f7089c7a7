//! The server with well-behaved and hostile clients. The small service behind it does what no registry would: it answers
//! late or never, ends a body early, announces more than it has. Tests of the server with a registry are in
//! `tests/it/door`.
//!
//! The timeouts are milliseconds here, and the tests assert the order of events, not their speed. This is a separate
//! program so that no test of the registry runs at the same time.
#![allow(unreachable_pub, reason = "a test program is not a library")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper fails the test it is called by")]

mod app;
mod h2;
mod rig;

mod bodies;
mod clocks;
mod ending;
mod limits;
mod refusals;
mod reset;
mod tls;
