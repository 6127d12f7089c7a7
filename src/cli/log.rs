//! The log: what lines look like, where they go, and which there are.

mod line;
mod out;

pub(super) use out::before_waiting;

use crate::config::{LogFormat, LogLevel};
use line::{Json, Plain};
use out::Out;
use std::io::{self, IsTerminal};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{fmt, layer::SubscriberExt, reload};

/// Changes what is logged while running.
pub(super) type SetLevel = Box<dyn Fn(LogLevel) + Send + Sync>;

/// Log lines go to stdout; what keeps the program from starting goes to stderr.
pub(super) fn start_log(format: LogFormat, level: LogLevel) -> SetLevel {
    let (level, handle) = reload::Layer::new(filter(level));
    let log = tracing_subscriber::registry().with(level);
    let lines = fmt::layer().with_writer(Out);
    // The log may be set only once in a process; a second attempt (in a test) keeps the first.
    let _ = match format {
        LogFormat::Pretty if io::stdout().is_terminal() => {
            tracing::subscriber::set_global_default(log.with(lines.with_target(false)))
        }
        LogFormat::Pretty => {
            tracing::subscriber::set_global_default(log.with(lines.with_ansi(false).event_format(Plain)))
        }
        LogFormat::Json => tracing::subscriber::set_global_default(log.with(lines.with_ansi(false).event_format(Json))),
    };
    Box::new(move |level| {
        // Fails only when the log is gone.
        let _ = handle.reload(filter(level));
    })
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
    }
}
