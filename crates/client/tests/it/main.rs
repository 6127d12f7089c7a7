//! Sessions of the client with our own registry in this process, and with a scripted one for behaviour that ours never
//! shows.

#![allow(unreachable_pub, reason = "a test program is not a library")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper fails the test it is called by")]

mod connections;
mod daemon;
mod fake;
mod words;

mod lists;
mod logins;
mod network;
mod ours;
mod pulls;
mod pushes;
