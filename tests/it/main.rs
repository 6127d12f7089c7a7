//! Sessions of clients against the registry, over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper fails the test it is called by")]
#![allow(missing_docs, unreachable_pub, dead_code, reason = "a test program is nobody's library")]

mod daemon;
mod people;
mod raw;
mod registry;
mod session;

#[cfg(not(portable))]
mod background;
mod beside;
mod boot;
mod collection;
mod conformance;
mod cors;
mod disk;
mod door;
mod drain;
mod elsewhere;
mod escapes;
mod first;
mod format;
mod fsck;
mod hostile;
mod inside;
mod leaks;
mod limits;
mod lists;
mod log;
mod login;
mod manifests;
mod matrix;
mod orphans;
mod reads;
mod realm;
mod reload;
mod retention;
mod secrets;
mod stop;
mod token;
mod trouble;
mod uploads;
mod words;
