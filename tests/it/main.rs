//! Client sessions against the registry, over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper fails the test it is called by")]
#![allow(unreachable_pub, dead_code, reason = "a test program is not a library")]

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_wharfinger");

mod artifacts;
#[cfg(not(portable))]
mod background;
mod beside;
mod boot;
mod collection;
mod conformance;
mod connections;
mod cors;
mod disk;
mod door;
mod drain;
mod elsewhere;
mod escapes;
mod facts;
mod first;
mod format;
mod fsck;
mod hostile;
mod import;
mod inside;
mod jobs;
mod leaks;
mod limits;
mod lists;
mod log;
mod login;
mod manage;
mod manifests;
mod matrix;
mod memory;
mod mirror;
mod orphans;
mod pages;
mod permissions;
mod reads;
mod realm;
mod reload;
mod repositories;
mod retention;
mod secrets;
mod stop;
mod stopped;
mod token;
mod trouble;
mod uploads;
mod words;
