//! The log: its format, its destination and its level.

#![expect(clippy::disallowed_methods, reason = "log lines go to stdout")]

mod line;
mod out;

pub(super) use out::{before_waiting, flush, lines_dropped};

use crate::config::{Live, LogFormat, LogLevel};
use line::{Json, PlainFormat};
use out::{Out, set_most_bytes, start_writer};
use std::io::{self, IsTerminal};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{fmt, layer::SubscriberExt, reload};

/// Makes the log follow the configuration.
pub(super) type ConfigureLog = Box<dyn Fn(&Live) + Send + Sync>;

/// Log lines go to stdout; errors that keep the program from starting go to stderr.
pub(super) fn start_log(format: LogFormat, live: &Live) -> ConfigureLog {
    let (level, handle) = reload::Layer::new(filter(live.log_level));
    let log = tracing_subscriber::registry().with(level);
    let lines = fmt::layer().with_writer(Out);
    let has_colours = io::stdout().is_terminal();
    // The log can be set only once per process; a second attempt (in a test) keeps the first.
    let _ = match format {
        LogFormat::Pretty => {
            tracing::subscriber::set_global_default(log.with(lines.event_format(PlainFormat { has_colours })))
        }
        LogFormat::Json => tracing::subscriber::set_global_default(log.with(lines.event_format(Json))),
    };
    let configure = Box::new(move |live: &Live| {
        set_most_bytes(live.log_queue_bytes);
        // Fails only if the log is gone.
        let _ = handle.reload(filter(live.log_level));
    });
    configure(live);
    start_writer();
    configure
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
    }
}
