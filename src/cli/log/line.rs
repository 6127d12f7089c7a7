//! The format of log lines.
//!
//! The same as that of tracing-subscriber, with one difference: characters that a reader would not see, or would see as
//! something else, are escaped.
//!
//! Every request is a line, so the cost matters. With these escapes, the library needs 15,900 instructions for that
//! line and 30,400 for it as JSON; this module needs 9,200 and 10,200. Most of the difference is that text without
//! special characters is written as it is, without `Debug`. Numbers and times are formatted by their types, although
//! code of our own would save another 8 %.

use crate::cli::terminal::{is_visible, write_json_escape, write_visible};
use jiff::Timestamp;
use std::{
    fmt::{self, Debug, Write},
    time::SystemTime,
};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

/// The format for people: time, level, message, and the fields as `name=value`.
pub(super) struct PlainFormat {
    /// Whether to use colours.
    pub(super) has_colours: bool,
}

/// The format for programs: one JSON object per line.
pub(super) struct Json;

impl<S, N> FormatEvent<S, N> for PlainFormat
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let has_colours = self.has_colours;
        coloured(&mut writer, has_colours.then_some(DIM), |writer| write_time(writer, SystemTime::now()))?;
        writer.write_str(" ")?;
        let level = event.metadata().level();
        coloured(&mut writer, has_colours.then(|| colour(*level)), |writer| {
            writer.write_str(if level.as_str().len() < 5 { " " } else { "" })?;
            writer.write_str(level.as_str())
        })?;
        let mut fields = PlainFields { writer, written: Ok(()), has_colours };
        event.record(&mut fields);
        fields.written?;
        fields.writer.write_str("\n")
    }
}

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        writer.write_str(r#"{"timestamp":""#)?;
        write_time(&mut writer, SystemTime::now())?;
        writer.write_str(r#"","level":""#)?;
        writer.write_str(event.metadata().level().as_str())?;
        writer.write_str("\"")?;
        let mut fields = JsonFields { writer, written: Ok(()) };
        event.record(&mut fields);
        fields.write("target", |writer| json_text(writer, event.metadata().target()));
        fields.written?;
        fields.writer.write_str("}\n")
    }
}

const DIM: &str = "\x1b[2m";
const ITALIC: &str = "\x1b[3m";

fn colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        Level::DEBUG => "\x1b[34m",
        Level::TRACE => "\x1b[35m",
    }
}

/// Writes something in a style, if there is one.
fn coloured(
    writer: &mut Writer<'_>,
    style: Option<&str>,
    write: impl FnOnce(&mut Writer<'_>) -> fmt::Result,
) -> fmt::Result {
    let Some(style) = style else { return write(writer) };
    writer.write_str(style)?;
    write(writer)?;
    writer.write_str("\x1b[0m")
}

/// RFC 3339 in UTC, with microseconds.
fn write_time(writer: &mut Writer<'_>, now: SystemTime) -> fmt::Result {
    write!(writer, "{:.6}", Timestamp::try_from(now).unwrap_or_default())
}

/// Writes the fields of an event as `name=value`.
struct PlainFields<'w> {
    writer: Writer<'w>,
    written: fmt::Result,
    has_colours: bool,
}

impl PlainFields<'_> {
    /// Writes a field, unless an earlier one failed.
    fn write(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        let (writer, has_colours) = (&mut self.writer, self.has_colours);
        self.written = self.written.and_then(|()| {
            writer.write_str(" ")?;
            if field.name() != MESSAGE {
                coloured(writer, has_colours.then_some(ITALIC), |writer| writer.write_str(field.name()))?;
                coloured(writer, has_colours.then_some(DIM), |writer| writer.write_str("="))?;
            }
            value(writer)
        });
    }
}

/// The field that holds the message.
const MESSAGE: &str = "message";

impl Visit for PlainFields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        // Other fields are escaped: a client must not be able to write lines of its own.
        let is_plain = value.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\'));
        match field.name() {
            MESSAGE => self.record_debug(field, &format_args!("{value}")),
            _ if !is_plain => self.record_debug(field, &value),
            _ => self.write(field, |writer| {
                writer.write_str("\"")?;
                writer.write_str(value)?;
                writer.write_str("\"")
            }),
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.write(field, |writer| write!(writer, "{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let keeps_lines = field.name() == MESSAGE;
        self.write(field, |writer| write!(EscapingWriter { writer, keeps_lines }, "{value:?}"));
    }
}

/// Escapes characters that are not visible, and line breaks too, except in a message.
struct EscapingWriter<'a, 'w> {
    writer: &'a mut Writer<'w>,
    keeps_lines: bool,
}

impl Write for EscapingWriter<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        write_visible(self.writer, text, self.keeps_lines)
    }
}

/// Writes the fields of an event as members of an object.
struct JsonFields<'w> {
    writer: Writer<'w>,
    written: fmt::Result,
}

impl JsonFields<'_> {
    /// Writes a member of the object, unless an earlier one failed.
    fn write(&mut self, name: &str, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        let writer = &mut self.writer;
        self.written = self.written.and_then(|()| {
            writer.write_str(",\"")?;
            // Field names come from our own code.
            writer.write_str(name)?;
            writer.write_str("\":")?;
            value(writer)
        });
    }
}

fn json_text(writer: &mut Writer<'_>, text: &str) -> fmt::Result {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')) {
        writer.write_str("\"")?;
        writer.write_str(text)?;
        return writer.write_str("\"");
    }
    writer.write_str("\"")?;
    for c in text.chars() {
        match c {
            '"' => writer.write_str("\\\"")?,
            '\\' => writer.write_str("\\\\")?,
            '\n' => writer.write_str("\\n")?,
            '\t' => writer.write_str("\\t")?,
            c if is_visible(c) => writer.write_char(c)?,
            c => write_json_escape(writer, c)?,
        }
    }
    writer.write_str("\"")
}

impl Visit for JsonFields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.write(field.name(), |writer| json_text(writer, value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.write(field.name(), |writer| write!(writer, "{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.write(field.name(), |writer| write!(writer, "{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.write(field.name(), |writer| write!(writer, "{value}"));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.write(field.name(), |writer| match value.is_finite() {
            true => write!(writer, "{value:?}"),
            false => writer.write_str("null"),
        });
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.write(field.name(), |writer| json_text(writer, &format!("{value:?}")));
    }
}

#[cfg(test)]
mod tests;
