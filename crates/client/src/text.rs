//! Text that others wrote, as it may be shown on a terminal or in a log.

use std::fmt::Write as _;

/// The most characters that are shown of it.
const MOST: usize = 300;

/// The text, cut to a few hundred characters, with everything escaped that would not print as itself.
pub(crate) fn shown(text: &str) -> String {
    match text.char_indices().nth(MOST) {
        Some((end, _)) => escaped(&text[..end]) + "…",
        None => escaped(text),
    }
}

/// The text, with everything escaped that would not print as itself: control characters, and those that are invisible
/// or turn what follows around.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unprintable(c) {
            // Writing to a string does not fail.
            let _ = write!(out, "{}", c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// Whether a character would not print as itself: control characters, and those that are invisible or turn what follows
/// around.
pub fn is_unprintable(c: char) -> bool {
    c.is_control() || is_format(c)
}

/// Characters that print nothing, or change how others are printed (Unicode's categories Cf, Zl and Zp).
fn is_format(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}'
        | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0001}' | '\u{e0020}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unprintable_characters_are_escaped() {
        assert_eq!(shown("no such tag “é”"), "no such tag “é”");
        assert_eq!(shown("a\x1b[2J\n\u{202e}b\u{200b}"), r"a\u{1b}[2J\u{a}\u{202e}b\u{200b}");
        assert_eq!(shown(&"x".repeat(MOST + 1)).chars().count(), MOST + 1);
        assert!(shown(&"x".repeat(MOST + 1)).ends_with('…'));
    }
}
