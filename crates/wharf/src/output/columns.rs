//! Which fields of an object are shown, and how.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// One column of a table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its heading.
    pub title: &'static str,
    /// The field, as a JSON pointer.
    pub field: &'static str,
    /// How its value is written.
    pub kind: ColumnKind,
    /// Where it is shown.
    pub place: ColumnPlace,
}

/// Where a column is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColumnPlace {
    #[default]
    Everywhere,
    /// In tables of `--format wide`.
    Wide,
    /// In tables of `--format wide`, and on the screens of the terminal UI.
    Roomy,
    /// In what commands print, not on the screens of the terminal UI.
    Commands,
    /// On the screens of the terminal UI only.
    Screens,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// As it is; lists with commas.
    Text,
    /// Bytes, with a unit.
    Bytes,
    /// A number, to the right.
    Number,
    /// A time, by how long it is ago.
    Time,
    /// A digest, shortened.
    Digest,
    /// `yes`, or nothing.
    Flag,
    /// A number of seconds, in the unit that fits.
    Seconds,
}

impl Column {
    /// A column of text.
    pub const fn text(title: &'static str, field: &'static str) -> Self {
        Self { title, field, kind: ColumnKind::Text, place: ColumnPlace::Everywhere }
    }

    /// A column of another kind.
    pub const fn of(title: &'static str, field: &'static str, kind: ColumnKind) -> Self {
        Self { title, field, kind, place: ColumnPlace::Everywhere }
    }

    /// The same, in wide tables only.
    pub const fn wide(self) -> Self {
        Self { place: ColumnPlace::Wide, ..self }
    }

    /// The same, in wide tables and on screens.
    pub const fn roomy(self) -> Self {
        Self { place: ColumnPlace::Roomy, ..self }
    }

    /// The same, on screens only.
    pub const fn on_screens(self) -> Self {
        Self { place: ColumnPlace::Screens, ..self }
    }

    /// Whether a table of a command has it.
    pub fn is_in_table(&self, is_wide: bool) -> bool {
        match self.place {
            ColumnPlace::Everywhere | ColumnPlace::Commands => true,
            ColumnPlace::Wide | ColumnPlace::Roomy => is_wide,
            ColumnPlace::Screens => false,
        }
    }

    /// Whether a screen has it.
    pub fn is_on_screen(&self) -> bool {
        matches!(self.place, ColumnPlace::Everywhere | ColumnPlace::Roomy | ColumnPlace::Screens)
    }

    /// The same, for commands only.
    pub const fn in_commands(self) -> Self {
        Self { place: ColumnPlace::Commands, ..self }
    }

    /// Whether its values are aligned to the right.
    pub fn is_right(&self) -> bool {
        matches!(self.kind, ColumnKind::Bytes | ColumnKind::Number | ColumnKind::Seconds)
    }

    /// What the column shows of an object.
    pub fn shown(&self, item: &Value) -> String {
        self.shown_at(item, Timestamp::now())
    }

    /// What the column shows of an object at a time.
    pub fn shown_at(&self, item: &Value, now: Timestamp) -> String {
        let value = item.pointer(self.field).unwrap_or(&Value::Null);
        match (self.kind, value) {
            (ColumnKind::Bytes, Value::Number(_)) => value.as_u64().map(bytes).unwrap_or_default(),
            (ColumnKind::Time, Value::String(time)) => ago(time, now),
            (ColumnKind::Digest, Value::String(digest)) => short(digest).to_owned(),
            (ColumnKind::Seconds, Value::Number(_)) => value.as_u64().map(seconds).unwrap_or_default(),
            (ColumnKind::Flag, Value::Bool(is)) => if *is { "yes" } else { "" }.to_owned(),
            _ => text(value),
        }
    }
}

/// A value in one line, with everything escaped that does not print as itself.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => client::escaped(text),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(","),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Object(_) => client::escaped(&value.to_string()),
    }
}

/// Bytes with a unit, in three figures: `1.25 GiB`.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    #[expect(clippy::cast_precision_loss, reason = "three figures are shown")]
    let mut value = count as f64;
    let mut unit = "";
    for next in UNITS {
        if value < 1023.5 {
            break;
        }
        (value, unit) = (value / 1024.0, next);
    }
    let decimals = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    format!("{value:.decimals$} {unit}")
}

/// A number of things: `1 tag`, `2 tags`.
pub fn count(number: u64, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// How long a time is ago: `5 minutes ago`. Times that cannot be read are shown as they are.
fn ago(time: &str, now: Timestamp) -> String {
    let Ok(then) = time.parse::<Timestamp>() else { return client::escaped(time) };
    let passed = now.duration_since(then);
    let is_future = passed < SignedDuration::ZERO;
    let seconds = passed.unsigned_abs().as_secs();
    if seconds < 10 {
        return if is_future { "in a moment" } else { "just now" }.to_owned();
    }
    let passed = self::seconds(seconds);
    if is_future { format!("in {passed}") } else { format!("{passed} ago") }
}

/// Seconds in the unit that fits: `5 minutes`.
fn seconds(seconds: u64) -> String {
    let (number, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7_200 => (seconds / 60, "minute"),
        7_200..172_800 => (seconds / 3600, "hour"),
        172_800..5_184_000 => (seconds / 86_400, "day"),
        5_184_000..63_072_000 => (seconds / 2_592_000, "month"),
        _ => (seconds / 31_536_000, "year"),
    };
    count(number, unit)
}

/// The beginning of a digest, long enough to be the only one.
pub fn short(digest: &str) -> &str {
    const HEX: usize = 12;
    match digest.split_once(':') {
        Some((algorithm, hex)) if hex.is_ascii() && hex.len() > HEX => &digest[..algorithm.len() + 1 + HEX],
        _ => digest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bytes_have_three_figures() {
        for (count, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (1536, "1.50 KiB"),
            (10 * 1024, "10.0 KiB"),
            (1_048_575, "1.00 MiB"),
            (123 << 20, "123 MiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn times_are_relative() {
        let now: Timestamp = "2026-11-30T12:00:00Z".parse().unwrap();
        for (time, text) in [
            ("2026-11-30T11:59:58Z", "just now"),
            ("2026-11-30T11:59:00Z", "60 seconds ago"),
            ("2026-11-30T09:00:00Z", "3 hours ago"),
            ("2026-11-20T12:00:00Z", "10 days ago"),
            ("2020-11-20T12:00:00Z", "6 years ago"),
            ("2026-12-07T12:00:00Z", "in 7 days"),
            ("yesterday", "yesterday"),
        ] {
            assert_eq!(ago(time, now), text);
        }
    }

    #[test]
    fn text_of_strangers_cannot_move_the_cursor() {
        assert_eq!(text(&json!("a\u{1b}[2Jb")), r"a\u{1b}[2Jb");
        assert_eq!(text(&json!(["a", "b\n"])), r"a,b\u{a}");
    }
}
