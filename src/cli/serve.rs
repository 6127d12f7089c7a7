//! `wharfinger serve`: logging, the decisions taken, and then the server until it is told to stop.

use std::io::IsTerminal;
use std::process::ExitCode;

use tracing::level_filters::LevelFilter;
use tracing::{info, warn};

use crate::config::{Env, Live, LogFormat, LogLevel, Warning};

/// Serves until a signal ends it; `warnings` are repeated in the log.
pub(super) fn serve(env: Env, live: Live, warnings: &[Warning]) -> ExitCode {
    start_log(&env);
    for line in env.decisions() {
        info!("{line}");
    }
    for warning in warnings {
        warn!("{warning}");
    }
    // --- the server goes here: open storage, build the app, listen, drain ---
    drop((env, live));
    warn!("serving is not part of this build yet");
    ExitCode::FAILURE
}

/// Log lines go to stdout; what keeps the program from starting goes to stderr.
fn start_log(env: &Env) {
    let level = match env.log_level {
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
    };
    let log = tracing_subscriber::fmt().with_max_level(level);
    // The log may be set only once in a process; a second attempt (in a test) keeps the first.
    let _ = match env.log_format {
        LogFormat::Pretty => {
            let log = log.with_ansi(std::io::stdout().is_terminal()).with_target(false);
            tracing::subscriber::set_global_default(log.finish())
        }
        LogFormat::Json => tracing::subscriber::set_global_default(log.json().flatten_event(true).finish()),
    };
}
