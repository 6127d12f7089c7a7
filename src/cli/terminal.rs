//! Output of commands. Names on the disk, in files and from clients may contain terminal escape sequences, or
//! characters that a reader would not see as what they are; these are always escaped.

#![expect(clippy::disallowed_methods, reason = "everyone else prints by these")]

use std::{
    fmt::{self, Write as _},
    io::{self, IsTerminal, Write},
};

/// Whether a reader sees a character as what it is: no control or format character, such as U+202E, which reverses
/// the text after it, and no line separator.
pub(super) fn is_visible(c: char) -> bool {
    matches!(c, '"' | '\'' | '\\') || c.escape_debug().len() == 1
}

/// Writes text; characters that are not visible are escaped, and line breaks too unless they are kept.
pub(super) fn write_visible(writer: &mut impl fmt::Write, text: &str, keeps_lines: bool) -> fmt::Result {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return writer.write_str(text);
    }
    for c in text.chars() {
        match c {
            '\n' if keeps_lines => writer.write_char(c)?,
            '\n' => writer.write_str("\\n")?,
            '\t' => writer.write_char(c)?,
            c if c.is_ascii_control() => write!(writer, "\\x{:02x}", c as u32)?,
            c if is_visible(c) => writer.write_char(c)?,
            c => write!(writer, "{}", c.escape_unicode())?,
        }
    }
    Ok(())
}

/// A character as JSON escapes it.
pub(super) fn write_json_escape(writer: &mut impl fmt::Write, c: char) -> fmt::Result {
    c.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(writer, "\\u{unit:04x}"))
}

/// The escape format.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Json,
}

/// Stdout or stderr. Line breaks are up to the printer: it escapes values that may contain some.
pub(super) struct Terminal<W> {
    to: W,
    form: Form,
}

/// Text for people on stdout.
pub(super) fn text() -> Terminal<io::Stdout> {
    Terminal { to: io::stdout(), form: Form::Text }
}

/// JSON on stdout. Escaping does not change its meaning.
pub(super) fn json() -> Terminal<io::Stdout> {
    Terminal { to: io::stdout(), form: Form::Json }
}

/// Text for people on stderr.
pub(super) fn errors() -> Terminal<io::Stderr> {
    Terminal { to: io::stderr(), form: Form::Text }
}

/// Whether stderr is a terminal.
pub(super) fn is_watched() -> bool {
    io::stderr().is_terminal()
}

/// Replaces the progress line on stderr. If the terminal is gone there is nobody to show it to.
pub(super) fn show(line: fmt::Arguments<'_>) {
    clear();
    let _ = write!(errors(), "{line}");
}

/// Clears the progress line.
pub(super) fn clear() {
    let _ = write!(io::stderr(), "\r\x1b[K");
}

impl<W: Write> Write for Terminal<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut shown = String::with_capacity(bytes.len());
        let text = String::from_utf8_lossy(bytes);
        // Writing to a String cannot fail.
        let _ = match self.form {
            Form::Text => write_visible(&mut shown, &text, true),
            Form::Json => text.chars().try_for_each(|c| match c == '\n' || is_visible(c) {
                true => shown.write_char(c),
                false => write_json_escape(&mut shown, c),
            }),
        };
        self.to.write_all(shown.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "a\u{202e}b\u{2028}c\u{200b}d\x1b[31me\u{7f}f\u{85}g\u{e0041}h\rä";

    fn printed(form: Form, text: &str) -> String {
        let mut terminal = Terminal { to: Vec::new(), form };
        writeln!(terminal, "{text}").unwrap();
        String::from_utf8(terminal.to).unwrap()
    }

    #[test]
    fn control_characters_are_printed_as_escapes() {
        let shown = "a\\u{202e}b\\u{2028}c\\u{200b}d\\x1b[31me\\x7ff\\u{85}g\\u{e0041}h\\x0dä\n";
        assert_eq!(printed(Form::Text, HOSTILE), shown);
        assert_eq!(printed(Form::Text, "\"two\\\n\tlines\""), "\"two\\\n\tlines\"\n");
    }

    #[test]
    fn escaped_json_is_the_same_json() {
        let json = serde_json::json!({ "name": HOSTILE, "lines": "a\nb" });
        for text in [json.to_string(), format!("{json:#}")] {
            let printed = printed(Form::Json, &text);
            assert!(printed.chars().all(|c| c == '\n' || is_visible(c)), "{printed:?}");
            assert!(printed.contains("\\u202e") && printed.contains("\\udb40\\udc41"), "{printed}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&printed).unwrap(), json);
        }
    }
}
