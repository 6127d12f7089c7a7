//! Loads container registries, ours and others, and compares their speed and cost.
//!
//! docs/performance.md describes how to run it and what the figures mean.

mod args;
mod compare;
mod content;
mod figures;
mod http;
mod load;
mod loader;
mod peers;
mod placer;
mod procs;
mod programs;
mod report;
mod scale;
mod target;
mod work;
mod zb;

use std::process::ExitCode;

use clap::Parser as _;

use args::{BenchCli, BenchCommand};

/// An error is printed and ends the program.
type BenchError = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, BenchError>;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    // A server that is about to start: nothing is parsed, as its startup may be what is measured.
    let done = match words.split_first() {
        Some((word, rest)) if word == peers::server::HOLD => peers::server::hold(rest),
        _ => run(BenchCli::parse().command),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: BenchCommand) -> Result<()> {
    match command {
        BenchCommand::List { programs } => programs::list(&programs),
        BenchCommand::Compare(asked) => programs::compare(asked),
        BenchCommand::Drive(asked) => programs::drive(asked),
        BenchCommand::Zb(asked) => programs::zb(&asked),
        BenchCommand::Scale(asked) => scale::run(&asked),
        BenchCommand::Floor { port, directory } => peers::floor::serve(port, &directory),
    }
}
