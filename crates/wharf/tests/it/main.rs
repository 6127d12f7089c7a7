//! Sessions at the command line, against a real daemon.
#![allow(unreachable_pub, reason = "a test program is not a library")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod administration;
mod artifacts;
mod copies;
mod dfcli;
mod floundr;
mod following;
mod goldens;
mod guide;
mod images;
mod logins;
mod modes;
mod output;
mod rig;
mod tui;
