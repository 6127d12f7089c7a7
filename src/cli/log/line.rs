//! What a line of the log looks like, where there are no colours.
//!
//! As the library writes it, in a third of the time: every request is told by one.

use jiff::Timestamp;
use serde_json::Value;
use std::{
    cell::RefCell,
    fmt::{self, Debug, Write},
    time::{SystemTime, UNIX_EPOCH},
};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

/// For people: the time, the level, the message, and what goes with it as `name=value`.
pub(super) struct Plain;

/// For programs: one JSON object.
pub(super) struct Json;

impl<S, N> FormatEvent<S, N> for Plain
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        write_time(&mut writer, SystemTime::now())?;
        let level = event.metadata().level().as_str();
        writer.write_str(if level.len() < 5 { "  " } else { " " })?;
        writer.write_str(level)?;
        let mut fields = PlainFields { writer, written: Ok(()) };
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

/// What goes with an event, as `name=value`.
struct PlainFields<'w> {
    writer: Writer<'w>,
    written: fmt::Result,
}

impl PlainFields<'_> {
    /// Writes a field, unless one before it failed.
    fn write(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        let writer = &mut self.writer;
        self.written = self.written.and_then(|()| {
            writer.write_str(" ")?;
            if field.name() != MESSAGE {
                writer.write_str(field.name())?;
                writer.write_str("=")?;
            }
            value(writer)
        });
    }
}

/// The field that holds what is said.
const MESSAGE: &str = "message";

impl Visit for PlainFields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        // Anything else is written with escapes: what a client sent must not write lines of its own.
        let is_plain = value.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'));
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

/// Writes what a terminal would act upon as an escape, and line breaks too, except in a message.
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
                c if c.is_control() => write!(self.writer, "{}", c.escape_unicode())?,
                c => self.writer.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// What goes with an event, as members of an object.
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
    write!(writer, "{}", Value::from(text))
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
mod tests {
    use super::*;
    use std::{
        io,
        sync::{Arc, Mutex},
    };
    use tracing::subscriber::with_default;
    use tracing_subscriber::{
        fmt::{MakeWriter, layer},
        layer::SubscriberExt,
        registry,
    };

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

    impl Kept {
        fn lines(self) -> Vec<String> {
            let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            text.lines().map(str::to_owned).collect()
        }
    }

    fn tell_everything() {
        let none: Option<u64> = None;
        let client = Some(tracing::field::display("10.0.0.1"));
        let id = "a-b_c.1";
        tracing::info!(id, client, status = 200u16, bytes = u64::MAX, none, cut = true, ms = 1.25, "request");
        tracing::warn!(first = "with \"quotes\" and\nlines", second = "", third = -1, "said {}", "\x1b[31mred \u{9b}");
        tracing::error!(error = %"a text", text = ?"debug\t", zero = 0, "ä\tö");
        for ms in
            [0.0, -0.0, 0.01, 0.1, 0.5, 1.0, 12.3, 99.99, 1e3, 123_456.78, 1e11, 1e20, 1.005, -3.5, 1e-7, f64::NAN]
        {
            tracing::debug!(ms);
        }
        tracing::trace!("only a message");
        tracing::info!(only = "a field", error = %"\\");
    }

    #[test]
    fn lines_read_as_they_do_by_default() {
        let (ours, theirs) = (Kept::default(), Kept::default());
        let plain = layer().with_ansi(false).with_target(false);
        with_default(registry().with(plain.event_format(Plain).with_writer(ours.clone())), tell_everything);
        let plain = layer().with_ansi(false).with_target(false).with_writer(theirs.clone());
        with_default(registry().with(plain), tell_everything);
        // What follows the time.
        let rest = |kept: Kept| -> Vec<_> { kept.lines().iter().map(|line| line[27..].to_owned()).collect() };
        let ours = rest(ours);
        assert!(ours[0].contains(r#"  INFO request id="a-b_c.1" client=10.0.0.1 status=200 bytes="#), "{ours:?}");
        assert_eq!(ours, rest(theirs));
    }

    #[test]
    fn objects_read_as_they_do_by_default() {
        let (ours, theirs) = (Kept::default(), Kept::default());
        with_default(registry().with(layer().event_format(Json).with_writer(ours.clone())), tell_everything);
        let json = layer().json().flatten_event(true).with_writer(theirs.clone());
        with_default(registry().with(json), tell_everything);
        let objects = |kept: Kept| -> Vec<_> {
            let objects = kept.lines().into_iter().map(|line| {
                let mut object: serde_json::Map<String, Value> = serde_json::from_str(&line).expect(&line);
                assert!(object.remove("timestamp").is_some());
                object
            });
            objects.collect()
        };
        assert_eq!(objects(ours), objects(theirs));
    }

    #[test]
    fn what_a_fault_says_is_one_line_without_commands_to_a_terminal() {
        let kept = Kept::default();
        let plain = layer().event_format(Plain).with_writer(kept.clone());
        with_default(registry().with(plain), || tracing::error!(error = %"a\nFORGED \x1b[31m", "said"));
        let lines = kept.lines();
        assert!(lines.len() == 1 && lines[0].ends_with(r"ERROR said error=a\nFORGED \x1b[31m"), "{lines:?}");
    }

    #[test]
    fn a_time_is_rfc_3339_with_all_its_microseconds() {
        for micros in [0, 1, 999_999, 1_000_000, 1_795_349_605_000_020, 1_795_349_605_900_000, 1_795_349_606_000_000] {
            let mut text = String::new();
            let time = UNIX_EPOCH + std::time::Duration::from_micros(micros);
            write_time(&mut Writer::new(&mut text), time).unwrap();
            assert_eq!(text.len(), "2026-11-22T12:33:25.284410Z".len());
            assert_eq!(text.parse::<Timestamp>().unwrap().as_microsecond(), micros as i64);
        }
    }
}
