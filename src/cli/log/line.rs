//! What a log line looks like.
//!
//! It is what tracing-subscriber writes, in a third of the time: each request is a line. Unlike there, what a reader
//! would not see as what it is, is written as an escape.

use jiff::Timestamp;
use std::{
    cell::RefCell,
    fmt::{self, Debug, Write},
    time::{SystemTime, UNIX_EPOCH},
};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

/// For people: the time, the level, the message, and its fields as `name=value`.
pub(super) struct Plain {
    /// Whether a terminal shows colours.
    pub(super) has_colours: bool,
}

/// For programs: one JSON object.
pub(super) struct Json;

impl<S, N> FormatEvent<S, N> for Plain
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
    thread_local! {
        /// The second that was written last, and how: there are many lines in each.
        static SECOND: RefCell<(u64, String)> = const { RefCell::new((0, String::new())) };
    }
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    SECOND.with_borrow_mut(|(second, text)| {
        if *second != since.as_secs() || text.is_empty() {
            let at = i64::try_from(since.as_secs()).ok().and_then(|at| Timestamp::from_second(at).ok());
            *text = at.unwrap_or_default().to_string();
            // What follows the seconds is written each time.
            text.truncate(text.trim_end_matches('Z').len());
            *second = since.as_secs();
        }
        writer.write_str(text)
    })?;
    // A leading one keeps the zeros.
    let micros = decimal(1_000_000 + u64::from(since.subsec_micros()));
    writer.write_str(".")?;
    writer.write_str(&micros.as_str()[1..])?;
    writer.write_str("Z")
}

/// A number in decimal, without an allocation.
struct Decimal {
    digits: [u8; 20],
    start: usize,
}

fn decimal(mut number: u64) -> Decimal {
    let (mut digits, mut start) = ([b'0'; 20], 20);
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return Decimal { digits, start };
        }
    }
}

impl Decimal {
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.digits[self.start..]).unwrap_or_default()
    }
}

/// As `Debug` writes it; numbers of at most two decimals, which most are, without its search for the shortest form.
fn write_f64(writer: &mut Writer<'_>, value: f64) -> fmt::Result {
    let hundredths = (value * 100.0).round();
    if !(0.0..1e12).contains(&hundredths) || value.is_sign_negative() || hundredths / 100.0 != value {
        return write!(writer, "{value:?}");
    }
    let (whole, part) = ((hundredths as u64) / 100, (hundredths as u64) % 100);
    writer.write_str(decimal(whole).as_str())?;
    writer.write_str(".")?;
    match part % 10 {
        0 => writer.write_str(decimal(part / 10).as_str()),
        _ => writer.write_str(&decimal(100 + part).as_str()[1..]),
    }
}

/// The fields of an event, as `name=value`.
struct PlainFields<'w> {
    writer: Writer<'w>,
    written: fmt::Result,
    has_colours: bool,
}

impl PlainFields<'_> {
    /// Writes a field, unless one before it failed.
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
        // Anything else is written with escapes: what a client sent must not write lines of its own.
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
        self.write(field, |writer| writer.write_str(decimal(value).as_str()));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.write(field, |writer| write_f64(writer, value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let keeps_lines = field.name() == MESSAGE;
        self.write(field, |writer| write!(Harmless { writer, keeps_lines }, "{value:?}"));
    }
}

/// Whether a reader sees a character as what it is: no control or format character, such as U+202E, which reverses
/// the text after it, and no separator of lines.
fn is_visible(c: char) -> bool {
    matches!(c, '"' | '\'' | '\\') || c.escape_debug().len() == 1
}

/// Writes what is not visible as an escape, and line breaks too, except in a message.
struct Harmless<'a, 'w> {
    writer: &'a mut Writer<'w>,
    keeps_lines: bool,
}

impl Write for Harmless<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return self.writer.write_str(text);
        }
        for c in text.chars() {
            match c {
                '\n' if self.keeps_lines => self.writer.write_char(c)?,
                '\n' => self.writer.write_str("\\n")?,
                '\t' => self.writer.write_char(c)?,
                c if c.is_ascii_control() => write!(self.writer, "\\x{:02x}", c as u32)?,
                c if is_visible(c) => self.writer.write_char(c)?,
                c => write!(self.writer, "{}", c.escape_unicode())?,
            }
        }
        Ok(())
    }
}

/// The fields of an event, as members of an object.
struct JsonFields<'w> {
    writer: Writer<'w>,
    written: fmt::Result,
}

impl JsonFields<'_> {
    /// Writes a member of the object, unless one before it failed.
    fn write(&mut self, name: &str, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        let writer = &mut self.writer;
        self.written = self.written.and_then(|()| {
            writer.write_str(",\"")?;
            // The name of a field in our own code.
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
            c => c.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(writer, "\\u{unit:04x}"))?,
        }
    }
    writer.write_str("\"")
}

impl Visit for JsonFields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.write(field.name(), |writer| json_text(writer, value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.write(field.name(), |writer| writer.write_str(decimal(value).as_str()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.write(field.name(), |writer| write!(writer, "{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.write(field.name(), |writer| write!(writer, "{value}"));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.write(field.name(), |writer| match value.is_finite() {
            true => write_f64(writer, value),
            false => writer.write_str("null"),
        });
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.write(field.name(), |writer| json_text(writer, &format!("{value:?}")));
    }
}

#[cfg(test)]
mod tests;
