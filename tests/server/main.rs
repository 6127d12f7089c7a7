//! The door against clients that behave and clients that do not, with a tiny service behind it.
//! Its limits are milliseconds here; what is asserted is the order of events, not their speed.
#![allow(missing_docs, unreachable_pub, reason = "a test program is nobody's library")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper fails the test it is called by")]

mod app;
mod client;
mod rig;

mod bodies;
mod clocks;
mod ending;
mod limits;
mod refusals;
mod reset;
mod tls;
