//! The keys: one table for what they do, for the help and for the documentation.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What a key does while nothing is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TuiAction {
    Quit,
    PreviousScreen,
    NextScreen,
    Screen(usize),
    Down,
    Up,
    PageDown,
    PageUp,
    First,
    Last,
    Enter,
    Back,
    Create,
    Delete,
    AddScope,
    Edit,
    Visibility,
    Continue,
    CopyName,
    CopyDigest,
    Filter,
    NextMatch,
    PreviousMatch,
    Command,
    Help,
    Mark,
    Sort,
    Reload,
    Section,
    PreviousSection,
    Layers,
    History,
    Referrers,
    Manifest,
    Browser,
    Stop,
}

/// Keys that do the same, as people read them.
pub struct KeyHelp {
    /// The part of the help that they are in.
    pub group: &'static str,
    /// The keys.
    pub keys: &'static str,
    /// What they do.
    pub does: &'static str,
}

const fn help(group: &'static str, keys: &'static str, does: &'static str) -> KeyHelp {
    KeyHelp { group, keys, does }
}

/// All keys, for the help and `docs/wharf.md`.
pub const KEYS: &[KeyHelp] = &[
    help("Move", "h l, ← →", "previous or next screen"),
    help("Move", "1 … 6", "the first to the sixth screen"),
    help("Move", "j k, ↓ ↑", "next or previous row"),
    help("Move", "Ctrl-d Ctrl-u, PgDn PgUp", "half a page, or a page"),
    help("Move", "g G, Home End", "first or last row"),
    help("Move", "Enter", "open what is selected"),
    help("Move", "Esc", "back; also ends a filter or removes marks"),
    help("Move", "Tab Shift-Tab", "next or previous part of an image"),
    help("Image", "M", "manifest"),
    help("Image", "L", "layers"),
    help("Image", "H", "history"),
    help("Image", "t", "referrers: signatures, SBOMs, attestations"),
    help("Find", "/", "filter rows, or find in a text"),
    help("Find", "n N", "next or previous match"),
    help("Find", "s", "sort by the next column, up and down"),
    help("Find", "r", "reload, or try again after an error"),
    help("Change", "i", "create, or upload a file"),
    help("Change", "e", "edit"),
    help("Change", "d", "delete, after its name was typed"),
    help("Change", "a", "add a scope to a user or key"),
    help("Change", "v", "make a repository public or private"),
    help("Change", "c", "continue a migration"),
    help("Change", "Space", "mark, to delete several at once"),
    help("Copy", "y", "copy the command that pulls it, or its name"),
    help("Copy", "Y", "copy its digest"),
    help("Copy", "o", "open its page in the browser"),
    help("Program", ":", "type a command; Tab completes it"),
    help("Program", "?", "this help"),
    help("Program", "q", "quit"),
    help("Program", "Ctrl-c", "quit, whatever is open"),
];

/// What a key means while nothing is typed.
pub fn action(key: KeyEvent) -> Option<TuiAction> {
    use TuiAction::*;
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return match key.code {
            KeyCode::Char('c') => Some(Stop),
            KeyCode::Char('d') => Some(PageDown),
            KeyCode::Char('u') => Some(PageUp),
            _ => None,
        };
    }
    Some(match key.code {
        KeyCode::Char('q') => Quit,
        KeyCode::Char('h') | KeyCode::Left => PreviousScreen,
        KeyCode::Char('l') | KeyCode::Right => NextScreen,
        KeyCode::Char(digit @ '1'..='6') => Screen(usize::from(digit as u8 - b'1')),
        KeyCode::Char('j') | KeyCode::Down => Down,
        KeyCode::Char('k') | KeyCode::Up => Up,
        KeyCode::PageDown => PageDown,
        KeyCode::PageUp => PageUp,
        KeyCode::Char('g') | KeyCode::Home => First,
        KeyCode::Char('G') | KeyCode::End => Last,
        KeyCode::Enter => Enter,
        KeyCode::Esc | KeyCode::Backspace => Back,
        KeyCode::Tab => Section,
        KeyCode::BackTab => PreviousSection,
        KeyCode::Char('i') => Create,
        KeyCode::Char('d') => Delete,
        KeyCode::Char('a') => AddScope,
        KeyCode::Char('e') => Edit,
        KeyCode::Char('v') => Visibility,
        KeyCode::Char('c') => Continue,
        KeyCode::Char('y') => CopyName,
        KeyCode::Char('Y') => CopyDigest,
        KeyCode::Char('/') => Filter,
        KeyCode::Char('n') => NextMatch,
        KeyCode::Char('N') => PreviousMatch,
        KeyCode::Char(':') => Command,
        KeyCode::Char('?') | KeyCode::F(1) => Help,
        KeyCode::Char(' ') => Mark,
        KeyCode::Char('s') => Sort,
        KeyCode::Char('r') => Reload,
        KeyCode::Char('M') => Manifest,
        KeyCode::Char('L') => Layers,
        KeyCode::Char('H') => History,
        KeyCode::Char('t') => Referrers,
        KeyCode::Char('o') => Browser,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Every key that the table names, as a terminal sends it.
    fn named() -> BTreeSet<String> {
        let words = KEYS.iter().flat_map(|entry| entry.keys.split([' ', ','])).filter(|word| !word.is_empty());
        words.filter(|word| *word != "…").map(str::to_owned).collect()
    }

    #[test]
    fn every_key_that_does_something_is_in_the_help() {
        let named = named();
        for c in ' '..='~' {
            let is_known = action(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE)).is_some();
            let word = if c == ' ' { "Space".to_owned() } else { c.to_string() };
            let is_digit = matches!(c, '2'..='5');
            assert_eq!(is_known, named.contains(&word) || is_digit, "{word}");
            let control = action(KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL)).is_some();
            assert_eq!(control, named.contains(&format!("Ctrl-{c}")), "Ctrl-{c}");
        }
        for (word, code) in [
            ("←", KeyCode::Left),
            ("→", KeyCode::Right),
            ("↓", KeyCode::Down),
            ("↑", KeyCode::Up),
            ("PgDn", KeyCode::PageDown),
            ("PgUp", KeyCode::PageUp),
            ("Home", KeyCode::Home),
            ("End", KeyCode::End),
            ("Enter", KeyCode::Enter),
            ("Esc", KeyCode::Esc),
            ("Tab", KeyCode::Tab),
            ("Shift-Tab", KeyCode::BackTab),
        ] {
            assert!(named.contains(word) && action(KeyEvent::from(code)).is_some(), "{word}");
        }
    }

    #[test]
    fn floundrs_keys_do_what_they_did_there() {
        for (c, does) in [
            ('q', TuiAction::Quit),
            ('h', TuiAction::PreviousScreen),
            ('l', TuiAction::NextScreen),
            ('j', TuiAction::Down),
            ('k', TuiAction::Up),
            ('i', TuiAction::Create),
            ('d', TuiAction::Delete),
            ('a', TuiAction::AddScope),
        ] {
            assert_eq!(action(KeyEvent::from(KeyCode::Char(c))), Some(does));
        }
        assert_eq!(action(KeyEvent::from(KeyCode::Enter)), Some(TuiAction::Enter));
        assert_eq!(action(KeyEvent::from(KeyCode::Esc)), Some(TuiAction::Back));
    }
}
