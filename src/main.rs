//! The daemon: everything is in the library; only the exit code is decided here.

#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

use std::process::ExitCode;

fn main() -> ExitCode {
    wharfinger::cli::run(std::env::args_os())
}
