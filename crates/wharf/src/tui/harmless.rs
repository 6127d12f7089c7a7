//! Text of strangers, as it may stand in a cell of the screen.

use unicode_width::UnicodeWidthChar;

/// Marks above or below one letter; more would reach into other lines.
const MOST_MARKS: usize = 2;

/// The most characters of one text that are looked at; no screen shows more in a line.
const MOST: usize = 2000;

/// The text with everything escaped that does not print as itself, and with marks that would leave its line removed.
pub fn harmless(text: &str) -> String {
    let cut = match text.char_indices().nth(MOST) {
        Some((end, _)) => &text[..end],
        None => text,
    };
    let escaped = client::escaped(cut);
    if escaped.is_ascii() {
        return escaped;
    }
    let mut out = String::with_capacity(escaped.len());
    let mut marks = 0;
    for c in escaped.chars() {
        if is_blank(c) {
            out.push('\u{fffd}');
            marks = 0;
        } else if c.width() == Some(0) {
            marks += 1;
            // Selectors of variants change how wide a terminal draws what is before them.
            if marks <= MOST_MARKS && !matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}') {
                out.push(c);
            }
        } else {
            marks = 0;
            out.push(c);
        }
    }
    out
}

/// Letters that draw nothing, by which two names can look the same.
fn is_blank(c: char) -> bool {
    matches!(c, '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' | '\u{2800}' | '\u{34f}' | '\u{17b4}' | '\u{17b5}')
}

/// How many columns a text takes.
pub fn width(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// The text in at most `columns` columns, with `…` if something is cut.
pub fn fitted(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > columns {
            break;
        }
        out.push(c);
    }
    if columns > 0 {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_strangers_stays_in_its_cell() {
        assert_eq!(harmless("team/app"), "team/app");
        assert_eq!(harmless("a\u{1b}]0;x\u{7}b\u{9b}2J"), r"a\u{1b}]0;x\u{7}b\u{9b}2J");
        assert_eq!(harmless("a\u{202e}b\u{200d}"), r"a\u{202e}b\u{200d}");
        assert_eq!(harmless("e\u{301}\u{302}\u{303}\u{304}x"), "e\u{301}\u{302}x");
        assert_eq!(harmless("☁\u{fe0f}"), "☁");
        assert_eq!(harmless("a\u{3164}b"), "a\u{fffd}b");
        assert_eq!(harmless(&"x".repeat(5000)).len(), MOST);
    }

    #[test]
    fn wide_letters_are_cut_by_columns() {
        assert_eq!(width("日本"), 4);
        assert_eq!(fitted("日本語", 6), "日本語");
        assert_eq!(fitted("日本語", 5), "日本…");
        assert_eq!(fitted("日本語", 4), "日…");
        assert_eq!(fitted("app", 0), "");
        assert_eq!(fitted("app", 1), "…");
    }
}
