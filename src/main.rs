//! The daemon: everything is in the library; only the exit code is decided here.

use std::process::ExitCode;

fn main() -> ExitCode {
    wharfinger::cli::run(std::env::args_os())
}
