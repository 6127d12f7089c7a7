//! `wharf`: the command line of Wharfinger, and of any other OCI registry.

use std::process::ExitCode;

fn main() -> ExitCode {
    wharf::main()
}
