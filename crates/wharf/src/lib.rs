//! `wharf`: the command line of Wharfinger, and of any other OCI registry.
//!
//! The crate is a program; as a library it is there for its tests and for what is generated from its command line.

pub mod args;
pub mod commands;
pub mod config;
pub mod copy;
pub mod credentials;
pub mod failure;
pub mod file_source;
pub mod follow;
pub mod layout;
pub mod lists;
pub mod management;
pub mod output;
pub mod place;
pub mod progress;
pub mod session;
pub mod tui;

use args::Wharf;
use clap::Parser;
use failure::{ExitStatus, Failure};
use session::CommandSession;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// The program: reads the command line, runs the command, reports what failed.
pub fn main() -> ExitCode {
    let wharf = match Wharf::try_parse() {
        Ok(wharf) => wharf,
        Err(error) => {
            // A help text that nobody reads is no error.
            let _ = error.print();
            return ExitCode::from(u8::from(error.use_stderr()) * ExitStatus::Usage as u8);
        }
    };
    if wharf.globals.no_color {
        console::set_colors_enabled(false);
        console::set_colors_enabled_stderr(false);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return report(&Failure::failed(format!("cannot start: {error}"))),
    };
    let status = runtime.block_on(async {
        tokio::select! {
            // In this order, so that signals are waited for before the command begins.
            biased;
            status = stopped() => ExitCode::from(status),
            done = run(wharf) => match done {
                Ok(()) => ExitCode::SUCCESS,
                Err(failure) => report(&failure),
            },
        }
    });
    // What is being read or hashed when the command is interrupted is not waited for.
    runtime.shutdown_background();
    status
}

async fn run(wharf: Wharf) -> Result<(), Failure> {
    let session = CommandSession::open(wharf.globals)?;
    commands::run(wharf.command, &session).await
}

/// Waits for a signal that ends the program; returns the status to exit with. The work is dropped where it is, so its
/// temporary files are removed.
async fn stopped() -> u8 {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => 130,
        _ = terminate.recv() => 143,
    }
}

fn report(failure: &Failure) -> ExitCode {
    if !failure.message.is_empty() {
        output::warn(&format!("wharf: {}", failure.message));
    }
    if let Some(hint) = &failure.hint {
        output::warn(&format!("  {hint}"));
    }
    ExitCode::from(failure.status as u8)
}
