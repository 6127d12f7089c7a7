//! Loads container registries, ours and others', and compares what they do and what it costs them.
//!
//! How to run it and what its figures mean: docs/performance.md.

mod args;
mod client;
mod compare;
mod content;
mod figures;
mod http;
mod load;
mod peers;
mod procs;
mod programs;
mod report;
mod target;
mod work;
mod zb;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Cli, Command};

/// What may go wrong is told and ends the program.
type Error = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Error>;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    // A peer about to start: nothing is parsed, since its start may be what is measured.
    let done = match words.split_first() {
        Some((word, rest)) if word == peers::server::HOLD => peers::server::hold(rest),
        _ => run(Cli::parse().command),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::List { programs } => programs::list(&programs),
        Command::Compare(asked) => programs::compare(asked),
        Command::Drive(asked) => programs::drive(asked),
        Command::Zb(asked) => programs::zb(&asked),
        Command::Floor { port, directory } => peers::floor::serve(port, &directory),
    }
}
