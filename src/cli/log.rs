//! The log: what lines look like, and which there are.

use crate::config::{LogFormat, LogLevel};
use std::{
    fmt as text,
    io::{self, IsTerminal},
};
use tracing::{
    field::{Field, Visit},
    level_filters::LevelFilter,
};
use tracing_subscriber::{
    field::{RecordFields, VisitOutput},
    fmt::{
        self, FormatFields,
        format::{DefaultVisitor, Writer},
    },
    layer::SubscriberExt,
    reload,
};

/// Changes what is logged while running.
pub(super) type SetLevel = Box<dyn Fn(LogLevel) + Send + Sync>;

/// Log lines go to stdout; what keeps the program from starting goes to stderr.
pub(super) fn start_log(format: LogFormat, level: LogLevel) -> SetLevel {
    let (level, handle) = reload::Layer::new(filter(level));
    let log = tracing_subscriber::registry().with(level);
    // The log may be set only once in a process; a second attempt (in a test) keeps the first.
    let _ = match format {
        LogFormat::Pretty => {
            let lines = fmt::layer().with_target(false);
            match io::stdout().is_terminal() {
                true => tracing::subscriber::set_global_default(log.with(lines)),
                false => tracing::subscriber::set_global_default(log.with(lines.with_ansi(false).fmt_fields(Plain))),
            }
        }
        LogFormat::Json => tracing::subscriber::set_global_default(log.with(fmt::layer().json().flatten_event(true))),
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

/// Fields as they are written by default where there are no colours. What every request is told by is written
/// straight away, which takes half the time.
struct Plain;

impl<'w> FormatFields<'w> for Plain {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> text::Result {
        let mut visitor = PlainVisitor { writer, is_first: true, written: Ok(()) };
        fields.record(&mut visitor);
        visitor.written
    }
}

struct PlainVisitor<'w> {
    writer: Writer<'w>,
    is_first: bool,
    written: text::Result,
}

impl PlainVisitor<'_> {
    fn name(&mut self, field: &Field) -> text::Result {
        let gap = if std::mem::take(&mut self.is_first) { "" } else { " " };
        self.writer.write_str(gap)?;
        self.writer.write_str(field.name())?;
        self.writer.write_str("=")
    }
}

impl Visit for PlainVisitor<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        // Anything else is written with escapes: what a client sent must not write lines of its own.
        let is_plain = value.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'));
        if field.name() == "message" || !is_plain {
            return self.record_debug(field, &value);
        }
        self.written = self.written.and_then(|()| self.name(field)).and_then(|()| {
            self.writer.write_str("\"")?;
            self.writer.write_str(value)?;
            self.writer.write_str("\"")
        });
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.written = self.written.and_then(|()| self.name(field)).and_then(|()| write!(self.writer, "{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn text::Debug) {
        if self.written.is_ok() {
            let is_first = std::mem::take(&mut self.is_first);
            let mut by_default = DefaultVisitor::new(self.writer.by_ref(), is_first);
            by_default.record_debug(field, value);
            self.written = by_default.finish();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::fmt::MakeWriter;

    /// Keeps what is logged.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'w> MakeWriter<'w> for Kept {
        type Writer = Self;

        fn make_writer(&'w self) -> Self {
            self.clone()
        }
    }

    fn tell_everything() {
        let none: Option<u64> = None;
        let client = Some(tracing::field::display("10.0.0.1"));
        tracing::info!(
            id = "a-b_c.1",
            client,
            status = 200u16,
            bytes = u64::MAX,
            none,
            cut = true,
            ms = 1.25,
            "request"
        );
        tracing::warn!(first = "with \"quotes\" and\nlines", second = "", third = -1, "said {}", "\x1b[31mred");
        tracing::error!(error = %"a \x1b[31m text", text = ?"debug");
        tracing::info!("only a message");
        tracing::info!(only = "a field");
    }

    #[test]
    fn lines_read_as_they_do_by_default() {
        let logged = |fields: bool| {
            let kept = Kept::default();
            let lines = fmt::layer().without_time().with_target(false).with_ansi(false).with_writer(kept.clone());
            let log = tracing_subscriber::registry();
            match fields {
                true => tracing::subscriber::with_default(log.with(lines.fmt_fields(Plain)), tell_everything),
                false => tracing::subscriber::with_default(log.with(lines), tell_everything),
            }
            let bytes = kept.0.lock().unwrap().clone();
            String::from_utf8(bytes).unwrap()
        };
        let by_default = logged(false);
        assert!(by_default.contains(r#"request id="a-b_c.1" client=10.0.0.1 status=200"#), "{by_default}");
        assert_eq!(logged(true), by_default);
    }
}
